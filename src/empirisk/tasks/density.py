"""How likely a sample is under a density that was fitted to others."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.table import Rows
from empirisk.estimate import Statistic, mean
from empirisk.experiment import Experiment, Task
from empirisk.figures import Curve, Figure, Tile, album, chart, histogram, number, picture
from empirisk.losses import Batch
from empirisk.tasks import hypotheses
from empirisk.tasks.clustering import Read
from empirisk.unsupervised.mixture import Components, em

SHOWN, CELLS = 6, 100
"""Images at each end, and cells an axis of the plane."""
SHARES = (0.95, 0.8, 0.5)
"""Of the training rows that lie inside each of the drawn levels."""


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The terms [n] -log p(x), nats."""
    out: Tensor = -model(batch[0])
    return out


def density(components: Components | None, codes: Read) -> Task:
    """The task of giving each row its log p(x), of the numbers that `codes` gives: nats a sample, as rows of unit volume have them."""
    return Task(
        loss=loss,
        predict=predict,
        score=score,
        baseline=partial(baseline, codes),
        show=partial(show, components),
    )


@torch.no_grad()
def predict(model: nn.Module, x: Any) -> list[float]:
    """log p(x), nats."""
    return [float(v) for v in model(x).double().cpu()]


def score(rows: Rows, answers: Sequence[float]) -> dict[str, Statistic]:
    """The mean log-likelihood."""
    return {"log_likelihood": mean(np.array(answers, float))}


def baseline(codes: Read, rows: Rows) -> dict[str, Callable[[Rows], list[float]]]:
    """One Gaussian with all covariances, on the same codes."""
    normal = em(codes(rows), 1)
    return {"gaussian": lambda new: [float(v) for v in normal.score_samples(codes(new))]}


def show(components: Components | None, e: Experiment, rows: Rows, answers: list[float]) -> list[Figure]:
    """The density on a line or a plane, the histogram of log p, the least and most likely images, how many components."""
    inputs = len(e.data.card().inputs)
    drawn = [_line(e, rows)] if inputs == 1 else [_plane(e, rows)] if inputs == 2 else []
    low, high = (number(float(q)) for q in np.quantile(answers, [0.05, 0.95]))
    text = f"log p(x) of {len(rows)} held-out rows, nats; nine of ten lie between {low} and {high}. The least likely are worth a look."
    svg = histogram(answers, label=text, x="log p(x)")
    table = tuple((r["id"], v) for r, v in zip(rows, answers, strict=True))
    found = Figure("likelihood", "Log-likelihood", svg, text, "pictures", ("id", "log p(x)"), table)
    return [*drawn, found, *_images(e, rows, answers), *_components(components)]


def _line(e: Experiment, rows: Rows) -> Figure:
    """p(x) of one number, with a histogram of the training rows as steps."""
    x = np.array([r["x"].read()[0] for r in e.data.rows("train")], float)
    margin = 0.1 * float(np.ptp(x))
    grid = np.linspace(x.min() - margin, x.max() + margin, 300)
    p = np.exp(np.array(hypotheses.asked(e, grid[:, None]), float))
    p /= p.sum() * (grid[1] - grid[0])  # per unit of x, where codes have another
    heights, edges = np.histogram(x, min(24, max(4, len(x) // 10)), density=True)
    steps = Curve("training rows", np.repeat(edges, 2)[1:-1], np.repeat(heights, 2))
    name = e.data.card().inputs[0]
    text = f"The density and the histogram of {len(x)} training rows; both have area 1."
    svg = chart(
        [Curve("p(x)", grid, p), steps],
        label=text,
        x=name,
        y="density",
        y_range=(0, 1.05 * float(max(p.max(), heights.max()))),
    )
    return Figure("density", "The density", svg, text, "pictures", (name, "p"), tuple(zip(grid, p, strict=True)))


def _plane(e: Experiment, rows: Rows) -> Figure:
    """Regions of two numbers in which 95, 80 and 50 % of the training rows lie, with the held-out rows."""
    train = np.array([r["x"].read() for r in e.data.rows("train")], float)
    x = np.array([r["x"].read() for r in rows], float)
    cells, (across, up) = hypotheses.plane(np.concatenate([train, x]), CELLS)
    log_p = np.array(hypotheses.asked(e, cells), float).reshape(CELLS, CELLS)
    levels = np.quantile(np.array(hypotheses.asked(e, train), float), [1 - share for share in SHARES])
    tint = [run for level in levels for run in hypotheses.runs(np.where(log_p >= level, 0, -1)) if run[0] >= 0]
    inside = np.array(hypotheses.asked(e, x), float)[:, None] >= levels  # (N, 3)
    said = ", ".join(
        f"{100 * held:.0f} % in that of {100 * share:.0f} %" for share, held in zip(SHARES, inside.mean(0), strict=True)
    )
    text = f"The tints are where the likeliest 95, 80 and 50 % of the training rows lie. Of {len(rows)} held-out rows, drawn as points, lie {said}."
    inputs = e.data.card().inputs
    svg = chart([Curve("", x[:, 0], x[:, 1], dots=True, style=1)], label=text, x=inputs[0], y=inputs[1], square=True, tint=tint,
                x_range=across, y_range=up)  # fmt: skip
    table = tuple((r["id"], float(a), float(b)) for r, (a, b) in zip(rows, x, strict=True))
    return Figure("density", "The density", svg, text, "pictures", ("id", *inputs), table)


def _images(e: Experiment, rows: Rows, answers: Sequence[float]) -> list[Figure]:
    """The least and the most likely images."""
    if not e.data.card().dims:
        return []
    order, items = np.argsort(answers, kind="stable"), list[Tile]()
    for group, some in (("least likely", order[:SHOWN]), ("most likely", order[::-1][:SHOWN])):
        for i in some.tolist():
            lines = (group, f"log p {number(answers[i])}", str(rows[i]["id"]))
            items.append(Tile(((picture(rows[i]["x"].read()), f"image, {group}"),), lines, group))
    text = "The least likely images are what the training rows hardly have, or faults of the data; the most likely are what they mostly are."
    return [album("ends", "Least and most likely", items, text, kind="")]


def _components(components: Components | None) -> list[Figure]:
    """Log-likelihood of held-out training rows by the number of components."""
    if components is None or not components.log_likelihood:
        return []
    values = [v if math.isfinite(v) else float("nan") for v in components.log_likelihood]
    numbers = list(range(1, 1 + len(values)))
    text = f"A fourth of the training rows, by mixtures fitted to the others: {components.number} components make them likeliest."
    svg = chart([Curve("", numbers, values)], label=text, x="components", y="log-likelihood", whole=True,
                marks=[(float(components.number), f"chosen: {components.number}")])  # fmt: skip
    table = tuple(zip(numbers, values, strict=True))
    return [Figure("components", "How many components", svg, text, "training", ("components", "log-likelihood"), table)]
