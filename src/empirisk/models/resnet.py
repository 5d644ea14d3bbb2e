"""Residual networks, and the plain ones they are compared with."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from empirisk.models.forms import he_normal, named_size, small_form
from empirisk.models.layers import Activation, Norm, convolution, max_pool, mean_pool, nonlinearity, normalisation

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks of each stage; table 1. From 50 layers on they are bottlenecks."""


class BasicBlock(nn.Module):
    """y = phi(F(x) + x), F = norm conv3 phi norm conv3; a 1x1 convolution fits x where stride or width change.

    Without the shortcut, y = phi(F(x)): the regular block. He et al. (2016), equations 1 and 2, figure 5 left.
    """

    expansion = 1

    def __init__(
        self, inputs: int, width: int, *, stride: int, dims: int, norm: Norm, phi: Activation, residual: bool
    ) -> None:
        super().__init__()
        conv = convolution(dims)
        self.conv1 = conv(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, padding=1, bias=False)
        self.bn2 = norm(width)
        self.residual, self.phi = residual, phi()
        if residual:
            self.downsample = fitted(inputs, width, stride=stride, dims=dims, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, width, *size / stride)."""
        out = self.phi(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.residual:
            out += x if self.downsample is None else self.downsample(x)
        y: Tensor = self.phi(out)
        return y


class Bottleneck(nn.Module):
    """As `BasicBlock` with F = norm conv1 phi norm conv3 phi norm conv1, 4 times as wide at its ends; figure 5 right.

    The stride is that of the 3x3 convolution (torchvision's, not the paper's).
    """

    expansion = 4

    def __init__(
        self, inputs: int, width: int, *, stride: int, dims: int, norm: Norm, phi: Activation, residual: bool
    ) -> None:
        super().__init__()
        conv, outputs = convolution(dims), 4 * width
        self.conv1 = conv(inputs, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = conv(width, outputs, 1, bias=False)
        self.bn3 = norm(outputs)
        self.residual, self.phi = residual, phi()
        if residual:
            self.downsample = fitted(inputs, outputs, stride=stride, dims=dims, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, 4 width, *size / stride)."""
        out = self.phi(self.bn1(self.conv1(x)))
        out = self.phi(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.residual:
            out += x if self.downsample is None else self.downsample(x)
        y: Tensor = self.phi(out)
        return y


def fitted(inputs: int, outputs: int, *, stride: int, dims: int, norm: Norm) -> nn.Module | None:
    """The projection of x to the shape of F(x): W_s of equation 2; none where the shapes are equal."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(convolution(dims)(inputs, outputs, 1, stride=stride, bias=False), norm(outputs))


class ResNet(nn.Module):
    """A stem and four stages of blocks; parameters are named as torchvision names them.

    Stem `imagenet`: 7x7 stride 2 and 3x3 max pooling stride 2; `small`: 3x3 stride 1 and no pooling.
    He et al. (2016), table 1; He initialisation (2015, equation 14).
    """

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        layers: int,
        dims: int,
        width: int,
        dropout: float,
        norm: Norm,
        phi: Activation,
        small: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = convolution(dims)(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = norm(width)
        self.phi = phi()
        self.maxpool = None if small else max_pool(dims)(3, stride=2, padding=1)
        block: type[BasicBlock] | type[Bottleneck] = BasicBlock if layers < 50 else Bottleneck
        inputs = width
        for stage, count in enumerate(BLOCKS[layers]):
            chain = []
            for i in range(count):
                step = 2 if stage and not i else 1
                chain.append(
                    block(inputs, width * 2**stage, stride=step, dims=dims, norm=norm, phi=phi, residual=residual)
                )
                inputs = width * 2**stage * block.expansion
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
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 8 width), of bottlenecks (n, 32 width): the last map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out


def resnet(
    channels: int,
    classes: int,
    *,
    layers: Literal[18, 34, 50, 101] = 18,
    dims: int = 2,
    size: Sequence[int] = (224, 224),
    width: int = 16,
    dropout: float = 0.0,
    norm: str | Norm = "batch",
    activation: str | Activation = "relu",
    stem: str = "auto",
    residual: bool = True,
) -> ResNet:
    """`width` = channels of the first stage (64 in the paper); stem auto is small below 64 pixels.

    >>> sum(p.numel() for p in resnet(3, 1000, layers=18, width=64).parameters())
    11689512
    """
    small = small_form(f"resnet{layers}", stem, size)
    return ResNet(
        channels, classes, layers=layers, dims=dims, width=width, dropout=dropout, norm=normalisation(norm, dims),
        phi=nonlinearity(activation), small=small, residual=residual,
    )  # fmt: skip


resnet18 = named_size(resnet, "resnet18", 18)
resnet34 = named_size(resnet, "resnet34", 34)
resnet50 = named_size(resnet, "resnet50", 50)
resnet101 = named_size(resnet, "resnet101", 101)
