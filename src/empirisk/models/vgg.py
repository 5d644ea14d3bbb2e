"""Deep chains of 3x3 convolutions."""

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from empirisk.models.forms import Maps, halving, he_normal, mean_grid, named_size, small_form
from empirisk.models.layers import Activation, Layers, Norm, Pool

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Before each pooling; table 1, columns A, B, D and E."""
GRID = 7


class Vgg(nn.Module):
    """Five stages of 3x3 convolutions, each followed by a pooling of 2x2, then three full layers.

    Simonyan & Zisserman (2015), table 1; parameters are named as torchvision names them, of the form with norms too.
    `width` = channels of the first stage (64 in the paper, whose dropout is .5, without norms). Below 64 pixels poolings are
    left out where a side would fall under 4.
    """

    def __init__(
        self, channels: int, classes: int, *, layers: Literal[11, 13, 16, 19] = 16, dims: int = 2,
        size: Sequence[int] = (224, 224), width: int = 16, dropout: float = 0.0, norm: str | Norm = "none",
        activation: str | Activation = "relu", pool: str | Pool = "max", stem: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        small = small_form(f"vgg{layers}", stem, size, least=32)
        make = Layers(dims, norm=norm, activation=activation, pool=pool)
        chain, inputs, sides = list[nn.Module](), channels, tuple(size)
        for stage, count in enumerate(CONVOLUTIONS[layers]):
            outputs = width * min(2**stage, 8)
            for _ in range(count):
                normed = [] if norm == "none" else [make.norm(outputs)]
                chain += [make.conv(inputs, outputs, 3, padding=1), *normed, make.phi()]
                inputs = outputs
            pooled, sides = halving(make.pool(2, stride=2), sides, small=small)
            chain.append(pooled)
        self.features = Maps(*chain)
        places = [min(GRID, side) for side in sides] if small else [GRID] * dims
        self.avgpool = mean_grid(dims, places)
        hidden = 64 * width
        self.classifier = nn.Sequential(
            nn.Linear(inputs * math.prod(places), hidden), make.phi(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), make.phi(), nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )  # fmt: skip
        he_normal(self)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 64 width): the second full layer."""
        x = self.avgpool(self.features(x)[-1]).flatten(1)  # (n, 8 width, *places) -> (n, 8 width * prod(places))
        out: Tensor = self.classifier[:-1](x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.classifier[-1](self.embed(x))
        return out


vgg11, vgg13, vgg16, vgg19 = (named_size(Vgg, f"vgg{n}", n) for n in CONVOLUTIONS)
