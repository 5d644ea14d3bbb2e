"""Answers for new images: needs the run folder and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter

from empirisk import runtime
from empirisk.data.readers import Stored, Vector
from empirisk.errors import Wrong, listed, shown
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.run import Run, answer, joined, load
from empirisk.verbs.say import Say, short

SHOWN = 12
"""Answers shown on the terminal."""


def predicted(
    run: Run, given: list[Any], *, device: torch.device, stream: bool = False
) -> tuple[Experiment, Rows, list[Answer]]:
    """The experiment, the rows of paths, arrays (C, *size) or (*size) and tensors, and an answer for each, with `stream` as `streamed`."""
    e = run.experiment()
    card, rows = e.data.card(), Rows()
    if stream:
        joins(e)  # before anything is read
    for i, value in enumerate(given):
        if isinstance(value, (str, Path)):
            rows += e.data.other(str(value))
            continue
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        array = array[None] if card.dims and array.ndim == card.dims else array
        if array.ndim != (card.dims + 1 if card.dims else 1):
            raise Wrong(f"array {i} has shape {array.shape}", remedy=f"give (channels, *size) with {card.dims} sizes")
        x = Stored(array[None], 0) if card.dims else Vector(array.astype(np.float32))
        rows.append({"id": f"array/{i}", "x": x, "patient": None, "part": "new"})
    if not rows:
        raise Wrong("there is nothing to predict", remedy="give pictures, a folder, an archive or arrays")
    return e, rows, streamed(e, rows, device) if stream else answer(e, rows, device)


def joins(e: Experiment) -> Callable[[list[Answer]], Answer]:
    """How the task joins the answers to the pieces of a row; `Wrong` (exit 2) where it answers a row as a whole."""
    if e.task.join is None:
        raise Wrong(f"--stream: {e.name} answers a row as a whole, not as it arrives", remedy="leave --stream out")
    return e.task.join


@torch.no_grad()
def streamed(e: Experiment, rows: Rows, device: torch.device) -> list[Answer]:
    """As `answer`, but each row piece by piece, as it would arrive; of what came before only the model's state is held.

    `Wrong` (exit 2) where the task answers a row as a whole.
    """
    join = joins(e)
    e.model.to(device).eval()
    return [join([said for x in e.data.pieces(row, device) for said in e.task.predict(e.model, x)]) for row in rows]


def predict(
    run: Trained, /, *paths: Annotated[str, Parameter(help="pictures, folders, archives or tables")],
    stream: Annotated[bool, Parameter(help="answer a video frame by frame, as it would arrive, at a memory that does not grow")] = False,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Answer for new images and write RUN/predictions/NAME.csv; the training data may be gone.

    Example: empirisk predict runs/photos new/*.png
    """
    say = Say(as_json=json)
    if not paths:
        raise Wrong("no image is given", remedy="empirisk predict RUN PATH...")
    opened = load(run)
    e, rows, answers = predicted(opened, list(paths), device=runtime.device_named(device), stream=stream)
    file, cells = opened.write_predictions(e, rows, answers, joined(paths))
    cells = [{k: v for k, v in c.items() if k != "patient"} for c in cells]
    for c in cells[:SHOWN]:
        say.line(f"{shown(c['id'])}  {brief(c)}")
    if len(rows) > SHOWN:
        say.line(f"and {len(rows) - SHOWN} more")
    say("Written", [str(file), f"{len(rows)} {e.data.unit}s", listed(list(cells[0]), 8)])
    say.document({"file": str(file), "rows": cells})


def brief(cells: dict[str, Any]) -> str:
    """An answer in a word or two: what is predicted, and its probability where it has one column of its own.

    >>> brief({"prediction": "malignant", "benign": 0.07, "malignant": 0.93}), brief({"prediction": 12.345, "value": 12.345})
    ('malignant .930', '12.3')
    """
    said = cells["prediction"]
    if isinstance(said, float):
        return short(said)
    return f"{shown(said)} {short(cells[said])}" if isinstance(cells.get(said), float) else shown(said)
