"""Kernel density: a small Gaussian on every row."""

import math

import numpy as np
import torch
from torch import Tensor, nn

MOST = 5000
"""Training rows at most that carry a kernel."""
WIDTHS = tuple(float(w) for w in np.geomspace(0.1, 3, 30))
"""Widths h that are tried, in shares of Scott's N^(-1/(D + 4))."""
CHUNK = 256


class Kernel(nn.Module):
    """p(z) = 1/N sum_i N(z; z_i, h^2 Sigma), Sigma the covariance of the rows, h by the likelihood of each row under the others.

    Parzen (1962); leave-one-out: Duin (1976). Buffers, filled by `fill`: `mu` (D,), `A` (D, D) with Sigma^-1 = A A^T,
    `rows` (M, D), the whitened (z_i - mu) A, and `h`.
    """

    mu: Tensor
    A: Tensor
    rows: Tensor
    h: Tensor

    def __init__(self, codes: int, *, rows: int) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(codes))
        self.register_buffer("A", torch.eye(codes))
        self.register_buffer("rows", torch.zeros(min(rows, MOST), codes))
        self.register_buffer("h", torch.ones(()))

    def fill(self, z: Tensor) -> None:
        """From all training rows z (N, D), or an even sample of 5,000 of them."""
        mu, A = whitening(z)
        self.mu.copy_(mu)
        self.A.copy_(A)
        self.rows.copy_(((z - self.mu) @ self.A)[torch.linspace(0, len(z) - 1, len(self.rows)).long()])
        n, D = self.rows.shape
        widths = [w * n ** (-1 / (D + 4)) for w in WIDTHS]
        total = np.zeros(len(widths))
        for start in range(0, n, CHUNK):
            squares = torch.cdist(self.rows[start : start + CHUNK], self.rows).square()  # (b, N)
            squares[torch.arange(len(squares)), start + torch.arange(len(squares))] = math.inf  # not itself
            total += [float(self.log_sum(squares, h).double().sum()) for h in widths]
        self.h.fill_(widths[int(total.argmax())])

    def log_sum(self, squares: Tensor, h: float) -> Tensor:
        """log sum_i N(y; y_i, h^2 I) from the squared distances (n, N)."""
        D = self.rows.shape[1]
        return (-squares / (2 * h * h)).logsumexp(1) - D * (math.log(h) + math.log(2 * math.pi) / 2)

    def forward(self, z: Tensor) -> Tensor:
        """z (n, D) -> log p(z) (n,), nats."""
        log_det, out = self.A.diagonal().log().sum(), list[Tensor]()
        for y in torch.split((z - self.mu) @ self.A, CHUNK):
            out.append(self.log_sum(torch.cdist(y, self.rows).square(), float(self.h)))
        return torch.cat(out) + log_det - math.log(len(self.rows))


def whitening(z: Tensor) -> tuple[Tensor, Tensor]:
    """mu (D,) and a triangular A (D, D) with a positive diagonal: (z - mu) A has mean 0 and covariance I over the rows z (N, D)."""
    x = z.double()
    covariance = torch.cov(x.T, correction=0).reshape(z.shape[1], z.shape[1])
    # C = L L^T, so that (z - mu) L^-T has covariance I
    A = torch.linalg.inv(torch.linalg.cholesky(covariance)).T
    return x.mean(0).to(z), A.to(z)
