"""A sentence in, another out: the words read in both directions are the memory of a decoder with attention."""

import torch
from torch import Tensor, nn

from empirisk.models.attention import Memory
from empirisk.models.decoder import Decoder
from empirisk.models.rnn import GRU, Recurrent


class Translator(nn.Module):
    """h_i = W [f_i, b_i], f_i = GRU(f_{i-1}, E w_i), b_i = GRU(b_{i+1}, E w_i); s_0 = tanh(U [f_I, b_1]). Bahdanau et al. (2015).

    Words that are read and written have the decoder's vocabulary and embedding E.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        width = decoder.embed.embedding_dim
        self.decoder = decoder
        self.ahead, self.behind = Recurrent(GRU(width, width)), Recurrent(GRU(width, width))
        self.lateral, self.start = nn.Linear(2 * width, width), nn.Linear(2 * width, width)

    def remember(self, x: tuple[Tensor, Tensor]) -> Memory:
        """Words (n, L) and how many there are (n,) -> the memory of them."""
        words, lengths = x
        e = self.decoder.dropout(self.decoder.embed(words))  # (n, L, H)
        place = torch.arange(words.shape[1], device=words.device)
        mirror = (
            (lengths[:, None] - 1 - place).clamp(min=0)[..., None].expand_as(e)
        )  # of a row's words, not of its padding
        f, last = self.ahead(e, lengths)
        b, first = self.behind(e.gather(1, mirror), lengths)
        h = self.lateral(torch.cat([f, b.gather(1, mirror)], -1))
        start = torch.tanh(self.start(torch.cat([last, first], 1)))
        return self.decoder.attention.memory(h, place < lengths[:, None], start)

    def forward(self, x: tuple[Tensor, Tensor], words: Tensor) -> tuple[Tensor, Tensor]:
        """What is read, and words (n, L), the begin first -> logits of the word after each (n, L, words), weights (n, L, P)."""
        return self.decoder(words, self.remember(x))  # type: ignore[no-any-return]


def translator(words: int, *, width: int = 128, dropout: float = 0.0) -> Translator:
    """A translator of a vocabulary of `words`; `width` numbers are an embedding, a state, and what is remembered of a word."""
    return Translator(Decoder(words, width, dropout))
