"""empirisk: f* = argmin over f in F of 1/N sum_i L(y_i, f(x_i)), with the evidence beside every number.

import empirisk as er

experiment = er.classification("photos/", minutes=10)   # the same function as the command; nothing is trained yet
run = er.train(experiment, out="runs/photos")
run.test()                                              # Estimates: value, interval, n
er.load("runs/photos").predict(["new/1.png"])           # paths, arrays or tensors; needs no training data
"""

from importlib import import_module
from typing import Any

from empirisk.experiments import EXPERIMENTS

__version__ = "0.1.0"
_PLACES = {
    "train": "empirisk.verbs.train",
    "load": "empirisk.verbs.run",
    "Run": "empirisk.verbs.run",
    "Wrong": "empirisk.errors",
}


def __getattr__(name: str) -> Any:  # er.classification, er.Run: imported when first named
    if name in EXPERIMENTS:
        return getattr(import_module(f"empirisk.experiments.{name}"), name)
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'empirisk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*EXPERIMENTS, *_PLACES, "__version__"]
