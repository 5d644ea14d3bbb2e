"""Autoencoders: an image through a few numbers and back, x ~ g(f(x))."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.models.layers import Activation, Layers, Norm, need_images
from empirisk.models.unet import Block, Encoder

STRIDES = (2, 2, 2)
"""Of the levels of the encoder, each twice as wide as the one before."""


def need_code(codes: int) -> None:
    """Refuse a code below 1: `Wrong` (exit 2)."""
    if codes < 1:
        raise Wrong(f"--codes is {codes}", remedy="it must be 1 or above")


class Autoencoder(nn.Module):
    """z = f(x), x ~ g(z): f the encoder of a U-Net and one full layer, g a full layer and the same levels back up.

    Up goes the nearest neighbour, then a block; there are no shortcuts, so all that g knows of x are the k numbers z.
    Hinton and Salakhutdinov (2006). `width` = channels of the first level. `Wrong` (exit 2): vectors, a code below 1.

    >>> import torch
    >>> Autoencoder(1, (28, 28), codes=32).embed(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 32])
    """

    def __init__(
        self, channels: int, size: Sequence[int], *, codes: int, width: int = 32, norm: str | Norm = "batch",
        activation: str | Activation = "silu",
    ) -> None:  # fmt: skip
        super().__init__()
        need_images("conv", size)
        need_code(codes)
        make = Layers(len(size), norm=norm, activation=activation)
        self.encoder = Encoder(channels, make, strides=STRIDES, width=width)
        self.sizes, widths = [tuple(size)], [channels, *(width * 2**level for level in range(len(STRIDES)))]
        for stride in STRIDES:
            self.sizes.append(tuple(-(-side // stride) for side in self.sizes[-1]))
        self.map = (widths[-1], *self.sizes[-1])
        self.f, self.g = nn.Linear(math.prod(self.map), codes), nn.Linear(codes, math.prod(self.map))
        ups = [widths[-1], *widths[:0:-1]]
        self.levels = nn.ModuleList(Block(a, b, make) for a, b in pairwise(ups))
        self.head = make.conv(ups[-1], channels, 3, padding=1)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> z (n, k)."""
        z: Tensor = self.f(self.encoder.features(x)[-1].flatten(1))
        return z

    def decode(self, z: Tensor) -> Tensor:
        """z (n, k) -> (n, C, *size)."""
        u: Tensor = self.g(z).unflatten(1, self.map)
        for level, size in zip(self.levels, self.sizes[-2::-1], strict=True):
            u = level(F.interpolate(u, size, mode="nearest"))
        out: Tensor = self.head(u)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> the image again."""
        return self.decode(self.embed(x))


class LinearAutoencoder(nn.Module):
    """z = W x + b, x ~ V z + c: at its least squared error V spans the k leading principal components. Bourlard and Kamp (1988).

    `Wrong` (exit 2): a code below 1.
    """

    def __init__(self, channels: int, size: Sequence[int], *, codes: int) -> None:
        super().__init__()
        need_code(codes)
        self.shape = (channels, *size)
        self.f, self.g = nn.Linear(math.prod(self.shape), codes), nn.Linear(codes, math.prod(self.shape))

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> z (n, k)."""
        z: Tensor = self.f(x.flatten(1))
        return z

    def decode(self, z: Tensor) -> Tensor:
        """z (n, k) -> (n, C, *size)."""
        out: Tensor = self.g(z).unflatten(1, self.shape)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> the image again."""
        return self.decode(self.embed(x))
