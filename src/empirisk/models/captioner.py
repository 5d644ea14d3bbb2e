"""An image in, a sentence out: an encoder's map as the memory of a decoder with attention."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from empirisk.models.attention import Memory
from empirisk.models.decoder import Decoder
from empirisk.models.layers import Layers, Standardised, mean_pool
from empirisk.models.unet import Encoder

SIDE = 8
"""Places along the longest side of the map of `eye`, about."""


class Captioner(nn.Module):
    """h_i = W m_i + e_i + g, g = U P^(-1/2) sum_j (1 + G_j) m_j, s_0 = 0, with m_i the encoder's last map at place i of P.

    e_i and the gains G_j are learned for each place; g tells each word what is where before attention has learned to look there.
    After Xu et al. (2015), whose memory is m_i alone.
    """

    def __init__(self, encoder: nn.Module, mapped: Sequence[int], decoder: Decoder) -> None:
        super().__init__()
        channels, *places = mapped
        width = decoder.embed.embedding_dim
        self.encoder, self.decoder, self.places = encoder, decoder, tuple(places)
        self.lateral, self.whole = nn.Linear(channels, width, bias=False), nn.Linear(channels, width)
        self.place = nn.Parameter(torch.randn(math.prod(places), width) * 0.1)
        self.gain = nn.Parameter(torch.randn(math.prod(places), channels))

    def features(self, x: Tensor) -> list[Tensor]:
        """The encoder's maps."""
        maps: list[Tensor] = list(self.encoder.features(x))  # type: ignore[operator]
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): the last map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def remember(self, x: Tensor) -> Memory:
        """(n, C, *size) -> the memory of its places."""
        m = self.features(x)[-1].flatten(2).transpose(1, 2)  # (n, D, *places) -> (n, P, D)
        g = self.whole((m * (1 + self.gain)).sum(1) * m.shape[1] ** -0.5)  # (n, H)
        h = self.lateral(m) + self.place + self.decoder.dropout(g)[:, None]
        return self.decoder.attention.memory(h, None, torch.zeros_like(g))

    def forward(self, x: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, *size) and words (n, L), the begin first -> logits of the word after each (n, L, words), weights (n, L, P)."""
        return self.decoder(words, self.remember(x))  # type: ignore[no-any-return]


def eye(channels: int, size: Sequence[int], width: int) -> Encoder:
    """An encoder of `width` channels at first, twice as many a level, of so many levels that about 8 places a side are left."""
    levels = max(1, round(math.log2(max(size) / SIDE)))
    return Encoder(channels, Layers(len(size), norm="batch"), strides=[2] * levels, width=width)


@torch.no_grad()
def captioner(
    encoder: nn.Module, channels: int, size: Sequence[int], words: int, *, mean: Sequence[float], std: Sequence[float],
    width: int = 128, dropout: float = 0.0,
) -> Captioner:  # fmt: skip
    """A captioner over an encoder of images (channels, *size) of this mean and deviation; `width` numbers are the decoder's state."""
    dry = copy.deepcopy(encoder).to("meta").eval()
    mapped = dry.features(torch.zeros(1, channels, *size, device="meta"))[-1].shape[1:]  # type: ignore[operator]
    return Captioner(Standardised(encoder, mean, std), mapped, Decoder(words, width, dropout))
