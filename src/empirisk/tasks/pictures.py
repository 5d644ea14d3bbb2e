"""The report's pictures of classes and of numbers: curves with bands, calibration, matrix, residuals, mistakes with where the model looked."""

import math
from collections.abc import Sequence

import numpy as np

from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Number, Verdict
from empirisk.estimate import estimate, estimates, mean
from empirisk.experiment import Experiment
from empirisk.figures import Curve, Figure, chart, histogram, matrix, number, operating
from empirisk.metrics import ranking
from empirisk.tasks import mistakes

PANELS, POINTS = 8, 1500
"""Most classes with a curve of their own, and points of a scatter plot."""
BINS = 10
"""Of the calibration curve, each with equally many rows."""


def classification(experiment: Experiment, rows: Rows, answers: list[Verdict], classes: Classes) -> list[Figure]:
    """Operating point (two classes), ROC, precision-recall, calibration, matrix of counts, surest mistakes."""
    names, groups = list(classes.names), [r.get("patient") for r in rows]
    y = np.array([classes.encode(r) for r in rows])
    y = y.astype(bool) if classes.multi else np.eye(len(names), dtype=bool)[y.reshape(-1).astype(int)]  # (N, K)
    p = np.array([a.p for a in answers], float)  # (N, K)
    chosen = _chosen(answers, len(names))
    two = not classes.multi and len(names) == 2
    out = [_operating(y[:, 1], p[:, 1], groups, answers[0].threshold, names[1])] if two else []
    out += _curves(y, p, groups, names, [1] if two else list(range(len(names))))
    if two:
        out.append(_calibration(y[:, 1], p[:, 1], groups, names[1]))
    elif classes.multi:
        out.append(_calibration(y.ravel(), p.ravel(), [g for g in groups for _ in names], "a label"))
    else:
        out.append(_calibration((y & chosen).any(1), p.max(1), groups, ""))
    out.append(_labels(y, chosen, names) if classes.multi else _matrix(y.argmax(1), chosen.argmax(1), names))
    return [*out, mistakes.of_classes(experiment, rows, y, p, chosen, names)]


def regression(experiment: Experiment, rows: Rows, answers: list[float], target: Number) -> list[Figure]:
    """Answer against truth, residuals, Bland-Altman, worst mistakes; all in the unit of the target."""
    f = np.array(answers, float)
    y = np.array([float(target.encode(r)) for r in rows]) * target.std + target.mean
    name, gap = target.column or "target", f - y
    bias, sd = float(gap.mean()), float(gap.std(ddof=1)) if len(gap) > 1 else 0.0
    some = np.arange(len(y)) if len(y) <= POINTS else np.linspace(0, len(y) - 1, POINTS).astype(int)
    said = "" if len(y) <= POINTS else f" {POINTS} of {len(y)} images are drawn."
    margin = 0.04 * (max(y.max(), f.max()) - min(y.min(), f.min()))
    both = (float(min(y.min(), f.min()) - margin), float(max(y.max(), f.max()) + margin))
    low, high = bias - 1.96 * sd, bias + 1.96 * sd
    inside = 100 * np.mean((gap >= low) & (gap <= high))
    truth = (
        f"On the dotted line the answer is the truth; the distance is {number(np.abs(gap).mean())} on average.{said}"
    )
    agree = (
        f"Mean difference {number(bias)}; 95 % of differences are expected between {number(low)} and {number(high)}, "
        f"{inside:.0f} % lie there. A slope or a funnel means that the error depends on size.{said}"
    )
    spread = f"Answer less truth: mean {number(bias)}, standard deviation {number(sd)}; half of them between {number(np.quantile(gap, 0.25))} and {number(np.quantile(gap, 0.75))}."
    middle, ids = (f + y) / 2, [r["id"] for r in rows]
    return [
        Figure("truth", "Answer against truth",
               chart([Curve("", y[some], f[some], dots=True)], label=truth, x=f"true {name}", y="answer", x_range=both, y_range=both, diagonal=True, square=True),
               truth, "pictures", ("id", "truth", "answer"), tuple(zip([ids[i] for i in some], y[some], f[some], strict=True))),
        Figure("bland-altman", "Agreement (Bland-Altman)",
               chart([Curve("", middle[some], gap[some], dots=True)], label=agree, x=f"mean of truth and answer, {name}", y="answer less truth", square=True,
                     across=((bias, f"mean {number(bias)}"), (low, f"−1.96 SD: {number(low)}"), (high, f"+1.96 SD: {number(high)}"), )),
               agree, "pictures", ("mean", "difference"), tuple(zip(middle[some], gap[some], strict=True))),
        Figure("residuals", "Residuals", histogram(gap, label=spread, x=f"answer less truth, {name}"), spread, "pictures"),
        mistakes.of_numbers(experiment, rows, y, f),
    ]  # fmt: skip


def _operating(y: np.ndarray, p: np.ndarray, groups: Sequence[str | None], threshold: float, name: str) -> Figure:
    """Sensitivity and specificity with intervals at 51 thresholds and at the one in use."""
    t = np.unique(np.append(np.linspace(0, 1, 51), threshold))
    found = estimates(
        {f"{c}{i}": mean((p >= v) == c, among=y == c) for c in (True, False) for i, v in enumerate(t)}, groups, n=500
    )
    table = tuple(
        (
            float(v),
            *(x for c in (True, False) for x in (found[f"{c}{i}"].value, found[f"{c}{i}"].low, found[f"{c}{i}"].high)),
        )
        for i, v in enumerate(t)
    )
    words = (
        f"From which probability of {name} on an image is called {name}. Predictive values follow from sensitivity, specificity and "
        f"the share of {name} among those examined: set your own. Intervals for one threshold at a time."
    )
    names = ("threshold", "sensitivity", "low", "high", "specificity", "low", "high")
    at = int(np.searchsorted(t, threshold))
    return Figure(
        "threshold",
        f"Threshold for {name}",
        operating(table, at, float(y.mean()), name),
        words,
        "operating",
        names,
        table,
        wide=True,
    )


def _curves(
    y: np.ndarray, p: np.ndarray, groups: Sequence[str | None], names: list[str], which: list[int]
) -> list[Figure]:
    """ROC and precision-recall: with their band for one class, else one line a class, those hardest to tell if there are many."""
    areas = {k: ranking.auc(y[:, k], p[:, k])(np.ones((1, len(y))))[0] for k in which}
    drawn = sorted(sorted(which, key=lambda k: areas[k])[:PANELS])
    said = f" The {PANELS} of {len(which)} classes with the least area are drawn." if len(which) > PANELS else ""
    kinds = (
        ("roc", "ROC curve", ranking.roc, "1 − specificity", "sensitivity", "The upper left corner is perfect; the dotted line is chance."),
        ("precision-recall", "Precision and recall", ranking.precision_recall, "recall (sensitivity)", "precision", "The upper right corner is perfect; chance is the share of positives."),
    )  # fmt: skip
    out = []
    for key, title, curve, x, ordinate, words in kinds:
        lines, rows = [], []
        for style, k in enumerate(drawn):
            c = curve(y[:, k], p[:, k], groups)
            low, high = (c.low, c.high) if len(drawn) <= 3 else (None, None)
            lines.append(Curve(names[k] if len(drawn) > 1 else "", c.x, c.y, low, high, style=style))
            rows += list(zip([names[k]] * len(c.x), c.x, c.y, c.low, c.high, c.threshold, strict=True))
        text = (
            f"{words} {'The band is' if len(drawn) <= 3 else 'The numbers give'} the 95 % interval at each point.{said}"
        )
        share = [(float(y[:, drawn[0]].mean()), "chance")] if key != "roc" and len(drawn) == 1 else []
        svg = chart(
            lines,
            label=f"{title}: {text}",
            x=x,
            y=ordinate,
            x_range=(0, 1),
            y_range=(0, 1),
            diagonal=key == "roc",
            across=share,
            square=True,
        )
        out.append(
            Figure(key, title, svg, text, "pictures", ("class", x, ordinate, "low", "high", "threshold"), tuple(rows))
        )
    return out


def _calibration(right: np.ndarray, sure: np.ndarray, groups: Sequence[str | None], name: str) -> Figure:
    """The share that came true over the probability that was said, in bins of equally many rows, with intervals."""
    edges = np.unique(np.quantile(sure, np.linspace(0, 1, BINS + 1)[1:-1]))
    where = np.searchsorted(edges, sure, side="right")
    rows = []
    for b in np.unique(where):
        inside = where == b
        e = estimate(mean(right[inside]), [groups[int(i)] for i in np.flatnonzero(inside)])
        value, low, high = (math.nan if v is None else v for v in (e.value, e.low, e.high))
        rows.append((float(sure[inside].mean()), value, low, high, int(inside.sum())))
    x, y, lows, highs, _ = zip(*rows, strict=True)
    what = f"share of {name}" if name else "share that is right"
    text = f"On the dotted line a probability means what it says. Each point holds about {len(sure) // len(rows)} answers; the whiskers are 95 % intervals."
    svg = chart([Curve("", x, y, lows, highs, dots=True)], label=text, x=f"probability of {name}" if name else "probability said", y=what,
                x_range=(0, 1), y_range=(0, 1), diagonal=True, square=True)  # fmt: skip
    return Figure(
        "calibration", "Calibration", svg, text, "pictures", ("probability", what, "low", "high", "n"), tuple(rows)
    )


def _matrix(y: np.ndarray, chosen: np.ndarray, names: list[str]) -> Figure:
    counts = ranking.confusion(y, chosen, len(names))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    i, j = np.unravel_index(wrong.argmax(), wrong.shape)
    worst = f" Most often {names[i]} is taken for {names[j]} ({wrong[i, j]} times)." if wrong.any() else ""
    text = f"{int(np.trace(counts))} of {int(counts.sum())} answers are right. The share is of the row, of all that are truly of the class.{worst}"
    rows = tuple((name, *map(int, row)) for name, row in zip(names, counts, strict=True))
    svg = matrix(names, counts.tolist(), label="Truth and answer, counts", rows="truth", columns="answer")
    return Figure("matrix", "Truth and answer", svg, text, "pictures", ("truth", *names), rows, wide=len(names) > 4)


def _labels(y: np.ndarray, chosen: np.ndarray, names: list[str]) -> Figure:
    cells = [(y & chosen).sum(0), (y & ~chosen).sum(0), (~y & chosen).sum(0), (~y & ~chosen).sum(0)]
    counts = np.stack(cells, 1)
    rows = tuple((name, *map(int, row)) for name, row in zip(names, counts, strict=True))
    text = "For each label: found, missed, false alarms and rightly cleared, at a probability of .5."
    columns = ("found", "missed", "false alarm", "cleared")
    svg = matrix(names, counts.tolist(), label=text, rows="label", columns="outcome", across=columns)
    return Figure("matrix", "Labels and answers", svg, text, "pictures", ("label", *columns), rows, wide=True)


def _chosen(answers: list[Verdict], classes: int) -> np.ndarray:
    """Choices as (N, K) of bool."""
    out = np.zeros((len(answers), classes), bool)
    for i, a in enumerate(answers):
        out[i, list(a.choice) if isinstance(a.choice, tuple) else [a.choice]] = True
    return out
