"""Gaussian mixtures: groups with a shape, and a density in closed form; of one component the Gaussian itself."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.rows import Rows
from empirisk.errors import Wrong

MOST, ROWS = 10, 2000
"""Most components that are tried where their number is not given, on how many training rows."""


class Mixture(nn.Module):
    """p(z) = sum_k pi_k N(z; mu_k, Sigma_k), the pi, mu, Sigma of greatest likelihood that EM finds from three starts.

    Dempster et al. (1977). Buffers, filled by `fill`, the heaviest component first: `log_pi` (K,), `mu` (K, D) and `A` (K, D, D),
    Sigma_k^-1 = A_k A_k^T, so that |(z - mu_k) A_k| is Mahalanobis' distance.
    """

    log_pi: Tensor
    mu: Tensor
    A: Tensor

    def __init__(self, codes: int, components: int, *, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("log_pi", torch.full((components,), -math.log(components)))
        self.register_buffer("mu", torch.zeros(components, codes))
        self.register_buffer("A", torch.eye(codes).repeat(components, 1, 1))

    def fill(self, z: Tensor) -> None:
        """From all training rows z (N, D); `Wrong` (exit 2) where there are fewer than two a component."""
        found = em(z.double().cpu().numpy(), len(self.mu), seed=self.seed, starts=3)
        order = np.argsort(-found.weights_, kind="stable")
        for buffer, value in (
            (self.log_pi, np.log(found.weights_)), (self.mu, found.means_), (self.A, found.precisions_cholesky_),
        ):  # fmt: skip
            buffer.copy_(torch.from_numpy(value[order]))

    def parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D) -> log pi_k N(z; mu_k, Sigma_k) (n, K), and |(z - mu_k) A_k| (n, K)."""
        y = torch.einsum("nkd,kde->nke", z[:, None] - self.mu, self.A)
        distance = y.square().sum(2)
        log_det = self.A.diagonal(dim1=1, dim2=2).log().sum(1)  # log |Sigma_k|^(-1/2)
        return self.log_pi + log_det - (distance + z.shape[1] * math.log(2 * math.pi)) / 2, distance.sqrt()

    def forward(self, z: Tensor) -> Tensor:
        """z (n, D) -> log p(z) (n,), nats."""
        return self.parts(z)[0].logsumexp(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws z (n, D); `generator` is on the CPU."""
        group = torch.multinomial(self.log_pi.exp().cpu(), n, replacement=True, generator=generator).to(self.mu.device)
        eps = torch.randn(n, self.mu.shape[1], generator=generator).to(self.mu)
        y = torch.linalg.inv(self.A)[group]  # Sigma_k = A_k^-T A_k^-1
        return self.mu[group] + torch.einsum("ne,ned->nd", eps, y)

    def assign(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D) -> the component that most likely made it (n,), and Mahalanobis' distance from that (n,)."""
        log_p, distance = self.parts(z)
        group = log_p.argmax(1)
        return group, distance.gather(1, group[:, None])[:, 0]


def em(z: np.ndarray, components: int, *, seed: int = 0, starts: int = 1) -> Any:
    """scikit-learn's mixture with full covariances fitted to z (N, D); `Wrong` (exit 2) for fewer than two rows a component."""
    from sklearn.mixture import GaussianMixture

    if (different := len(np.unique(z, axis=0))) < 2 * components:
        what = f"{components} components of {different} different rows"
        raise Wrong(what, remedy=f"give {different // 2} or fewer, or more rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopping at 200 steps is close enough
        return GaussianMixture(components, reg_covar=1e-5, n_init=starts, max_iter=200, random_state=seed).fit(z)


@dataclass(frozen=True)
class Components:
    """How many components a mixture has, and the log-likelihood of held-out rows by number from 1 on (empty where it was given)."""

    number: int
    log_likelihood: tuple[float, ...] = ()

    @classmethod
    def learn(cls, rows: Rows, codes: Callable[[Rows], np.ndarray], given: int | None) -> Self:
        """The given number, or the one of 1 to 10 that makes a fourth of at most 2,000 training rows most likely, fitted to the others.

        `Wrong` (exit 2): a number below 1, fewer than two rows a component.
        """
        if given is not None:
            if not 1 <= given <= len(rows) // 2:
                what = f"--components {given} of {len(rows)} training rows"
                raise Wrong(what, remedy=f"give 1 to {len(rows) // 2}, or none: the likeliest number is found")
            return cls(given)
        order = np.random.default_rng(0).permutation(len(rows))[:ROWS]
        z = codes([rows[int(i)] for i in order])
        cut = max(1, len(z) // 4)
        held, others = z[:cut], z[cut:]
        least = len(np.unique(others, axis=0)) // 2
        found = [float(em(others, k).score(held)) for k in range(1, min(MOST, max(least, 1)) + 1)]
        return cls(1 + int(np.argmax(found)), tuple(found))
