"""How alike new images are to real ones, both as features: new z (N, k, D), k a row, and real (R, D) that taught nothing."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist

from empirisk.statistic import Biased, Metric, Statistic, mean

NEIGHBOUR, FOLDS, RIDGE, NEAR = 5, 5, 1e-2, 0.05
"""Whose distance is the radius of a real image's surroundings; folds and penalty of the two-sample test; share of near images among real ones."""


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), the Gaussians of a (n, D) and b (m, D). Heusel et al. (2017), equation 6.

    Not a number for fewer than two of either.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    (m, S), (n, T) = ((x.mean(0), np.atleast_2d(np.cov(x.T))) for x in (a, b))
    value, vector = np.linalg.eigh(S)
    root = vector * np.sqrt(value.clip(0))  # S^1/2 up to a rotation
    cross = np.sqrt(np.linalg.eigvalsh(root.T @ T @ root).clip(0)).sum()
    return float(max(np.square(m - n).sum() + np.trace(S) + np.trace(T) - 2 * cross, 0))


def frechet(z: np.ndarray, real: np.ndarray, by: str) -> Biased:
    """The Fréchet distance of all new images of the rows that count; `by` names the protocol."""
    return Biased(_of_rows(z, lambda new: frechet_distance(new, real)), by, least=0.0)


def precision(z: np.ndarray, real: np.ndarray, by: str) -> Metric:
    """Share of new images inside the surroundings of a real one: nearer to it than its fifth neighbour. Kynkäänniemi et al. (2019)."""
    inside = (cdist(z.reshape(-1, z.shape[-1]), real) <= _radii(real)).any(1)
    return _mean(inside.reshape(z.shape[:2]), by)


def recall(z: np.ndarray, real: np.ndarray, by: str) -> Biased:
    """Share of real images inside the surroundings of a new one; as many new images as there are real ones are looked at."""

    def of(new: np.ndarray) -> float:
        new = new[np.linspace(0, len(new) - 1, min(len(new), len(real))).astype(int)]
        return float((cdist(real, new) <= _radii(new)).any(1).mean()) if len(new) > 1 else float("nan")

    return Biased(_of_rows(z, of), by, least=0.0, most=1.0)


def two_sample(z: np.ndarray, real: np.ndarray, by: str) -> Metric:
    """AUC by which a rule that was fitted to others tells new images from real ones: .5 where it cannot. Lopez-Paz and Oquab (2017).

    The rule is least squares on the features and their squares, ridge .01, both kinds weighing the same; of five folds each is
    told by a rule of the other four.
    """
    n, new = z.shape[0] * z.shape[1], z.reshape(-1, z.shape[-1])
    x = np.concatenate([new, real])
    x = np.concatenate([x, np.square(x)], 1)
    x = np.concatenate([(x - x.mean(0)) / (x.std(0) + 1e-9), np.ones((len(x), 1))], 1)
    told = np.arange(len(x)) < n
    weight = np.where(told, 0.5 / n, 0.5 / len(real))
    fold, value = np.concatenate([np.arange(n), np.arange(len(real))]) % FOLDS, np.zeros(n)
    for f in range(FOLDS):
        fit = fold != f
        A = (x[fit] * weight[fit, None]).T
        s = x[~fit] @ np.linalg.solve(A @ x[fit] + RIDGE * np.eye(x.shape[1]), A @ np.where(told[fit], 1.0, -1.0))
        others = np.sort(s[~told[~fit]])
        below = sum(np.searchsorted(others, s[told[~fit]], side) for side in ("left", "right"))
        value[fold[:n] == f] = below / max(2 * len(others), 1)
    return _mean(value.reshape(z.shape[:2]), by)


def near(distance: np.ndarray, own: np.ndarray, by: str) -> Metric:
    """Share of new images nearer to a training image than one real image in 20 is; of real ones it is .05, of copies 1.

    distance (N, k) of the new images to the nearest training image, own (R,) that of real images that taught nothing.
    """
    return _mean(distance < np.quantile(own, NEAR), by)


def spread(codes: np.ndarray, real: np.ndarray, by: str) -> Metric:
    """Mean squared distance of new images from their middle, a share of that of real ones; near 0 where they have collapsed."""
    around = np.square(codes - codes.mean((0, 1))).sum(2)  # (N, k)
    return _mean(around / max(np.square(real - real.mean(0)).sum(1).mean(), 1e-12), by)


def _mean(values: np.ndarray, by: str) -> Metric:
    """The mean of values (N, k) over rows and their images."""
    return Metric(mean(values.mean(1)).of, (np.ones(len(values), bool),), by=by)


def _radii(points: np.ndarray) -> np.ndarray:
    """How far each point's fifth neighbour is, (n,); of fewer points the last one."""
    k = min(NEIGHBOUR, len(points) - 1)
    return np.asarray(np.partition(cdist(points, points), k, axis=1)[:, k])


def _of_rows(z: np.ndarray, of: Callable[[np.ndarray], float]) -> Statistic:
    """A function of images (n, D) as one of weights (B, N): of all images of the rows whose weight is not 0."""
    return lambda w: np.array([of(z[one > 0].reshape(-1, z.shape[-1])) for one in w])
