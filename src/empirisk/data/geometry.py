"""Where a voxel lies in the patient: affine, spacing, whether two grids are one, and slices in the order of their positions.

World axes are RAS+, millimetres; those of `ordered` are DICOM's, LPS+.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from empirisk.data.rows import refused
from empirisk.errors import Wrong

TOLERANCE = 0.1
"Of a voxel: grids whose corners lie nearer than that are one; headers of different tools differ by far less."
UNEVEN = 1e-3  # Share by which the distances of slices may differ, and the entries of their directions.


@dataclass(frozen=True)
class Geometry:
    """p = A (k, j, i, 1): from an index, in the order of the array's last three axes, to the patient (right, anterior, superior).

    Of a slice (C, H, W) the first index is 0 and `spacing` has two entries.
    """

    affine: tuple[tuple[float, ...], ...]  # A, 4x4, mm
    spacing: tuple[float, ...]  # mm an axis of the array: (D, H, W) or (H, W)
    form: str  # nifti, dicom or picture: what a result is written as
    source: str = ""  # path of the file, for its header

    @classmethod
    def of(cls, affine: np.ndarray, dims: int, form: str, source: str = "") -> Self:
        """From a matrix 4x4 in array order; `dims` is 2 or 3.

        Raises Wrong (exit 2): entries that are not finite, or axes that do not span a volume.
        """
        a = np.asarray(affine, np.float64)
        lengths = np.linalg.norm(a[:3, :3], axis=0) if np.isfinite(a).all() else np.zeros(3)
        if lengths.min() == 0 or abs(np.linalg.det(a[:3, :3] / lengths)) < 1e-3:
            what = "the geometry of the image is broken: its axes do not span a volume"
            raise Wrong(what, where=source, remedy="write it anew with its spacing")
        return cls(tuple(map(tuple, a.tolist())), tuple(lengths[3 - dims :].tolist()), form, source)

    @property
    def matrix(self) -> np.ndarray:
        """A as an array (4, 4)."""
        return np.array(self.affine)

    @property
    def volume(self) -> float:
        """mm3 of a voxel, |det A|."""
        return float(abs(np.linalg.det(self.matrix[:3, :3])))


class Image(NamedTuple):
    """What was read from a file."""

    array: np.ndarray  # (C, *size), uint8, uint16 or float32
    geometry: Geometry | None  # None where the file says nothing of millimetres


def flipped(affine: np.ndarray) -> np.ndarray:
    """LPS+ to RAS+, and back: the first two world axes change sign."""
    turned: np.ndarray = affine * np.array([[-1.0], [-1.0], [1.0], [1.0]])
    return turned


def reversed_axes(affine: np.ndarray) -> np.ndarray:
    """(i, j, k) to (k, j, i), and back."""
    turned: np.ndarray = affine[:, [2, 1, 0, 3]]
    return turned


def apart(a: Geometry, b: Geometry, size: tuple[int, ...]) -> float:
    """The largest distance between the same corners of two grids of this size, in voxels of the first."""
    ends = [(0, n - 1) for n in (1,) * (3 - len(size)) + size]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3)  # (8, 3)
    moved = np.linalg.solve(a.matrix, b.matrix)  # index of b -> index of a
    away = corners @ moved[:3, :3].T + moved[:3, 3] - corners
    return float(abs(away).max())


class Slice(NamedTuple):
    """Where a slice lies: DICOM's ImagePositionPatient, ImageOrientationPatient and PixelSpacing."""

    position: tuple[float, ...]  # centre of its first pixel
    orientation: tuple[float, ...]  # direction of its rows (x), then of its columns (y)
    spacing: tuple[float, ...]  # between rows, between columns
    thickness: float = 1.0  # for a slice alone


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
        what = "the directions of the image are at no right angle"
        raise refused(where[0], what, "leave it out, or write it anew")
    for s, name in zip(slices, where, strict=True):
        one = np.allclose(s.orientation, first.orientation, atol=UNEVEN)
        if not one or not np.allclose(s.spacing, first.spacing, rtol=UNEVEN):
            what = "slices of other direction or spacing in one series"
            raise refused(name, what, "give each its own folder, or --series")
    positions = np.array([s.position for s in slices])  # (n, 3)
    order = np.argsort(positions @ normal, kind="stable")
    step = normal * first.thickness
    if len(slices) > 1:
        step = _step(positions[order], normal, first.spacing, [where[i] for i in order])
    affine = np.eye(4)
    affine[:3] = np.stack([step, down * first.spacing[0], across * first.spacing[1], positions[order[0]]], 1)
    return order.tolist(), affine


def _step(positions: np.ndarray, normal: np.ndarray, spacing: Sequence[float], where: Sequence[str]) -> np.ndarray:
    """From each slice to the next, (3,), mm; positions are in order."""
    n, gaps = len(positions), np.diff(positions @ normal)  # (n - 1,)
    usual, least = float(np.median(gaps)), float(gaps.min())
    if least <= UNEVEN * max(usual, UNEVEN):
        k = int(gaps.argmin())
        what = f"two slices lie at one position, {k + 1} and {k + 2} of {n}"
        raise refused(f"{where[k]} and {where[k + 1]}", what, "take one of them out, or choose a series with --series")
    wide = np.flatnonzero(gaps > least * (1 + UNEVEN) + 1e-9)
    if len(wide):
        k, times = int(wide[0]), float(gaps[wide[0]] / least)
        what = f"slices lie unevenly, {least:g} to {gaps.max():g} mm apart, first after slice {k + 1} of {n}"
        if round(times) > 1 and abs(times - round(times)) < 0.05:
            gap, missing = f"{round(times)}x the spacing", round(times) - 1
            what = f"a gap of {gap} after slice {k + 1} of {n}: {missing} missing"
        raise refused(where[k], what, "bring the missing slices, or leave the series out")
    way = positions[-1] - positions[0]
    drift = np.linalg.norm(way - normal * (way @ normal))
    if drift > TOLERANCE * min(spacing):
        tilt = np.degrees(np.arctan2(drift, way @ normal))
        what = f"the slices are shifted against each other, as from a gantry tilted by {tilt:.1f} degrees"
        raise refused(where[0], what, "resample the series onto a straight grid, or leave it out")
    step: np.ndarray = way / (n - 1)
    return step
