"""Where a classifier of two numbers decides for which class."""

from itertools import groupby

import numpy as np
import torch

from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Verdict
from empirisk.experiment import Experiment
from empirisk.figures import Curve, Figure, chart

STEPS = 60
"""Cells of the plane, an axis."""


def of_two_numbers(experiment: Experiment, rows: Rows, classes: Classes) -> list[Figure]:
    """The plane of the two inputs, tinted by the class that is chosen there, with the rows; nothing where x is not two numbers."""
    card = experiment.data.card()
    if len(card.inputs) != 2 or classes.multi:
        return []
    x = np.array([r["x"].read() for r in rows], float)  # (N, 2)
    margin = 0.05 * np.ptp(x, 0)
    low, high = x.min(0) - margin, x.max(0) + margin
    centres = [a + (b - a) * (np.arange(STEPS) + 0.5) / STEPS for a, b in zip(low, high, strict=True)]
    chosen = _chosen(experiment, np.stack(np.meshgrid(*centres), -1).reshape(-1, 2)).reshape(STEPS, STEPS)
    y = np.array([int(classes.encode(r)) for r in rows])
    right = _chosen(experiment, x) == y
    points = [Curve(name, x[y == k, 0], x[y == k, 1], dots=True) for k, name in enumerate(classes.names)]
    text = (
        f"The tint is the class that is chosen there, a point one of {len(rows)} rows in the colour of its true class: "
        f"{int(right.sum())} lie in a region of their own. A linear model's border is a straight line."
    )
    svg = chart(points, label=text, x=card.inputs[0], y=card.inputs[1], square=True,
                x_range=(float(low[0]), float(high[0])), y_range=(float(low[1]), float(high[1])), tint=_runs(chosen))  # fmt: skip
    table = tuple((r["id"], float(a), float(b), classes.names[k]) for r, (a, b), k in zip(rows, x, y, strict=True))
    return [Figure("regions", "Decision regions", svg, text, "pictures", ("id", *card.inputs, "truth"), table)]


def _chosen(experiment: Experiment, x: np.ndarray) -> np.ndarray:
    """Class numbers (N,) that are chosen at x (N, 2)."""
    device = next(iter(experiment.model.parameters())).device
    answers: list[Verdict] = experiment.task.predict(
        experiment.model, torch.from_numpy(x.astype(np.float32)).to(device)
    )
    return np.array([a.choice for a in answers])


def _runs(cells: np.ndarray) -> list[tuple[int, float, float, float, float]]:
    """Cells (rows, columns) of class numbers as rectangles (class, left, bottom, right, top) in shares of the axes."""
    out = []
    for i, row in enumerate(cells):
        at = 0
        for k, run in groupby(row):
            n = len(list(run))
            out.append((int(k), at / len(row), i / len(cells), (at + n) / len(row), (i + 1) / len(cells)))
            at += n
    return out
