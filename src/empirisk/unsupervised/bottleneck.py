"""An autoencoder: an image through a few numbers and back."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.models.layers import convolution

LAYERS = 3
"""Halvings of the image, each with twice the channels."""


class Bottleneck(nn.Module):
    """x ~ g(f(x)): f halves the image three times by convolutions of stride 2 and ends in k numbers, g goes the same way back.

    Hinton and Salakhutdinov (2006). `Wrong` (exit 2) for a code below 1.
    """

    def __init__(self, channels: int, size: Sequence[int], *, code: int, width: int) -> None:
        super().__init__()
        if code < 1:
            raise Wrong(f"--code is {code}", remedy="it must be 1 or above")
        conv, self.size = convolution(len(size)), tuple(size)
        wide = [channels, *(width * 2**i for i in range(LAYERS))]
        down: list[nn.Module] = []
        for a, b in pairwise(wide):
            down += [conv(a, b, 3, stride=2, padding=1), nn.SiLU()]
        self.down = nn.Sequential(*down)
        with torch.no_grad():
            self.map = tuple(self.down(torch.zeros(1, channels, *size)).shape[1:])  # (C', *places)
        numbers = torch.Size(self.map).numel()
        self.f, self.g = nn.Linear(numbers, code), nn.Linear(code, numbers)
        up: list[nn.Module] = []
        for a, b in pairwise(wide[::-1]):
            up += [nn.SiLU(), nn.Upsample(scale_factor=2), conv(a, b, 3, padding=1)]
        self.up = nn.Sequential(*up)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, k)."""
        out: Tensor = self.f(self.down(x).flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> the image again."""
        out: Tensor = self.up(self.g(self.embed(x)).unflatten(1, self.map))
        for axis, side in enumerate(self.size, 2):  # a side that is no multiple of 8 grew
            out = out.narrow(axis, 0, side)
        return out
