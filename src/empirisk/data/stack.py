"""Slices in the order of their positions, and every reason why they make no volume. World axes are DICOM's, LPS+, mm."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from empirisk.data.geometry import TOLERANCE
from empirisk.errors import Wrong

UNEVEN = 1e-3
"Share by which the distances of slices may differ, and the entries of their directions."


class Slice(NamedTuple):
    """Where a slice lies: DICOM's ImagePositionPatient, ImageOrientationPatient and PixelSpacing."""

    position: tuple[float, ...]
    "centre of its first pixel"
    orientation: tuple[float, ...]
    "direction of its rows (x), then of its columns (y)"
    spacing: tuple[float, ...]
    "between rows, between columns"
    thickness: float = 1.0
    "for a slice alone"


def ordered(slices: Sequence[Slice], where: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """The order along the normal, and the affine (LPS+) from (slice, row, column).

    A = [mean step | spacing_r * column direction | spacing_c * row direction | first position]. `where` names each slice.

    Raises Wrong (exit 2): other directions or spacings in one volume, two slices at one position, a gap, uneven
    distances, slices that are shifted against each other (a tilted gantry), directions at no right angle.
    """
    first = slices[0]
    across, down = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(across, down)
    if abs(np.linalg.norm(normal) - 1) > UNEVEN:
        raise Wrong(
            "the directions of the image are at no right angle", where=where[0], remedy="leave it out, or write it anew"
        )
    for s, name in zip(slices, where, strict=True):
        if not np.allclose(s.orientation, first.orientation, atol=UNEVEN) or not np.allclose(
            s.spacing, first.spacing, rtol=UNEVEN
        ):
            raise Wrong(
                "slices of other direction or spacing in one series",
                where=name,
                remedy="give each its own folder, or --series",
            )
    positions = np.array([s.position for s in slices])  # (n, 3)
    order = np.argsort(positions @ normal, kind="stable")
    step = normal * first.thickness
    if len(slices) > 1:
        step = _step(positions[order], normal, first.spacing, [where[i] for i in order])
    affine = np.eye(4)
    affine[:3] = np.stack([step, down * first.spacing[0], across * first.spacing[1], positions[order[0]]], 1)
    return [int(i) for i in order], affine


def _step(positions: np.ndarray, normal: np.ndarray, spacing: Sequence[float], where: Sequence[str]) -> np.ndarray:
    """From each slice to the next, (3,), mm; positions are in order."""
    n = len(positions)
    apart = np.diff(positions @ normal)  # (n - 1,)
    usual = float(np.median(apart))
    least = float(apart.min())
    if least <= UNEVEN * max(usual, UNEVEN):
        k = int(apart.argmin())
        raise Wrong(
            f"two slices lie at one position, {k + 1} and {k + 2} of {n}", where=f"{where[k]} and {where[k + 1]}",
            remedy="take one of them out, or choose a series with --series",
        )  # fmt: skip
    wide = np.flatnonzero(apart > least * (1 + UNEVEN) + 1e-9)
    if len(wide):
        k, times = int(wide[0]), float(apart[wide[0]] / least)
        whole = round(times) > 1 and abs(times - round(times)) < 0.05
        what = (
            f"a gap of {round(times)}x the spacing after slice {k + 1} of {n}: {round(times) - 1} missing"
            if whole
            else f"slices lie unevenly, {least:g} to {apart.max():g} mm apart, first after slice {k + 1} of {n}"
        )
        raise Wrong(what, where=where[k], remedy="bring the missing slices, or leave the series out")
    whole_way = positions[-1] - positions[0]
    drift = np.linalg.norm(whole_way - normal * (whole_way @ normal))
    if drift > TOLERANCE * min(spacing):
        degrees = np.degrees(np.arctan2(drift, whole_way @ normal))
        raise Wrong(
            f"the slices are shifted against each other, as from a gantry tilted by {degrees:.1f} degrees", where=where[0],
            remedy="resample the series onto a straight grid, or leave it out",
        )  # fmt: skip
    step: np.ndarray = whole_way / (n - 1)
    return step
