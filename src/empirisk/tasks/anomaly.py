"""How strange an image is among normal ones; judged by the classes that are not the normal one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from empirisk.data.table import Row, Rows
from empirisk.data.targets import Value
from empirisk.data.unlabelled import Score
from empirisk.estimate import Metric, Statistic, estimates
from empirisk.experiment import Experiment, Task
from empirisk.figures import Curve, Figure, Tile, album, chart, intervals, number, picture
from empirisk.metrics import ranking
from empirisk.tasks import baselines
from empirisk.unsupervised.memory import NEAREST
from empirisk.unsupervised.strange import CHANGES, SCORES, Strange, loss

SHOWN = 12
"""Of the strangest images."""


def anomaly(kind: Score, read: Callable[[Row], np.ndarray]) -> Task:
    """The task of telling the strange from the normal, class 0 of `kind`; `read` gives a row's image on the grid of the model."""
    return Task(
        loss=loss, predict=predict, score=partial(score, kind), baseline=partial(baseline, read), show=partial(show, kind), live=False,
    )  # fmt: skip


@torch.no_grad()
def predict(model: nn.Module, x: Any) -> list[Value]:
    """The score in which the model trusts most, and all others."""
    assert isinstance(model, Strange)
    chief, answers = int(model.trust.argmax()), list[Value]()
    for scores in model(x).double().cpu().tolist():
        answers.append(Value(scores[chief]))
        answers[-1].more = dict(zip(SCORES, scores, strict=True))
    return answers


def strange(kind: Score, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Which rows (N,) are of another class than the normal one, and of which that is known."""
    known = np.array([r.get("label") is not None for r in rows])
    return known & (np.array([int(kind.encode(r)) for r in rows]) != 0), known


def score(kind: Score, rows: Rows, answers: Sequence[float]) -> dict[str, Statistic]:
    """AUC and average precision of the score that counts; then the AUC of each."""
    y, known = strange(kind, rows)

    def of(metric: Callable[[np.ndarray, np.ndarray], Metric], values: Sequence[float]) -> Metric:
        inner = metric(y[known], np.array(values, float)[known])
        return Metric(lambda w: inner(w[:, known]), (y, known & ~y), "normal rows only, or none", inner.bound)

    found: dict[str, Statistic] = {"auc": of(ranking.auc, answers)}
    found["average_precision"] = of(ranking.average_precision, answers)
    each = {name: [a.more[name] for a in answers] for name in SCORES if all(isinstance(a, Value) for a in answers)}  # type: ignore[attr-defined]
    return found | {f"auc/{name}": of(ranking.auc, values) for name, values in each.items()}


def baseline(read: Callable[[Row], np.ndarray], rows: Rows) -> dict[str, Callable[[Rows], list[float]]]:
    """One number for all; the mean distance from the five nearest training images, each brought to mean 0 and deviation 1."""
    from sklearn.neighbors import NearestNeighbors

    rows = baselines.some(rows)

    def pixels(some: Rows) -> np.ndarray:
        x = np.stack([read(r).reshape(-1) for r in some]).astype(np.float32)
        sd = x.std(1, keepdims=True)
        return np.asarray((x - x.mean(1, keepdims=True)) / np.where(sd > 0, sd, 1))

    near = NearestNeighbors(n_neighbors=min(NEAREST, len(rows))).fit(pixels(rows))
    return {
        "constant": lambda new: [0.0] * len(new),
        "pixels": lambda new: [float(d) for d in near.kneighbors(pixels(new))[0].mean(1)],
    }


def show(kind: Score, e: Experiment, rows: Rows, answers: list[Value]) -> list[Figure]:
    """Every score's AUC, why one of them counts, how it lies over normal and other rows, the strangest images."""
    y, known = strange(kind, rows)
    found = [_each(kind, e, rows, answers), _apart(y, known, answers)] if y.any() and (known & ~y).any() else []
    return [*found, _trust(e), _strangest(e, rows, answers)]


def _each(kind: Score, e: Experiment, rows: Rows, answers: Sequence[Value]) -> Figure:
    """A forest of the scores' AUC, the one that counts first."""
    scores = {k.partition("/")[2]: s for k, s in score(kind, rows, answers).items() if k.startswith("auc/")}
    assert isinstance(e.model, Strange)
    best = list(SCORES)[int(e.model.trust.argmax())]
    found = estimates({best: scores[best]} | scores, [r.get("patient") for r in rows])
    text = f"Area under the ROC curve of each score, with 95 % intervals; {best} is the one that counts, chosen without an abnormal image."
    svg = intervals([(name, e.value, e.low, e.high) for name, e in found.items()], label=text, x="AUC")
    table = tuple((name, SCORES[name], e.value, e.low, e.high) for name, e in found.items())
    return Figure("scores", "Every score", svg, text, "pictures", ("score", "what it is", "AUC", "low", "high"), table)


def _apart(y: np.ndarray, known: np.ndarray, answers: Sequence[float]) -> Figure:
    """The shares of normal and of other rows below each score."""
    values = np.array(answers, float)
    curves = []
    for name, some in (("normal", known & ~y), ("not normal", y)):
        x = np.sort(values[some])
        curves.append(Curve(name, x, np.arange(1, len(x) + 1) / len(x)))
    text = "The share of the rows whose score is at most x. The further apart the lines, the better strange is told from normal."
    svg = chart(curves, label=text, x="score", y="share at or below", y_range=(0, 1))
    return Figure("apart", "Normal and not normal", svg, text)


def _trust(e: Experiment) -> Figure:
    """By how much each score noticed that a part of a normal image was changed."""
    assert isinstance(e.model, Strange)
    found = sorted(zip(SCORES, e.model.trust.tolist(), strict=True), key=lambda one: -one[1])
    said = ", ".join(CHANGES)
    text = (
        "The score that counts is the one that best tells held-out normal training images from the same images with a part changed "
        f"({said}): the mean AUC. No abnormal image, and no label of one, had a say."
    )
    svg = intervals([(name, value, None, None) for name, value in found], label=text, x="AUC of normal against changed")
    return Figure("trust", "Which score counts, and why", svg, text, "pictures", ("score", "AUC"), tuple(found))


@torch.no_grad()
def _strangest(e: Experiment, rows: Rows, answers: Sequence[Value]) -> Figure:
    """The strangest images, and where the patches are furthest from normal ones."""
    assert isinstance(e.model, Strange)
    order = np.argsort(-np.array(answers, float), kind="stable")[:SHOWN].tolist()
    some, items = [rows[i] for i in order], list[Tile]()
    x = e.data.x(some)
    far = e.model.apart(e.model.features(x.to(e.model.mean.device))[2]).cpu().numpy()  # (n, *places)
    low, high = float(far.min()), float(far.max())
    for i, image, map_ in zip(order, x.numpy(), far, strict=True):
        label, name = str(rows[i].get("label", "")), str(rows[i]["id"])
        seen = picture(image, (map_ - low) / (high - low or 1))
        pair = ((picture(image), f"image {label}"), (seen, "Where it is strange"))
        items.append(Tile(pair, (f"score {number(float(answers[i]))}", label, name), label))
    text = f"The {len(order)} strangest of {len(rows)}. Right where its parts are furthest from normal ones, as the self-taught net sees them."
    table = tuple((rows[i]["id"], str(rows[i].get("label", "")), float(answers[i])) for i in order)
    return album("strangest", "The strangest images", items, text, "pictures", ("id", "class", "score"), table)
