"""Grids in the patient: spacing, volume, and when two are one."""

import numpy as np
import pytest

from empirisk.data.geometry import TOLERANCE, Geometry, apart, flipped, reversed_axes
from empirisk.errors import Wrong

A = np.array([[0, 0, -1.5, 9], [0, 2, 0, -4], [3, 0, 0, 5], [0, 0, 0, 1.0]])


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
