import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from empirisk.estimate import estimates, values
from empirisk.metrics.overlap import Overlap, overlap, statistics, surface

masks = st.sampled_from([(7, 9), (5, 6, 7)]).flatmap(lambda s: st.tuples(*[arrays(bool, s)] * 2))


def by_hand(a, b, spacing, tolerance=1.0):
    """The definitions of MONAI and scipy: erosion, and a distance transform of the whole image."""
    edges = [m & ~ndimage.binary_erosion(m) for m in (a, b)]
    there, back = (ndimage.distance_transform_edt(~edges[1 - i], sampling=spacing)[edges[i]] for i in (0, 1))
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    close = (there <= tolerance).sum() + (back <= tolerance).sum()
    dice = 2 * (a & b).sum() / (a.sum() + b.sum())
    return dice, hd95, close / (len(there) + len(back)), abs(int(b.sum()) - int(a.sum())) / a.sum()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(masks, st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)]))
def test_every_number_is_that_of_the_definition(pair, spacing):
    a, b = pair
    spacing = spacing[: a.ndim]
    said = overlap(a, b, spacing)
    if a.any() and b.any():
        assert np.allclose(said, by_hand(a, b, spacing), rtol=1e-12)
    elif not (a.any() or b.any()):
        assert np.isnan(said).all()
    else:
        assert said.dice == said.surface_dice == 0
        assert said.hd95 == pytest.approx(np.linalg.norm(np.multiply(a.shape, spacing)))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(masks)
def test_a_surface_is_what_erosion_takes_away(pair):
    assert np.array_equal(surface(pair[0]), pair[0] & ~ndimage.binary_erosion(pair[0]))


def test_shifted_cubes():
    a, b = np.zeros((2, 20, 20, 20), bool)
    a[4:10, 4:10, 4:10] = b[4:10, 4:10, 7:13] = True
    said = overlap(a, b, (1, 1, 2))
    assert said.dice == 0.5  # half of each is shared
    assert said.hd95 == 6.0  # three voxels of 2 mm
    assert said.volume_error == 0
    assert overlap(a, a) == Overlap(1, 0, 1, 0)
    assert overlap(a, b, (1, 1, 2), tolerance=6).surface_dice == 1


def test_symmetric_but_for_the_volume():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 9, 9)) > 0.6
    there, back = overlap(a, b), overlap(b, a)
    assert there[:3] == back[:3]
    assert there.volume_error == pytest.approx(abs(b.sum() - a.sum()) / a.sum())


def test_a_mask_does_not_move_its_numbers_by_moving_in_the_image():
    a, b = np.zeros((2, 30, 30), bool)
    a[3:9, 4:12], b[4:10, 4:10] = True, True
    moved = [np.roll(m, (15, 12), (0, 1)) for m in (a, b)]
    assert overlap(a, b) == overlap(*moved)


def test_cases_without_a_structure_are_left_out_and_counted():
    one, none = Overlap(0.5, 3, 0.4, 0.1), Overlap(*[np.nan] * 4)
    cases = np.array([[one, none], [none, none], [Overlap(1, 0, 1, 0), one]])
    scores = statistics(cases, ("a", "b"))
    found = values(scores, 3)
    assert found["dice"] == pytest.approx((0.5 + 0.75) / 2)  # mean over cases of the mean over structures
    assert found["dice/a"] == 0.75
    assert found["dice/b"] == 0.5
    assert next(iter(scores)) == "dice"
    e = estimates(scores, [None] * 3)
    assert e["dice"].n == 2
    assert e["dice/b"].value is None  # one patient only: said, not 0
    assert "/" not in "".join(statistics(cases[:, :1], ("a",)))
