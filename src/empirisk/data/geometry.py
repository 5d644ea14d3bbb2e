"""Where a voxel lies in the patient: affine, spacing, and whether two grids are one. World axes are RAS+, millimetres."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from empirisk.errors import Wrong

TOLERANCE = 0.1
"Of a voxel: grids whose corners lie nearer than that are one; headers of different tools differ by far less."
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
"LPS+ (DICOM) <-> RAS+ (NIfTI)."


@dataclass(frozen=True)
class Geometry:
    """p = A (k, j, i, 1): from an index, in the order of the array's last three axes, to the patient (right, anterior, superior).

    Of a slice (C, H, W) the first index is 0 and `spacing` has two entries.
    """

    affine: tuple[tuple[float, ...], ...]
    "A, 4x4, mm"
    spacing: tuple[float, ...]
    "mm an axis of the array: (D, H, W) or (H, W)"
    form: str
    "nifti, dicom or picture: what a result is written as"
    source: str = ""
    "path of the file, for its header"

    @classmethod
    def of(cls, affine: np.ndarray, dims: int, form: str, source: str = "") -> Self:
        """From a matrix 4x4 in array order; `dims` is 2 or 3.

        Raises Wrong (exit 2): entries that are not finite, or axes that do not span a volume.
        """
        a = np.asarray(affine, np.float64)
        lengths = np.linalg.norm(a[:3, :3], axis=0) if np.isfinite(a).all() else np.zeros(3)
        if lengths.min() == 0 or abs(np.linalg.det(a[:3, :3] / lengths)) < 1e-3:
            raise Wrong(
                "the geometry of the image is broken: its axes do not span a volume",
                remedy="write it anew with its spacing",
            )
        rows = tuple(tuple(float(v) for v in row) for row in a)
        return cls(rows, tuple(float(v) for v in lengths[3 - dims :]), form, source)

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

    array: np.ndarray
    "(C, *size), uint8, uint16 or float32"
    geometry: Geometry | None
    "None where the file says nothing of millimetres"


def flipped(affine: np.ndarray) -> np.ndarray:
    """LPS+ to RAS+, and back: the first two world axes change sign."""
    turned: np.ndarray = _FLIP @ affine
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
