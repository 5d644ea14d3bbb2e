"""Groups of any shape: what hangs together densely; the rest belongs to none."""

import numpy as np
import torch
from torch import Tensor, nn

MOST = 10_000
"""Training rows at most that are grouped and remembered: every pair of them is looked at."""


class Hdbscan(nn.Module):
    """The connected parts of the rows above a density that each part has for itself, chosen by how long they last.

    Campello, Moulavi and Sander (2013), with Euclidean distances. `smallest` is the number of rows from which on a part is a
    group. A new row belongs where the training row nearest to it does. Buffers, filled by `fill`: `rows` (M, D) and their
    `group` (M,), the largest group 0, in none -1.
    """

    rows: Tensor
    group: Tensor

    def __init__(self, codes: int, *, rows: int, smallest: int) -> None:
        super().__init__()
        self.smallest = smallest
        self.register_buffer("rows", torch.zeros(min(rows, MOST), codes))
        self.register_buffer("group", torch.full((min(rows, MOST),), -1))

    def fill(self, z: Tensor) -> None:
        """From all training rows z (N, D), or an even sample of 10,000 of them."""
        from sklearn.cluster import HDBSCAN

        some = z[torch.linspace(0, len(z) - 1, len(self.rows)).long()]
        found = HDBSCAN(min_cluster_size=self.smallest, copy=True).fit_predict(some.double().cpu().numpy())
        order = np.argsort(-np.bincount(found[found >= 0], minlength=1), kind="stable")
        place = np.append(np.argsort(order), -1)  # the last is for -1
        self.rows.copy_(some)
        self.group.copy_(torch.from_numpy(place[found]))

    def assign(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D) -> the group of the nearest remembered row (n,), -1 for none, and the distance to that row (n,)."""
        distance, nearest = torch.cdist(z, self.rows).min(1)
        return self.group[nearest], distance
