"""Recurrent networks, written out: h_t = f(W_h h_{t-1} + W_i x_t), as cells of one step and as a layer over a padded batch."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Gates(nn.Module, ABC):
    """What the cells share: `gates` x width rows of W_i, W_h, b_i, b_h, named and drawn as in torch.nn, from U(-1/sqrt(H), 1/sqrt(H))."""

    def __init__(self, inputs: int, width: int, gates: int, states: int = 1) -> None:
        super().__init__()
        self.width, self.size = width, states * width
        edge = width**-0.5
        self.weight_ih = nn.Parameter(torch.empty(gates * width, inputs).uniform_(-edge, edge))
        self.weight_hh = nn.Parameter(torch.empty(gates * width, width).uniform_(-edge, edge))
        self.bias_ih = nn.Parameter(torch.empty(gates * width).uniform_(-edge, edge))
        self.bias_hh = nn.Parameter(torch.empty(gates * width).uniform_(-edge, edge))

    def start(self, x: Tensor) -> Tensor:
        """0, for inputs like x (n, ...)."""
        return x.new_zeros(len(x), self.size)

    def project(self, x: Tensor | None) -> Tensor:
        """W_i x + b_i, (..., inputs) -> (..., gates * width); None: b_i."""
        return self.bias_ih if x is None else F.linear(x, self.weight_ih, self.bias_ih)

    def recur(self, h: Tensor) -> Tensor:
        """W_h h + b_h, (n, width) -> (n, gates * width)."""
        return F.linear(h, self.weight_hh, self.bias_hh)

    def output(self, state: Tensor) -> Tensor:
        """h (n, width)."""
        return state[:, : self.width]

    @abstractmethod
    def advance(self, state: Tensor, projected: Tensor) -> Tensor:
        """The next state; each cell has its own."""

    def step(self, state: Tensor, x: Tensor | None) -> Tensor:
        """The next state after x (n, inputs); None: the autonomous system h_t = f(W_h h_{t-1}), x = 0."""
        return self.advance(state, self.project(x))


class Tanh(Gates):
    """h_t = tanh(W_i x_t + b_i + W_h h_{t-1} + b_h). Elman (1990)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, 1)

    def advance(self, state: Tensor, projected: Tensor) -> Tensor:
        """h_t (n, width)."""
        return torch.tanh(projected + self.recur(state))


class GRU(Gates):
    """r = s(W_ir x + W_hr h), z = s(W_iz x + W_hz h), n = tanh(W_in x + r (W_hn h)), h' = (1 - z) n + z h; s the logistic function.

    Cho et al. (2014), with the biases and the place of r as in torch.nn.GRU.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, 3)

    def advance(self, state: Tensor, projected: Tensor) -> Tensor:
        """h' (n, width)."""
        H = self.width
        (x, x_n), (h, h_n) = (torch.split(v, [2 * H, H], -1) for v in (projected, self.recur(state)))
        r, z = torch.sigmoid(x + h).chunk(2, -1)
        n = torch.tanh(torch.addcmul(x_n, r, h_n))
        return n + z * (state - n)


class LSTM(Gates):
    """i, f, o = s(W x + U h), g = tanh(W_g x + U_g h), c' = f c + i g, h' = o tanh(c'); the state is (h, c), side by side.

    Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, 4, states=2)

    def advance(self, state: Tensor, projected: Tensor) -> Tensor:
        """(h', c') (n, 2 * width)."""
        h, c = state.chunk(2, 1)
        i, f, g, o = (projected + self.recur(h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat([torch.sigmoid(o) * torch.tanh(c), c], 1)


class Recurrent(nn.Module):
    """A cell over a padded batch: all inputs are projected at once; beyond a row's end its state stays as it is."""

    def __init__(self, cell: Gates) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, lengths: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (n, L, inputs), lengths (n,), the state to go on from (n, size) -> outputs (n, L, width), the state after each row's last step."""
        state = self.cell.start(x) if state is None else state
        ragged = bool((lengths < x.shape[1]).any())
        there = torch.arange(x.shape[1], device=x.device)[:, None] < lengths  # (L, n)
        out = []
        for t, projected in enumerate(self.cell.project(x).unbind(1)):  # L times (n, gates * width)
            after = self.cell.advance(state, projected)
            state = torch.where(there[t][:, None], after, state) if ragged else after
            out.append(self.cell.output(state))
        return torch.stack(out, 1), state
