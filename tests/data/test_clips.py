"""Videos in lanes: each is played in its order, the state is cleared where one begins, and a stream goes on where it was."""

import numpy as np
import pytest
import torch

from empirisk.data.card import Card
from empirisk.data.clips import Carry, Clips, Lanes, Reels
from empirisk.data.frames import Readings
from empirisk.data.phases import Phases

CPU = torch.device("cpu")
KIND = Phases(("a", "b"), 1.0, 20.0)


def rows(lengths, features=2):
    """Videos whose numbers say which video and which frame they are."""
    out = []
    for i, n in enumerate(lengths):
        values = np.stack([np.full(n, i), np.arange(n)], 1).astype(np.float32)
        x = Readings(values[:, :features], np.arange(n) + 1.0, ("video", "frame")[:features])
        out.append(
            {
                "id": f"v{i}",
                "x": x,
                "patient": None,
                "part": "train",
                "phases": ("a",) * (n // 2) + ("b",) * (n - n // 2),
            }
        )
    return out


def card(some):
    return Card.learn(some)


def stream(lengths=(9, 5, 14, 3, 7), lanes=2, piece=4, seed=0):
    some = rows(lengths)
    return Lanes(
        Reels(card(some), KIND, some), [KIND.encode(r) for r in some], lanes=lanes, piece=piece, carried=3, seed=seed, device=CPU
    )  # fmt: skip


def played(s, epochs, lanes=2):
    """What each lane showed, (video, frame) in order, and at which frames its state was cleared."""
    seen, cleared = [[] for _ in range(lanes)], [[] for _ in range(lanes)]
    for epoch in range(epochs):
        for (frames, elapsed, lengths, carry), y in s(epoch):
            for k in range(lanes):
                n = int(lengths[k])
                cleared[k].append((len(seen[k]), bool((carry.now[k] == 0).all())))
                seen[k] += [tuple(map(int, f)) for f in frames[k, :n]]
                assert (y[k, n:] == -1).all()
                assert (y[k, :n] >= 0).all()
                assert (elapsed[k, :n] == frames[k, :n, 1]).all()
            carry.next.copy_(carry.now + 1)
    return seen, cleared


def test_each_lane_plays_whole_videos_in_their_order():
    s = stream()
    seen, cleared = played(s, 4)
    for lane, marks in zip(seen, cleared, strict=True):
        for (v, t), (w, u) in zip(lane, lane[1:], strict=False):
            assert (w, u) == (v, t + 1) if w == v and u else (u == 0 and t == s.reels.lengths[v] - 1)
        for at, zero in marks:
            assert zero == (at == 0 or lane[at][1] == 0), at
    starts = [v for lane in seen for v, t in lane if t == 0]
    assert set(starts) == set(range(5))


def test_an_epoch_is_as_many_steps_as_play_all_videos_some_times():
    s = stream(lengths=(400, 360, 80), lanes=2, piece=4)
    assert len(s) == 105  # 210 pieces in two lanes
    s = stream(lengths=(8, 8), lanes=2, piece=4)
    assert len(s) == 100  # 2 steps, 50 times


def test_what_is_played_is_a_function_of_seed_and_step():
    whole = [x[0] for epoch in (0, 1) for x, _ in stream()(epoch)]
    s = stream()
    late = [x[0] for x, _ in s(1, 3)]
    for a, b in zip(whole[len(s) + 3 :], late, strict=True):
        assert torch.equal(a, b)
    assert not all(torch.equal(a[0][0], b[0][0]) for a, b in zip(stream()(0), stream(seed=1)(0), strict=True))
    assert s.names(1, 3) == [f"v{int(f[0, 0])}" for f in late[0]]


def test_the_state_goes_on_after_a_checkpoint():
    def walk(s, n, start=0):
        out = []
        for (_, _, _, carry), _ in s(0, start):
            out.append(carry.now.clone())
            carry.next.copy_(carry.now + 1)
            if len(out) == n:
                break
        return out

    whole = walk(stream(), 12)
    first = stream()
    walk(first, 5)
    second = stream()
    second.load_state_dict(first.state_dict())
    for a, b in zip(whole[5:], walk(second, 7, start=5), strict=True):
        assert torch.equal(a, b)


def test_a_slice_of_the_carry_writes_through():
    carry = Carry(torch.zeros(4, 2), torch.zeros(4, 2))
    carry[1:3].next.fill_(1)
    assert carry.next.sum() == 4


def test_more_lanes_than_videos_are_as_many_as_there_are():
    (frames, *_), y = next(iter(stream(lanes=64)(0)))
    assert len(frames) == len(y) == 5


def test_what_does_not_fit_into_memory_is_read_when_it_is_needed():
    some = rows((9, 5, 14))
    held, read = (Reels(card(some), KIND, some, memory=m) for m in (2**20, 100))
    assert (len(held.held), len(read.held)) == (3, 1)
    parts = [(0, 2, 6), (2, 10, 14)]
    for a, b in zip(held.padded(parts, CPU), read.padded(parts, CPU), strict=True):
        assert torch.equal(a, b)


def test_whole_videos_come_in_their_order_padded():
    some = rows((9, 5, 14))
    reels = Reels(card(some), KIND, some)
    assert list(reels.groups([0, 1, 2])) == [[0, 1, 2]]
    frames, elapsed, lengths = reels.padded([(0, 0, 9), (1, 0, 5)], CPU)
    assert frames.shape == (2, 9, 2)
    assert lengths.tolist() == [9, 5]
    assert (frames[1, 5:] == 0).all()
    assert (elapsed[1, 5:] == 0).all()


class Given:
    """What a source asks of the data."""

    def __init__(self, some):
        self.some = some

    def card(self):
        return card(self.some)

    def rows(self, part):
        return self.some

    def sample(self, part, most):
        return np.arange(len(self.some) if most is None else most)


def test_the_source_gives_frames_one_by_one():
    some = rows((9, 5))
    source, data = Clips(KIND, 4, 3), Given(some)
    alone = [x for x in source.pieces(data, some[0], CPU)]
    assert [x[0].shape for x in alone] == [(1, 1, 2)] * 9
    assert torch.equal(torch.cat([x[0] for x in alone], 1), next(iter(source.chunks(data, some, CPU)))[0])
    assert [float(x[1]) for x in alone] == list(range(9))
    x, y = next(iter(source.batches(data, "val", 256, CPU)))
    assert x[3] is None
    assert y.shape == (2, 9)
    assert (y[1, 5:] == -1).all()
    ((x, y),) = source.batches(data, "val", 256, CPU, most=1)
    assert len(y) == 1


@pytest.mark.parametrize("lanes", [1, 3])
def test_lanes_begin_apart(lanes):
    s = stream(lengths=(40,) * 6, lanes=lanes)
    first = next(iter(s(0)))[0][0][:, 0, 1]
    assert first.tolist() == [4 * (10 * k // lanes) for k in range(lanes)]
