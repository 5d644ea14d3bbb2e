"""New images of a generator, written as files that say they are synthetic."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter

from empirisk import runtime
from empirisk.data.readers import Stored
from empirisk.data.reconstructed import Images, write_image
from empirisk.data.targets import Classes
from empirisk.errors import Wrong, listed, near, shown
from empirisk.experiment import Experiment
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.run import Run, load
from empirisk.verbs.say import Say

CHUNK = 256
"""Images made at once."""


def class_number(e: Experiment, name: str) -> int:
    """The number of a class by its name, or its number; `Wrong` (exit 2) where there is none."""
    names = e.data.learn(Images, e.data.card()).names
    number = Classes(names).index(name) if names else None
    if number is None:
        remedy = near(name, names) or (
            f"there are {listed(list(names))}" if names else "the training rows have no classes"
        )
        raise Wrong(f"no class is called {shown(name)!r}", remedy=remedy)
    return number


@torch.no_grad()
def sampled(
    run: Run, n: int, *, label: str | None = None, steps: int | None = None, seed: int = 0, device: torch.device
) -> list[Path]:
    """Write n new images to RUN/samples/; with `label` of one class, in so many `steps` where the model takes steps.

    `Wrong` (exit 2): a run that makes no images, a number below 1, no such class, what the model does not know.
    """
    for flag, value in (("-n", n), ("--steps", steps)):
        if value is not None and value < 1:
            raise Wrong(f"{flag} is {value}", remedy="it must be 1 or above")
    with run.folder.lock():
        e = run.experiment()
        model: Any = e.model.to(device).eval()
        if not hasattr(model, "sample"):
            raise Wrong(f"{run.path} is {e.name}: it makes no images", remedy="take a run of empirisk train generation")
        card, number = e.data.card(), None if label is None else class_number(e, label)
        kind, generator, paths = e.data.learn(Images, card), torch.Generator().manual_seed(seed), list[Path]()
        like = Stored(np.zeros((1, card.channels, *card.size), card.dtype), 0)
        note = f"synthetic: made by empirisk {e.arguments['model']}, no person" + (f", as {label}" if label else "")
        for low in range(0, n, CHUNK):
            some = min(CHUNK, n - low)
            labels = None if number is None else torch.full((some,), number, device=device)
            made = kind.stored(card, model.sample(some, generator=generator, labels=labels, steps=steps))
            for i, image in enumerate(made, low + 1):
                stem = f"{i:0{len(str(n))}d}"
                paths.append(write_image(run.folder.samples(), stem, image / card.range, like, note))
    return paths


def sample(
    run: Trained, /, *, number: Annotated[int, Parameter(name=["-n", "--number"], help="how many")] = 16,
    label: Annotated[str | None, Parameter(help="class, by name or number, where the model knows classes")] = None,
    steps: Annotated[int | None, Parameter(help="steps from noise to an image, where the model takes steps")] = None,
    seed: Annotated[int, Parameter(help="of the noise that they are made from")] = 0, device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Make new images and write them to RUN/samples/, marked as synthetic in their own metadata.

    Example: empirisk sample runs/chest -n 16
    """
    say = Say(as_json=json)
    paths = sampled(load(run), number, label=label, steps=steps, seed=seed, device=runtime.device_named(device))
    say("Written", [f"{len(paths)} images, marked as synthetic", str(paths[0].parent)])
    say.document({"files": [str(p) for p in paths]})
