"""Full connection: the artificial neuron, the linear model, the multi-layer perceptron."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from empirisk.models.layers import Activation, nonlinearity


class Mlp(nn.Module):
    """f(x) = W_{d+1} phi(W_d ... phi(W_1 x + b_1) ... + b_d) + b_{d+1}, x flattened; phi(z) = max(z, 0) if not another.

    `depth` d hidden layers of `width` units; depth 0 is the artificial neuron. Vectors: size (). The outermost function
    (sigmoid, softmax, identity) belongs to the task. Rosenblatt (1958); Rumelhart et al. (1986).

    >>> Mlp(30, 2, width=8, depth=1)
    Mlp(
      (hidden): ModuleList(
        (0): Linear(in_features=30, out_features=8, bias=True)
      )
      (phi): ReLU(inplace=True)
      (dropout): Dropout(p=0.0, inplace=False)
      (fc): Linear(in_features=8, out_features=2, bias=True)
    )
    """

    def __init__(
        self, channels: int, classes: int, *, size: Sequence[int] = (), width: int = 64, depth: int = 2,
        dropout: float = 0.0, activation: str | Activation = "relu",
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [channels * math.prod(size)] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.phi = nonlinearity(activation)()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], classes)

    def features(self, x: Tensor) -> list[Tensor]:
        """No maps: places are mixed by the first layer."""
        return []

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, width): the last hidden layer; at depth 0 the flattened x."""
        x = x.flatten(1)  # (n, C, *size) -> (n, C * prod(size))
        for layer in self.hidden:
            x = self.phi(layer(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.fc(self.dropout(self.embed(x)))
        return out


def linear(channels: int, classes: int, *, size: Sequence[int] = (), dropout: float = 0.0) -> Mlp:
    """f(x) = W x + b on the flattened image: an artificial neuron a class, before its sigmoid or softmax."""
    return Mlp(channels, classes, size=size, depth=0, dropout=dropout)
