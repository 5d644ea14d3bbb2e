import numpy as np
import pytest

from empirisk.data.masks import middles
from empirisk.metrics.instances import best_overlap
from empirisk.tasks.things import apart


def discs(size, *places):
    out = np.zeros(size, np.uint16)
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    for i, (*at, radius) in enumerate(places, 1):
        out[((grid - at) ** 2).sum(-1) <= radius**2] = i
    return out


@pytest.mark.parametrize(
    ("size", "places"),
    [
        ((60, 60), [(20, 20, 10), (20, 38, 9), (45, 30, 6)]),  # the first two touch
        ((60, 60), [(30, 25, 16), (30, 45, 5)]),  # a small one at a large one
        ((20, 24, 40), [(10, 12, 12, 7), (10, 12, 26, 6)]),
    ],
)
def test_the_true_distance_gives_back_the_things(size, places):
    truth = discs(size, *places)
    found, sure = apart(truth > 0, np.where(truth > 0, 0.9, 0.1), middles(truth))
    assert len(sure) == len(places)
    assert best_overlap(truth, found, len(sure)).min() > 0.9
    assert sure == pytest.approx(0.9, abs=0.05)
    assert ((found > 0) == (truth > 0)).all()


def test_a_noisy_distance_does_not_shatter_them():
    truth = discs((80, 80), (25, 25, 12), (25, 47, 11), (60, 40, 14))
    noisy = middles(truth) + np.random.default_rng(0).normal(0, 0.12, truth.shape)
    found, sure = apart(truth > 0, np.ones(truth.shape), noisy)
    assert len(sure) == 3
    assert best_overlap(truth, found, 3).min() > 0.85


def test_a_part_without_a_core_is_one_thing_and_nothing_is_none():
    mask = discs((30, 30), (15, 15, 8)) > 0
    found, sure = apart(mask, np.full(mask.shape, 0.6), np.zeros(mask.shape))
    assert np.array_equal(found > 0, mask)
    assert sure.tolist() == pytest.approx([0.6 * (1 - middles(found)[mask].mean())])  # nothing of its shape was seen
    found, sure = apart(np.zeros((9, 9), bool), np.zeros((9, 9)), np.zeros((9, 9)))
    assert not found.any()
    assert len(sure) == 0


def test_specks_are_dropped_and_numbers_have_no_gap():
    mask = discs((30, 30), (15, 15, 8)) > 0
    mask[1, 1] = mask[28, 2] = True
    found, sure = apart(mask, np.ones(mask.shape), middles(mask.astype(np.uint16)))
    assert len(sure) == 1
    assert found[1, 1] == 0
    assert set(np.unique(found)) == {0, 1}


def test_neighbours_come_apart_high_and_a_flat_thing_is_found_low():
    truth = discs((60, 90), (30, 20, 12), (30, 40, 12), (30, 72, 9))
    d = middles(truth)
    d[truth == 3] *= 0.45  # seen flat
    d[(truth > 0) & (truth < 3)] = np.maximum(d[(truth > 0) & (truth < 3)], 0.4)  # a saddle above the low level
    found, sure = apart(truth > 0, np.ones(truth.shape), d)
    assert len(sure) == 3
    assert best_overlap(truth, found, 3).min() > 0.85
    flat = found[30, 72] - 1
    assert sure[flat] == sure.min()


def test_a_thing_that_is_two_is_less_sure_than_one():
    truth = discs((60, 60), (15, 15, 9), (45, 40, 9), (45, 56, 9))
    d = middles(truth)
    two = truth > 1
    d[two] = 0.9  # the network sees no edge between them
    found, sure = apart(truth > 0, np.ones(truth.shape), d)
    assert len(sure) == 2
    assert sure[found[15, 15] - 1] > sure[found[45, 40] - 1] + 0.1
