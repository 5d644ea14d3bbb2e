"""Attention: which part of a memory a state looks at."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What an encoder made of n inputs: places of an image, or words."""

    values: Tensor
    "h (n, P, H)"
    keys: Tensor
    "W h / H^(1/2) (n, P, H), computed once"
    there: Tensor | None
    "(n, P) bool, False beyond a row's end; None: all are there"
    state: Tensor
    "(n, S) that a decoder begins with"

    def repeated(self, k: int) -> "Memory":
        """Each row k times in turn."""
        return Memory(*(None if t is None else t.repeat_interleave(k, 0) for t in self))  # type: ignore[arg-type]


class Attention(nn.Module):
    """a_i = exp(s^T W h_i / H^(1/2)) / sum_j exp(s^T W h_j / H^(1/2)), c = sum_i a_i h_i: the context c of a state s of H numbers.

    Luong et al. (2015), equations 7 and 8 (general); scaled as in Vaswani et al. (2017), equation 1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.general = nn.Linear(width, width, bias=False)

    def memory(self, values: Tensor, there: Tensor | None, state: Tensor) -> Memory:
        """The memory of values (n, P, H)."""
        return Memory(values, self.general(values) * values.shape[2] ** -0.5, there, state)

    def forward(self, s: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """States (n, L, H) -> contexts (n, L, H), weights (n, L, P)."""
        scores = s @ memory.keys.transpose(1, 2)  # (n, L, P)
        if memory.there is not None:
            scores = scores.masked_fill(~memory.there[:, None], -torch.inf)
        a = scores.softmax(-1)
        return a.to(memory.values.dtype) @ memory.values, a
