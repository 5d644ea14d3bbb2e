"""What a change of images is, a random/deterministic twin: parameters drawn, then applied; and the changes of shape.

A position is a vector (x, y, z), the last axis of the array first, from -1 to 1 between the outer edges of the image.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor


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


def _planes(dims: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(dims) for j in range(i + 1, dims)]


def centres(length: int, device: torch.device) -> Tensor:
    """Positions of the pixel centres along one axis, from -1 to 1 between the outer edges."""
    return (torch.arange(length, device=device) + 0.5) * (2 / length) - 1
