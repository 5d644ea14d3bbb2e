"""LeNet-5."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from empirisk.models.layers import Activation, Pool, convolution, need_images, nonlinearity, pooling


class LeNet(nn.Module):
    """C1 5x5, S2, C3 5x5, S4, then C5, F6 and the output as full layers.

    LeCun et al. (1998), figure 2, with ReLU for tanh and max for average pooling; C3 sees all maps of S2. Below 32 pixels
    C1 pads by 2, so that 28 pixels give the maps of 32.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        dims: int,
        size: Sequence[int],
        width: int,
        dropout: float,
        phi: Activation,
        pool: Pool,
    ) -> None:
        super().__init__()
        padding = 2 if min(size) < 32 else 0
        c3, c5, f6 = round(width * 16 / 6), width * 20, width * 14  # 16, 120, 84 at width 6
        places = [((side + 2 * padding - 4) // 2 - 4) // 2 for side in size]
        self.c1 = convolution(dims)(channels, width, 5, padding=padding)
        self.s2 = pool(2, stride=2)
        self.c3 = convolution(dims)(width, c3, 5)
        self.s4 = pool(2, stride=2)
        self.c5 = nn.Linear(c3 * math.prod(places), c5)
        self.f6 = nn.Linear(c5, f6)
        self.phi, self.dropout = phi(), nn.Dropout(dropout)
        self.fc = nn.Linear(f6, classes)

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 2 and 4."""
        s2: Tensor = self.s2(self.phi(self.c1(x)))
        s4: Tensor = self.s4(self.phi(self.c3(s2)))
        return [s2, s4]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, 14 width): the layer F6."""
        x = self.features(x)[-1].flatten(1)  # (n, c3, *places) -> (n, c3 * prod(places))
        f6: Tensor = self.phi(self.f6(self.phi(self.c5(x))))
        return f6

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out


def lenet(
    channels: int,
    classes: int,
    *,
    dims: int = 2,
    size: Sequence[int] = (32, 32),
    width: int = 6,
    dropout: float = 0.0,
    activation: str | Activation = "relu",
    pool: str | Pool = "max",
) -> LeNet:
    """LeNet-5 with `width` maps in C1, all else in its proportion; the paper has tanh and a trained average.

    >>> sum(p.numel() for p in lenet(1, 10).parameters())
    61706
    """
    need_images("lenet", size, least=12)
    return LeNet(
        channels, classes, dims=dims, size=size, width=width, dropout=dropout, phi=nonlinearity(activation),
        pool=pooling(pool, dims),
    )  # fmt: skip
