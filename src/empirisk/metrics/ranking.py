"""How well probabilities rank, decide and are calibrated: metrics of classes, and the curves with their bands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from empirisk.estimate import TAIL, Groups, Macro, Metric, Statistic, draws, itself, mean, quotient, ratio
from empirisk.metrics import METRICS

BINS = 15
"""Bins of equal width of the calibration error."""


def scores(
    truth: np.ndarray, p: np.ndarray, choice: np.ndarray, names: Sequence[str], *, multi: bool = False
) -> dict[str, Statistic]:
    """Every metric of classes by name.

    Two classes: of the last, the positive one. More: the macro under the plain name, one class against the rest under
    name/class. Labels (`multi`): likewise, each label for itself.

    truth, choice: class numbers (N,), or 0 and 1 of labels (N, K); p: probabilities (N, K).
    """
    truth, p, choice = np.asarray(truth), np.asarray(p, float), np.asarray(choice)
    K = len(names)
    y, f = (v.astype(bool) if multi else v[:, None] == np.arange(K) for v in (truth, choice))  # (N, K)
    each = [] if K == 2 and not multi else [_one(y[:, k], p[:, k], f[:, k]) for k in range(K)]
    for k, one in enumerate(each if multi else []):
        one |= _all(y[:, k].astype(int), np.stack([1 - p[:, k], p[:, k]], 1), f[:, k])
        one["brier"] = brier(y[:, k], p[:, k])
    found = {m: Macro(tuple(o[m] for o in each)) for m in each[0]} if each else _one(y[:, 1], p[:, 1], f[:, 1])
    if not multi:
        found |= _all(truth, p, choice) | {"brier": brier(y, p) if each else brier(y[:, 1], p[:, 1])}
        found["balanced_accuracy"] = balanced_accuracy(truth, choice, K)
    plain = {m: found[m] for m in METRICS if m in found}
    single = list(zip(names, each, strict=True)) if each else []
    return plain | {f"{m}/{name}": one[m] for m in plain for name, one in single if m in one}


def _one(y: np.ndarray, p: np.ndarray, f: np.ndarray) -> dict[str, Statistic]:
    """Of one class against the rest."""
    ranked: dict[str, Statistic] = {"auc": auc(y, p), "average_precision": average_precision(y, p), "f1": f1(y, f)}
    return ranked | {"sensitivity": sensitivity(y, f), "specificity": specificity(y, f)}


def _all(truth: np.ndarray, p: np.ndarray, choice: np.ndarray) -> dict[str, Statistic]:
    """Of all classes at once."""
    return {"accuracy": accuracy(truth, choice), "log_loss": log_loss(truth, p), "ece": ece(truth, p)}


def below(
    values: np.ndarray, rows: np.ndarray, at: np.ndarray
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Weights (B, N) -> the weight of the numbered `rows` of `values` (N,) below each of `at` (M,), half of an equal one's
    (B, M), and that of all these rows (B,). NaN where a value is NaN.
    """
    order = rows[np.argsort(values[rows], kind="stable")]
    low, high = (np.searchsorted(values[order], at, side) for side in ("left", "right"))
    ties, broken = bool((high > low).any()), bool(np.isnan(values[rows]).any() or np.isnan(at).any())

    def of(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c = np.empty((len(w), len(order) + 1))
        c[:, 0] = 0
        np.cumsum(w.take(order, axis=1), axis=1, out=c[:, 1:])
        rank = np.full((len(w), len(at)), np.nan) if broken else c.take(low, axis=1)
        return (rank + c.take(high, axis=1)) / 2 if ties else rank, c[:, -1]

    return of


def auc(truth: np.ndarray, score: np.ndarray) -> Metric:
    """P(score+ > score-) + 1/2 P(score+ = score-), the area under the ROC curve; truth (N,) of 0 and 1, score (N,).

    Hanley and McNeil, Radiology 143 (1982).
    """
    y, p = np.asarray(truth, bool), np.asarray(score, float)
    flip = y.sum() > (~y).sum()  # the smaller class is looked up in the larger
    few, many = np.flatnonzero(y != flip), np.flatnonzero(y == flip)
    rank = below(p, many, p[few])

    def of(w: np.ndarray) -> np.ndarray:
        a, (r, total) = w.take(few, axis=1), rank(w)
        area = ratio(np.einsum("bn,bn->b", a, r), a.sum(1) * total)
        return 1 - area if flip else area

    return Metric(of, (y, ~y), "one class only", itself)


def average_precision(truth: np.ndarray, score: np.ndarray) -> Metric:
    """sum_t (R_t - R_t-1) P_t over falling thresholds t, P precision, R recall; truth (N,) of 0 and 1, score (N,)."""
    y, p = np.asarray(truth, bool), np.asarray(score, float)
    order, broken = np.argsort(-p, kind="stable"), bool(np.isnan(p).any())
    positive = order[y[order]]
    above, hits_above = (np.searchsorted(-p[rows], -p[positive], "right") - 1 for rows in (order, positive))

    def of(w: np.ndarray) -> np.ndarray:
        a = w.take(positive, axis=1)
        hits = np.cumsum(a, axis=1).take(hits_above, axis=1)
        called = np.cumsum(w.take(order, axis=1), axis=1).take(above, axis=1)
        precision = np.divide(hits, called, out=np.zeros(hits.shape), where=called > 0)
        return ratio(np.einsum("bn,bn->b", a, precision), a.sum(1)) + (np.nan if broken else 0)

    return Metric(of, (y, ~y), "one class only", partial(least_precision, float((~y).sum() / max(y.sum(), 1))))


def least_precision(odds: float, area: float) -> float:
    """The least average precision that an AUC allows at `odds` = negatives / positives.

    The minimum of the integral over recall t of t / (t + odds f(t)), f(t) >= 0 of integral 1 - area being the share of the
    negatives that score above.
    """
    e = (1 - area) * odds
    return float(1 - (2 * e / 3) ** 0.5 if e <= 1 / 6 else 4 / 9 / (e + 0.5))


def accuracy(truth: np.ndarray, choice: np.ndarray) -> Metric:
    """Share of rows whose choice is the truth; both (N,)."""
    return mean(np.asarray(truth) == np.asarray(choice))


def sensitivity(truth: np.ndarray, choice: np.ndarray) -> Metric:
    """Share of the positives that are chosen; both (N,) of 0 and 1."""
    y = np.asarray(truth, bool)
    return mean(np.asarray(choice, bool), among=y, missing="no positive case")


def specificity(truth: np.ndarray, choice: np.ndarray) -> Metric:
    """Share of the negatives that are not chosen; both (N,) of 0 and 1."""
    y = np.asarray(truth, bool)
    return mean(~np.asarray(choice, bool), among=~y, missing="no negative case")


def balanced_accuracy(truth: np.ndarray, choice: np.ndarray, k: int) -> Macro:
    """Mean over the classes present of their sensitivities; both (N,) class numbers below k."""
    return Macro(tuple(sensitivity(truth == c, choice == c) for c in range(k)))


def f1(truth: np.ndarray, choice: np.ndarray) -> Metric:
    """2 TP / (2 TP + FP + FN), of which the true negatives are no part; both (N,) of 0 and 1."""
    y, f = np.asarray(truth, bool), np.asarray(choice, bool)
    of = quotient(2.0 * (y & f), y + f.astype(float))
    return Metric(of, (y, np.ones(len(y), bool)), "no positive case", lambda share: 2 * share / (1 + share))


def log_loss(truth: np.ndarray, p: np.ndarray) -> Metric:
    """Mean of -log p_y, p no smaller than 2.2e-16; truth (N,) class numbers, p (N, K)."""
    p = np.asarray(p, float)
    eps = np.finfo(float).eps
    return mean(-np.log(np.clip(p[np.arange(len(p)), truth], eps, 1 - eps)))


def brier(truth: np.ndarray, p: np.ndarray) -> Metric:
    """Mean of (p - y)^2 of a binary truth (N,), or of sum_k (p_k - y_k)^2 of a one-hot truth (N, K). Brier 1950."""
    return mean(((np.asarray(p, float) - np.asarray(truth)) ** 2).reshape(len(p), -1).sum(1))


def ece(truth: np.ndarray, p: np.ndarray) -> Metric:
    """sum_b |sum_{i in b} w_i (right_i - conf_i)| / sum_i w_i: expected calibration error over 15 bins of equal width.

    conf the largest of p (N, K), bins (0, 1/15], (1/15, 2/15], ...; truth (N,) class numbers. Chance raises it (calibrated, of
    100 rows: .09), and so does resampling, by which its interval is moved down. Guo et al., ICML 2017, eq. 3.
    """
    p = np.asarray(p, float)
    confidence, right = p.max(1), p.argmax(1) == truth
    b = np.clip(np.ceil(np.nan_to_num(confidence) * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = (right - confidence)[:, None] * (b[:, None] == np.arange(BINS))  # (N, bins)
    everyone = np.ones(len(p), bool)
    return Metric(lambda w: ratio(np.abs(w @ gaps).sum(1), w.sum(1)), (everyone,), raised=True)


def confusion(truth: np.ndarray, choice: np.ndarray, k: int) -> np.ndarray:
    """Counts (k, k): rows the true class, columns the chosen one; both (N,) class numbers."""
    return np.bincount(np.asarray(truth) * k + np.asarray(choice), minlength=k * k).reshape(k, k)


@dataclass(frozen=True)
class Curve:
    """y over x with a 95 % band at each x, and the threshold (chosen from there on) at which x is reached; all (M,)."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    threshold: np.ndarray


def roc(truth: np.ndarray, score: np.ndarray, groups: Groups, *, points: int = 101, n: int = 500) -> Curve:
    """Sensitivity over 1 - specificity, straight between thresholds; the band from n draws of whole patients."""
    return _curve(truth, score, groups, np.linspace(0, 1, points), n, of_calls=False)


def precision_recall(truth: np.ndarray, score: np.ndarray, groups: Groups, *, points: int = 101, n: int = 500) -> Curve:
    """Precision over sensitivity, at the highest threshold that reaches it; the band from n draws of whole patients."""
    return _curve(truth, score, groups, np.linspace(0, 1, points)[1:], n, of_calls=True)


def _curve(truth: np.ndarray, score: np.ndarray, groups: Groups, x: np.ndarray, n: int, *, of_calls: bool) -> Curve:
    """Precision over the share of hits (`of_calls`), or the share of hits over that of alarms, at x, with its band."""
    y, p = np.asarray(truth, bool), np.asarray(score, float)
    order = np.argsort(-p, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)  # the last row of each threshold

    def calls(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cumulative weights of true and false calls, from (0, 0)."""
        hits, alarms = (np.append(0.0, np.cumsum(w[order] * s)[last]) for s in (y[order], ~y[order]))
        return hits, alarms

    def at(hits: np.ndarray, alarms: np.ndarray) -> np.ndarray:
        if not of_calls:
            return np.asarray(np.interp(x, alarms / alarms[-1], hits / hits[-1]))
        i = np.searchsorted(hits, x * hits[-1] - 1e-9)
        return ratio(hits[i], hits[i] + alarms[i])

    hits, alarms = calls(np.ones(len(p)))
    nothing = np.full(len(x), np.nan)
    if not (hits[-1] and alarms[-1]):
        return Curve(x, nothing, nothing, nothing, nothing)
    drawn = (calls(w) for chunk in draws(groups, n) for w in chunk)
    lines = [at(h, a) for h, a in drawn if h[-1] and a[-1]]
    low, high = np.quantile(lines, [TAIL, 1 - TAIL], axis=0) if lines else (nothing, nothing)
    i = np.searchsorted(hits / hits[-1], x - 1e-9) if of_calls else np.searchsorted(alarms / alarms[-1], x + 1e-9) - 1
    return Curve(x, at(hits, alarms), low, high, np.append(np.inf, p[order][last])[i])
