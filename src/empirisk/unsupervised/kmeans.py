"""k-means, and how many groups there are by how stable they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.rows import Rows
from empirisk.errors import Wrong

MOST, ROWS, PAIRS = 10, 1000, 6
"""Largest number of groups that is tried, on how many training rows, by how many pairs of halves."""
TIE = 0.02
"""Numbers of groups as stable as the best within this are as good as it; the largest of them is taken."""


class KMeans(nn.Module):
    """argmin over c of sum_i min_j |z_i - c_j|^2, by Lloyd's iteration from ten k-means++ starts.

    Lloyd (1982); Arthur and Vassilvitskii (2007). The buffer `c` (K, D) is filled by `fill`, the largest group first.
    """

    c: Tensor

    def __init__(self, codes: int, groups: int, *, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("c", torch.zeros(groups, codes))

    def fill(self, z: Tensor) -> None:
        """From all training rows z (N, D); `Wrong` (exit 2) where there are fewer different rows than groups."""
        found = lloyd(z.double().cpu().numpy(), len(self.c), seed=self.seed, starts=10)
        order = np.argsort(-np.bincount(found.labels_, minlength=len(self.c)), kind="stable")
        self.c.copy_(torch.from_numpy(found.cluster_centers_[order]))

    def assign(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D) -> its group (n,), and its distance from the centre of that (n,)."""
        distance, group = torch.cdist(z, self.c).min(1)
        return group, distance


def lloyd(z: np.ndarray, groups: int, *, seed: int, starts: int) -> Any:
    """scikit-learn's k-means fitted to z (N, D); `Wrong` (exit 2) where there are fewer different rows than groups."""
    from sklearn.cluster import KMeans as Lloyd

    if (different := len(np.unique(z, axis=0))) < groups:
        raise Wrong(f"{groups} clusters of {different} different rows", remedy=f"give --clusters {different} or fewer")
    return Lloyd(groups, n_init=starts, random_state=seed).fit(z)


@dataclass(frozen=True)
class Groups:
    """How many groups the training rows have, and how stable each number from 2 on was (empty where it was given)."""

    number: int
    stability: tuple[float, ...] = ()

    @classmethod
    def learn(cls, rows: Rows, codes: Callable[[Rows], np.ndarray], given: int | None) -> Self:
        """The given number, or the most stable one of at most 1,000 rows; `codes` gives their z (N, D).

        `Wrong` (exit 2): a number below 1, fewer rows than groups.
        """
        if given is not None:
            if not 1 <= given <= len(rows):
                what = f"--clusters {given} of {len(rows)} training rows"
                raise Wrong(what, remedy=f"give 1 to {len(rows)}, or none: the most stable number is found")
            return cls(given)
        some = [rows[int(i)] for i in np.linspace(0, len(rows) - 1, min(len(rows), ROWS))]
        found = stability(codes(some))
        best = max(found)
        return cls(2 + max(i for i, value in enumerate(found) if value >= best - TIE), tuple(found))


def stability(z: np.ndarray) -> list[float]:
    """Of each number of groups from 2 to 10 how far two halves of z (N, D) agree: the mean adjusted Rand index over pairs of halves.

    Each half is grouped by itself, and both groupings are laid over all rows. A number that is not there cuts a group where the
    draw of the rows decides. Ben-Hur et al. (2002); Lange et al. (2004). `Wrong` (exit 2) for fewer than 8 different rows.
    """
    from sklearn.metrics import adjusted_rand_score

    if (different := len(np.unique(z, axis=0))) < 8:
        remedy = "give more rows, or the number: --clusters 2"
        raise Wrong(f"{different} different training rows are too few to find the number of clusters", remedy=remedy)
    rng, numbers = np.random.default_rng(0), range(2, min(MOST, len(z) // 4) + 1)
    found = np.zeros((PAIRS, len(numbers)))
    for pair in range(PAIRS):
        order = rng.permutation(len(z))
        halves = z[order[: len(z) // 2]], z[order[len(z) // 2 :]]
        for i, groups in enumerate(numbers):
            if min(len(np.unique(half, axis=0)) for half in halves) < groups:
                continue  # agree by chance: 0
            a, b = (lloyd(half, groups, seed=pair, starts=3).predict(z) for half in halves)
            found[pair, i] = adjusted_rand_score(a, b)
    return [float(v) for v in found.mean(0)]
