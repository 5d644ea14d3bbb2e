"""LeNet-5."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from empirisk.models.layers import Activation, Layers, Pool, need_images


class LeNet(nn.Module):
    """C1 5x5, S2, C3 5x5, S4, then C5, F6 and the output as full layers.

    LeCun et al. (1998), figure 2, with ReLU for tanh and max for a trained average; C3 sees all maps of S2. `width` = maps of
    C1, all else in its proportion. Below 32 pixels C1 pads by 2, so that 28 pixels give the maps of 32.

    >>> sum(p.numel() for p in LeNet(1, 10).parameters())
    61706
    """

    def __init__(
        self, channels: int, classes: int, *, dims: int = 2, size: Sequence[int] = (32, 32), width: int = 6,
        dropout: float = 0.0, activation: str | Activation = "relu", pool: str | Pool = "max",
    ) -> None:  # fmt: skip
        super().__init__()
        need_images("lenet", size, least=12)
        make, padding = Layers(dims, activation=activation, pool=pool), 2 if min(size) < 32 else 0
        c3, c5, f6 = round(width * 16 / 6), width * 20, width * 14  # 16, 120, 84 at width 6
        places = [((side + 2 * padding - 4) // 2 - 4) // 2 for side in size]
        self.c1 = make.conv(channels, width, 5, padding=padding)
        self.s2 = make.pool(2, stride=2)
        self.c3 = make.conv(width, c3, 5)
        self.s4 = make.pool(2, stride=2)
        self.c5 = nn.Linear(c3 * math.prod(places), c5)
        self.f6 = nn.Linear(c5, f6)
        self.phi, self.dropout = make.phi(), nn.Dropout(dropout)
        self.fc = nn.Linear(f6, classes)

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 2 and 4."""
        s2: Tensor = self.s2(self.phi(self.c1(x)))
        return [s2, self.s4(self.phi(self.c3(s2)))]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 14 width): the layer F6."""
        x = self.features(x)[-1].flatten(1)  # (n, c3, *places) -> (n, c3 * prod(places))
        f6: Tensor = self.phi(self.f6(self.phi(self.c5(x))))
        return f6

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out
