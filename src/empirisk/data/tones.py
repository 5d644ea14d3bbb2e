"""The changes of values that an augmentation is made of."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from empirisk.data.changes import Change, Parameters, centres, uniform

ROW = 1 << 18
"Places at which a stretch of the row of normal numbers may begin."

Span = tuple[Tensor, Tensor]
"Least and largest value of each sample, (n, 1, 1, ..): what is drawn as a share of the range means this one."


class Tone(Change, Protocol):
    """A change of values."""

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed, x itself may be written over, and its span, noise left out."""


@dataclass(frozen=True)
class Invert:
    """Dark and light change places in a share of the images: 2 c - x, c the middle of the range, or a value that is given."""

    about: float | None = None
    "c; 0 where each image has been brought to mean 0 by itself; None: (min + max) / 2"
    chance: float = 0.5

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """invert (n,): whether."""
        return {"invert": torch.rand(n, generator=generator) < self.chance}

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed."""
        (low, high), whether = span, _like(x, p, "invert")
        total = low + high if self.about is None else torch.full_like(low, 2 * self.about)
        sign, offset = 1 - 2 * whether, whether * total
        low, high = low * sign + offset, high * sign + offset
        return x.mul_(sign).add_(offset), (torch.minimum(low, high), torch.maximum(low, high))


@dataclass(frozen=True)
class Intensity:
    """Contrast about the mean, and brightness: m + c (x - m) + b (max - min)."""

    contrast: float = 0.2
    brightness: float = 0.1

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """contrast (n,) factor, brightness (n,) as a share of the range."""
        return {
            "contrast": uniform(generator, 1 - self.contrast, 1 + self.contrast, n),
            "brightness": uniform(generator, -self.brightness, self.brightness, n),
        }

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed."""
        c, (low, high) = _like(x, p, "contrast"), span
        offset = x.flatten(1).mean(1).view_as(c) * (1 - c) + _like(x, p, "brightness") * (high - low)
        return x.mul_(c).add_(offset), (low * c + offset, high * c + offset)


@dataclass(frozen=True)
class Gamma:
    """A power of the values, their range kept: min + (max - min) ((x - min) / (max - min))^g."""

    gamma: float = 0.3
    "largest |log g|"

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """log_gamma (n,)."""
        return {"log_gamma": uniform(generator, -self.gamma, self.gamma, n)}

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed; w (x / w)^g = exp(g log x + (1 - g) log w), several times as fast as a power."""
        (low, high), g = span, _like(x, p, "log_gamma").exp()
        log_width = (high - low).clamp_min(1e-12).log()
        return x.sub_(low).clamp_min_(0).log_().mul_(g).add_((1 - g) * log_width).exp_().add_(low), span


@dataclass(frozen=True)
class BiasField:
    """A coil's uneven gain, one smooth field b for all channels: min + (x - min) exp(b), b between normal numbers on a coarse grid."""

    dims: int
    bias: float = 0.3
    "largest deviation of b"
    points: int = 4
    "of the grid, along each axis"

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """bias (n, 1, points, ..): the logarithm of the gain at the points of the grid."""
        sigma = uniform(generator, 0, self.bias, n, *[1] * (self.dims + 1))
        return {"bias": sigma * torch.randn((n, 1, *[self.points] * self.dims), generator=generator)}

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed."""
        mode = "bilinear" if self.dims == 2 else "trilinear"
        field = F.interpolate(p.values["bias"].to(x), size=x.shape[2:], mode=mode, align_corners=True)
        x = x.sub_(span[0]).mul_(field.exp_()).add_(span[0])
        return x, span_of(x)


@dataclass(frozen=True)
class Blur:
    """Convolution with a Gaussian of deviation s pixels along each axis, cut at 3 of the largest s."""

    blur: float = 1.0
    "largest s, in pixels"

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """blur (n,): s in pixels."""
        return {"blur": uniform(generator, 0, self.blur, n)}

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed; beyond its border an image goes on with its outermost values."""
        reach = math.ceil(3 * self.blur)
        far = torch.arange(1, reach + 1, device=x.device)
        weight = torch.exp(-far.square() / (2 * p.values["blur"].to(x).clamp_min(1e-3).square()[:, None]))  # (n, reach)
        middle = 1 / (1 + 2 * weight.sum(1, keepdim=True))  # (n, 1)
        share = torch.cat([middle, middle * weight], 1).view(len(x), reach + 1, *[1] * (x.ndim - 1))
        for axis in range(2, x.ndim):
            first, last = x.narrow(axis, 0, 1), x.narrow(axis, -1, 1)
            size = [reach if k == axis else s for k, s in enumerate(x.shape)]
            wide = torch.cat([first.expand(size), x, last.expand(size)], axis)
            place = [wide.narrow(axis, k, x.shape[axis]) for k in range(2 * reach + 1)]
            x = share[:, 0] * x
            for k in range(1, reach + 1):
                x = x.addcmul_(share[:, k], place[reach - k] + place[reach + k])
        return x, span_of(x)


@dataclass(frozen=True)
class Noise:
    """x + sigma (max - min) eps, eps from N(0, 1): a stretch of a fixed row of normal numbers, so that nothing is drawn a pixel."""

    sigma: float = 0.04

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """sigma (n,) as a share of the range, offset (n,) into the row."""
        return {
            "sigma": uniform(generator, 0, self.sigma, n),
            "offset": torch.randint(ROW, (n,), generator=generator),
        }

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed."""
        length, offset = x[0].numel(), p.values["offset"].to(x.device)
        stretches = _normal(length, x.device).as_strided((ROW, length), (1, 1))  # [i, j]: number i + j of the row
        eps = stretches.index_select(0, offset).view(x.shape).to(x.dtype)
        return x.addcmul_(eps, _like(x, p, "sigma") * (span[1] - span[0])), span


@dataclass(frozen=True)
class CutOut:
    """A box of random place and size becomes the mean of its image."""

    dims: int
    chance: float = 0.5
    largest: float = 0.3
    "largest side of the box, a share of the image's"

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """place (n, dims) and half (n, dims) in half sides; half is 0 where nothing is cut."""
        cut = torch.rand((n, 1), generator=generator) < self.chance
        return {
            "place": uniform(generator, -1, 1, n, self.dims),
            "half": uniform(generator, 0.1, self.largest, n, self.dims) * cut,
        }

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed."""
        place, half = p.values["place"].to(x.device), p.values["half"].to(x.device)
        inside = torch.ones((), dtype=x.dtype, device=x.device)
        for axis in range(self.dims):
            near = (centres(x.shape[2 + axis], x.device) - place[:, axis, None]).abs() < half[:, axis, None]  # (n, L)
            inside = inside * near.to(x).view(len(x), 1, *[-1 if k == axis else 1 for k in range(self.dims)])
        mean = x.flatten(2).mean(2).view(*x.shape[:2], *[1] * self.dims)
        return x.lerp_(mean, inside), span


@lru_cache(8)
def _normal(length: int, device: torch.device) -> Tensor:
    return torch.randn(ROW + length, generator=torch.Generator().manual_seed(0)).to(device)


def _like(x: Tensor, p: Parameters, name: str) -> Tensor:
    """A parameter (n,) beside x: (n, 1, 1, ..)."""
    return p.values[name].to(x).view(-1, *[1] * (x.ndim - 1))


def span_of(x: Tensor) -> Span:
    """The span of x (n, C, *size)."""
    low, high = x.flatten(1).amin(1), x.flatten(1).amax(1)  # several times as fast as aminmax
    return low.view(-1, *[1] * (x.ndim - 1)), high.view(-1, *[1] * (x.ndim - 1))
