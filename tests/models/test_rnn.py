"""The cells written out are torch's; the gradient through three steps is that of the formula; padding leaves no trace."""

import pytest
import torch
from torch import nn

from empirisk.models.rnn import GRU, LSTM, Recurrent, Tanh

PAIRS = {"tanh": (Tanh, nn.RNN), "gru": (GRU, nn.GRU), "lstm": (LSTM, nn.LSTM)}


def pair(name):
    """Our layer and torch's, in float64, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = Recurrent(PAIRS[name][0](3, 5)).double(), PAIRS[name][1](3, 5, batch_first=True).double()
    for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(theirs, f"{key}_l0").data.copy_(getattr(ours.cell, key))
    return ours, theirs


def draw(*size):
    return torch.randn(*size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_torchs_by_copied_weights(name):
    ours, theirs = pair(name)
    x, state = draw(4, 9, 3), draw(4, ours.cell.size)
    first = state[None] if name != "lstm" else tuple(s[None].contiguous() for s in state.chunk(2, 1))
    expected, last = theirs(x, first)
    found, after = ours(x, torch.full((4,), 9), state)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    last = last[0] if name != "lstm" else torch.cat([last[0][0], last[1][0]], 1)
    torch.testing.assert_close(after, last, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_step_by_step_is_the_layer(name):
    ours, _ = pair(name)
    x = draw(2, 6, 3)
    state = ours.cell.start(x[:, 0])
    for t in range(6):
        state = ours.cell.step(state, x[:, t])
    torch.testing.assert_close(ours(x, torch.full((2,), 6))[1], state, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_the_autonomous_system_is_that_without_an_input(name):
    ours, _ = pair(name)
    state = draw(2, ours.cell.size)
    alone, zero = ours.cell.step(state, None), ours.cell.step(state, torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(alone, zero, rtol=0, atol=1e-15)


def test_the_gradient_through_three_steps_is_that_of_the_formula():
    """dL/dW_h = sum_t d_t h_{t-1}^T with d_t = (1 - h_t^2)(W_h^T d_{t+1} + dL/dh_t), L = sum h_3."""
    cell = Tanh(3, 5).double()
    x, h = draw(3, 1, 3), [torch.zeros(1, 5, dtype=torch.float64)]
    for t in range(3):
        h.append(cell.step(h[-1], x[t]))
    h[-1].sum().backward()
    d, slope = (1 - h[3] ** 2).detach(), torch.zeros(5, 5, dtype=torch.float64)
    for t in (3, 2, 1):
        slope += d.T @ h[t - 1].detach()
        d = (1 - h[t - 1].detach() ** 2) * (d @ cell.weight_hh.detach())
    torch.testing.assert_close(cell.weight_hh.grad, slope, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_beyond_a_rows_end_leaves_no_trace(name):
    ours, _ = pair(name)
    x, lengths = draw(3, 7, 3), torch.tensor([7, 4, 1])
    found, state = ours(x, lengths)
    wild = x.clone()
    for k, n in enumerate(lengths.tolist()):
        wild[k, n:] = 1e3
        alone, last = ours(x[k : k + 1, :n], lengths[k : k + 1])
        torch.testing.assert_close(found[k, :n], alone[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(state[k], last[0], rtol=0, atol=1e-12)
    assert torch.equal(ours(wild, lengths)[1], state)
