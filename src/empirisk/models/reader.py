"""Many to one: a text is read word by word, and what was kept of it is answered from."""

from typing import Any

import torch
from torch import Tensor, nn

from empirisk.models.layers import chosen
from empirisk.models.rnn import GRU, LSTM, Recurrent, Tanh

CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "tanh": Tanh}


class Reader(nn.Module):
    """z = W m + b, m = h_T or the mean of all h_t = f(W_h h_{t-1} + W_i e_t), e_t the vector of word t of T.

    x = (indices (n, L), lengths (n,)) -> logits (n, K); what is beyond a text's end does not count. In training a share `unknown`
    of the words is taken for the unknown one, so that it is learned what that tells. The buffers `temperature` and `threshold`
    are for the calibration.
    """

    temperature: Tensor
    threshold: Tensor

    def __init__(
        self, words: int, classes: int, *, memory: str = "gru", width: int = 64, pool: str = "last", dropout: float = 0.0, unknown: float = 0.0
    ) -> None:  # fmt: skip
        super().__init__()
        self.mean = chosen("pool", pool, {"mean": "mean", "last": "last"}) == "mean"
        self.unknown, self.embedding = unknown, nn.Embedding(words, width)
        self.recurrent = Recurrent(chosen("model", memory, CELLS)(width, width))
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(width, classes)
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("threshold", torch.tensor(0.5))

    def embed(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """m (n, width)."""
        indices, lengths = x
        if self.training and self.unknown:
            indices = indices.masked_fill(torch.rand(indices.shape, device=indices.device) < self.unknown, 1)
        h, state = self.recurrent(self.dropout(self.embedding(indices)), lengths)  # h (n, L, width)
        if not self.mean:
            return self.recurrent.cell.output(state)
        there = torch.arange(h.shape[1], device=h.device) < lengths[:, None]  # (n, L)
        return torch.where(there[..., None], h, 0).sum(1) / lengths[:, None]

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (n, K)."""
        z: Tensor = self.head(self.dropout(self.embed(x)))
        return z
