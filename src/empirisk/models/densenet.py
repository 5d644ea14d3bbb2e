"""Densely connected networks."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from empirisk.models.forms import Maps, halving, he_normal, named_size, small_form
from empirisk.models.layers import Activation, Norm, convolution, mean_pool, nonlinearity, normalisation, pooling

LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32)}
"""Of each dense block; table 1."""


class DenseLayer(nn.Module):
    """H(x) = conv3 phi norm conv1 phi norm x: from all maps before, by way of 4 k, k new ones (section 3, DenseNet-B)."""

    def __init__(self, inputs: int, k: int, *, dims: int, norm: Norm, phi: Activation) -> None:
        super().__init__()
        conv = convolution(dims)
        self.norm1 = norm(inputs)
        self.relu1 = phi()
        self.conv1 = conv(inputs, 4 * k, 1, bias=False)
        self.norm2 = norm(4 * k)
        self.relu2 = phi()
        self.conv2 = conv(4 * k, k, 3, padding=1, bias=False)

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

    Huang et al. (2017), table 1, DenseNet-BC; parameters are named as torchvision names them.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        layers: int,
        dims: int,
        sides: Sequence[int],
        width: int,
        dropout: float,
        norm: Norm,
        phi: Activation,
        small: bool,
    ) -> None:
        super().__init__()
        conv, k = convolution(dims), max(1, width // 2)
        kernel, stride = (3, 1) if small else (7, 2)
        chain: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=conv(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False), norm0=norm(width),
            relu0=phi(), pool0=nn.Identity() if small else pooling("max", dims)(3, stride=2, padding=1),
        )  # fmt: skip
        inputs = width
        for i, count in enumerate(LAYERS[layers], 1):
            grown = {f"denselayer{l + 1}": (inputs + l * k, k) for l in range(count)}
            block = {name: DenseLayer(*sizes, dims=dims, norm=norm, phi=phi) for name, sizes in grown.items()}
            chain[f"denseblock{i}"] = DenseBlock(OrderedDict(block))
            inputs += count * k
            if i < 4:
                pool, sides = halving(pooling("average", dims)(2, stride=2), sides, small=small)
                halved = conv(inputs, inputs // 2, 1, bias=False)
                chain[f"transition{i}"] = nn.Sequential(
                    OrderedDict(norm=norm(inputs), relu=phi(), conv=halved, pool=pool)
                )
                inputs //= 2
        self.features = Maps(chain | OrderedDict(norm5=norm(inputs), relu5=phi()))
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


def densenet(
    channels: int,
    classes: int,
    *,
    layers: Literal[121, 169] = 121,
    dims: int = 2,
    size: Sequence[int] = (224, 224),
    width: int = 16,
    dropout: float = 0.0,
    norm: str | Norm = "batch",
    activation: str | Activation = "relu",
    stem: str = "auto",
) -> DenseNet:
    """`width` = channels of the first convolution (64 in the paper); the growth rate k is half of it.

    >>> sum(p.numel() for p in densenet(3, 1000, layers=121, width=64).parameters())
    7978856
    """
    small = small_form(f"densenet{layers}", stem, size, least=29)
    return DenseNet(
        channels, classes, layers=layers, dims=dims, sides=size, width=width, dropout=dropout,
        norm=normalisation(norm, dims), phi=nonlinearity(activation, inplace=norm != "none"), small=small,
    )  # fmt: skip


densenet121 = named_size(densenet, "densenet121", 121)
densenet169 = named_size(densenet, "densenet169", 169)
