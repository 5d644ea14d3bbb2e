"""Residual networks."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong, near
from empirisk.models.layers import Norm, convolution, max_pool, mean_pool, need_images, normalisation


class BasicBlock(nn.Module):
    """y = phi(F(x) + x), F = norm conv3 phi norm conv3; a 1x1 convolution fits x where stride or width change.

    He et al. (2016), equations 1 and 2, figure 5 left.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, dims: int, norm: Norm) -> None:
        super().__init__()
        conv = convolution(dims)
        self.conv1 = conv(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = conv(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride=stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, *size) -> (n, outputs, *size / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return F.relu(out, inplace=True)


class ResNet(nn.Module):
    """A stem and four stages of residual blocks; parameters are named as torchvision names them.

    Stem `imagenet`: 7x7 stride 2 and 3x3 max pooling stride 2; `small`: 3x3 stride 1 and no pooling.
    He et al. (2016), table 1; He initialisation (2015, equation 10).
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
        blocks: Sequence[int],
        dims: int,
        width: int,
        dropout: float,
        norm: Norm,
        small: bool,
    ) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = convolution(dims)(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = norm(width)
        self.maxpool = None if small else max_pool(dims)(3, stride=2, padding=1)
        inputs = width
        for stage, count in enumerate(blocks):
            outputs, first = width * 2**stage, 1 if stage == 0 else 2
            chain = [
                BasicBlock(inputs if i == 0 else outputs, outputs, stride=first if i == 0 else 1, dims=dims, norm=norm)
                for i in range(count)
            ]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*chain))
            inputs = outputs
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 1, 2, 4, 8 of the small stem, 2, 4, 8, 16, 32 of the imagenet stem."""
        maps = []
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        if self.maxpool is not None:
            maps.append(x)
            x = self.maxpool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 8 width): the last map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out


def resnet18(
    channels: int,
    classes: int,
    *,
    dims: int = 2,
    size: Sequence[int] = (224, 224),
    width: int = 16,
    dropout: float = 0.0,
    norm: str | Norm = "batch",
    stem: str = "auto",
) -> ResNet:
    """18 layers; `width` = channels of the first stage (64 in the paper); stem auto is small below 64 pixels.

    >>> sum(p.numel() for p in resnet18(3, 1000, width=64).parameters())
    11689512
    """
    small = _small("resnet18", stem, size)
    layer = normalisation(norm, dims)
    return ResNet(
        channels, classes, blocks=(2, 2, 2, 2), dims=dims, width=width, dropout=dropout, norm=layer, small=small
    )


def resnet34(
    channels: int,
    classes: int,
    *,
    dims: int = 2,
    size: Sequence[int] = (224, 224),
    width: int = 16,
    dropout: float = 0.0,
    norm: str | Norm = "batch",
    stem: str = "auto",
) -> ResNet:
    """34 layers; the options of `resnet18`."""
    small = _small("resnet34", stem, size)
    layer = normalisation(norm, dims)
    return ResNet(
        channels, classes, blocks=(3, 4, 6, 3), dims=dims, width=width, dropout=dropout, norm=layer, small=small
    )


def _small(name: str, stem: str, size: Sequence[int]) -> bool:
    """Whether the stem keeps the resolution: asked for, or auto and a side below 64 pixels."""
    need_images(name, size)
    if stem not in {"auto", "small", "imagenet"}:
        remedy = near(stem, ("auto", "small", "imagenet")) or "give auto, small or imagenet"
        raise Wrong(f"--stem {stem} is unknown", remedy=remedy)
    return stem == "small" or (stem == "auto" and min(size) < 64)
