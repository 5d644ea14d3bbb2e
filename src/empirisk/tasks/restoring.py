"""What a diffusion model does with an image that is there: find what does not belong, fill a hole, take noise and blur away.

Beside each stands what closed forms do with the same observation y = A x + sigma n, fitted to the training images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.generative.diffusion import Diffusion
from empirisk.generative.samplers import ddim, noise_like, repaint, times

SIGMA = 0.2  # Noise of `restore`, in image units.
SAMPLES = 4  # Samples whose mean is the answer: one alone loses to the mean by about 3 dB.
PART_WAY = 1.0  # Noise to which `anomaly` dissolves an image, in deviations of the training pixels.
AGAIN = 3  # Times that RePaint takes each step.
MOST = 4096  # Numbers of an image at most, for a covariance matrix.
Rival = Callable[[Tensor], Tensor]
"""y (n, C, *size) -> images."""


def diffusion_of(model: nn.Module, name: str) -> Diffusion:
    """The diffusion model of a run; `Wrong` (exit 2) where it is another."""
    if not isinstance(model, Diffusion):
        remedy = "train one: empirisk train generation DATA --model ddpm"
        raise Wrong(f"{name} is no diffusion model", remedy=remedy)
    return model


def inside(model: Diffusion, x: Tensor, ids: list[str]) -> None:
    """`Wrong` (exit 2) for an image whose values lie outside the model's range."""
    if model.bounds is None:
        return
    low, high = model.bounds
    for one, name in zip(x, ids, strict=True):
        least, most = float(one.min()), float(one.max())
        if not (low <= least and most <= high):  # also what is not a number
            what = f"an image has values from {least:g} to {most:g}, the model is for {low:g} to {high:g}"
            raise Wrong(what, where=name, remedy="scale it as the training images were")


def middle_hole(size: tuple[int, ...]) -> Tensor:
    """(*size), 1 in the middle ten of 28 parts of each side."""
    hole = torch.zeros(size)
    hole[tuple(slice((n - k) // 2, (n - k) // 2 + k) for n in size if (k := max(1, round(n * 10 / 28))))] = 1
    return hole


@dataclass(frozen=True)
class Observed:
    """y = A x + sigma n: a hole in x, noise on it, or means of 2 x 2 (3D: 2 x 2 x 2) of its pixels."""

    operator: str
    "hole, noise or half"
    hole: Tensor | None = None
    "(*size), 1 where x is missing"

    @property
    def sigma(self) -> float:
        """Deviation of the noise, image units."""
        return SIGMA if self.operator == "noise" else 0.0

    def of(self, x: Tensor) -> Tensor:
        """A x, (n, C, *places) or for a hole x with 0 in it."""
        if self.operator == "half":
            odd = [n for n in x.shape[2:] if n % 2]
            if odd:
                raise Wrong(
                    f"--operator half needs even sides, this image has one of {odd[0]}", remedy="give --operator noise"
                )
            return F.avg_pool2d(x, 2) if x.ndim == 4 else F.avg_pool3d(x, 2)
        return x if self.hole is None else x * (1 - self.hole.to(x))

    def back(self, y: Tensor) -> Tensor:
        """A+ y: enlarged by repetition; of noise and of a hole y itself."""
        return F.interpolate(y, scale_factor=2, mode="nearest") if self.operator == "half" else y

    def draw(self, x: Tensor) -> Tensor:
        """The observation, its noise from a fixed seed."""
        y = self.of(x)
        return y + self.sigma * noise_like(y, torch.Generator().manual_seed(0)) if self.sigma else y

    def matrix(self, shape: tuple[int, ...]) -> Tensor:
        """A as rows over a flattened image of that shape, float64; a hole keeps the rows of the pixels that are seen."""
        d = math.prod(shape)
        eye = torch.eye(d, dtype=torch.float64).view(d, *shape)
        if self.hole is not None:
            return torch.eye(d, dtype=torch.float64)[(self.hole == 0).expand(shape).flatten()]
        return self.of(eye).flatten(1).T  # column i is A e_i


def psnr(x: Tensor, answer: Tensor, hole: Tensor | None, width: float) -> np.ndarray:
    """10 log10(width^2 / mean (x - answer)^2) of each image in dB, over the hole where there is one: (n,)."""
    squares = (x.double() - answer.double()).square().cpu()
    if hole is not None:
        squares = squares[..., hole.cpu() > 0]  # (n, C, pixels)
    return 10 * np.log10(width**2 / squares.flatten(1).mean(1).clamp_min(1e-12).numpy())


def repeated(x: Tensor) -> Tensor:
    """Each image SAMPLES times, (n SAMPLES, ..): samples of one lie side by side."""
    return x.repeat_interleave(SAMPLES, 0)


def averaged(x: Tensor) -> Tensor:
    """The inverse of `repeated`: the mean over the samples of each image."""
    return x.view(-1, SAMPLES, *x.shape[1:]).mean(1)


@torch.no_grad()
def inpainted(model: Diffusion, y: Tensor, hole: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The hole filled by RePaint: the mean of SAMPLES draws, and the first draw, which looks more like an image."""
    generator = torch.Generator().manual_seed(0)
    known, hole = repeated(model.standardise(y)), hole.to(y)
    x = repaint(
        model.denoiser(), noise_like(known, generator), times(len(model.levels) - 1, steps), model.levels, known=known, hole=hole,
        again=AGAIN, generator=generator,
    )  # fmt: skip
    seen = model.image(x) * hole + repeated(y) * (1 - hole)
    return averaged(seen), seen[::SAMPLES]


@torch.no_grad()
def restored(model: Diffusion, y: Tensor, seen: Observed, steps: int) -> Tensor:
    """Of noise E[x | y], in one step at the t whose noise it is; of `half` the mean of SAMPLES draws that agree with y.

    Each estimate of x_0 is brought onto A x_0 = y: x_0 - A+ (A x_0 - y). Wang, Yu & Zhang (2023), DDNM, equation 13.
    """
    if seen.operator == "noise":
        t = model.time_of(seen.sigma)
        return model.image(model.estimate(math.sqrt(model.levels[t]) * model.standardise(y), t))
    generator, at = torch.Generator().manual_seed(0), times(len(model.levels) - 1, steps)
    target = repeated(model.standardise(y))  # the mean over pixels commutes with standardising

    def consistent(x0: Tensor) -> Tensor:
        return x0 - seen.back(seen.of(x0) - target)

    x = noise_like(seen.back(target), generator)
    x = ddim(model.denoiser(), x, at, model.levels, eta=0.85, generator=generator, consistent=consistent)
    return averaged(model.image(x))


@torch.no_grad()
def healed(model: Diffusion, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """x dissolved part-way into noise and brought back, the mean of SAMPLES; and the map of how far it moved, (n, *size).

    The map is |x - back| averaged over channels and 3 pixels a side: what the model has not learned does not come back. Wyatt et
    al. (2022), AnoDDPM.
    """
    generator, x0 = torch.Generator().manual_seed(0), repeated(model.standardise(x))
    t = model.time_of(PART_WAY * float(model.std))
    level = model.levels[t]
    noisy = math.sqrt(level) * x0 + math.sqrt(1 - level) * noise_like(x0, generator)
    back = averaged(model.image(ddim(model.denoiser(), noisy, times(t, steps), model.levels)))
    away = (x - back).abs().mean(1, keepdim=True)
    mean = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
    return back, mean(away, 3, 1, 1, count_include_pad=False)[:, 0]


def gaussian(train: Tensor, seen: Observed, ridge: float) -> Rival:
    """E[x | y] of x ~ N(mu, S): mu + S A' (A S A' + sigma^2 I)^-1 (y - A mu), S with `ridge` of its mean variance added.

    With noise on all pixels this is the Wiener filter on principal components.
    """
    shape, flat = tuple(train.shape[1:]), train.flatten(1).double()
    mu = flat.mean(0)
    centred = flat - mu
    s = centred.T @ centred / (len(flat) - 1)
    s = s + ridge * s.diagonal().mean() * torch.eye(len(s), dtype=s.dtype)
    a = seen.matrix(shape)  # (m, d)
    middle = a @ s @ a.T + seen.sigma**2 * torch.eye(len(a), dtype=s.dtype)
    gain = torch.linalg.solve(middle + 1e-10 * middle.diagonal().mean() * torch.eye(len(a), dtype=s.dtype), a @ s)
    rows = (seen.hole == 0).expand(shape).flatten() if seen.hole is not None else slice(None)

    def answer(y: Tensor) -> Tensor:
        given = y.flatten(1).double()[:, rows]  # (n, m)
        answers: Tensor = (mu + (given - mu @ a.T) @ gain).view(-1, *shape).to(y)
        return answers

    return answer


def total_variation(weight: float, turns: int = 60) -> Rival:
    """argmin over x of |x - y|^2 / 2 + weight TV(x), by the dual's projected gradient. Chambolle (2004), section 3."""

    def gradient(x: Tensor) -> Tensor:
        return torch.stack([torch.diff(x, dim=d, append=x.narrow(d, -1, 1)) for d in range(2, x.ndim)])

    def divergence(p: Tensor) -> Tensor:
        parts = []
        for d, one in zip(range(2, p.ndim - 1), p, strict=True):
            inner = one.clone()
            inner.narrow(d, -1, 1).zero_()
            parts.append(torch.diff(inner, dim=d, prepend=torch.zeros_like(one.narrow(d, 0, 1))))
        return torch.stack(parts).sum(0)

    def answer(y: Tensor) -> Tensor:
        p = torch.zeros(y.ndim - 2, *y.shape)
        for _ in range(turns):
            g = gradient(divergence(p) - y / weight)
            step = 1 / (4 * (y.ndim - 2))
            p = (p + step * g) / (1 + step * g.square().sum(0, keepdim=True).sqrt())
        return y - weight * divergence(p)

    return answer


def best_of(options: list[Rival], x: Tensor, seen: Observed) -> Rival:
    """The rival that restores x best: dials of the closed forms are chosen on training rows kept apart."""
    return max(options, key=lambda f: float(np.mean(psnr(x, f(seen.draw(x)), seen.hole, 1.0))))


def rivals(train: Tensor, seen: Observed) -> dict[str, Rival]:
    """By name: the mean image; what is seen; total variation and the Wiener filter against noise, else the conditional Gaussian.

    Where an image has more than MOST numbers there is no Gaussian.
    """
    fitted, apart = train[: -max(1, len(train) // 10)], train[-max(1, len(train) // 10) :][:64]
    mean = train.mean(0)

    def filled(y: Tensor) -> Tensor:
        if seen.hole is None:
            return seen.back(y)
        hole = seen.hole.to(y)
        level = y.flatten(2).sum(2) / (1 - hole).sum()  # (n, C), the mean of the pixels seen
        return y + hole * level.view(*level.shape, *[1] * hole.ndim)

    def of_mean(y: Tensor) -> Tensor:
        if seen.hole is None:
            return mean.expand(len(y), *mean.shape)
        return y + seen.hole.to(y) * mean

    found: dict[str, Rival] = {"mean": of_mean, "input": filled}
    if seen.operator == "noise":
        found["tv"] = best_of([total_variation(SIGMA * w) for w in (0.4, 0.7, 1.0, 1.4)], apart, seen)
    if math.prod(train.shape[1:]) <= MOST and len(fitted) > 1:
        name = "wiener" if seen.operator == "noise" else "gaussian"
        ridges = (0.0,) if seen.operator == "noise" else (1e-4, 1e-3, 1e-2, 3e-2)
        found[name] = best_of([gaussian(fitted, seen, ridge) for ridge in ridges], apart, seen)
    return found
