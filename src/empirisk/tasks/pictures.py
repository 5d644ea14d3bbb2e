"""The report's pictures of classes and of numbers: curves with bands, calibration, matrix, residuals, mistakes with where the model looked."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from empirisk import saliency
from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Number, Verdict
from empirisk.estimate import Groups, estimate, estimates, mean
from empirisk.experiment import Experiment
from empirisk.figures import Curve, Figure, Tile, album, chart, histogram, matrix, number, operating, picture
from empirisk.metrics import ranking

PANELS, POINTS, SHOWN = 8, 1500, 12
"""Most classes with a curve of their own, points of a scatter plot, and mistakes."""
BINS = 10
"""Of the calibration curve, each with equally many rows."""


def classification(experiment: Experiment, rows: Rows, answers: list[Verdict], classes: Classes) -> list[Figure]:
    """Operating point (two classes), ROC, precision-recall, calibration, matrix of counts, surest mistakes."""
    names, groups = list(classes.names), [r.get("patient") for r in rows]
    y = np.array([classes.encode(r) for r in rows])
    y = y.astype(bool) if classes.multi else np.eye(len(names), dtype=bool)[y.reshape(-1).astype(int)]  # (N, K)
    p = np.array([a.p for a in answers], float)  # (N, K)
    chosen = np.zeros(p.shape, bool)
    for i, a in enumerate(answers):
        chosen[i, list(a.choice) if isinstance(a.choice, tuple) else [a.choice]] = True
    which, dial, table = list(range(len(names))), list[Figure](), _matrix
    if classes.multi:
        sure = _calibration(y.ravel(), p.ravel(), [g for g in groups for _ in names], "a label")
        table = _labels
    elif len(names) == 2:
        which, dial = [1], [_operating(y[:, 1], p[:, 1], groups, answers[0].threshold, names[1])]
        sure = _calibration(y[:, 1], p[:, 1], groups, names[1])
    else:
        sure = _calibration(np.asarray((y & chosen).any(1)), p.max(1), groups, "")
    worst = _surest(experiment, rows, y, p, chosen, names)
    return [*dial, *_curves(y, p, groups, names, which), sure, table(y, chosen, names), worst]


def regression(experiment: Experiment, rows: Rows, answers: list[float], target: Number) -> list[Figure]:
    """Answer against truth, residuals, Bland-Altman, worst mistakes; all in the unit of the target."""
    f, name = np.array(answers, float), target.column or "target"
    y = np.array([float(target.encode(r)) for r in rows]) * target.std + target.mean
    gap, middle = f - y, (f + y) / 2
    bias, sd = float(gap.mean()), float(gap.std(ddof=1)) if len(gap) > 1 else 0.0
    low, high = bias - 1.96 * sd, bias + 1.96 * sd
    inside = 100 * np.mean((gap >= low) & (gap <= high))
    some = np.linspace(0, len(y) - 1, min(len(y), POINTS)).astype(int)
    said = "" if len(y) <= POINTS else f" {POINTS} of {len(y)} images are drawn."
    ends = np.concatenate([y, f])
    both = float(ends.min() - 0.04 * np.ptp(ends)), float(ends.max() + 0.04 * np.ptp(ends))
    off = number(np.abs(gap).mean())
    truth = f"On the dotted line the answer is the truth; the distance is {off} on average.{said}"
    agree = (
        f"Mean difference {number(bias)}; 95 % of differences are expected between {number(low)} and {number(high)}, "
        f"{inside:.0f} % lie there. A slope or a funnel means that the error depends on size.{said}"
    )
    a, b = (number(q) for q in np.quantile(gap, [0.25, 0.75]))
    spread = f"Answer less truth: mean {number(bias)}, standard deviation {number(sd)}; half between {a} and {b}."
    across = [(bias, f"mean {number(bias)}"), (low, f"−1.96 SD: {number(low)}"), (high, f"+1.96 SD: {number(high)}")]
    scatter = chart([Curve("", y[some], f[some], dots=True)], label=truth, x=f"true {name}", y="answer", x_range=both, y_range=both,
                    diagonal=True, square=True)  # fmt: skip
    agreement = chart([Curve("", middle[some], gap[some], dots=True)], label=agree, x=f"mean of truth and answer, {name}",
                      y="answer less truth", across=across, square=True)  # fmt: skip
    residuals = histogram(gap, label=spread, x=f"answer less truth, {name}")
    pairs = tuple((rows[i]["id"], y[i], f[i]) for i in some)
    gaps = tuple(zip(middle[some], gap[some], strict=True))
    bland = "Agreement (Bland-Altman)"
    return [
        Figure("truth", "Answer against truth", scatter, truth, "pictures", ("id", "truth", "answer"), pairs),
        Figure("bland-altman", bland, agreement, agree, "pictures", ("mean", "difference"), gaps),
        Figure("residuals", "Residuals", residuals, spread),
        _furthest(experiment, rows, y, f),
    ]


def _operating(y: np.ndarray, p: np.ndarray, groups: Groups, threshold: float, name: str) -> Figure:
    """Sensitivity and specificity with intervals at 51 thresholds and at the one in use."""
    t = np.unique(np.append(np.linspace(0, 1, 51), threshold))
    rates = {f"{c} {v}": mean((p >= v) == c, among=y == c) for v in t for c in (True, False)}
    found = estimates(rates, groups, n=500)
    ends = {k: (e.value, e.low, e.high) for k, e in found.items()}
    table = tuple((float(v), *ends[f"True {v}"], *ends[f"False {v}"]) for v in t)
    words = (
        f"From which probability of {name} on an image is called {name}. Predictive values follow from sensitivity, specificity and "
        f"the share of {name} among those examined: set your own. Intervals for one threshold at a time."
    )
    columns = ("threshold", "sensitivity", "low", "high", "specificity", "low", "high")
    dial = operating(table, int(np.searchsorted(t, threshold)), float(y.mean()), name)
    return Figure("threshold", f"Threshold for {name}", dial, words, "operating", columns, table, wide=True)


def _curves(y: np.ndarray, p: np.ndarray, groups: Groups, names: list[str], which: list[int]) -> list[Figure]:
    """ROC and precision-recall: with their band for one class, else one line a class, those hardest to tell if there are many."""
    areas = {k: ranking.auc(y[:, k], p[:, k])(np.ones((1, len(y))))[0] for k in which}
    drawn = sorted(sorted(which, key=lambda k: areas[k])[:PANELS])
    said = f"{'The band is' if len(drawn) <= 3 else 'The numbers give'} the 95 % interval at each point."
    said += f" The {PANELS} of {len(which)} classes with the least area are drawn." if len(which) > PANELS else ""
    chance = [(float(y[:, drawn[0]].mean()), "chance")] if len(drawn) == 1 else []
    out = []
    for key, title, curve, x, ordinate, words in (
        ("roc", "ROC curve", ranking.roc, "1 − specificity", "sensitivity", "The upper left corner is perfect; the dotted line is chance."),
        ("precision-recall", "Precision and recall", ranking.precision_recall, "recall (sensitivity)", "precision", "The upper right corner is perfect; chance is the share of positives."),
    ):  # fmt: skip
        found = {names[k]: curve(y[:, k], p[:, k], groups) for k in drawn}
        bands = {name: (c.low, c.high) if len(drawn) <= 3 else (None, None) for name, c in found.items()}
        lines = [Curve(name if len(drawn) > 1 else "", c.x, c.y, *bands[name]) for name, c in found.items()]
        roc, text = key == "roc", f"{words} {said}"
        svg = chart(lines, label=f"{title}: {text}", x=x, y=ordinate, x_range=(0, 1), y_range=(0, 1), diagonal=roc,
                    across=() if roc else chance, square=True)  # fmt: skip
        columns = ("class", x, ordinate, "low", "high", "threshold")
        table = {name: zip(c.x, c.y, c.low, c.high, c.threshold, strict=True) for name, c in found.items()}
        rows = tuple((name, *row) for name, some in table.items() for row in some)
        out.append(Figure(key, title, svg, text, "pictures", columns, rows))
    return out


def _calibration(right: np.ndarray, sure: np.ndarray, groups: Groups, name: str) -> Figure:
    """The share that came true over the probability that was said, in bins of equally many rows, with intervals."""
    edges = np.unique(np.quantile(sure, np.linspace(0, 1, BINS + 1)[1:-1]))
    where = np.searchsorted(edges, sure, side="right")
    rows = []
    for b in np.unique(where):
        inside = np.flatnonzero(where == b)
        e = estimate(mean(right[inside]), [groups[int(i)] for i in inside])
        ends = (math.nan if v is None else v for v in (e.value, e.low, e.high))
        rows.append((float(sure[inside].mean()), *ends, len(inside)))
    x, y, low, high, _ = zip(*rows, strict=True)
    what = f"share of {name}" if name else "share that is right"
    text = f"On the dotted line a probability means what it says. Each point holds about {len(sure) // len(rows)} answers; the whiskers are 95 % intervals."
    svg = chart([Curve("", x, y, low, high, dots=True)], label=text, x=f"probability of {name}" if name else "probability said", y=what,
                x_range=(0, 1), y_range=(0, 1), diagonal=True, square=True)  # fmt: skip
    columns = ("probability", what, "low", "high", "n")
    return Figure("calibration", "Calibration", svg, text, "pictures", columns, tuple(rows))


def _matrix(y: np.ndarray, chosen: np.ndarray, names: list[str]) -> Figure:
    """Counts of single classes, truth by answer."""
    counts = ranking.confusion(y.argmax(1), chosen.argmax(1), len(names))
    wrong = counts * (1 - np.eye(len(names), dtype=int))
    i, j = np.unravel_index(wrong.argmax(), wrong.shape)
    worst = f" Most often {names[i]} is taken for {names[j]} ({wrong[i, j]} times)." if wrong.any() else ""
    text = f"{int(np.trace(counts))} of {int(counts.sum())} answers are right. The share is of the row, of all that are truly of the class.{worst}"
    svg = matrix(names, counts.tolist(), label="Truth and answer, counts", rows="truth", columns="answer")
    rows = tuple((name, *row) for name, row in zip(names, counts.tolist(), strict=True))
    return Figure("matrix", "Truth and answer", svg, text, "pictures", ("truth", *names), rows, wide=len(names) > 4)


def _labels(y: np.ndarray, chosen: np.ndarray, names: list[str]) -> Figure:
    """Counts of labels, each for itself."""
    counts = np.stack([(y & chosen).sum(0), (y & ~chosen).sum(0), (~y & chosen).sum(0), (~y & ~chosen).sum(0)], 1)
    text = "For each label: found, missed, false alarms and rightly cleared, at a probability of .5."
    columns = ("found", "missed", "false alarm", "cleared")
    svg = matrix(names, counts.tolist(), label=text, rows="label", columns="outcome", across=columns)
    rows = tuple((name, *row) for name, row in zip(names, counts.tolist(), strict=True))
    return Figure("matrix", "Labels and answers", svg, text, "pictures", ("label", *columns), rows, wide=True)


def _surest(
    experiment: Experiment, rows: Rows, y: np.ndarray, p: np.ndarray, chosen: np.ndarray, names: list[str]
) -> Figure:
    """The wrong answers that the model was surest of; of labels those missed or called in error."""
    multi = bool((chosen.sum(1) != 1).any() or (y.sum(1) != 1).any())
    sure = np.where(y != chosen, np.where(chosen, p, 1 - p), 0)
    sure = sure if multi else np.where(chosen, sure, 0)  # of single classes the one that was said
    label, wrong = sure.argmax(1), sure.max(1)
    order = [int(i) for i in np.argsort(-wrong, kind="stable")[:SHOWN] if wrong[i] > 0]
    words = []
    for i in order:
        k = int(label[i])
        true = names[k] if multi else names[int(y[i].argmax())]
        how = "said" if not multi else "called" if chosen[i, k] else "missed"
        truth = f"truth: {'not ' if multi and not y[i, k] else ''}{true}"
        words.append((true, f"{how} {names[k]} {number(float(p[i, k]))}", truth))
    total = int((y != chosen).any(1).sum())
    text = f"{len(order)} of {total} mistakes on {len(rows)} rows, those it was surest of."
    return _tiles(experiment, [rows[i] for i in order], label[order], words, "The surest mistakes", text)


def _furthest(experiment: Experiment, rows: Rows, y: np.ndarray, f: np.ndarray) -> Figure:
    """The answers furthest from the truth."""
    order = [int(i) for i in np.argsort(-np.abs(f - y), kind="stable")[:SHOWN]]
    words = [
        ("answer too high" if f[i] > y[i] else "answer too low", f"off by {number(f[i] - y[i])}", f"truth {number(y[i])}, answer {number(f[i])}")
        for i in order
    ]  # fmt: skip
    text = f"The {len(order)} furthest from the truth, of {len(rows)}."
    return _tiles(experiment, [rows[i] for i in order], np.zeros(len(order), int), words, "The worst answers", text)


def _tiles(
    experiment: Experiment, rows: Rows, index: np.ndarray, words: Sequence[tuple[str, str, str]], title: str, text: str
) -> Figure:
    """Tiles of image and Grad-CAM of the answer given, each with its (group, answer, truth); vectors have words alone."""
    pictures: list[tuple[tuple[str, str], ...]] = [()] * len(rows)
    x = experiment.data.x(rows) if rows and experiment.data.card().dims else torch.empty(0)
    if rows and x.ndim > 2:
        device = next(iter(experiment.model.parameters()), x).device
        heat = saliency.grad_cam(experiment.model, x.to(device), torch.from_numpy(index)).cpu().numpy()
        slices = " Of each volume the middle slice." if x.ndim == 5 else ""
        text += f" Left the image, right where the model looked for that answer (Grad-CAM): yellow counts most.{slices}"
        pictures = [
            ((picture(image), f"Image: {said}, {truth}"), (picture(image, map_), "Where the model looked"))
            for image, map_, (_, said, truth) in zip(x.numpy(), heat, words, strict=True)
        ]
    table = tuple((str(row["id"]), said, truth) for row, (_, said, truth) in zip(rows, words, strict=True))
    items = [
        Tile(pair, (said, truth, name), group)
        for pair, (name, said, truth), (group, *_) in zip(pictures, table, words, strict=True)
    ]
    columns = ("id", "answer", "truth") if table else ()
    return album("worst", title, items, text, "mistakes", columns, table, empty="No mistake was made.")
