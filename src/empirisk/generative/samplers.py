"""From noise to images: plain functions of a denoiser (x_t, t) -> eps, the times it visits and the schedule alpha_bar.

alpha_bar (T + 1,) has alpha_bar_0 = 1; `times` fall from the first to 0. They work in the space of q, whatever the units:

    q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I).

A `consistent` x_0 -> x_0 puts what is known of the image into each estimate of it.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from empirisk.errors import Wrong

Denoiser = Callable[[Tensor, int], Tensor]
"""(x_t, t) -> eps, the noise in x_t."""
Consistent = Callable[[Tensor], Tensor]


def times(start: int, steps: int) -> list[int]:
    """`steps` steps from `start` down to 0, t_i = start (1 - i/steps)^1.5, each another; no more than there are times.

    Closer near 0: with even steps the last one, whose estimate of x_0 is taken as it is, loses detail.
    `Wrong` (exit 2): fewer steps than 1.

    >>> times(1000, 4), times(3, 10)
    ([1000, 650, 354, 125, 0], [3, 2, 1, 0])
    """
    if steps < 1:
        raise Wrong(f"--steps is {steps}", remedy="it must be 1 or above")
    steps = min(steps, start)
    return [max(round(start * (i / steps) ** 1.5), i) for i in range(steps, -1, -1)]


def noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, I) in the shape of x, drawn where the generator lives."""
    return torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)


def clean(x: Tensor, eps: Tensor, alpha_bar: float) -> Tensor:
    """x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)."""
    return (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)


def ancestral(
    denoiser: Denoiser, x: Tensor, times: Sequence[int], alpha_bar: Sequence[float], *, generator: torch.Generator
) -> Tensor:
    """Algorithm 2: x_{t-1} = 1/sqrt(alpha_t) (x_t - (1 - alpha_t)/sqrt(1 - alpha_bar_t) eps(x_t, t)) + sigma_t z.

    z ~ N(0, I), 0 in the last step; sigma_t^2 = beta_t = 1 - alpha_t. Where times are left out, alpha_t = alpha_bar_t / alpha_bar_s
    of the next time s. Ho et al. (2020); with fewer times Nichol & Dhariwal (2021), equation 19.
    """
    for t, s in itertools.pairwise(times):
        alpha = alpha_bar[t] / alpha_bar[s]
        x = (x - (1 - alpha) / math.sqrt(1 - alpha_bar[t]) * denoiser(x, t)) / math.sqrt(alpha)
        if s > 0:
            x = x + math.sqrt(1 - alpha) * noise_like(x, generator)
    return x


def ddim(
    denoiser: Denoiser, x: Tensor, times: Sequence[int], alpha_bar: Sequence[float], *, eta: float = 0.0,
    generator: torch.Generator | None = None, consistent: Consistent | None = None,
) -> Tensor:  # fmt: skip
    """x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s - sigma^2) eps + sigma z, x_0 the estimate from x_t and eps(x_t, t).

    sigma = eta sqrt((1 - alpha_bar_s)/(1 - alpha_bar_t)) sqrt(1 - alpha_bar_t/alpha_bar_s): eta 0 draws nothing, 1 is ancestral.
    Song, Meng & Ermon (2021), equations 12 and 16.
    """
    for t, s in itertools.pairwise(times):
        eps = denoiser(x, t)
        x0 = clean(x, eps, alpha_bar[t])
        if consistent is not None:
            x0 = consistent(x0)
            eps = (x - math.sqrt(alpha_bar[t]) * x0) / math.sqrt(1 - alpha_bar[t])
        share = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha_bar[t] / alpha_bar[s])
        sigma = eta * math.sqrt(share)
        x = math.sqrt(alpha_bar[s]) * x0 + math.sqrt(max(1 - alpha_bar[s] - sigma**2, 0.0)) * eps
        if sigma > 0:
            assert generator is not None
            x = x + sigma * noise_like(x, generator)
    return x


def dpm_solver(denoiser: Denoiser, x: Tensor, times: Sequence[int], alpha_bar: Sequence[float]) -> Tensor:
    """DPM-Solver++(2M): x_s = sigma_s/sigma_t x_t - alpha_s (exp(-h) - 1) D, h = lambda_s - lambda_t, lambda = log(alpha/sigma).

    D = (1 + 1/(2r)) x_0(t) - 1/(2r) x_0(u), u the time before t, r = (lambda_t - lambda_u)/h; x_0(t) alone in the first step and
    in the last, whose h is infinite. Here alpha = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar). Lu et al. (2022), algorithm 2.
    """

    def log_ratio(t: int) -> float:
        return math.inf if alpha_bar[t] >= 1 else 0.5 * math.log(alpha_bar[t] / (1 - alpha_bar[t]))

    before: tuple[float, Tensor] | None = None  # lambda_u, x_0(u)
    for t, s in itertools.pairwise(times):
        x0 = clean(x, denoiser(x, t), alpha_bar[t])
        h, d = log_ratio(s) - log_ratio(t), x0
        if before is not None and math.isfinite(h):
            half = h / (log_ratio(t) - before[0]) / 2  # 1/(2r)
            d = (1 + half) * x0 - half * before[1]
        ratio = math.sqrt((1 - alpha_bar[s]) / (1 - alpha_bar[t]))
        x, before = ratio * x - math.sqrt(alpha_bar[s]) * math.expm1(-h) * d, (log_ratio(t), x0)
    return x


def repaint(
    denoiser: Denoiser, x: Tensor, times: Sequence[int], alpha_bar: Sequence[float], *, known: Tensor, hole: Tensor,
    again: int, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """RePaint: x_s = hole (a step of Algorithm 2) + (1 - hole) (a draw of q(x_s | known)), each step gone back and taken `again` times.

    `hole` is 1 where the image is missing. Lugmayr et al. (2022), algorithm 1, with jumps of one step.
    """
    for t, s in itertools.pairwise(times):
        alpha = alpha_bar[t] / alpha_bar[s]
        for turn in range(again):
            seen = math.sqrt(alpha_bar[s]) * known + math.sqrt(1 - alpha_bar[s]) * noise_like(x, generator)
            # the step's variance is that of q(x_s | x_t, x_0), which keeps x_s right where the steps are long
            moved = ddim(denoiser, x, (t, s), alpha_bar, eta=1.0, generator=generator)
            x = hole * moved + (1 - hole) * seen
            if s > 0 and turn + 1 < again:
                x = math.sqrt(alpha) * x + math.sqrt(1 - alpha) * noise_like(x, generator)
    return x
