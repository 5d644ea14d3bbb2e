"""Grids in the patient: spacing, volume, when two are one; slices by position, and each reason why there is no volume."""

import numpy as np
import pytest

from empirisk.data.geometry import TOLERANCE, Geometry, Slice, apart, flipped, ordered, reversed_axes
from empirisk.errors import Wrong

A = np.array([[0, 0, -1.5, 9], [0, 2, 0, -4], [3, 0, 0, 5], [0, 0, 0, 1.0]])
TURNED = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


def test_spacing_and_volume_are_those_of_the_columns():
    g = Geometry.of(A, 3, "nifti")
    assert g.spacing == (3.0, 2.0, 1.5)
    assert g.volume == pytest.approx(9)
    assert Geometry.of(A, 2, "picture").spacing == (2.0, 1.5)
    assert (g.matrix == A).all()


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, 0.0])
def test_axes_that_span_nothing_are_refused(spoilt: float):
    broken = A.copy()
    broken[:3, 1] = spoilt
    with pytest.raises(Wrong, match="do not span a volume") as caught:
        Geometry.of(broken, 3, "nifti")
    assert caught.value.code == 2
    with pytest.raises(Wrong):
        Geometry.of(np.where(np.arange(4) == 1, A[:, [0]], A), 3, "nifti")  # two axes in one direction


def test_the_distance_of_grids_is_that_of_their_corners_in_voxels():
    g = Geometry.of(A, 3, "nifti")
    assert apart(g, g, (4, 5, 6)) == 0
    moved = A.copy()
    moved[0, 3] += 1.5 / 2
    assert apart(g, Geometry.of(moved, 3, "nifti"), (4, 5, 6)) == pytest.approx(0.5)
    wider = A.copy()
    wider[2, 0] *= 1.05  # 5 % of the spacing of 101 slices: five slices at the end
    assert apart(g, Geometry.of(wider, 3, "nifti"), (101, 5, 6)) == pytest.approx(5)


def test_a_direction_that_differs_by_2e_8_is_the_same_grid():
    noise = A.copy()
    noise[:3, :3] += 2e-8
    assert 0 < apart(Geometry.of(A, 3, "nifti"), Geometry.of(noise, 3, "nifti"), (512, 512, 512)) < TOLERANCE / 100


def test_turning_twice_is_nothing():
    assert (flipped(flipped(A)) == A).all()
    assert (flipped(A)[:2] == -A[:2]).all()
    assert (reversed_axes(reversed_axes(A)) == A).all()


def slices(z, *, across=TURNED[0], down=TURNED[1], drift=0.0, noise=0.0):
    normal, rng = np.cross(across, down), np.random.default_rng(0)
    return [
        Slice(
            tuple(normal * (v + noise * rng.uniform(-1, 1)) + down * drift * v + (1, 2, 3)),
            (*across, *down),
            (0.5, 0.75),
            4.0,
        )
        for v in z
    ]


def names(n):
    return [f"file{k}" for k in range(n)]


def refused(some):
    with pytest.raises(Wrong) as caught:
        ordered(some, names(len(some)))
    assert caught.value.code == 2
    assert caught.value.where.startswith("file")
    assert caught.value.remedy
    return caught.value.what


def test_the_affine_of_a_turned_series_gives_every_position_back():
    z = np.arange(6) * 2.5
    shuffled = np.random.default_rng(1).permutation(6)
    order, affine = ordered(slices(z[shuffled]), names(6))
    assert (z[shuffled][order] == z).all()
    for k in range(6):
        assert affine @ (k, 0, 0, 1) == pytest.approx((*np.cross(TURNED[0], TURNED[1]) * z[k] + (1, 2, 3), 1))
    assert affine @ (0, 1, 0, 0) == pytest.approx(
        (*TURNED[1] * 0.5, 0)
    )  # a row on: down the columns by the spacing of rows
    assert affine @ (0, 0, 1, 0) == pytest.approx((*TURNED[0] * 0.75, 0))


def test_a_slice_alone_is_as_thick_as_it_says():
    order, affine = ordered(slices([7.0]), names(1))
    assert order == [0]
    assert np.linalg.norm(affine[:3, 0]) == pytest.approx(4)


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_missing_slice_is_named_by_the_one_before(gone: int):
    z = np.delete(np.arange(5) * 3.0, gone)
    assert refused(slices(z)) == f"a gap of 2x the spacing after slice {gone} of 4: 1 missing"


def test_uneven_double_tilted_and_crossed_slices_are_refused():
    assert "unevenly, 2 to 2.3 mm apart, first after slice 2 of 4" in refused(slices([0, 2, 4.3, 6.3]))
    assert refused(slices([0, 2, 2, 4])) == "two slices lie at one position, 2 and 3 of 4"
    assert refused(slices([5, 5])) == "two slices lie at one position, 1 and 2 of 2"
    assert "tilted by 15.0 degrees" in refused(slices(np.arange(9.0), drift=np.tan(np.radians(15))))
    assert "other direction" in refused([*slices([0, 1]), *slices([2], across=TURNED[1], down=TURNED[0])])
    assert "no right angle" in refused(slices([0, 1], down=(TURNED[0] + TURNED[1]) / 2**0.5))


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-4])
def test_noise_below_a_thousandth_of_the_spacing_is_nothing(noise: float):
    order, _ = ordered(slices(np.arange(50) * 1.0, noise=noise), names(50))
    assert order == list(range(50))
