"""The group of each sample, found without labels; judged by the classes where there are some."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from empirisk.data.table import Rows
from empirisk.data.unlabelled import Clusters, Member
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Curve, Figure, Tile, album, chart, matrix, number, picture
from empirisk.metrics import clusters as metrics
from empirisk.tasks import baselines, hypotheses
from empirisk.unsupervised.kmeans import Groups, lloyd

EACH, POINTS, SHOWN = 6, 1500, 8
"""Images shown of a group, points of the map, and groups with images."""
Read = Callable[[Rows], np.ndarray]
"""Rows -> their codes (N, D)."""


def clustering(kind: Clusters, groups: Groups, codes: Read) -> Task:
    """The task of grouping rows; `codes` gives what they are grouped by, in which every grouping's silhouette is taken."""
    return Task(
        loss=None,
        predict=predict,
        score=partial(score, kind),
        baseline=partial(baseline, groups, codes),
        show=partial(show, kind, groups),
    )


@torch.no_grad()
def predict(model: nn.Module, x: Any) -> list[Member]:
    """The group of each row, how far from its middle, and the code."""
    z = model.embed(x)  # type: ignore[operator]
    group, distance = model.head.assign(z)  # type: ignore[operator, union-attr]
    return [Member(int(g), float(d), c) for g, d, c in zip(group, distance, z.double().cpu().numpy(), strict=True)]


def score(kind: Clusters, rows: Rows, answers: Sequence[Member]) -> dict[str, Statistic]:
    """Adjusted Rand index and normalised mutual information where rows have classes; always the silhouette.

    Rows in no group are a group of their own for the first two, and left out of the third.
    """
    group = np.array([a.cluster for a in answers])
    y = np.array([kind.encode(r) for r in rows])
    known = (y >= 0) & bool(kind.names)
    named: dict[str, Statistic] = {}
    if kind.names:
        named = {"ari": metrics.ari(y, group, known), "nmi": metrics.nmi(y, group, known)}
    return named | {"silhouette": metrics.silhouette(np.array([a.code for a in answers]), group)}


def baseline(groups: Groups, codes: Read, rows: Rows) -> dict[str, Callable[[Rows], list[Member]]]:
    """A group drawn at random; k-means on small pixels, or on the columns, as they are stored."""
    rows = baselines.some(rows)
    measured = baselines.Measured(rows)
    found = lloyd(measured(rows)["linear"], groups.number, seed=0, starts=3)

    def random(new: Rows) -> list[Member]:
        drawn = np.random.default_rng(0).integers(max(groups.number, 2), size=len(new))
        return [Member(int(g), 0.0, z) for g, z in zip(drawn, codes(new), strict=True)]

    def raw(new: Rows) -> list[Member]:
        distances = found.transform(measured(new)["linear"])  # (N, K)
        return [Member(int(d.argmin()), float(d.min()), z) for d, z in zip(distances, codes(new), strict=True)]

    return {"random": random, "raw": raw}


def show(kind: Clusters, groups: Groups, e: Experiment, rows: Rows, answers: list[Member]) -> list[Figure]:
    """The groups on a map, of two numbers also their regions; by class; the images of each; how stable their number is."""
    found = [_map(rows, answers)]
    if len(e.data.card().inputs) == 2:
        found = [_regions(e, rows, answers), *_taught(e, kind, rows)]
    return [*found, *_table(kind, rows, answers), *_images(e, rows, answers), *_stability(groups)]


def name_of(group: int) -> str:
    """A group in words."""
    return "no cluster" if group < 0 else f"cluster {group}"


def _map(rows: Rows, answers: Sequence[Member]) -> Figure:
    """The first two numbers of the codes, coloured by group."""
    some = np.linspace(0, len(rows) - 1, min(len(rows), POINTS)).astype(int)
    group, z = np.array([answers[i].cluster for i in some]), np.array([answers[i].code for i in some])
    z = z if z.shape[1] > 1 else np.concatenate([z, np.zeros_like(z)], 1)
    curves = [
        Curve(name_of(g), z[group == g, 0], z[group == g, 1], dots=True, style=g) for g in np.unique(group).tolist()
    ]
    text = f"{len(some)} of {len(rows)} rows by the first two numbers of their codes, coloured by cluster; what lies on other numbers is hidden."
    svg = chart(curves, label=text, x="z1", y="z2", square=True)
    table = tuple(
        (rows[i]["id"], float(a), float(b), int(g)) for i, (a, b), g in zip(some, z[:, :2], group, strict=True)
    )
    return Figure("map", "Map of the clusters", svg, text, "pictures", ("id", "z1", "z2", "cluster"), table)


def _regions(e: Experiment, rows: Rows, answers: Sequence[Member]) -> Figure:
    """Of two numbers: which cluster each place of the plane belongs to, with the rows in the colours of theirs."""
    group = np.array([a.cluster for a in answers])
    names = {g: name_of(g) for g in np.unique(group).tolist()}
    text = f"The tint is the cluster that each place belongs to, a point one of {len(rows)} rows. No label was used."
    return hypotheses.regions(
        e, rows, group, names, lambda x: np.array([a.cluster for a in hypotheses.asked(e, x)]), text
    )


def _taught(e: Experiment, kind: Clusters, rows: Rows) -> list[Figure]:
    """Beside it what labels would have taught: the regions of logistic regression on the same two numbers."""
    train = [r for r in e.data.rows("train") if kind.encode(r) >= 0]
    rows = [r for r in rows if kind.encode(r) >= 0]
    if len(kind.names) < 2 or not rows:
        return []

    def read(some: Rows) -> tuple[np.ndarray, np.ndarray]:
        return np.array([r["x"].read() for r in some], float), np.array([int(kind.encode(r)) for r in some])

    x, y = read(rows)
    f = baselines.logistic(*read(train), len(kind.names))
    right = int((f(x).argmax(1) == y).sum())
    text = (
        "The same plane with labels: logistic regression, fitted to the classes of the training rows. "
        f"{right} of {len(rows)} rows lie in a region of their own class."
    )
    regions = hypotheses.regions(
        e, rows, y, dict(enumerate(kind.names)), lambda x: f(x).argmax(1), text, "taught", "With labels"
    )
    return [regions]


def _table(kind: Clusters, rows: Rows, answers: Sequence[Member]) -> list[Figure]:
    """Counts of classes by clusters."""
    if not kind.names:
        return []
    found = sorted({a.cluster for a in answers})
    counts = np.zeros((len(kind.names), len(found)), int)
    for row, a in zip(rows, answers, strict=True):
        if (y := int(kind.encode(row))) >= 0:
            counts[y, found.index(a.cluster)] += 1
    names = [name_of(g) for g in found]
    text = (
        "How many rows of each class each cluster holds. The classes were not looked at when the clusters were found."
    )
    svg = matrix(kind.names, counts.tolist(), label=text, rows="class", columns="cluster", across=names)
    table = tuple((name, *row) for name, row in zip(kind.names, counts.tolist(), strict=True))
    return [
        Figure("matrix", "Classes and clusters", svg, text, "pictures", ("class", *names), table, wide=len(names) > 4)
    ]


def _images(e: Experiment, rows: Rows, answers: Sequence[Member]) -> list[Figure]:
    """The images nearest to the middle of each cluster."""
    if not e.data.card().dims:
        return []
    distance, group = np.array([a.distance for a in answers]), np.array([a.cluster for a in answers])
    items = list[Tile]()
    for g in np.unique(group).tolist()[:SHOWN]:
        inside = np.flatnonzero(group == g)
        for i in inside[np.argsort(distance[inside], kind="stable")][:EACH].tolist():
            lines = (name_of(g), f"distance {number(distance[i])}", str(rows[i]["id"]))
            items.append(Tile(((picture(rows[i]["x"].read()), f"image of {name_of(g)}"),), lines, name_of(g)))
    text = f"Of each cluster the {EACH} images nearest to its middle."
    return [album("typical", "Typical images", items, text, kind="")]


def _stability(groups: Groups) -> list[Figure]:
    """How far two halves of the rows agree on the clusters, by their number."""
    if not groups.stability:
        return []
    numbers = list(range(2, 2 + len(groups.stability)))
    text = (
        "Two halves of the training rows are grouped by k-means each for itself; where both groupings, laid over all rows, agree, the "
        f"number of clusters is there and no accident of the draw. {groups.number} is the largest that is as stable as the best."
    )
    svg = chart([Curve("", numbers, groups.stability)], label=text, x="clusters", y="agreement (adjusted Rand index)", whole=True,
                marks=[(float(groups.number), f"chosen: {groups.number}")])  # fmt: skip
    table = tuple(zip(numbers, groups.stability, strict=True))
    return [Figure("stability", "How many clusters", svg, text, "training", ("clusters", "agreement"), table)]
