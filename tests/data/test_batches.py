import os
import signal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from empirisk import runtime
from empirisk.data.augment import augmentation
from empirisk.data.batches import Pixels, Stream, edges
from empirisk.errors import Wrong

CPU = torch.device("cpu")
N = 27
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 1, 12, 12)).astype(np.uint8)


def stream(*, batch=8, seed=3, workers=0, change="flip,affine,intensity,gamma,noise,cutout", memory=2**31, **more):
    pixels = Pixels(lambda i: IMAGES[i], N, scale=255, workers=workers, memory=memory)
    y = more.pop("y", torch.arange(N))
    changes = augmentation(change, 2)
    return Stream(pixels, y, [f"p/{i}" for i in range(N)], batch=batch, seed=seed, change=changes, device=CPU, **more)


def equal(a, b):
    a, b = list(a), list(b)
    return len(a) == len(b) and all(
        torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(a, b, strict=True)
    )


@given(st.integers(1, 400), st.integers(1, 50), st.integers(1, 4))
def test_every_row_is_in_one_batch_and_the_last_is_never_too_small(n, size, least):
    cuts = edges(n, size, least)
    lengths = [b - a for a, b in zip(cuts, cuts[1:], strict=False)]
    assert sum(lengths) == n
    assert all(length == size for length in lengths[:-1])
    assert len(lengths) == 1 or lengths[-1] >= min(least, size)
    assert lengths[-1] < size + least


def test_a_batch_is_a_function_of_seed_epoch_and_index():
    s = stream()
    assert len(s) == 4
    assert equal(s(2), stream()(2))
    assert equal(list(s(2))[2:], s(2, 2))  # begun in the middle: no batch before it is drawn
    torch.manual_seed(99)
    assert equal(list(stream()(2)), s(2))
    first = next(iter(s(2)))[0]
    for other in (stream()(3), stream(seed=4)(2), s(2, 1)):
        assert not torch.equal(first, next(iter(other))[0])


def test_an_epoch_is_a_permutation_and_its_batches_are_named():
    s = stream(change="none")
    seen = [y.tolist() for _, y in s(0)]
    assert sorted(sum(seen, [])) == list(range(N))
    assert seen != [y.tolist() for _, y in s(1)]
    for i, ys in enumerate(seen):
        assert s.names(0, i) == [f"p/{y}" for y in ys]
    for x, y in s(0):
        assert torch.equal(x, torch.from_numpy(IMAGES)[y].float() / 255)


def test_the_generators_of_torch_are_left_alone():
    before = torch.get_rng_state()
    list(stream()(0)), list(stream(workers=1)(0))
    assert torch.equal(before, torch.get_rng_state())


def test_held_read_and_decoded_by_workers_are_the_same():
    held = list(stream()(1))
    assert equal(held, stream(memory=0)(1))
    assert equal(held, stream(workers=2)(1))
    assert equal(held[2:], stream(workers=2)(1, 2))


def test_each_process_takes_its_slice_of_the_batch_and_its_augmentation(monkeypatch):
    whole = list(stream()(0))
    shares = []
    for rank in range(3):
        monkeypatch.setattr(runtime, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(runtime, "world", lambda: 3)
        shares.append(list(stream()(0)))
    for i, (x, y) in enumerate(whole):
        assert torch.equal(y, torch.cat([s[i][1] for s in shares]))
        assert torch.allclose(x, torch.cat([s[i][0] for s in shares]), rtol=0, atol=1e-6)
    with pytest.raises(Wrong, match="a batch of 2 cannot be shared by 3 processes") as caught:
        stream(batch=2)
    assert caught.value.code == 2


def test_a_target_that_lies_on_the_image_moves_along():
    """The mask of the bright pixels stays on the bright pixels."""
    images = np.zeros((N, 1, 12, 12), np.uint8)
    images[:, :, 2:6, 3:8] = 255
    masks = torch.from_numpy(images > 0)
    pixels = Pixels(lambda i: images[i], N, scale=255, workers=0)
    s = Stream(
        pixels, masks, [str(i) for i in range(N)], batch=9, seed=0, change=augmentation("flip,affine", 2), device=CPU,
        along=lambda change, mask, p: change.apply_mask(mask, p),
    )  # fmt: skip
    moved = 0
    for x, mask in s(0):
        assert ((x > 0.5) == mask).float().mean() > 0.97
        moved += int((mask != masks[0]).any((1, 2, 3)).sum())
    assert moved > N // 2


def test_targets_of_several_tensors():
    y = (torch.arange(N), [torch.arange(N) * 2.0, "kept"])
    for _, (a, (b, word)) in stream(y=y)(0):
        assert torch.equal(b, a * 2.0)
        assert word == "kept"


def test_floats_and_sixteen_bits_keep_their_values():
    for dtype, scale in ((np.float32, 1), (np.uint16, 65535), (np.float32, 4.0)):
        values = (np.arange(2 * 6).reshape(2, 1, 2, 3) * 1000).astype(dtype)
        for memory in (0, 2**20):
            pixels = Pixels(lambda i: values[i], 2, scale=scale, workers=0, memory=memory)
            x = pixels.take(torch.tensor([1, 0]), CPU)
            assert x.dtype == torch.float32
            assert torch.allclose(x, torch.from_numpy(values[[1, 0]].astype(np.float32)) / scale)
            assert torch.equal(pixels.take(torch.tensor([1, 0]), CPU), x)  # nothing was scaled in place


def refuses(i):
    if i == 5:
        raise Wrong("p/5 is cut off", where="p/5", remedy="copy it again", code=3, reason="image")
    return IMAGES[i]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_wrong_with_an_image_is_said_alike_from_a_worker(workers):
    pixels = Pixels(refuses, N, scale=255, workers=workers, memory=0)
    with pytest.raises(Wrong) as caught:
        list(pixels.stream([torch.arange(0, 4), torch.arange(4, 8)], CPU))
    wrong = caught.value
    assert str(wrong) == "p/5 is cut off\n  p/5\n  copy it again"
    assert (wrong.code, wrong.reason) == (3, "image")


def interrupts(i):
    os.kill(os.getpid(), signal.SIGINT)
    return IMAGES[i]


def test_ctrl_c_is_not_for_the_workers(capfd):
    with runtime.Signals().caught() as flag:
        pixels = Pixels(lambda i: interrupts(i) if i < N else None, 1, scale=255, workers=1, memory=0)
        flag.code = 0  # the read of the first image here
        assert len(list(pixels.stream([torch.arange(3)], CPU))) == 1
        assert not flag
    assert capfd.readouterr().err.count("finishing") <= 1
