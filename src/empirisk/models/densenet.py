"""Densely connected networks."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from empirisk.models.forms import Maps, halving, he_normal, named_size, small_form
from empirisk.models.layers import Activation, Layers, Norm, mean_pool, pooling

LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32)}
"""Of each dense block; table 1."""


class DenseLayer(nn.Module):
    """H(x) = conv3 phi norm conv1 phi norm x: from all maps before, by way of 4 k, k new ones (section 3, DenseNet-B)."""

    def __init__(self, inputs: int, k: int, make: Layers) -> None:
        super().__init__()
        self.norm1 = make.norm(inputs)
        self.relu1 = make.phi()
        self.conv1 = make.conv(inputs, 4 * k, 1, bias=False)
        self.norm2 = make.norm(4 * k)
        self.relu2 = make.phi()
        self.conv2 = make.conv(4 * k, k, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, k, *size)."""
        x = self.conv1(self.relu1(self.norm1(x)))
        out: Tensor = self.conv2(self.relu2(self.norm2(x)))
        return out


class DenseBlock(nn.Sequential):
    """x_l = H_l([x_0, ..., x_{l-1}]); gives [x_0, ..., x_L]. Equation 2."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, C + L k, *size)."""
        for layer in self:
            x = torch.cat([x, layer(x)], 1)
        return x


class DenseNet(nn.Module):
    """A stem and four dense blocks; between them a 1x1 convolution halves the channels, and a mean over 2x2 the sides.

    `width` = channels of the first convolution (64 in the paper); the growth rate k is half of it. Huang et al. (2017),
    table 1, DenseNet-BC; parameters are named as torchvision names them.

    >>> sum(p.numel() for p in DenseNet(3, 1000, layers=121, width=64).parameters())
    7978856
    """

    def __init__(
        self, channels: int, classes: int, *, layers: Literal[121, 169] = 121, dims: int = 2,
        size: Sequence[int] = (224, 224), width: int = 16, dropout: float = 0.0, norm: str | Norm = "batch",
        activation: str | Activation = "relu", stem: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        small = small_form(f"densenet{layers}", stem, size, least=29)
        make = Layers(dims, norm=norm, activation=activation, inplace=norm != "none")  # phi must not write over maps
        kernel, stride = (3, 1) if small else (7, 2)
        chain: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=make.conv(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False), norm0=make.norm(width),
            relu0=make.phi(), pool0=nn.Identity() if small else make.pool(3, stride=2, padding=1),
        )  # fmt: skip
        inputs, k, sides = width, max(1, width // 2), tuple(size)
        for i, count in enumerate(LAYERS[layers], 1):
            block = {f"denselayer{l + 1}": DenseLayer(inputs + l * k, k, make) for l in range(count)}
            chain[f"denseblock{i}"] = DenseBlock(OrderedDict(block))
            inputs += count * k
            if i < 4:
                pool, sides = halving(pooling("average", dims)(2, stride=2), sides, small=small)
                halved = make.conv(inputs, inputs // 2, 1, bias=False)
                parts = OrderedDict(norm=make.norm(inputs), relu=make.phi(), conv=halved, pool=pool)
                chain[f"transition{i}"] = nn.Sequential(parts)
                inputs //= 2
        self.features = Maps(chain | OrderedDict(norm5=make.norm(inputs), relu5=make.phi()))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, classes)
        he_normal(self)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): the last map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.classifier(self.dropout(self.embed(x)))
        return out


densenet121, densenet169 = (named_size(DenseNet, f"densenet{n}", n) for n in LAYERS)
