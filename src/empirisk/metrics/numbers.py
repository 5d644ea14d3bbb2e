"""How far predicted numbers are from true ones; all take truth and answer (N,) in one unit."""

import numpy as np

from empirisk.estimate import Metric, mean, ratio
from empirisk.metrics.ranking import below


def mae(truth: np.ndarray, answer: np.ndarray) -> Metric:
    """Mean of |y - f|, in the unit of y."""
    return mean(np.abs(np.asarray(truth, float) - answer))


def rmse(truth: np.ndarray, answer: np.ndarray) -> Metric:
    """Root of the mean of (y - f)^2, in the unit of y."""
    squares = mean((np.asarray(truth, float) - answer) ** 2)
    return Metric(lambda w: np.sqrt(squares(w)), squares.among)


def pinball(truth: np.ndarray, answer: np.ndarray, level: float) -> Metric:
    """Mean of max(t (y - f), (t - 1)(y - f)), t the level, in the unit of y: what the t-quantile makes least."""
    above = np.asarray(truth, float) - answer
    return mean(np.maximum(level * above, (level - 1) * above))


def coverage(truth: np.ndarray, answer: np.ndarray) -> Metric:
    """Share of the y that lie at or below f; of a t-quantile it is near t."""
    return mean((np.asarray(truth, float) <= answer).astype(float))


def r2(truth: np.ndarray, answer: np.ndarray) -> Metric:
    """1 - sum w (y - f)^2 / sum w (y - mean y)^2; undefined where all y are equal."""
    y = np.asarray(truth, float)
    squares = (y - answer) ** 2

    def of(w: np.ndarray) -> np.ndarray:
        return 1 - ratio(w @ squares, _spread(w, y))

    return Metric(of, (np.ones(len(y), bool),))


def spearman(truth: np.ndarray, answer: np.ndarray) -> Metric:
    """Pearson's correlation of the mid-ranks of y and f; undefined where one of them is constant. Spearman 1904."""
    y, f = np.asarray(truth, float), np.asarray(answer, float)
    everyone = np.arange(len(y))
    ranks = below(y, everyone, y), below(f, everyone, f)

    def of(w: np.ndarray) -> np.ndarray:
        a, b = (_centred(w, rank(w)[0]) for rank in ranks)  # (B, N)
        aa, bb, ab = (np.einsum("bn,bn,bn->b", w, u, v) for u, v in ((a, a), (b, b), (a, b)))
        return ratio(ab, np.sqrt(aa * bb))

    return Metric(of, (np.ones(len(y), bool),))


def quadratic_kappa(truth: np.ndarray, choice: np.ndarray) -> Metric:
    """1 - E (y - f)^2 / E (y - f')^2, f' the choice of another row; both (N,) class numbers. Undefined where all are one class.

    The second mean is var y + var f + (mean y - mean f)^2. Cohen, Psychological Bulletin 70 (1968), with weights (i - j)^2.
    """
    y, f = np.asarray(truth, float), np.asarray(choice, float)
    table = np.stack([(y - f) ** 2, y - f], 1)  # (N, 2)

    def of(w: np.ndarray) -> np.ndarray:
        total = w.sum(1)
        apart = ratio(w @ table, np.repeat(total[:, None], 2, 1))  # (B, 2)
        chance = ratio(_spread(w, y) + _spread(w, f), total) + apart[:, 1] ** 2
        return 1 - ratio(apart[:, 0], chance)

    return Metric(of, (np.ones(len(y), bool),))


def _centred(w: np.ndarray, r: np.ndarray) -> np.ndarray:
    """R less its weighted mean, by row (B, N)."""
    return np.asarray(r - ratio(np.einsum("bn,bn->b", w, r), w.sum(1))[:, None])


def _spread(w: np.ndarray, y: np.ndarray) -> np.ndarray:
    """sum w (y - mean y)^2 (B,), 0 where all weighted y are equal."""
    y = y - y.mean()
    total = w.sum(1)
    spread = w @ y**2 - np.divide((w @ y) ** 2, total, out=np.zeros(len(w)), where=total > 0)
    return np.where(spread > 1e-12 * (w @ y**2), spread, 0)
