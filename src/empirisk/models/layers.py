"""What the architectures share: convolution, norm and pooling by number of dimensions, and the standardising layer."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong, near

Norm = Callable[[int], nn.Module]
"""channels -> a layer that normalises them."""


def need_images(name: str, size: Sequence[int], *, least: int = 1) -> None:
    """Refuse vectors, and images with a side below `least` pixels.

    Raises
    ------
    Wrong
        exit 2.
    """
    if not size:
        raise Wrong(f"model {name} needs images, these rows are vectors", remedy="give --model linear or --model mlp")
    if min(size) < least:
        shape = " x ".join(map(str, size))
        remedy = f"give --size {least} or above, or --model mlp"
        raise Wrong(f"model {name} needs at least {least} pixels a side, these images have {shape}", remedy=remedy)


def convolution(dims: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    """The cross-correlation layer in 2 or 3 dimensions."""
    return nn.Conv2d if dims == 2 else nn.Conv3d


def max_pool(dims: int) -> type[nn.MaxPool2d] | type[nn.MaxPool3d]:
    """The max-pooling layer in 2 or 3 dimensions."""
    return nn.MaxPool2d if dims == 2 else nn.MaxPool3d


def mean_pool(x: Tensor) -> Tensor:
    """(n, C, *size) -> (n, C): the mean over all places."""
    return x.mean(tuple(range(2, x.ndim)))


def normalisation(norm: str | Norm, dims: int) -> Norm:
    """The norm of a name: batch (Ioffe & Szegedy 2015) or group (Wu & He 2018, 8 groups); a callable is taken as it is.

    Raises
    ------
    Wrong
        exit 2: an unknown name.
    """
    if callable(norm):
        return norm
    named: dict[str, Norm] = {
        "batch": nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d,
        "group": lambda channels: nn.GroupNorm(math.gcd(8, channels), channels),
    }
    if norm not in named:
        raise Wrong(f"--norm {norm} is unknown", remedy=near(norm, named) or f"give {' or '.join(named)}")
    return named[norm]


class Standardised(nn.Module):
    """A network behind its first layer, x -> net((x - mean) / std) per channel, x in image units.

    The buffers `mean`, `std` (C,), `temperature` (1 before calibration) and `threshold` (.5) are saved with the weights.
    The output is the net's own: what reads it divides by the temperature. A channel without deviation is only centred.
    """

    mean: Tensor
    std: Tensor
    temperature: Tensor
    threshold: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor([s if s > 0 else 1.0 for s in std], dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("threshold", torch.tensor(0.5))

    def standardise(self, x: Tensor) -> Tensor:
        """(x - mean) / std per channel."""
        shape = (-1, *[1] * (x.ndim - 2))  # (C,) -> (C, 1, 1): against (n, C, H, W)
        return (x - self.mean.view(shape)) / self.std.view(shape)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.net(self.standardise(x))
        return out

    def features(self, x: Tensor) -> list[Tensor]:
        """The net's maps at its strides; none where it has none."""
        features = getattr(self.net, "features", None)
        if features is None:
            return []
        maps = features(self.standardise(x))
        return [maps] if isinstance(maps, Tensor) else list(maps)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): what the net's last layer sees.

        Raises
        ------
        Wrong
            exit 2: a net of the reader's own without `embed`.
        """
        embed = getattr(self.net, "embed", None)
        if embed is None:
            remedy = "give it a method embed(x) -> (n, D)"
            raise Wrong(f"model {type(self.net).__name__} has no embed", remedy=remedy)
        out: Tensor = embed(self.standardise(x))
        return out

    def heads(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """Weighted outputs whose losses add up; the output alone, with weight 1, where the net has one head."""
        heads = getattr(self.net, "heads", None)
        return [(1.0, self(x))] if heads is None else list(heads(self.standardise(x)))
