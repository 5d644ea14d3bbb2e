"""The card: grid, channels and units learned from training rows, laid over every image."""

import json

import numpy as np
import pytest

from empirisk.data.card import Card
from empirisk.data.geometry import Geometry
from empirisk.data.readers import Stored, Vector
from empirisk.data.table import of_fields
from empirisk.errors import Wrong

RNG = np.random.default_rng(0)


def rows(*images: np.ndarray) -> list[dict]:
    return [{"id": f"{k:03}", "x": Stored(a[None], 0)} for k, a in enumerate(images)]


def grey(*size: int, dtype: str = "uint8", high: int = 256) -> np.ndarray:
    return RNG.integers(0, high, (1, *size)).astype(dtype)


def test_moments_range_and_json():
    images = [grey(6, 5), grey(6, 5), grey(6, 5)]
    card = Card.learn(rows(*images), {"name": "n", "source": "s", "licence": "l"})
    x = np.stack(images) / 255
    assert (card.channels, card.size, card.dims, card.range) == (1, (6, 5), 2, 255)
    assert card.mean == pytest.approx([x.mean()], abs=1e-12)
    assert card.std == pytest.approx([x.std()], abs=1e-12)
    assert (card.name, card.source, card.licence) == ("n", "s", "l")
    assert of_fields(Card, json.loads(json.dumps(vars(card)))) == card
    colour = RNG.integers(0, 256, (3, 4, 4)).astype(np.uint8)
    card = Card.learn(rows(colour, grey(4, 4)))
    assert card.channels == 3
    assert len(card.mean) == 3
    assert Card.learn(rows(grey(4, 4, dtype="uint16", high=60000))).range == 65535
    assert Card.learn(rows(RNG.random((1, 4, 4)).astype(np.float32))).range == 1


def test_the_order_of_the_rows_does_not_matter():
    some = rows(*[grey(6, 5) for _ in range(20)])
    assert Card.learn(some) == Card.learn(some[::-1])


def test_a_constant_channel_has_deviation_one():
    assert Card.learn(rows(np.full((1, 4, 4), 9, np.uint8))).std == (1.0,)


@pytest.mark.parametrize(
    ("sizes", "asked", "expected"),
    [
        ([(28, 28)], None, (28, 28)),
        ([(512, 384), (512, 384), (9, 9)], None, (224, 168)),
        ([(1024, 512)], 100, (100, 50)),
        ([(28, 28)], 64, (64, 64)),
        ([(4, 4), (8, 8)], None, (8, 8)),
        ([(128, 64, 64)], None, (64, 32, 32)),
        ([(28, 28, 28)], None, (28, 28, 28)),
        ([(500, 1)], 10, (10, 1)),
    ],
)
def test_the_grid(sizes: list[tuple[int, ...]], asked: int | None, expected: tuple[int, ...]):
    assert Card.learn(rows(*[grey(*s) for s in sizes]), None, asked).size == expected


@pytest.mark.parametrize("size", [(40, 60), (9, 100), (3, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_fit_keeps_the_type_the_mean_and_a_constant(size: tuple[int, int], dtype: str):
    card = Card("", 1, (20, 30), (0.5,), (0.2,), {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}[dtype])
    flat = card.fit(np.full((1, *size), 200, dtype))
    assert flat.dtype == dtype
    assert flat.shape == (1, 20, 30)
    assert np.allclose(flat, 200, rtol=1e-6)
    ramp = np.tile(np.linspace(0, 200, size[1]), (size[0], 1))[None].astype(dtype)
    assert card.fit(ramp).mean() == pytest.approx(ramp.mean(), abs=2)
    assert np.array_equal(card.fit(card.fit(ramp)), card.fit(ramp))


def test_shrinking_averages_and_does_not_alias():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[None]
    shrunk = Card("", 1, (16, 16), (0,), (1,), 255).fit(board)
    assert abs(shrunk.astype(int) - 127).max() <= 2
    cube = (np.indices((16, 16, 16)).sum(0) % 2 * 255).astype(np.uint8)[None]
    shrunk = Card("", 1, (8, 8, 8), (0,), (1,), 255).fit(cube)
    assert abs(shrunk.astype(int) - 127).max() <= 1
    assert Card("", 1, (24, 8, 16), (0,), (1,), 255).fit(cube).shape == (1, 24, 8, 16)


def test_channels():
    colour = RNG.integers(0, 256, (3, 4, 4)).astype(np.uint8)
    three, one = Card("", 3, (4, 4), (0,) * 3, (1,) * 3, 255), Card("", 1, (4, 4), (0,), (1,), 255)
    assert np.array_equal(three.fit(colour[:1]), np.repeat(colour[:1], 3, 0))
    assert np.array_equal(one.fit(np.repeat(colour[:1], 3, 0)), colour[:1])
    with pytest.raises(Wrong, match="grey images, this one is in colour"):
        one.fit(colour)
    with pytest.raises(Wrong, match="of 4 channels"):
        three.fit(np.zeros((4, 4, 4), np.uint8))


def test_levels():
    eight, sixteen, float_ = (Card("", 1, (1, 2), (0,), (1,), r) for r in (255.0, 65535.0, 1.0))
    assert sixteen.fit(np.array([[[0, 255]]], np.uint8)).tolist() == [[[0, 65535]]]
    assert eight.fit(np.array([[[65535, 257]]], np.uint16)).tolist() == [[[255, 1]]]
    assert float_.fit(np.array([[[0, 255]]], np.uint8)).tolist() == [[[0.0, 1.0]]]
    assert float_.fit(np.array([[[0, 255]]], np.uint8)).dtype == np.float32
    with pytest.raises(Wrong, match="floats"):
        eight.fit(np.zeros((1, 1, 2), np.float32))
    mixed = Card.learn(rows(grey(4, 4), grey(4, 4, dtype="uint16", high=65536)))
    assert (mixed.range, mixed.dtype) == (65535, "uint16")


def test_vectors():
    some = [{"id": str(k), "x": Vector(np.array([k, 2.0 * k], np.float32), ("a", "b"))} for k in range(5)]
    card = Card.learn(some)
    assert (card.dims, card.channels, card.size, card.inputs) == (0, 2, (), ("a", "b"))
    assert card.mean == pytest.approx([2, 4])
    assert card.std == pytest.approx([2**0.5, 8**0.5])
    assert card.fit(some[1]["x"].read()).tolist() == [1, 2]
    with pytest.raises(Wrong, match="2 numbers, this has 3"):
        card.fit(np.zeros(3, np.float32))
    with pytest.raises(Wrong, match="vectors"):
        card.fit(np.zeros((1, 4, 4), np.uint8))


def test_refusals():
    with pytest.raises(Wrong, match="no training row"):
        Card.learn([])
    with pytest.raises(Wrong, match="two and of three"):
        Card.learn(rows(grey(4, 4), grey(4, 4, 4)))
    with pytest.raises(Wrong, match="--size 0"):
        Card.learn(rows(grey(4, 4)), None, 0)
    with pytest.raises(Wrong, match="2D images"):
        Card("", 1, (4, 4), (0,), (1,), 255).fit(grey(4, 4, 4))


class Crop:
    """A volume of float32 with a spacing, in mm."""

    def __init__(self, array: np.ndarray, *mm: float):
        self.array, self.mm = array.astype(np.float32), mm

    def read(self) -> np.ndarray:
        return self.array

    def geometry(self) -> Geometry | None:
        return Geometry.of(np.diag([*self.mm, 1.0]), 3, "nifti") if self.mm else None


def crops(*some: Crop) -> list[dict]:
    return [{"id": f"{k:03}", "x": x} for k, x in enumerate(some)]


def test_a_window_is_the_same_whatever_the_size_of_the_crop():
    whole = RNG.normal(50, 9, (1, 24, 30, 22))
    cut = [Crop(whole[:, a : 24 - a, b : 30 - b, c : 22 - c], 1, 1, 1) for a, b, c in ((0, 4, 1), (3, 0, 0), (2, 5, 2))]
    card = Card.learn(crops(*cut), measured=True)
    assert (card.size, card.spacing, card.alone) == ((18, 20, 18), (1, 1, 1), False)
    read = [card.read(row) for row in crops(*cut)]
    assert np.array_equal(read[0], whole[:, 3:21, 5:25, 2:20].astype(np.float32))
    assert np.array_equal(read[0], read[1])
    assert np.array_equal(read[0], read[2])
    assert Card.learn(crops(*cut)).size != card.size  # for a class they are resized, as ever
    assert of_fields(Card, json.loads(json.dumps(vars(card)))) == card


def test_a_window_keeps_its_mm():
    coarse = RNG.normal(0, 1, (1, 16, 16, 16))
    fine = coarse.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    rows = crops(Crop(coarse, 1, 1, 1), Crop(fine, 0.5, 0.5, 0.5), Crop(coarse[:, 2:14], 1, 1, 1))
    card = Card.learn(rows, measured=True)
    assert (card.size, card.spacing) == ((12, 16, 16), (1, 1, 1))
    assert card.read(rows[1]) == pytest.approx(card.read(rows[0]), abs=1e-6)
    half = Card.learn(rows, None, 8, measured=True)
    assert (half.size, half.spacing) == ((6, 8, 8), (2, 2, 2))
    assert half.read(rows[0])[0, 0, 0, 0] == pytest.approx(coarse[0, 2:4, :2, :2].mean(), abs=1e-6)
    assert Card.learn([*rows, *crops(Crop(coarse))], measured=True).spacing == ()  # of one nobody knows the mm
    with pytest.raises(Wrong, match="--size 0"):
        Card.learn(rows, None, 0, measured=True)


def test_a_new_image_smaller_than_the_window_goes_on_and_one_without_mm_is_taken_as_it_is():
    rows = crops(*[Crop(RNG.normal(0, 1, (1, 9, 9, 9)), 1, 1, 1) for _ in range(3)])
    card = Card.learn(rows, measured=True)
    ramp = np.broadcast_to(np.arange(5.0)[:, None, None], (1, 5, 9, 9))
    assert card.read(crops(Crop(ramp, 1, 1, 1))[0])[0, :, 0, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 4, 4]
    assert np.array_equal(card.read(crops(Crop(ramp))[0]), card.read(crops(Crop(ramp, 1, 1, 1))[0]))
    with pytest.raises(Wrong, match="3D images"):
        card.read({"id": "flat", "x": Stored(grey(9, 9)[None], 0)})


def test_a_new_image_of_voxels_longer_than_the_window_gives_the_one_in_its_middle():
    card = Card.learn(crops(*[Crop(RNG.normal(0, 1, (1, 9, 9, 9)), 1, 1, 1) for _ in range(3)]), measured=True)
    slabs = np.broadcast_to(np.arange(3.0)[:, None, None], (1, 3, 9, 9))
    assert card.read(crops(Crop(slabs, 40, 1, 1))[0]) == pytest.approx(np.ones((1, 9, 9, 9)), abs=1e-6)


def test_images_of_unlike_units_are_read_in_their_own():
    some = [RNG.normal(0, 1, (1, 8, 8, 8)) for _ in range(6)]
    rows = crops(*[Crop(3 + 10.0**k * x, 1, 1, 1) for k, x in enumerate(some)])
    card = Card.learn(rows, measured=True)
    assert (card.alone, card.mean, card.std) == (True, (0,), (1,))
    for row, x in zip(rows, some, strict=True):
        assert card.read(row) == pytest.approx((x - x.mean()) / x.std(), abs=1e-4)
    assert not Card.learn(crops(*[Crop(x, 1, 1, 1) for x in some]), measured=True).alone
