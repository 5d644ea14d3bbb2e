"""Answers for new images: needs the run folder and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from empirisk import runtime
from empirisk.data.readers import Stored, Vector
from empirisk.errors import Wrong, listed, shown
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.verbs.run import Run, answer, joined, load
from empirisk.verbs.say import Say, short

SHOWN = 12
"""Answers shown on the terminal."""


def rows_of(e: Experiment, given: list[Any]) -> Rows:
    """Rows of paths, arrays (C, *size) or (*size), and tensors."""
    rows: Rows = []
    for i, value in enumerate(given):
        if isinstance(value, (str, Path)):
            rows += e.data.other(str(value))
            continue
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        card = e.data.card()
        if card.dims and array.ndim == card.dims:
            array = array[None]
        if array.ndim != (card.dims + 1 if card.dims else 1):
            raise Wrong(f"array {i} has shape {array.shape}", remedy=f"give (channels, *size) with {card.dims} sizes")
        x = Stored(array[None], 0) if card.dims else Vector(array.astype(np.float32))
        rows.append({"id": f"array/{i}", "x": x, "patient": None, "part": "new"})
    if not rows:
        raise Wrong("there is nothing to predict", remedy="give pictures, a folder, an archive or arrays")
    return rows


def predicted(run: Run, given: list[Any], *, device: torch.device) -> tuple[Experiment, Rows, list[Answer]]:
    """The experiment, the rows and an answer for each."""
    if not run.folder.weights.exists():
        raise Wrong(
            f"{run.path} has no weights yet", remedy="train it to its end first: the same train command goes on"
        )
    e = run.experiment()
    rows = rows_of(e, given)
    return e, rows, answer(e, rows, device)


def predict(run: str, /, *paths: str, device: str = "auto", json: bool = False) -> None:
    """Answer for new images and write RUN/predictions/NAME.csv; the training data may be gone.

    Example: empirisk predict runs/photos new/*.png

    Parameters
    ----------
    run
        folder of a trained run.
    paths
        pictures, folders, archives or tables.
    device
        auto, cpu, cuda or mps.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    if not paths:
        raise Wrong("no image is given", remedy="empirisk predict RUN PATH...")
    opened = load(run)
    e, rows, answers = predicted(opened, list(paths), device=runtime.device_named(device))
    file = opened.write_predictions(e, rows, answers, joined(paths))
    kind = e.data.kind
    assert kind is not None
    cells = [{"id": r["id"]} | kind.write(r, a, file.parent) for r, a in zip(rows, answers, strict=True)]
    for c in cells[:SHOWN]:
        say.line(f"{shown(c['id'])}  {brief(c)}")
    if len(rows) > SHOWN:
        say.line(f"and {len(rows) - SHOWN} more")
    say("Written", [str(file), f"{len(rows)} {'images' if e.data.card().dims else 'rows'}", listed(list(cells[0]), 8)])
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
