"""What every experiment shares, as plain values. Imports nothing heavy, so that help is fast."""

import math
from dataclasses import dataclass

from empirisk.errors import Wrong


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the risk is made small."""

    optimizer: str = "adamw"
    "sgd, momentum, adam or adamw; or package.module:function (parameters, lr, weight_decay) -> Optimizer"
    lr: float | None = None
    "largest step length; None: the model's own"
    weight_decay: float = 0.1
    "decoupled decay of the weights, a share of the step length"
    schedule: str = "one_cycle"
    "constant, cosine, warmup_cosine or one_cycle; or package.module:function (progress in [0, 1)) -> factor"
    epochs: int | None = None
    "passes over the training rows; None with no --minutes: enough for 1,500 steps, between 15 and 200"
    minutes: float | None = None
    "time for the fit instead of --epochs; the number of steps is fixed before the first"
    batch: int | None = None
    "samples a step, over all processes; None: 32 below 1,024 rows, 64 below 4,096, else 128"
    accumulate: int = 1
    "micro-batches that a batch is split into, for little memory"
    ema: float = 0.99
    "decay of an exponential moving average of the weights, which is then what is kept; 0: off"
    clip: float | None = None
    "largest norm of a gradient; None: off"
    patience: int | None = None
    "stop when the validation risk has not fallen for so many epochs; None: keep the best, go on to the end"
    precision: str = "auto"
    "float32, bf16, fp16; auto: bf16 where the device computes in it and the model has convolutions"
    seed: int = 0
    "of the initial weights, the order, the augmentation and the noise"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises
        ------
        Wrong
            exit 2, naming the flag.
        """
        if self.epochs is not None and self.minutes is not None:
            raise Wrong("--epochs and --minutes are both given", remedy="give one: either a number of passes or a time")
        positive = {"epochs": self.epochs, "minutes": self.minutes, "batch": self.batch, "accumulate": self.accumulate}
        for flag, value in (positive | {"lr": self.lr, "clip": self.clip, "patience": self.patience}).items():
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise Wrong(f"--{flag} is {value}", remedy="it must be above 0")
        if not 0 <= self.ema < 1:
            raise Wrong(f"--ema is {self.ema}", remedy="a decay lies between 0 and 1, say .99; 0 switches it off")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise Wrong(f"--weight-decay is {self.weight_decay}", remedy="it must be 0 or above")
        if self.precision not in {"auto", "float32", "bf16", "fp16"}:
            raise Wrong(f"--precision {self.precision} is unknown", remedy="give auto, float32, bf16 or fp16")

    def batch_for(self, rows: int) -> int:
        """Samples a step: the given number, or a fixed rule of the number of training rows."""
        return min(self.batch or (32 if rows < 1024 else 64 if rows < 4096 else 128), max(rows, 1))

    def epochs_for(self, steps: int) -> int:
        """Passes over the training rows, given the steps of one pass."""
        return self.epochs or min(200, max(15, math.ceil(1500 / steps)))


@dataclass(frozen=True, kw_only=True)
class Regularization:
    """Every modification of the learning algorithm meant to lower the expected, not the empirical, risk."""

    augment: str = "auto"
    "auto: flip, affine, intensity, gamma, noise, cut-out as the data allow; none; or a list such as flip,affine"
    dropout: float = 0.0
    "share of the last layer's inputs set to 0 at each step"
    l1: float = 0.0
    "adds l1 sum |w| to the risk"
    l2: float = 0.0
    "adds l2/2 sum w^2 to the risk"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises
        ------
        Wrong
            exit 2, naming the flag.
        """
        if not 0 <= self.dropout < 1:
            raise Wrong(f"--dropout is {self.dropout}", remedy="give a share from 0 to below 1")
        for flag, value in {"l1": self.l1, "l2": self.l2}.items():
            if not (value >= 0 and math.isfinite(value)):
                raise Wrong(f"--{flag} is {value}", remedy="it must be 0 or above")
