"""A normalising flow: a normal density, bent by layers whose change of volume is known."""

import math

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.unsupervised.kernel import whitening

LAYERS, WIDTH = 8, 64
"""Coupling layers, and hidden units of the two nets in each."""
REACH = 2.0
"""Largest |s|: a layer stretches by e^2 at most, so that no density overflows."""


class Coupling(nn.Module):
    """y = b x + (1 - b)(x exp(s(b x)) + t(b x)), log |det dy/dx| = sum (1 - b) s: half of x moves, as the other half says.

    Dinh, Sohl-Dickstein and Bengio (2017), equations 9 and 6. It begins as the identity.
    """

    b: Tensor

    def __init__(self, b: Tensor) -> None:
        super().__init__()
        self.register_buffer("b", b)
        D = len(b)
        self.net = nn.Sequential(
            nn.Linear(D, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 2 * D)
        )
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, D) -> y (n, D), log |det| (n,)."""
        s, t = self.net(self.b * x).chunk(2, 1)  # (n, 2 D) -> two of (n, D)
        s, t = (1 - self.b) * REACH * torch.tanh(s / REACH), (1 - self.b) * t
        return x * s.exp() + t, s.sum(1)


class Flow(nn.Module):
    """log p(z) = log N(f(z); 0, I) + log |det df/dz|, f a whitening and eight coupling layers; before training it is the Gaussian.

    The buffers `mu` (D,) and `A` (D, D), f_0(z) = (z - mu) A, are filled by `fill`. `Wrong` (exit 2) for fewer than two numbers.
    """

    mu: Tensor
    A: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        if codes < 2:
            raise Wrong("a flow needs two numbers a row or more", remedy="give --model mixture or kernel")
        self.register_buffer("mu", torch.zeros(codes))
        self.register_buffer("A", torch.eye(codes))
        halves = [(torch.arange(codes) % 2 == i % 2).float() for i in range(LAYERS)]
        self.layers = nn.ModuleList([Coupling(b) for b in halves])

    def fill(self, z: Tensor) -> None:
        """Mean and covariance of all training rows z (N, D)."""
        mu, A = whitening(z)
        self.mu.copy_(mu)
        self.A.copy_(A)

    def forward(self, z: Tensor) -> Tensor:
        """z (n, D) -> log p(z) (n,), nats."""
        y, log_det = (z - self.mu) @ self.A, self.A.diagonal().log().sum()
        for layer in self.layers:
            y, more = layer(y)
            log_det = log_det + more
        normal: Tensor = -(y.square().sum(1) + y.shape[1] * math.log(2 * math.pi)) / 2
        return normal + log_det
