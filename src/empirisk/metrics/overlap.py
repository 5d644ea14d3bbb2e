"""How well one mask covers another: Dice, the surfaces' distances, the volume; a case at a time, then over cases."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from empirisk.estimate import Statistic, mean

TOLERANCE = 1.0
"Of the surface Dice, in the unit of the spacing: mm, or pixels where it is unknown."
EMPTY = "no case where the structure is in truth or answer"


class Overlap(NamedTuple):
    """One structure in one case."""

    dice: float
    "2 |A B| / (|A| + |B|)"
    hd95: float
    "the larger of the 95th percentiles of the distances from each surface to the other, in the unit of the spacing"
    surface_dice: float
    "share of both surfaces that lies within the tolerance of the other"
    volume_error: float
    "| |B| - |A| | / |A|, A the truth"


NOTHING = Overlap(np.nan, np.nan, np.nan, np.nan)


def overlap(
    truth: np.ndarray, answer: np.ndarray, spacing: Sequence[float] | None = None, tolerance: float = TOLERANCE
) -> Overlap:
    """Of two masks (*size) of bool; spacing is the length of a voxel along each axis, None: 1.

    Both empty: all undefined (NaN). One empty: Dice and surface Dice 0, HD95 the diagonal of the image, the largest there is.
    A surface is the voxels that have a neighbour, across a face, outside the mask. Taha and Hanbury, BMC Medical Imaging 15
    (2015); Nikolov et al., JMIR 23 (2021), its surfaces counted by voxels.

    >>> cube = np.zeros((9, 9, 9), bool); cube[2:6, 2:6, 2:6] = True
    >>> overlap(cube, cube)
    Overlap(dice=1.0, hd95=0.0, surface_dice=1.0, volume_error=0.0)
    """
    a, b = (np.asarray(m, bool) for m in (truth, answer))
    length = np.ones(a.ndim) if spacing is None else np.asarray(spacing, float)
    na, nb = int(np.count_nonzero(a)), int(np.count_nonzero(b))
    if not (na or nb):
        return NOTHING
    error = abs(nb - na) / na if na else np.nan
    if not (na and nb):
        return Overlap(0.0, float(np.linalg.norm(length * a.shape)), 0.0, error)
    box = around(a | b)
    a, b = a[box], b[box]
    there, back = distances(a, b, length)
    worst = max(float(np.percentile(d, 95)) for d in (there, back))
    close = np.count_nonzero(there <= tolerance) + np.count_nonzero(back <= tolerance)
    covered = 2 * int(np.count_nonzero(a & b)) / (na + nb)
    return Overlap(covered, worst, int(close) / (len(there) + len(back)), error)


def around(mask: np.ndarray) -> tuple[slice, ...]:
    """The box around what is True of a mask that is not empty; half the time of `ndimage.find_objects`."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        inside = mask[tuple(box)]  # the axes before are cut already
        hit = np.flatnonzero(inside.any(tuple(k for k in range(mask.ndim) if k != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)


def surface(mask: np.ndarray) -> np.ndarray:
    """The voxels of a mask (*size) of bool with a neighbour, across a face, outside it; beyond the image nothing is inside."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        whole, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)  # views
        kept[1:] &= whole[:-1]
        kept[:-1] &= whole[1:]
        kept[[0, -1]] = False
    return np.asarray(mask & ~inner)


def distances(a: np.ndarray, b: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From each surface voxel of a to the nearest one of b, and back, in the unit of the spacing; neither is empty.

    A tree of the surface's points finds them: their number grows by an area, a distance transform of the box by a volume.
    """
    from scipy.spatial import cKDTree

    edges = surface(a), surface(b)
    points = [np.argwhere(e) * spacing for e in edges]
    out = []
    for i in (0, 1):
        apart = ~edges[1 - i][edges[i]]  # those that lie on the other surface have distance 0
        d = np.zeros(len(points[i]))
        if apart.any():
            d[apart] = cKDTree(points[1 - i], balanced_tree=False, compact_nodes=False).query(points[i][apart])[0]
        out.append(d)
    return out[0], out[1]


def statistics(cases: np.ndarray, names: Sequence[str]) -> dict[str, Statistic]:
    """Every metric by name from cases (N, K, 4): an Overlap for each structure of each case.

    The plain name is the mean over cases of the mean over the structures that are defined there; name/structure the mean over
    cases of one structure. A case in which all are undefined is left out, and n counts the others.
    """
    table = np.asarray(cases, float)  # (N, K, 4)
    known = ~np.isnan(table)
    count = known.sum(1)  # (N, 4)
    each = np.where(known, table, 0).sum(1) / np.maximum(count, 1)
    out, single = dict[str, Statistic](), dict[str, Statistic]()
    for i, metric in enumerate(Overlap._fields):
        out[metric] = mean(each[:, i], among=count[:, i] > 0, missing=EMPTY)
        for k, name in enumerate(names if len(names) > 1 else ()):
            single[f"{metric}/{name}"] = mean(table[:, k, i], among=known[:, k, i], missing=EMPTY)
    return out | single
