"""The U-Net: over an encoder's maps, its own or any network's, a path back to the resolution of the image; 2D and 3D."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.models.layers import Activation, Layers, Norm, beheaded, convolution, mean_pool, need_images, shapes_of

Strides = Sequence[int | Sequence[int]]
"""Of each level against the one before; several numbers where the axes differ."""


class Conditions(nn.Module):
    """(t, c) -> e (n, D): a small network of the sines and cosines of t, plus a vector a class.

    The sines are those of Vaswani et al. (2017), section 3.5: their wave lengths go from 2 pi to 2 pi 10,000. `c` (n,) int64
    is 0 to classes - 1, or `classes` for "none of them", which is also what c = None means.
    """

    def __init__(self, classes: int, *, outputs: int = 128) -> None:
        super().__init__()
        self.classes, self.waves = classes, outputs // 4
        self.net = nn.Sequential(nn.Linear(2 * self.waves, outputs), nn.SiLU(), nn.Linear(outputs, outputs))
        self.table = nn.Embedding(classes + 1, outputs) if classes else None

    def forward(self, t: Tensor, c: Tensor | None) -> Tensor:
        """(n,) and (n,) -> (n, D)."""
        rates = torch.exp(torch.arange(self.waves, device=t.device) * (-math.log(10_000.0) / (self.waves - 1)))
        angles = t.float()[:, None] * rates  # (n, waves)
        e: Tensor = self.net(torch.cat([angles.sin(), angles.cos()], 1))
        if self.table is not None:
            e = e + self.table(torch.full_like(t, self.classes, dtype=torch.long) if c is None else c)
        return F.silu(e)


class Block(nn.Module):
    """Twice a 3x3 convolution, norm, phi; the first takes the stride. Ronneberger et al. (2015), figure 1, padded.

    With `given` numbers e about the image the first norm's result u becomes (1 + a(e)) u + b(e), a and b linear.
    """

    def __init__(
        self, inputs: int, outputs: int, make: Layers, *, stride: int | Sequence[int] = 1, given: int = 0
    ) -> None:
        super().__init__()
        step = stride if isinstance(stride, int) else tuple(stride)
        self.conv1 = make.conv(inputs, outputs, 3, stride=step, padding=1, bias=False)  # type: ignore[arg-type]
        self.norm1, self.phi = make.norm(outputs), make.phi()
        self.conv2 = make.conv(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = make.norm(outputs)
        self.film = nn.Linear(given, 2 * outputs) if given else None

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        """(n, inputs, *size), (n, given) -> (n, outputs, *size / stride)."""
        u = self.norm1(self.conv1(x))
        if self.film is not None and e is not None:
            a, b = self.film(e).view(len(x), 2, -1, *[1] * (x.ndim - 2)).unbind(1)  # (n, outputs, 1, 1) each
            u = torch.addcmul(b, u, 1 + a)
        y: Tensor = self.phi(self.norm2(self.conv2(self.phi(u))))
        return y


class Encoder(nn.Module):
    """A block a level, each twice as wide as the one before; strided convolutions halve, as in Isensee et al. (2021)."""

    def __init__(self, channels: int, make: Layers, *, strides: Strides, width: int, given: int = 0) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(len(strides)))]
        pairs = zip(widths, widths[1:], strides, strict=False)
        self.levels = nn.ModuleList(Block(a, b, make, stride=stride, given=given) for a, b, stride in pairs)

    def features(self, x: Tensor, e: Tensor | None = None) -> list[Tensor]:
        """A map a level."""
        maps = []
        for level in self.levels:
            x = level(x, e)
            maps.append(x)
        return maps


class UNet(nn.Module):
    """x -> (n, classes, *size): from the deepest map u_L = c_L up,

        u_l = block([c_l, up(V_l u_{l+1})]),

    c_l the encoder's maps, V_l a 1x1 convolution to the width of level l, up the nearest neighbour at the size of c_l. Where the
    encoder begins below the image's resolution, c_0 is a block of the image itself.

    `width` = channels of the first level. `strides` (None: 1, 2, 2, 2) are those of its own encoder; another `encoder` is any
    network with `features`, whose parts that these do not need are left out. An image has at least the product of the
    strides a side, and need not be of `size`. With `timed` it is also f(x, t, c), of a time t and one of `conditions` classes c,
    which act in its own blocks; without t the answer is that of the plain network. `Wrong` (exit 2): vectors, an encoder without maps.

    Ronneberger et al., MICCAI 2015; Çiçek et al., MICCAI 2016 (3D).

    >>> sum(p.numel() for p in UNet(1, 2).parameters())
    450098
    """

    image_layers = ("stem.conv1",)
    "They see the image itself, as the encoder's first does."

    def __init__(
        self, channels: int, classes: int, *, dims: int = 2, size: Sequence[int] = (256, 256), width: int = 16,
        dropout: float = 0.0, norm: str | Norm = "instance", activation: str | Activation = "leaky_relu",
        strides: Strides | None = None, encoder: nn.Module | None = None, timed: bool = False, conditions: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        need_images("unet", size)
        make, given = Layers(dims, norm=norm, activation=activation), 4 * width if timed else 0
        if encoder is None:
            encoder = Encoder(channels, make, strides=strides or (1, 2, 2, 2), width=width, given=given)
        if not hasattr(encoder, "features"):
            remedy = "take a network with convolutions, such as resnet18"
            raise Wrong(f"model {type(encoder).__name__} has no maps of features to go back from", remedy=remedy)
        maps = shapes_of(encoder, channels, size)
        if len(maps) < 2:
            raise Wrong(f"model {type(encoder).__name__} has {len(maps)} maps of features, a U-Net needs two or more")
        self.encoder = beheaded(encoder, channels, size)
        self.stem = None if maps[0][1] == 1 else Block(channels, width, make, given=given)
        skips = [c for c, _ in maps] if self.stem is None else [width, *(c for c, _ in maps)]
        widths = [min(c, width * 2**level) for level, c in enumerate(skips[:-1])]
        pairs = zip([*widths[1:], skips[-1]], widths, strict=True)
        self.lateral = nn.ModuleList(make.conv(b, w, 1, bias=False) for b, w in pairs)
        self.levels = nn.ModuleList(Block(c + w, w, make, given=given) for c, w in zip(skips[:-1], widths, strict=True))
        self.dropout = nn.Dropout(dropout)
        self.head = make.conv(widths[0], classes, 1)
        self.conditions = Conditions(conditions, outputs=given) if timed else None

    def features(self, x: Tensor, e: Tensor | None = None) -> list[Tensor]:
        """The maps on the way down, from the image's resolution to the deepest."""
        also = (e,) if isinstance(self.encoder, Encoder) else ()
        maps: list[Tensor] = list(self.encoder.features(x, *also))  # type: ignore[operator]
        return maps if self.stem is None else [self.stem(x, e), *maps]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): the deepest map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor, t: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """(n, C, *size), t (n,), c (n,) int64 -> (n, classes, *size)."""
        e = None if t is None or self.conditions is None else self.conditions(t, c)
        *skips, u = self.features(x, e)
        for skip, lateral, level in zip(skips[::-1], self.lateral[::-1], self.levels[::-1], strict=True):
            up = F.interpolate(lateral(u), skip.shape[2:], mode="nearest")
            u = level(torch.cat([skip, up], 1), e)
        out: Tensor = self.head(self.dropout(u))
        return out


class Halved(nn.Module):
    """x -> up(net(down(x))), a net for half the resolution: down makes k = 2^d C numbers of each 2^d places, up the inverse's form.

    An image of an odd side goes on with its last values, and is cut again. `net` takes and gives k channels; 2D and 3D.
    """

    def __init__(self, net: nn.Module, channels: int, *, dims: int) -> None:
        super().__init__()
        self.net, k = net, channels * 2**dims
        self.down = convolution(dims)(channels, k, 2, stride=2)
        self.up = (nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d)(k, channels, 2, stride=2)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """(n, C, *size), t (n,), c (n,) int64 -> (n, C, *size)."""
        odd = [n % 2 for n in x.shape[2:]]
        even = F.pad(x, [p for o in reversed(odd) for p in (0, o)], mode="replicate") if any(odd) else x
        y: Tensor = self.up(self.net(self.down(even), t, c))
        for axis, n in enumerate(x.shape[2:], 2):
            y = y.narrow(axis, 0, n)
        return y
