"""A phase for each frame of a video from what was seen until then: an encoder a frame, recurrent layers over time, a linear layer."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from empirisk.models.layers import Standardised, chosen, mean_pool
from empirisk.models.rnn import GRU, LSTM, Recurrent, Tanh

MEMORIES: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "tanh": Tanh, "frame": None}
AT_ONCE = 512
"""Frames that are encoded at once where no gradient is wanted."""


class Eye(nn.Module):
    """A small encoder of a picture: three convolutions of stride 2, each normalised over 8 groups, and the mean over all places.

    (n, C, H, W) -> (n, width)
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        wide = [channels, max(8, width // 4), max(8, width // 2), width]
        self.layers = nn.Sequential(*(
            layer
            for a, b in itertools.pairwise(wide)
            for layer in (nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(8 if b % 8 == 0 else 1, b), nn.ReLU())
        ))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, width)."""
        return mean_pool(self.layers(x))


class Step(nn.Module):
    """In the place of a recurrent layer, the same frame by frame: phi(W x + b), which remembers nothing."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, L, inputs) -> (n, L, width)."""
        return torch.relu(self.linear(x))


class Causal(nn.Module):
    """z_t = W h_t + b, h_t the output of `depth` recurrent layers over the frames 1 .. t: what comes later is not seen.

    With `lasts`, the seconds of a usual video, the seconds since its first frame, over `lasts`, are one more input. `memory` is
    gru, lstm or tanh; frame: each frame is told by itself. `carried` is how many numbers a video's state is, all layers together.
    """

    def __init__(
        self, eye: nn.Module, seen: int, phases: int, *, memory: str, width: int, depth: int, lasts: float | None, dropout: float
    ) -> None:  # fmt: skip
        super().__init__()
        self.eye, self.lasts = eye, lasts
        inputs = [seen + (lasts is not None)] + [width] * (depth - 1)
        cell = chosen("model", memory, MEMORIES)
        if cell is None:
            self.layers = nn.ModuleList(Step(n, width) for n in inputs)
            self.sizes = [0] * depth
        else:
            self.layers = nn.ModuleList(Recurrent(cell(n, width)) for n in inputs)
            self.sizes = [width * (2 if memory == "lstm" else 1)] * depth
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(width, phases)

    @property
    def carried(self) -> int:
        """Numbers of a state."""
        return sum(self.sizes)

    def encoded(self, frames: Tensor) -> Tensor:
        """(n, L, *frame) -> (n, L, D): each frame by itself."""
        flat = frames.flatten(0, 1)  # (n, L, *frame) -> (n * L, *frame)
        parts = [flat] if torch.is_grad_enabled() else torch.split(flat, AT_ONCE)
        return torch.cat([self.eye(p) for p in parts]).view(*frames.shape[:2], -1)

    def forward(self, x: Any) -> Tensor:
        """x = (frames (n, L, *frame), seconds since the first frame (n, L), frames there are (n,), carry or None) -> logits (n, L, K).

        With a carry the state goes on from `carry.now`, and what it is after each row's last frame is left in `carry.next`.
        """
        frames, elapsed, lengths, carry = x
        h = self.encoded(frames)
        if self.lasts is not None:
            h = torch.cat([h, (elapsed / self.lasts).to(h)[..., None]], 2)
        states = carry.now.split(self.sizes, 1) if carry is not None else [None] * len(self.sizes)
        after = []
        for layer, state in zip(self.layers, states, strict=True):
            if isinstance(layer, Recurrent):
                h, state = layer(h, lengths, state)
                after.append(state)
            else:
                h = layer(h)
            h = self.dropout(h)
        if carry is not None and after:
            carry.next.copy_(torch.cat(after, 1).detach())
        out: Tensor = self.head(h)
        return out


def causal(
    phases: int, *, channels: int, size: Sequence[int], mean: Sequence[float], std: Sequence[float], memory: str, width: int,
    depth: int, lasts: float | None, dropout: float = 0.0,
) -> Causal:  # fmt: skip
    """The model for frames of `channels` numbers (size ()) or pictures (channels, H, W) whose mean and deviation are given."""
    eye: nn.Module = Eye(channels, width) if size else nn.Identity()
    return Causal(
        Standardised(eye, mean, std), width if size else channels, phases, memory=memory, width=width, depth=depth, lasts=lasts,
        dropout=dropout,
    )  # fmt: skip
