"""The target that is a mask: a class for each pixel, or the things of one class told apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from empirisk.data.rows import Row, Rows, as_written, spacing_of
from empirisk.data.targets import NONE
from empirisk.data.written import stem_of, write_mask
from empirisk.errors import Wrong, listed, shown
from empirisk.metrics.overlap import NOTHING, Overlap, overlap

MANY = 20
"Different numbers in one mask above which they are taken to count things, not to name classes."
LOOKS = 200
"Training masks whose numbers are looked at, evenly many."
IGNORED = 255
"Beside smaller numbers it marks pixels that are not counted, as VOC writes them."


class Segmented(NamedTuple):
    """The answer of segmentation to one image, on the image's own grid."""

    labels: np.ndarray
    "(*size): 0 the background, k the k-th structure"
    instances: np.ndarray | None = None
    "(*size): numbers 1 .. n of the things, 0 the background"
    surety: np.ndarray | None = None
    "(n,): how sure each is one, in [0, 1]"
    measures: np.ndarray | None = None
    "(K, 4), where only those were kept: see Overlap"


@dataclass(frozen=True)
class Masks:
    """Numbers of a label map <-> structures 1 .. K. With `instances` they count things of one structure."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    "what stands in the label map for each structure"
    ignored: tuple[int, ...] = ()
    "numbers of pixels that are not counted"
    instances: bool = False
    column: str = "mask"

    @classmethod
    def learn(cls, rows: Rows, given: Callable[[], Sequence[str]], instances: bool | None = None) -> Self:
        """The structures of the training masks; `given()` names those numbered 1 .. K, none: named by their numbers.

        `instances` None: where a mask holds more than 20 different numbers they count things.

        Raises
        ------
        Wrong
            exit 2: no row has a mask, nothing is ever marked, more names than numbers.
        """
        masked = [r for r in rows if r.get("mask") is not None]
        if not masked:
            other = next((k for k in ("boxes", "label", "target") if any(r.get(k) is not None for r in rows)), "")
            task = {"boxes": "detection", "label": "classification", "target": "regression"}.get(other, "")
            where = f"the rows have {other}" if other else "the rows have images and nothing else"
            remedy = f"empirisk train {task} DATA" if task else "give a folder of images/ and masks/, or a column mask"
            raise Wrong("no training row has a mask", where=where, remedy=remedy)
        some = masked[:: -(-len(masked) // LOOKS)]
        found = [{int(v) for v in np.unique(r["mask"].read())} - {0} for r in some]
        every = sorted(set[int]().union(*found))
        if not every:
            raise Wrong(
                "nothing is marked in the training masks", remedy="0 is the background, every other number a structure"
            )
        counted = max(map(len, found)) > MANY
        if instances or (instances is None and counted):
            return cls(("foreground",), (1,), instances=True)
        if instances is False and counted:
            return cls(("foreground",), (), ())
        ignored = (IGNORED,) if len(every) > 1 and every[-1] == IGNORED and every[-2] < IGNORED - 1 else ()
        values = tuple(v for v in every if v not in ignored)
        names = tuple(given()) if "label" not in rows[0] else ()  # then they name the images
        if not names:
            return cls(("foreground",) if len(values) == 1 else tuple(str(v) for v in values), values, ignored)
        if max(values) > len(names):
            raise Wrong(
                f"the masks have the numbers {listed(values)}",
                where=f"named are {listed(names)}",
                remedy="name every number from 1 on",
            )
        return cls(names, tuple(range(1, len(names) + 1)), ignored)

    def labels(self, row: Row) -> np.ndarray:
        """The truth (*size), int16: 0 the background, k the k-th structure, -1 not counted.

        Raises
        ------
        Wrong
            exit 2, naming the row: no mask, or a number in it that no training mask had.
        """
        mask = self._read(row)
        if self.instances or not self.values:
            return (mask > 0).astype(np.int16)
        out = np.where(mask == 0, 0, -2).astype(np.int16)
        for k, value in enumerate(self.values, 1):
            out[mask == value] = k
        for value in self.ignored:
            out[mask == value] = -1
        if out.min() < -1:
            strange = sorted({int(v) for v in np.unique(mask[out == -2])})
            known = f"known are 0 and {listed((*self.values, *self.ignored))}"
            raise Wrong(
                f"the mask of {shown(row['id'])} has the numbers {listed(strange)}",
                where=known,
                remedy="correct the mask",
            )
        return out

    def things(self, row: Row) -> np.ndarray:
        """The true instance map (*size); of a mask with one number, its connected parts."""
        from scipy import ndimage

        mask = self._read(row)
        return mask if len(np.unique(mask)) > 2 else ndimage.label(mask, np.ones((3,) * mask.ndim))[0]

    def encode(self, row: Row) -> np.ndarray:
        """y (k, *size), uint8: 0 not counted, 1 background, 1 + k the k-th structure; with instances, then 255 d.

        d is the distance to the edge of its thing over the largest there, from 0 to 1 in its middle.
        """
        y = (self.labels(row) + 1).astype(np.uint8)
        if not self.instances:
            return y[None]
        return np.stack([y, np.rint(255 * middles(self.things(row))).astype(np.uint8)])

    def _read(self, row: Row) -> np.ndarray:
        if row.get("mask") is None:
            raise Wrong(f"{shown(row['id'])} has no mask", remedy="leave it out, or give its mask")
        return np.asarray(row["mask"].read())

    def measure(self, row: Row, answer: Segmented) -> np.ndarray:
        """(K, 4): an Overlap for each structure of the row; pixels that are not counted are in no mask.

        Raises
        ------
        Wrong
            exit 2: mask and image differ in size.
        """
        if answer.measures is not None:
            return answer.measures
        truth = self.labels(row)
        if truth.shape != answer.labels.shape:
            raise differ(row, answer.labels.shape, truth.shape)
        said, spacing = np.where(truth < 0, 0, answer.labels), spacing_of(row)
        return np.array([overlap(truth == k, said == k, spacing) for k in range(1, len(self.names) + 1)])

    def border(self, labels: np.ndarray) -> list[str]:
        """Names of the structures that the image's border cuts: they reach its outermost pixels."""
        faces = [np.unique(np.take(labels, end, axis)) for axis, end in product(range(labels.ndim), (0, -1))]
        seen = set(np.concatenate(faces).tolist())
        return [name for k, name in enumerate(self.names, 1) if k in seen]

    def write(self, row: Row, answer: Segmented, folder: Path) -> dict[str, Any]:
        """Write the label map in the form of the image, and give its cells.

        target: the structures truly there, empty where unknown; prediction: the file; cut: those cut by the border; volume of
        each in mm3, or in pixels; where the truth is known, how well each was found.
        """
        if self.instances and answer.instances is not None:
            stored = answer.instances
        else:
            stored = np.append(0, self.values or (1,))[answer.labels]
        stored = stored.astype(np.uint8 if stored.max(initial=0) < 256 else np.uint16)
        file = write_mask(folder, stem_of(str(row["id"])), stored, row["x"])
        known = row.get("mask") is not None
        there = [n for k, n in enumerate(self.names, 1) if known and (self.labels(row) == k).any()]
        voxel = float(np.prod(spacing_of(row) or (1.0,)))
        cells: dict[str, Any] = {
            "target": ("|".join(there) or NONE) if known else "", "prediction": str(file.relative_to(folder)),
            "cut": "|".join(self.border(answer.labels)),
        }  # fmt: skip
        if answer.instances is not None:
            cells["things"] = int(answer.instances.max(initial=0))
        for k, name in enumerate(self.names, 1):
            cells[f"volume/{name}"] = voxel * np.count_nonzero(answer.labels == k)
        table = self.measure(row, answer) if known else np.array([NOTHING] * len(self.names))
        return cells | {
            f"{metric}/{name}": None if np.isnan(table[k, i]) else float(table[k, i])
            for i, metric in enumerate(Overlap._fields)
            for k, name in enumerate(self.names)
        }

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Segmented]:
        """The inverse of `write` but for the map itself, which stays in its file: only how well it fits is read back.

        Raises
        ------
        Wrong
            exit 3: a column is absent, or a cell is none that `write` wrote.
        """
        with as_written():
            table = [[float(cells[f"{m}/{n}"] or "nan") for m in Overlap._fields] for n in self.names]
        return {}, Segmented(np.zeros(0, np.uint8), measures=np.array(table))


def middles(things: np.ndarray) -> np.ndarray:
    """The distance d of each pixel to the edge of its thing over the largest in that thing, float32 (*size); 0 outside."""
    from scipy import ndimage

    out = np.zeros(things.shape, np.float32)
    for i, box in enumerate(ndimage.find_objects(things.astype(np.int32)), 1):
        if box is not None:
            mine = things[box] == i
            d = ndimage.distance_transform_edt(np.pad(mine, 1))[(slice(1, -1),) * mine.ndim]
            out[box][mine] = (d / d.max())[mine]
    return out


def differ(row: Row, image: Sequence[int], mask: Sequence[int]) -> Wrong:
    """Image and mask are of two sizes."""
    sizes = ["x".join(map(str, s)) for s in (image, mask)]
    return Wrong(
        f"image and mask of {shown(row['id'])} differ in size",
        where=f"image {sizes[0]}, mask {sizes[1]}",
        remedy="give the mask of this image",
    )
