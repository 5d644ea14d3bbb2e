"""Residual networks, and the plain ones they are compared with."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from empirisk.models.forms import he_normal, named_size, small_form
from empirisk.models.layers import Activation, Layers, Norm, mean_pool

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks of each stage; table 1. From 50 layers on they are bottlenecks."""
LAST = 32
"""Stride of the last map of the imagenet stem. Below it BatchNorm sees maps of one place: at 16 pixels bf16 diverged."""


class Block(nn.Module):
    """y = phi(F(x) + x), F = norm conv3 phi norm conv3; a 1x1 convolution fits x where stride or width change.

    Of a bottleneck F = norm conv1 phi norm conv3 phi norm conv1, 4 times as wide at its end, the stride that of the 3x3
    convolution (torchvision's, not the paper's). Without the shortcut, y = phi(F(x)): the regular block. He et al. (2016),
    equations 1 and 2, figure 5.
    """

    def __init__(self, inputs: int, width: int, make: Layers, *, stride: int, residual: bool, bottleneck: bool) -> None:
        super().__init__()
        plain = [(inputs, width, 3, stride), (width, width, 3, 1)]
        narrow = [(inputs, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)]
        self.convolutions = len(narrow if bottleneck else plain)
        for i, (a, b, kernel, step) in enumerate(narrow if bottleneck else plain, 1):
            self.add_module(f"conv{i}", make.conv(a, b, kernel, stride=step, padding=kernel // 2, bias=False))
            self.add_module(f"bn{i}", make.norm(b))
        self.residual, self.phi = residual, make.phi()
        if residual:
            self.downsample = fitted(inputs, 4 * width if bottleneck else width, make, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, width, *size / stride), of a bottleneck 4 width."""
        out = x
        for i in range(1, self.convolutions + 1):
            out = out if i == 1 else self.phi(out)
            out = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(out))
        if self.residual:
            out += x if self.downsample is None else self.downsample(x)
        y: Tensor = self.phi(out)
        return y


def fitted(inputs: int, outputs: int, make: Layers, stride: int) -> nn.Module | None:
    """The projection of x to the shape of F(x): W_s of equation 2; none where the shapes are equal."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(make.conv(inputs, outputs, 1, stride=stride, bias=False), make.norm(outputs))


class ResNet(nn.Module):
    """A stem and four stages of blocks; parameters are named as torchvision names them.

    Stem `imagenet`: 7x7 stride 2 and 3x3 max pooling stride 2; `small`: 3x3 stride 1 and no pooling; auto is small below 64
    pixels. `width` = channels of the first stage (64 in the paper). `Wrong` (exit 2): vectors; the imagenet stem where all
    sides are below 32 pixels. He et al. (2016), table 1; He initialisation (2015, equation 14).

    >>> sum(p.numel() for p in ResNet(3, 1000, layers=18, width=64).parameters())
    11689512
    """

    def __init__(
        self, channels: int, classes: int, *, layers: Literal[18, 34, 50, 101] = 18, dims: int = 2,
        size: Sequence[int] = (224, 224), width: int = 16, dropout: float = 0.0, norm: str | Norm = "batch",
        activation: str | Activation = "relu", stem: str = "auto", residual: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        least = LAST if max(size, default=0) < LAST else 1  # of a thin image the last map has several places
        small = small_form(f"resnet{layers}", stem, size, least=least)
        make = Layers(dims, norm=norm, activation=activation)
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = make.conv(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = make.norm(width)
        self.phi = make.phi()
        self.maxpool = None if small else make.pool(3, stride=2, padding=1)
        inputs, bottleneck = width, layers >= 50
        for stage, count in enumerate(BLOCKS[layers]):
            chain, wide = [], width * 2**stage
            for i in range(count):
                step = 2 if stage and not i else 1
                chain.append(Block(inputs, wide, make, stride=step, residual=residual, bottleneck=bottleneck))
                inputs = 4 * wide if bottleneck else wide
            self.add_module(f"layer{stage + 1}", nn.Sequential(*chain))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, classes)
        he_normal(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 1, 2, 4, 8 of the small stem, 2, 4, 8, 16, 32 of the imagenet stem."""
        maps = []
        x = self.phi(self.bn1(self.conv1(x)))
        if self.maxpool is not None:
            maps.append(x)
            x = self.maxpool(x)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
            maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 8 width), of bottlenecks (n, 32 width): the last map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out


resnet18, resnet34, resnet50, resnet101 = (named_size(ResNet, f"resnet{n}", n) for n in BLOCKS)
