"""The U-Net: over an encoder's maps, its own or any network's, a path back to the resolution of the image; 2D and 3D."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.models.layers import Activation, Layers, Norm, beheaded, mean_pool, need_images, shapes_of

Strides = Sequence[int | Sequence[int]]
"""Of each level against the one before; several numbers where the axes differ."""


class Block(nn.Module):
    """Twice a 3x3 convolution, norm, phi; the first takes the stride. Ronneberger et al. (2015), figure 1, padded."""

    def __init__(self, inputs: int, outputs: int, make: Layers, *, stride: int | Sequence[int] = 1) -> None:
        super().__init__()
        step = stride if isinstance(stride, int) else tuple(stride)
        self.conv1 = make.conv(inputs, outputs, 3, stride=step, padding=1, bias=False)  # type: ignore[arg-type]
        self.norm1, self.phi = make.norm(outputs), make.phi()
        self.conv2 = make.conv(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = make.norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, outputs, *size / stride)."""
        y: Tensor = self.phi(self.norm2(self.conv2(self.phi(self.norm1(self.conv1(x))))))
        return y


class Encoder(nn.Module):
    """A block a level, each twice as wide as the one before; strided convolutions halve, as in Isensee et al. (2021)."""

    def __init__(self, channels: int, make: Layers, *, strides: Strides, width: int) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(len(strides)))]
        pairs = zip(widths, widths[1:], strides, strict=False)
        self.levels = nn.ModuleList(Block(a, b, make, stride=stride) for a, b, stride in pairs)

    def features(self, x: Tensor) -> list[Tensor]:
        """A map a level."""
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


class UNet(nn.Module):
    """x -> (n, classes, *size): from the deepest map u_L = c_L up,

        u_l = block([c_l, up(V_l u_{l+1})]),

    c_l the encoder's maps, V_l a 1x1 convolution to the width of level l, up the nearest neighbour at the size of c_l. Where the
    encoder begins below the image's resolution, c_0 is a block of the image itself.

    `width` = channels of the first level. `strides` (None: 1, 2, 2, 2) are those of its own encoder; another `encoder` is any
    network with `features`, whose parts that these do not need are left out. An image has at least the product of the
    strides a side, and need not be of `size`. `Wrong` (exit 2): vectors, an encoder without maps.

    Ronneberger et al., MICCAI 2015; Çiçek et al., MICCAI 2016 (3D).

    >>> sum(p.numel() for p in UNet(1, 2).parameters())
    450098
    """

    image_layers = ("stem.conv1",)
    "They see the image itself, as the encoder's first does."

    def __init__(
        self, channels: int, classes: int, *, dims: int = 2, size: Sequence[int] = (256, 256), width: int = 16,
        dropout: float = 0.0, norm: str | Norm = "instance", activation: str | Activation = "leaky_relu",
        strides: Strides | None = None, encoder: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        need_images("unet", size)
        make = Layers(dims, norm=norm, activation=activation)
        if encoder is None:
            encoder = Encoder(channels, make, strides=strides or (1, 2, 2, 2), width=width)
        if not hasattr(encoder, "features"):
            remedy = "take a network with convolutions, such as resnet18"
            raise Wrong(f"model {type(encoder).__name__} has no maps of features to go back from", remedy=remedy)
        maps = shapes_of(encoder, channels, size)
        if len(maps) < 2:
            raise Wrong(f"model {type(encoder).__name__} has {len(maps)} maps of features, a U-Net needs two or more")
        self.encoder = beheaded(encoder, channels, size)
        self.stem = None if maps[0][1] == 1 else Block(channels, width, make)
        skips = [c for c, _ in maps] if self.stem is None else [width, *(c for c, _ in maps)]
        widths = [min(c, width * 2**level) for level, c in enumerate(skips[:-1])]
        pairs = zip([*widths[1:], skips[-1]], widths, strict=True)
        self.lateral = nn.ModuleList(make.conv(b, w, 1, bias=False) for b, w in pairs)
        self.levels = nn.ModuleList(Block(c + w, w, make) for c, w in zip(skips[:-1], widths, strict=True))
        self.dropout = nn.Dropout(dropout)
        self.head = make.conv(widths[0], classes, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps on the way down, from the image's resolution to the deepest."""
        maps: list[Tensor] = list(self.encoder.features(x))  # type: ignore[operator]
        return maps if self.stem is None else [self.stem(x), *maps]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): the deepest map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes, *size)."""
        *skips, u = self.features(x)
        for skip, lateral, level in zip(skips[::-1], self.lateral[::-1], self.levels[::-1], strict=True):
            up = F.interpolate(lateral(u), skip.shape[2:], mode="nearest")
            u = level(torch.cat([skip, up], 1))
        out: Tensor = self.head(self.dropout(u))
        return out
