"""The list of experiments: name -> one line. Torch-free. The only list; `list`, `train --help` and the tests read it."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from empirisk.errors import Wrong, near

if TYPE_CHECKING:
    from empirisk.experiment import Experiment

EXPERIMENTS = {
    "classification": "image -> class (binary, multi-class, multi-label)",
    "regression": "image -> number",
    "ensemble": "runs -> their mean, with how far they disagree",
    "segmentation": "image -> mask (structures, or things told apart)",
    "detection": "image -> boxes of things",
    "captioning": "image -> sentence",
    "sequences": "text -> class",
    "translation": "sentence -> sentence",
    "frames": "video -> phase of each frame, as it comes",
    "autoencoder": "image -> a few numbers, and back; without labels",
    "generation": "images -> new ones like them (vae, gan, ddpm)",
    "clustering": "rows -> groups that nobody named (k-means, mixture, HDBSCAN)",
    "density": "rows -> how likely they are (mixture, kernel, flow)",
    "anomaly": "normal images -> how strange another one is",
}


def named(name: str) -> "Callable[..., Experiment]":
    """The experiment's function; `Wrong` (exit 2) if there is no such experiment."""
    if name not in EXPERIMENTS:
        remedy = (
            f"there are {', '.join(EXPERIMENTS)}; one of your own needs a file in experiments/ and a line in its list"
        )
        raise Wrong(f"no experiment {name!r}", remedy=near(name, EXPERIMENTS) or remedy)
    found: Callable[..., Experiment] = getattr(import_module(f"empirisk.experiments.{name}"), name)
    return found


def rebuild(
    run: dict[str, Any], split: dict[str, dict[str, str]], objects: dict[str, Any] | None = None, **changes: Any
) -> "Experiment":
    """The experiment of a run again: same function, same arguments, same split and what it had learned.

    `objects` are the arguments that run.json could not hold. A change that touches the data or its rows lets it learn anew.
    `Wrong` (exit 2) if the model was an object and is not among `objects`.
    """
    f = named(run["experiment"])
    from empirisk.data.table import Data
    from empirisk.experiment import flags, lost

    touches = {field.name for field in flags(Data)} & changes.keys()
    known = {} if touches else {"facts": run["learned"], "assigned": split}
    arguments = run["arguments"] | (objects or {}) | changes
    gone = [k for k, v in arguments.items() if lost(v) and k != "data"]  # predict needs no data
    if gone:
        remedy = f"give it again: empirisk.load(RUN, {gone[0]}=...); or name it as package.module:function"
        raise Wrong(f"the run was made with an object as {gone[0]}: {arguments[gone[0]]}", remedy=remedy)
    return f(**arguments, known=known)
