"""What comes later is not seen, pieces are the whole, and company does not matter."""

import pytest
import torch

from empirisk.data.clips import Carry
from empirisk.errors import Wrong
from empirisk.models.causal import causal

MEMORIES = ("gru", "lstm", "tanh", "frame")


def model(memory="gru", size=(), **more):
    torch.manual_seed(0)
    channels = 1 if size else 3
    settings = {"width": 16, "depth": 2, "lasts": 60.0} | more
    return causal(
        4, channels=channels, size=size, mean=[0.1] * channels, std=[0.5] * channels, memory=memory, **settings
    )


def batch(size=(), n=3, L=12, lengths=(12, 7, 1)):
    g = torch.Generator().manual_seed(1)
    frames = torch.rand(n, L, *((1, *size) if size else (3,)), generator=g)
    return frames, torch.arange(L).float().expand(n, L).clone(), torch.tensor(lengths), None


@pytest.mark.parametrize("size", [(), (16, 16)])
@pytest.mark.parametrize("memory", MEMORIES)
def test_what_comes_later_changes_nothing(memory, size):
    net, x = model(memory, size).eval(), batch(size)
    before = net(x)
    later = x[0].clone()
    later[:, 6:] += 1
    after = net((later, *x[1:]))
    torch.testing.assert_close(after[:, :6], before[:, :6])
    assert (after[:1, 6:] - before[:1, 6:]).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(), (16, 16)])
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("piece", [1, 5])
def test_piece_by_piece_is_the_whole(memory, size, piece):
    net = model(memory, size).eval()
    frames, elapsed, lengths, _ = batch(size, n=1, lengths=(12,))
    whole, out = net((frames, elapsed, lengths, None)), []
    carry = Carry.empty(1, net.carried, torch.device("cpu"))
    for low in range(0, 12, piece):
        part = slice(low, low + piece)
        n = torch.tensor([frames[:, part].shape[1]])
        out.append(net((frames[:, part], elapsed[:, part], n, carry)))
        carry.now.copy_(carry.next)
    torch.testing.assert_close(torch.cat(out, 1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_padded_frames_of_a_short_video_leave_no_trace(memory):
    net = model(memory).eval()
    frames, elapsed, lengths, _ = batch()
    carry = Carry.empty(3, net.carried, torch.device("cpu"))
    together = net((frames, elapsed, lengths, carry))
    for k, n in enumerate(lengths.tolist()):
        own = Carry.empty(1, net.carried, torch.device("cpu"))
        alone = net((frames[k : k + 1, :n], elapsed[k : k + 1, :n], lengths[k : k + 1], own))
        torch.testing.assert_close(together[k, :n], alone[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(carry.next[k], own.next[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(), (16, 16)])
@pytest.mark.parametrize("memory", MEMORIES)
def test_a_gradient_reaches_every_parameter(memory, size):
    net = model(memory, size)
    net(batch(size, lengths=(12, 12, 12))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_without_elapsed_time_the_clock_changes_nothing():
    frames, elapsed, lengths, _ = batch()
    for lasts, moved in ((None, False), (60.0, True)):
        net = model(lasts=lasts).eval()
        a, b = net((frames, elapsed, lengths, None)), net((frames, elapsed + 30, lengths, None))
        assert bool((a - b).abs().max() > 1e-4) == moved


def test_calling_it_twice_with_one_carry_is_harmless():
    net = model().eval()
    carry = Carry(torch.ones(3, net.carried), torch.zeros(3, net.carried))
    x = (*batch()[:3], carry)
    assert torch.equal(net(x), net(x))
    assert (carry.now == 1).all()


def test_an_unknown_memory_is_refused():
    with pytest.raises(Wrong, match="--model gruu"):
        model("gruu")
