import json

import numpy as np
import pytest

from empirisk.data.card import Card
from empirisk.data.geometry import Geometry
from empirisk.data.plan import Plan, activations, patch_of, strides_of
from empirisk.data.readers import Stored
from empirisk.data.table import of_fields, plain_fields
from empirisk.errors import Wrong


class Volume:
    """An image with a spacing."""

    def __init__(self, size, mm=None, scale=1.0, seed=0):
        self.array = (scale * np.random.default_rng(seed).random((1, *size))).astype(np.float32)
        self.mm = mm

    def read(self):
        return self.array

    def geometry(self):
        return None if self.mm is None else Geometry.of(np.diag([*self.mm, 1.0]), 3, "nifti")


def rows(*volumes):
    return [{"id": f"v{i}", "x": v} for i, v in enumerate(volumes)]


def learned(some, memory=0.5, width=16, **more):
    card = Card.learn(some)
    return Plan.learn(some, card, memory, width, **more)


def test_the_grid_is_the_median_spacing_and_the_patch_the_median_size_on_it():
    some = rows(Volume((20, 40, 40), (2, 1, 1)), Volume((40, 40, 40), (1, 1, 1)), Volume((20, 35, 40), (2, 1, 1)))
    plan = learned(some)
    assert plan.spacing == (2, 1, 1)
    assert plan.patch == (20, 40, 40)  # a median of 20, 20, 20 by 35, 40, 40
    assert np.all(np.array(plan.patch) % np.prod(plan.strides, axis=0) == 0)
    x, own = plan.read(Card.learn(some), some[1])
    assert x.shape == (1, 20, 40, 40)
    assert own == (40, 40, 40)
    mixed = learned(rows(Volume((16, 16, 16), (2, 1, 1)), Volume((16, 16, 16))))
    assert mixed.spacing == ()  # unknown for one: pixels as they are


def test_long_voxels_are_halved_later():
    assert strides_of((20, 96, 96), (3, 1, 1)) == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert strides_of((5, 64, 64), (1, 1, 1))[1:] == ((1, 2, 2), (1, 2, 2), (1, 2, 2))  # 5 slices are never halved
    assert len(strides_of((35, 50, 35), (1, 1, 1))) == 4
    assert len(strides_of((16, 16), (1, 1))) == 3


@pytest.mark.parametrize("memory", [0.0, -1.0, float("nan"), float("inf")])
def test_a_memory_that_is_none_is_refused(memory):
    with pytest.raises(Wrong, match="--memory is"):
        learned(rows(Volume((32, 32, 32))), memory)


def test_patch_and_batch_fit_into_the_memory():
    some = rows(*[Volume((48, 48, 48), seed=i) for i in range(3)])
    for memory in (0.05, 0.2, 1.0):
        plan = learned(some, memory)
        assert plan.gib <= memory + 1e-3
        assert plan.batch >= 2
        assert plan.gib == pytest.approx(plan.batch * activations(plan.patch, plan.strides, 16), abs=1e-3)
    assert patch_of((64, 64), ((1, 1), (2, 2)), 16, 0.003) != (64, 64)
    assert learned(some, batch=3).batch == 3
    assert max(learned(some, size=24).patch) == 24
    with pytest.raises(Wrong, match="--memory 1e-05 GiB is too little"):
        learned(some, 1e-5)


def test_images_in_unlike_units_are_brought_to_their_own_mean_and_deviation():
    same = rows(*[Volume((16, 16, 16), seed=i) for i in range(8)])
    unlike = rows(*[Volume((16, 16, 16), scale=s, seed=1) for s in (1, 3, 10, 100)])
    assert not learned(same).alone
    plan = learned(unlike)
    assert plan.alone
    for x, own in plan.whole(Card.learn(unlike), unlike, "cpu"):
        assert float(x.mean()) == pytest.approx(0, abs=1e-3)
        assert float(x.std()) == pytest.approx(1, abs=1e-3)
        assert own.tolist() == [16, 16, 16]
    assert "its own mean" in plan.lines()[0][0]
    x, _ = next(learned(same).whole(Card.learn(same), same, "cpu"))
    assert np.array_equal(x[0].numpy(), same[0]["x"].array)


def test_few_rows_are_visited_several_times_an_epoch():
    assert learned(rows(*[Volume((16, 16, 16), seed=i) for i in range(10)])).rounds == 50


def test_too_small_an_image_and_too_flat_a_network_are_refused():
    tiny = [{"id": "a", "x": Stored(np.zeros((1, 1, 6, 7), np.uint8), 0)}]
    with pytest.raises(Wrong, match="images of 6x7 pixels are too small for a U-Net\n  it needs a side of 8"):
        Plan.learn(tiny, Card.learn(tiny), 0.5, 16)
    some = rows(Volume((16, 16, 16)))
    with pytest.raises(Wrong, match="--depth is 1"):
        learned(some, levels=1)
    assert len(learned(some, levels=2).strides) == 2


def test_learned_and_read_back_from_json_are_the_same():
    plan = learned(rows(Volume((20, 40, 40), (2, 1, 1))))
    assert of_fields(Plan, json.loads(json.dumps(plain_fields(plan)))) == plan
