"""The changes that an augmentation is made of, each a random/deterministic twin: parameters drawn, then applied.

A position is a vector (x, y, z), the last axis of the array first, from -1 to 1 between the outer edges of the image.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

ROW = 1 << 18
"Places at which a stretch of the row of normal numbers may begin."


@dataclass(frozen=True)
class Parameters:
    """What was drawn, by name, each (n, ...); a slice keeps those samples."""

    values: dict[str, Tensor]

    def __getitem__(self, part: slice) -> "Parameters":
        return Parameters({name: value[part] for name, value in self.values.items()})


class Change(Protocol):
    """One kind of change; its parameters carry its own names."""

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """Parameters of n samples."""


class Shape(Change, Protocol):
    """A change of positions."""

    def matrix(self, p: Parameters, dims: int) -> Tensor:
        """Where each position of the result is taken from, (n, dims + 1, dims + 1), lengths in half sides of the image."""


Span = tuple[Tensor, Tensor]
"Least and largest value of each sample, (n, 1, 1, ..): what is drawn as a share of the range means this one."


class Tone(Change, Protocol):
    """A change of values."""

    def apply(self, x: Tensor, p: Parameters, span: Span) -> tuple[Tensor, Span]:
        """x (n, C, *size) changed, x itself may be written over, and its span, noise left out."""


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform numbers on [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=generator)


@dataclass(frozen=True)
class Flip:
    """The two ends of an axis change places, left and right if it is the first."""

    name: str = "flip"
    axis: int = 0
    chance: float = 0.5

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """By its name (n,): whether."""
        return {self.name: torch.rand(n, generator=generator) < self.chance}

    def matrix(self, p: Parameters, dims: int) -> Tensor:
        """The unit matrix with -1 at the axis."""
        flip = p.values[self.name]
        whole = torch.eye(dims + 1).repeat(len(flip), 1, 1)
        whole[:, self.axis, self.axis] = 1 - 2 * flip.float()
        return whole


@dataclass(frozen=True)
class Affine:
    """Rotation, scale, shear, shift: x_in = R S H x_out + t, of a share of the images.

    Between pixels an image is read as a mean (1 - u) a + u b of neighbours along each axis. At a random u that leaves of the variance
    of noise E[(1 - u)^2 + u^2] = 2/3 an axis, so that a model which never sees an image as it is meets at the test more noise than
    it was taught.
    """

    dims: int
    chance: float = 1.0
    degrees: float = 10.0
    scale: float = 0.1
    "largest change of size, a share"
    shear: float = 0.05
    shift: float = 0.06
    "largest shift, a share of the side"

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """angle (n, planes) in radians, log_scale (n, 1), shear (n, planes), shift (n, dims) in half sides."""
        planes, turn = len(_planes(self.dims)), self.degrees * torch.pi / 180
        largest = float(torch.log1p(torch.tensor(self.scale)))
        moved = torch.rand((n, 1), generator=generator) < self.chance
        return {
            "angle": moved * uniform(generator, -turn, turn, n, planes),
            "log_scale": moved * uniform(generator, -largest, largest, n, 1),
            "shear": moved * uniform(generator, -self.shear, self.shear, n, planes),
            "shift": moved * uniform(generator, -2 * self.shift, 2 * self.shift, n, self.dims),
        }

    def matrix(self, p: Parameters, dims: int) -> Tensor:
        """R S H with t in the last column."""
        angle, shear, shift = p.values["angle"], p.values["shear"], p.values["shift"]
        eye = torch.eye(dims + 1).repeat(len(angle), 1, 1)
        whole = eye.clone()
        for k, (i, j) in enumerate(_planes(dims)):
            turn, skew = eye.clone(), eye.clone()
            turn[:, i, i] = turn[:, j, j] = angle[:, k].cos()
            turn[:, j, i] = angle[:, k].sin()
            turn[:, i, j] = -turn[:, j, i]
            skew[:, i, j] = shear[:, k]
            whole = whole @ turn @ skew
        whole[:, :dims, :dims] *= p.values["log_scale"].exp()[..., None]
        whole[:, :dims, dims] = shift
        return whole


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


def _planes(dims: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(dims) for j in range(i + 1, dims)]


def _like(x: Tensor, p: Parameters, name: str) -> Tensor:
    """A parameter (n,) beside x: (n, 1, 1, ..)."""
    return p.values[name].to(x).view(-1, *[1] * (x.ndim - 1))


def span_of(x: Tensor) -> Span:
    """The span of x (n, C, *size)."""
    low, high = x.flatten(1).amin(1), x.flatten(1).amax(1)  # several times as fast as aminmax
    return low.view(-1, *[1] * (x.ndim - 1)), high.view(-1, *[1] * (x.ndim - 1))


def centres(length: int, device: torch.device) -> Tensor:
    """Positions of the pixel centres along one axis, from -1 to 1 between the outer edges."""
    return (torch.arange(length, device=device) + 0.5) * (2 / length) - 1
