"""What codes tell of classes that nobody taught: votes of the nearest training rows, and a linear rule on the code."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.unlabelled import UNKNOWN
from empirisk.losses import Batch
from empirisk.unsupervised.pca import PCA
from empirisk.unsupervised.strange import evenly

NEAREST, MOST = 5, 20_000
"""Training rows that vote, and that are remembered."""
STRENGTH = 0.01
"""lambda of the linear rule, which is the minimiser of mean -log softmax(W z + b)_y + lambda/2 |W|^2 on standardised codes."""


class Told(NamedTuple):
    """What a code says of a class, (n, K) each."""

    nearest: Tensor
    "shares of the votes of the five nearest training rows"
    linear: Tensor
    "softmax(W z + b)"


class Probe(nn.Module):
    """Buffers, filled by `fill`: `z` (M, k) and `y` (M,) of the training rows that have a class, `W` (K, k), `b` (K,) of the linear rule.

    The net is frozen: its codes are judged, not taught. Alain and Bengio (2016). Of more than 20,000 rows an even sample.
    """

    z: Tensor
    y: Tensor
    W: Tensor
    b: Tensor

    def __init__(self, codes: int, classes: int, *, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.register_buffer("z", torch.zeros(min(rows, MOST), codes))
        self.register_buffer("y", torch.full((min(rows, MOST),), UNKNOWN))
        self.register_buffer("W", torch.zeros(classes, codes))
        self.register_buffer("b", torch.zeros(classes))

    @torch.no_grad()
    def fill(self, z: Tensor, y: Tensor) -> None:
        """From the codes z (N, k) of all training rows and their classes y (N,), -1 where unknown."""
        from sklearn.linear_model import LogisticRegression

        some = evenly(len(z), MOST).to(z.device)
        self.z.copy_(z[some])
        self.y.copy_(y[some])
        known = self.y >= 0
        rows, classes = self.z[known].double().cpu().numpy(), self.y[known].cpu().numpy()
        if len(np.unique(classes)) < 2:
            return
        mean, sd = rows.mean(0), rows.std(0)
        scale = np.where(sd > 1e-6 * sd.max(), 1 / np.maximum(sd, 1e-12), 0)
        rule = LogisticRegression(C=1 / (STRENGTH * len(rows)), max_iter=1000).fit((rows - mean) * scale, classes)
        W, b = rule.coef_ * scale, rule.intercept_
        b = b - W @ mean
        if len(b) == 1:  # of two classes the second against the first
            W, b = np.concatenate([np.zeros_like(W), W]), np.append(0.0, b)
        self.W[rule.classes_] = torch.from_numpy(W).to(self.W)
        self.b[rule.classes_] = torch.from_numpy(b).to(self.b)

    def forward(self, z: Tensor) -> Told:
        """z (n, k) -> what it tells, in the type of z at any precision."""
        known = self.y >= 0
        near = torch.cdist(z, self.z[known]).topk(min(NEAREST, int(known.sum())), largest=False).indices  # (n, 5)
        votes = nn.functional.one_hot(self.y[known][near], len(self.b)).to(z).mean(1)
        return Told(votes, (z @ self.W.T + self.b).softmax(1))


class Probed(nn.Module):
    """A net with `embed`, and beside it the probe of its codes; where rows have no two classes there is none."""

    def __init__(self, net: nn.Module, codes: int, classes: int, *, rows: int) -> None:
        super().__init__()
        self.net = net
        self.probe = Probe(codes, classes, rows=rows) if classes > 1 else None

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> z (n, k)."""
        z: Tensor = self.net.embed(x)  # type: ignore[operator]
        return z

    def forward(self, x: Tensor) -> Tensor:
        """What the net says of x."""
        out: Tensor = self.net(x)
        return out


@torch.no_grad()
def solve(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Fill what is filled from training rows, of a `Probed` behind `Standardised`: the components of a PCA, then the probe."""
    probed = model.get_submodule("net")
    assert isinstance(probed, Probed)
    if isinstance(probed.net, PCA):
        batches = list(batches)
        probed.net.fill(torch.cat([model.standardise(x).cpu() for x, _ in batches]))  # type: ignore[operator]
    if probed.probe is not None:
        found = [(model.embed(x), y) for x, y in batches]  # type: ignore[operator]
        probed.probe.fill(torch.cat([z for z, _ in found]), torch.cat([y for _, y in found]))
