"""How far groups that were found are the classes that there are, and how far they are apart."""

import numpy as np

from empirisk.estimate import Metric, Statistic, mean, ratio

MOST = 4000
"""Rows at most whose silhouette is taken: every pair of them is looked at."""


def _tables(truth: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Which cell of classes by groups each row lies in, as (N, K G) of 0 and 1, and (K, G)."""
    a, b = (np.unique(v, return_inverse=True)[1] for v in (truth, group))
    K, G = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    return np.eye(K * G)[a * G + b], (K, G)


def _over(truth: np.ndarray, group: np.ndarray, among: np.ndarray, of_counts: Statistic) -> Metric:
    """A metric of the weighted counts (B, K, G) of classes by groups, over the rows `among` (N,)."""
    cells, shape = _tables(truth[among], group[among])
    return Metric(lambda w: of_counts((w[:, among] @ cells).reshape(-1, *shape)), (among,), "no row with a class")


def ari(truth: np.ndarray, group: np.ndarray, among: np.ndarray) -> Metric:
    """(I - E) / ((A + B) / 2 - E): pairs of rows that share class and group, beyond chance; 1 where groups are classes, 0 by chance.

    I = sum_kg C(n_kg, 2), A = sum_k C(n_k, 2), B = sum_g C(n_g, 2), E = A B / C(n, 2). Hubert and Arabie (1985).
    truth, group (N,) whole numbers; only the rows `among` (N,) count.
    """

    def of(n: np.ndarray) -> np.ndarray:
        same, a, b, every = (
            (v * (v - 1) / 2).reshape(len(n), -1).sum(1) for v in (n, n.sum(2), n.sum(1), n.sum((1, 2)))
        )
        chance = ratio(a * b, every)
        alike = (a == every) & (b == every) & (every > 0)  # one class and one group: they are the same
        return np.where(alike, 1.0, ratio(same - chance, (a + b) / 2 - chance))

    return _over(truth, group, among, of)


def nmi(truth: np.ndarray, group: np.ndarray, among: np.ndarray) -> Metric:
    """I(class; group) / ((H(class) + H(group)) / 2): what each tells of the other; 0 nothing, 1 all. Not corrected for chance.

    truth, group (N,) whole numbers; only the rows `among` (N,) count.
    """

    def entropy(p: np.ndarray) -> np.ndarray:
        p = p.reshape(len(p), -1)
        return np.asarray(-np.sum(p * np.log(np.where(p > 0, p, 1)), 1))

    def of(n: np.ndarray) -> np.ndarray:
        p = ratio(n, n.sum((1, 2), keepdims=True))
        a, b, both = entropy(p.sum(2)), entropy(p.sum(1)), entropy(p)
        return np.where(a + b == 0, 1.0, ratio(2 * (a + b - both), a + b))

    return _over(truth, group, among, of)


def silhouette(codes: np.ndarray, group: np.ndarray) -> Metric:
    """Mean of (b - a) / max(a, b): a the mean distance of a row from its own group, b from the nearest other one.

    The rows' own values stay as they are when rows are drawn anew. Rows in no group (-1) are left out, and of many rows an even
    sample is taken. codes (N, D), group (N,). Undefined for a single group. Rousseeuw (1987).
    """
    from sklearn.metrics import silhouette_samples

    among, values = group >= 0, np.full(len(group), np.nan)
    inside = np.flatnonzero(among)
    some = inside[np.linspace(0, len(inside) - 1, min(len(inside), MOST)).astype(int)]
    if 2 <= len(np.unique(group[some])) < len(some):
        values[some] = silhouette_samples(codes[some], group[some])
    chosen = np.isfinite(values)
    return mean(np.where(chosen, values, 0), among=chosen, missing="fewer than two groups")
