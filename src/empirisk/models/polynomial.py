"""Polynomials: the hypothesis space whose capacity is one number, and whose best member is found by solving, not by steps."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.losses import Batch


class Polynomial(nn.Module):
    """f(x) = b + sum_j sum_{k=1}^{d} w_jk P_k(x_j / sqrt 3), P_k the Legendre polynomials: all polynomials of degree d without products.

    x in deviations of the training rows, so that x_j / sqrt 3 lies in [-1, 1] where x_j is uniform; there the P_k are orthogonal
    and the equations well-conditioned, which powers of x are not (Bishop 2006, section 1.1 and exercise 1.1).
    `Wrong` (exit 2) for images, and a degree below 1.
    """

    def __init__(self, channels: int, classes: int, *, size: Sequence[int] = (), degree: int = 3) -> None:
        super().__init__()
        if size:
            what = "model polynomial is for numbers, these rows are images"
            raise Wrong(what, remedy="give --model linear or resnet18")
        if degree < 1:
            raise Wrong(f"--degree is {degree}", remedy="it must be 1 or above")
        self.degree = degree
        self.fc = nn.Linear(channels * degree, classes)

    def embed(self, x: Tensor) -> Tensor:
        """(n, D) -> (n, D d): P_1 .. P_d of each number, by (k + 1) P_{k+1} = (2k + 1) u P_k - k P_{k-1}."""
        u = x / math.sqrt(3)
        terms = [torch.ones_like(u), u]
        for k in range(1, self.degree):
            terms.append(((2 * k + 1) * u * terms[k] - k * terms[k - 1]) / (k + 1))
        return torch.stack(terms[1 : self.degree + 1], 2).flatten(1)  # (n, D, d) -> (n, D d)

    def forward(self, x: Tensor) -> Tensor:
        """(n, D) -> (n, classes)."""
        out: Tensor = self.fc(self.embed(x))
        return out


@torch.no_grad()
def least_squares(model: nn.Module, batches: Iterable[Batch]) -> None:
    """(b, w) = argmin sum_i (y_i - b - w phi(x_i))^2 over all rows at once, in float64; of several minimisers the shortest.

    `model` gives phi(x) by `embed` and its last layer lies in `model.net.fc`.
    """
    pairs = [(model.embed(x).double().cpu(), y.reshape(-1).double().cpu()) for x, y in batches]  # type: ignore[operator]
    phi, y = torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])  # (N, D d), (N,)
    ones = torch.ones(len(phi), 1, dtype=torch.float64)
    found = torch.linalg.lstsq(torch.cat([ones, phi], 1), y[:, None], driver="gelsd").solution[:, 0]  # (1 + D d,)
    fc = model.get_submodule("net.fc")
    fc.get_parameter("bias").copy_(found[:1])
    fc.get_parameter("weight").copy_(found[None, 1:])
