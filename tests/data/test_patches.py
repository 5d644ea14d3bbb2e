import numpy as np
import pytest
import torch

from empirisk import runtime
from empirisk.data.augment import augmentation
from empirisk.data.card import Card
from empirisk.data.masks import Masks
from empirisk.data.patches import FOREGROUND, Cases, Patches, draw, fixed, moved, nearest, patched
from empirisk.data.plan import Plan
from empirisk.data.readers import Stored, Vector
from empirisk.data.rows import Table
from empirisk.errors import Wrong

CPU = torch.device("cpu")
MASKS = Masks(("foreground",), (1,))
PLAN = Plan((), (8, 8), ((1, 1), (2, 2)), 4, 3, False, 0.1)
SIZES = [(12, 20), (5, 30), (8, 8), (16, 6), (40, 40), (9, 9), (11, 17)]


def made(size, i):
    """A picture whose bright pixels are those of its mask."""
    mask = (np.random.default_rng(i).random(size) > 0.8).astype(np.uint8)
    image = np.where(mask, 200, 50).astype(np.uint8)
    return {"id": f"r{i}", "x": Stored(image[None, None], 0), "mask": Stored(mask[None], 0), "patient": None}


ROWS = [made(size, i) for i, size in enumerate(SIZES)]
CARD = Card.learn(ROWS)


def cases(plan=PLAN, rows=ROWS, **more):
    return Cases(plan, CARD, MASKS.encode, rows, **more)


def stream(change="none", seed=3, batch=4, some=None):
    return Patches(some or cases(), batch=batch, seed=seed, change=augmentation(change, 2), along=moved, device=CPU)


def equal(a, b):
    a, b = list(a), list(b)
    return len(a) == len(b) and all(
        torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(a, b, strict=True)
    )


def test_masks_lie_on_their_patches_and_nothing_is_counted_outside():
    outside = 0
    for x, y in stream()(0):
        assert x.shape[1:] == (1, 8, 8)
        assert y.shape[1:] == (1, 8, 8)
        assert y.dtype == torch.uint8
        bright = (x * 255 > 100)[:, 0]
        assert torch.equal(bright[y[:, 0] > 0], (y[:, 0] == 2)[y[:, 0] > 0])
        outside += int((y == 0).sum())
    assert outside > 0


def test_a_batch_is_a_function_of_seed_epoch_and_index():
    s = stream("flip,affine,noise")
    assert len(s) == 5  # 21 patches: a last batch of one is folded into the one before
    assert equal(s(2), stream("flip,affine,noise")(2))
    assert equal(list(s(2))[2:], s(2, 2))
    first = next(iter(s(2)))[0]
    for other in (s(3), stream("flip,affine,noise", seed=4)(2), s(2, 1)):
        assert not torch.equal(first, next(iter(other))[0])


def test_each_process_takes_its_slice(monkeypatch):
    whole, shares = list(stream("flip,affine,intensity")(0)), []
    for rank in range(2):
        monkeypatch.setattr(runtime, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(runtime, "world", lambda: 2)
        shares.append(list(stream("flip,affine,intensity")(0)))
    for i, (x, y) in enumerate(whole):
        assert torch.allclose(x, torch.cat([s[i][0] for s in shares]), atol=1e-6)
        assert torch.equal(y, torch.cat([s[i][1] for s in shares]))


def test_every_row_is_visited_as_often_and_named():
    s = stream()
    names = [n for i in range(len(s)) for n in s.names(0, i)]
    assert sorted(names) == sorted([f"r{i}" for i in range(7)] * 3)


def test_a_third_lies_on_a_structure():
    drawn = draw(torch.Generator().manual_seed(0), 6000, 2)
    assert float(drawn.values["on"].float().mean()) == pytest.approx(FOREGROUND, abs=0.02)
    mask = np.zeros((60, 60), np.uint8)
    mask[40, 13] = 1
    lone = {"id": "a", "x": Stored(np.zeros((1, 1, 60, 60), np.uint8), 0), "mask": Stored(mask[None], 0)}
    some = cases(rows=[lone])
    x, y = some.take(torch.zeros(300, dtype=torch.int64), drawn[slice(0, 300)], CPU)
    seen = (y == 2).flatten(1).any(1)
    assert seen[drawn.values["on"][:300]].all()  # every such patch holds it
    assert seen.float().mean() < 0.5


def test_masks_move_with_their_images():
    for x, y in stream("flip,affine", some=cases(Plan((), (24, 24), ((1, 1), (2, 2)), 4, 3, False, 0.1)))(0):
        counted = y[:, 0] > 0
        agree = ((x[:, 0] * 255 > 125) == (y[:, 0] == 2))[counted].float().mean()
        assert agree > 0.85  # pixels are small: a resampling blurs some away


def test_rows_that_do_not_fit_are_read_when_needed():
    few = cases(memory=1000)
    assert 0 < len(few.held) < 7
    assert equal(stream(some=few)(1), stream()(1))


def test_validation_looks_at_the_same_patches_every_time():
    index = np.array([0, 2, 4, 5, 6])
    once = list(fixed(cases(), index, 256, CPU))
    assert [len(x) for x, _ in once] == [4, 1]  # the plan's batch at most
    assert equal(once, fixed(cases(), index, 256, CPU))
    alone = next(fixed(cases(), np.array([4]), 256, CPU))
    assert torch.equal(alone[0][0], once[0][0][2])


def test_nearest_takes_whole_numbers():
    y = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    assert nearest(y, (4, 4)).tolist() == [[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]]
    assert np.array_equal(nearest(nearest(y, (6, 4)), (2, 2)), y)
    assert nearest(y, (2, 2)) is y


def test_image_and_mask_of_two_sizes_are_refused():
    row = made((9, 9), 1) | {"mask": Stored(np.zeros((1, 9, 8), np.uint8), 0)}
    with pytest.raises(Wrong, match="image and mask of r1 differ in size\n  image 9x9, mask 9x8") as caught:
        cases(rows=[row])
    assert caught.value.code == 2


def as_rows(sizes, side=8, *, patient=None, channels=3):
    """The rows of patches of pictures whose pixels are all different."""
    rows = []
    for i, size in enumerate(sizes):
        x = np.random.default_rng(i).integers(0, 256, (1, channels, *size), dtype=np.uint8)
        rows.append({"id": f"r{i}.png", "x": Stored(x, 0), "mask": x, "label": "a", "patient": patient, "part": ""})
    return rows, patched(Table(name="t", rows=rows, form="pictures"), side)


@pytest.mark.parametrize("size", [(40, 30), (20, 24, 28)])
def test_patches_as_rows_are_cut_from_the_image_as_it_is(size):
    rows, table = as_rows([size])
    assert len(table.rows) == 8
    assert len({r["id"] for r in table.rows}) == 8
    windows = np.lib.stride_tricks.sliding_window_view(rows[0]["x"].read(), (3, *[8] * len(size)))
    windows = windows.reshape(-1, 3, *[8] * len(size))
    for row in table.rows:
        x = row["x"].read()
        assert x.dtype == np.uint8
        assert (windows == x).reshape(len(windows), -1).all(1).sum() == 1
        assert "mask" not in row
        assert row["label"] == "a"
    assert table.understood[-1] == ("patches", "8 of 8 pixels a side, an image taken for a patient", "--patch")


def test_they_follow_from_the_name_of_the_image_alone_and_share_its_patient():
    (one, two), of_two = as_rows([(40, 30), (40, 30)])
    again = patched(Table(name="u", rows=[two, one], form="pictures"), 8).rows
    assert {r["id"]: r["x"].read().tobytes() for r in again} == {r["id"]: r["x"].read().tobytes() for r in of_two.rows}
    assert {r["patient"] for r in again} == {"r0.png", "r1.png"}  # where nobody knows it: the image
    assert {r["patient"] for r in as_rows([(40, 30)], patient="P7")[1].rows} == {"P7"}


def test_an_image_no_larger_than_a_patch_is_one_row_and_goes_on_beyond_its_border():
    rows, table = as_rows([(8, 8), (5, 6)])
    whole, small = (r["x"].read() for r in table.rows)
    assert np.array_equal(whole, rows[0]["x"].read())
    assert np.array_equal(small, np.pad(rows[1]["x"].read(), ((0, 0), (1, 2), (1, 1)), mode="edge"))


def test_a_patch_of_no_pixel_and_one_of_a_vector_are_refused():
    with pytest.raises(Wrong, match="--patch is 0"):
        as_rows([(8, 8)], 0)
    vector = {"id": "v", "x": Vector(np.ones(4)), "patient": None}
    with pytest.raises(Wrong, match="--patch 8: these rows are vectors"):
        patched(Table(name="v", rows=[vector], form="a table"), 8)
