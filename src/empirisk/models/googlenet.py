"""GoogLeNet."""

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from empirisk.models.forms import halving, he_normal, mean_grid, small_form
from empirisk.models.layers import Activation, Layers, Norm, Pool, mean_pool

BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
"""Channels of 1x1; reduction and 3x3; reduction and 5x5; projection of the pooled. Table 1."""
AUXILIARY = 0.3
GRID = 4


class Convolved(nn.Module):
    """phi(norm(conv(x))), the norm's epsilon .001 as torchvision has it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, make: Layers, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = make.conv(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = make.norm(outputs)
        if isinstance(self.bn, nn.modules.batchnorm._BatchNorm):
            self.bn.eps = 1e-3
        self.phi = make.phi()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, outputs, *size / stride)."""
        out: Tensor = self.phi(self.bn(self.conv(x)))
        return out


class Inception(nn.Module):
    """1x1, 3x3, 5x5 and pooling side by side, each behind or before a 1x1 convolution that makes it narrow; figure 2b.

    What the paper has as 5x5 is 3x3 here, as in torchvision and every set of weights made with it.
    """

    def __init__(self, inputs: int, channels: Sequence[int], make: Layers) -> None:
        super().__init__()
        one, reduced3, three, reduced5, five, projected = channels
        self.branch1 = Convolved(inputs, one, 1, make)
        self.branch2 = nn.Sequential(Convolved(inputs, reduced3, 1, make), Convolved(reduced3, three, 3, make))
        self.branch3 = nn.Sequential(Convolved(inputs, reduced5, 1, make), Convolved(reduced5, five, 3, make))
        pooled = make.pool(3, stride=1, padding=1, ceil_mode=True)
        self.branch4 = nn.Sequential(pooled, Convolved(inputs, projected, 1, make))
        self.outputs = one + three + five + projected

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, outputs, *size)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    """A classifier on a map inside: means over a grid of 4, 1x1 convolution, two full layers. Section 5."""

    def __init__(self, inputs: int, classes: int, make: Layers, *, width: int, dropout: float) -> None:
        super().__init__()
        self.avgpool = mean_grid(make.dims, [GRID] * make.dims)
        self.conv = Convolved(inputs, 2 * width, 1, make)
        self.fc1 = nn.Linear(2 * width * GRID**make.dims, 16 * width)
        self.phi, self.dropout = make.phi(), nn.Dropout(dropout)
        self.fc2 = nn.Linear(16 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, classes)."""
        x = self.conv(self.avgpool(x)).flatten(1)  # (n, 2 width, 4, 4) -> (n, 2 width * 16)
        out: Tensor = self.fc2(self.dropout(self.phi(self.fc1(x))))
        return out


class GoogLeNet(nn.Module):
    """A stem and nine inception blocks; the loss is that of the output + .3 those of two auxiliaries, after 4a and 4d.

    Szegedy et al. (2015), table 1, with the norms of Ioffe & Szegedy (2015); parameters are named as torchvision names them.
    `width` = channels of the first convolution (64 in the paper, whose dropout is .4). The form for small images begins with
    3x3 stride 1 for 7x7 stride 2, and without the first pooling.
    """

    class_layers: ClassVar[tuple[str, ...]] = ("fc", "aux1.fc2", "aux2.fc2")
    "the layers that give a number a class"

    def __init__(
        self, channels: int, classes: int, *, dims: int = 2, size: Sequence[int] = (224, 224), width: int = 16,
        dropout: float = 0.0, norm: str | Norm = "batch", activation: str | Activation = "relu", pool: str | Pool = "max",
        stem: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        small = small_form("googlenet", stem, size, least=15)
        make = Layers(dims, norm=norm, activation=activation, pool=pool)
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = Convolved(channels, width, kernel, make, stride=stride)
        self.maxpool1 = nn.Identity() if small else make.pool(3, stride=2, ceil_mode=True)
        self.conv2 = Convolved(width, width, 1, make)
        self.conv3 = Convolved(width, 3 * width, 3, make)
        self.maxpool2, sides = halving(make.pool(3, stride=2, ceil_mode=True), size, small=small)
        self.maxpool3, sides = halving(make.pool(3, stride=2, ceil_mode=True), sides, small=small)
        self.maxpool4, sides = halving(make.pool(2, stride=2, ceil_mode=True), sides, small=small)
        inputs, found = 3 * width, dict[str, int]()
        for name, numbers in BLOCKS.items():
            block = Inception(inputs, [max(1, round(n * width / 64)) for n in numbers], make)
            self.add_module(f"inception{name}", block)
            inputs = found[name] = block.outputs
        self.aux1 = Auxiliary(found["4a"], classes, make, width=width, dropout=dropout)
        self.aux2 = Auxiliary(found["4d"], classes, make, width=width, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, classes)
        he_normal(self)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """What each block gives, and before them the first and the last convolution of the stem."""
        first = self.conv1(x)
        x = self.conv3(self.conv2(self.maxpool1(first)))
        found = {"1": first, "2": x}
        pools = {"3a": self.maxpool2, "4a": self.maxpool3, "5a": self.maxpool4}
        for name in BLOCKS:
            if name in pools:
                x = pools[name](x)
            x = found[name] = self.get_submodule(f"inception{name}")(x)
        return found

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 1, 2, 4, 8 of the form for small images, 2, 4, 8, 16, 32 of the imagenet form."""
        found = self.maps(x)
        chain = [found[name] for name in ("1", "2", "3b", "4e", "5b")]
        return [a for a, b in itertools.pairwise(chain) if a.shape[2:] != b.shape[2:]] + chain[-1:]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 16 width): the last map's mean over places."""
        return mean_pool(self.maps(x)["5b"])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out

    def heads(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """(1, output), (.3, auxiliary after 4a), (.3, auxiliary after 4d): what the training loss sums. Section 5."""
        found = self.maps(x)
        out = self.fc(self.dropout(mean_pool(found["5b"])))
        return [(1.0, out), (AUXILIARY, self.aux1(found["4a"])), (AUXILIARY, self.aux2(found["4d"]))]
