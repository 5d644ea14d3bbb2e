"""AlexNet."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from empirisk.models.forms import Maps, halving, he_normal, mean_grid, small_form
from empirisk.models.layers import Activation, Layers, Pool

GRID = 6


class AlexNet(nn.Module):
    """Five convolutions, three poolings of 3x3 stride 2 that overlap, three full layers.

    Krizhevsky (2014), one column of Krizhevsky et al. (2012) without its local norm; parameters are named as torchvision
    names them. `width` = channels of the first convolution (64 in the paper, whose dropout is .5). The form for small images
    begins with 3x3 stride 1 for 11x11 stride 4, and without the first pooling.

    >>> sum(p.numel() for p in AlexNet(3, 10, width=4).parameters())
    227150
    """

    def __init__(
        self, channels: int, classes: int, *, dims: int = 2, size: Sequence[int] = (224, 224), width: int = 16,
        dropout: float = 0.0, activation: str | Activation = "relu", pool: str | Pool = "max", stem: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        small = small_form("alexnet", stem, size, least=63)
        make = Layers(dims, activation=activation, pool=pool)
        conv, phi = make.conv, make.phi
        first = conv(channels, width, 3, padding=1) if small else conv(channels, width, 11, stride=4, padding=2)
        second, sides = halving(make.pool(3, stride=2), size, small=small)
        third, sides = halving(make.pool(3, stride=2), sides, small=small)
        self.features = Maps(
            first, phi(), nn.Identity() if small else make.pool(3, stride=2),
            conv(width, 3 * width, 5, padding=2), phi(), second,
            conv(3 * width, 6 * width, 3, padding=1), phi(),
            conv(6 * width, 4 * width, 3, padding=1), phi(),
            conv(4 * width, 4 * width, 3, padding=1), phi(), third,
        )  # fmt: skip
        places = [min(GRID, side) for side in sides] if small else [GRID] * dims
        self.avgpool = mean_grid(dims, places)
        hidden = 64 * width
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(4 * width * math.prod(places), hidden), phi(),
            nn.Dropout(dropout), nn.Linear(hidden, hidden), phi(),
            nn.Linear(hidden, classes),
        )  # fmt: skip
        he_normal(self)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 64 width): the second full layer."""
        x = self.avgpool(self.features(x)[-1]).flatten(1)  # (n, 4 width, *places) -> (n, 4 width * prod(places))
        out: Tensor = self.classifier[:-1](x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.classifier[-1](self.embed(x))
        return out
