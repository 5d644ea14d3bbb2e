"""Boxes as y, both ways: a row's boxes -> a padded array on the training grid; an answer -> cells, and a file in the training form."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from empirisk.data import written
from empirisk.data.augment import Augmentation
from empirisk.data.changes import Parameters
from empirisk.data.labels import natural
from empirisk.data.rows import Box, Row, Rows, as_written
from empirisk.data.targets import NONE
from empirisk.errors import Wrong, listed, near, shown
from empirisk.files import make_folder, write
from empirisk.metrics.boxes import Marks, volume

LARGEST = {2: 320, 3: 64}
"Longest side of the grid in pixels, by the number of dimensions, where --size is not given: small things need more than a class does."
LOOKS = 200
"Rows whose size is looked at for the grid."
VISIBLE = 0.3
"Share of a box that must stay inside the image when augmentation moves it; a smaller rest is taught as nothing."


def extent(row: Row) -> tuple[int, ...]:
    """(H, W) or (D, H, W) of the row's own image, read where the form of the data does not say it."""
    return tuple(int(s) for s in row.get("extent") or row["x"].read().shape[1:])


@dataclass(frozen=True)
class Boxes:
    """boxes <-> y (most, 1 + 2 dims): class number, -1 where there is no box, then the corners in pixels of the grid."""

    names: tuple[str, ...]
    dims: int
    most: int
    "boxes that y has room for"
    usual: float
    "boxes of a training image, on average"
    longest: int
    "longest side of the usual training image, in pixels"
    form: str = "coco"
    "of the files that answers are written to: voc, yolo or coco"
    column: str = "boxes"
    grid: tuple[int, ...] = ()
    "size of the images that y lies on"

    @classmethod
    def learn(cls, rows: Rows, form: str = "", given: Sequence[str] = (), asked: Sequence[str] = ()) -> Self:
        """Classes, number and place of the boxes of the training rows; `form` in words.

        Names in their order are those `asked` for, else those `given` by the form, else those found. y has room for a quarter more boxes than a training image has at most.

        Raises
        ------
        Wrong
            exit 2: no row has a box; one is of a class that is not among those asked for; one lies outside its image.
        """
        known = [r for r in rows if r.get("boxes") is not None]
        boxes = [b for r in known for b in r["boxes"]]
        if not boxes:
            others = {"mask": "segmentation", "label": "classification", "target": "regression"}
            other = next((name for column, name in others.items() if any(r.get(column) is not None for r in rows)), "")
            remedy = f"for these data: empirisk train {other} DATA" if other else "add boxes as VOC, COCO or YOLO files"
            raise Wrong("no training row has a box", remedy=remedy)
        dims, found = len(boxes[0].corners) // 2, {b.label for b in boxes}
        every = tuple(sorted(found, key=natural))
        if asked and (unknown := [label for label in every if label not in asked]):
            what = f"boxes are labelled {listed(unknown)}, which --classes does not name"
            remedy = f"name all of them in the order that you want: --classes {','.join(every)}"
            raise Wrong(what, where=f"named are {listed(asked)}", remedy=remedy)
        sizes = Counter(extent(r) for r in known[:LOOKS])
        forms = [name for name in written.BOXES if name in form.casefold()] if dims == 2 else []
        kind = cls(
            tuple(asked) or (tuple(given) if found <= set(given) else every), dims,
            most=math.ceil(1.25 * max(len(r["boxes"]) for r in known)), usual=len(boxes) / len(known),
            longest=max(sizes.most_common(1)[0][0]), form=forms[0] if forms else "coco",
        )  # fmt: skip
        for row in known:
            kind.marks(row)
        return kind

    @property
    def side(self) -> int:
        """Longest side of the training grid where none is asked for."""
        return min(self.longest, LARGEST[self.dims])

    def on(self, grid: Sequence[int]) -> Self:
        """The same, on images of this size."""
        return replace(self, grid=tuple(grid))

    def marks(self, row: Row) -> Marks:
        """The row's true boxes in shares of its image's sides, clipped to it.

        Raises
        ------
        Wrong
            exit 2, naming the row: a box outside its image or without area, of other dimensions, of an unknown class.
        """
        who, size, boxes = shown(row["id"]), extent(row), row["boxes"]
        if len(size) != self.dims or any(len(b.corners) != 2 * self.dims for b in boxes):
            numbers = listed(sorted({len(b.corners) for b in boxes})) or "no"
            what = f"boxes are of {self.dims} dimensions here, this image is of {len(size)}, its boxes have {numbers} numbers"
            raise Wrong(what, where=who, remedy="leave it out, or make two sets of them")
        unknown = [b.label for b in boxes if b.label not in self.names]
        if unknown:
            raise Wrong(
                f'a box is labelled "{shown(unknown[0])}", which is not among {listed(self.names)}', where=who,
                remedy=f"{near(unknown[0], self.names)} Correct the data".strip(),
            )  # fmt: skip
        sides = np.array(size[::-1] * 2, float)
        corners = np.array([b.corners for b in boxes], float).reshape(-1, 2 * self.dims) / sides
        inside = corners.clip(0, 1)
        bad = np.flatnonzero(~(inside[:, self.dims :] > inside[:, : self.dims]).all(1))
        if len(bad):
            box, grid = boxes[bad[0]], " x ".join(map(str, size[::-1]))
            where = f"{who}: {shown(box.label)} at {', '.join(f'{c:g}' for c in box.corners)} of {grid} pixels"
            remedy = "correct its file, or take the box out"
            raise Wrong("a box lies outside its image, or has no area", where=where, remedy=remedy)
        n = len(boxes)
        return Marks(np.array([self.names.index(b.label) for b in boxes], int), inside, np.ones(n), np.ones(n, bool))

    def encode(self, row: Row) -> np.ndarray:
        """y (most, 1 + 2 dims), float32; of more boxes than it has room for the largest."""
        if row.get("boxes") is None:
            raise Wrong(f"{shown(row['id'])} has no boxes", remedy="leave it out, or correct the data")
        marks = self.marks(row)
        largest = np.argsort(-volume(marks.corners), kind="stable")[: self.most]
        y = np.zeros((self.most, 1 + 2 * self.dims), np.float32)
        y[:, 0] = -1
        y[: len(largest), 0] = marks.label[largest]
        y[: len(largest), 1:] = marks.corners[largest] * np.array(self.grid[::-1] * 2)
        return y

    def move(self, change: Augmentation, y: Tensor, p: Parameters) -> Tensor:
        """y (n, most, 1 + 2 dims) moved with its images; a box of which less than VISIBLE stays inside becomes none."""
        if not change.shapes:
            return y
        d, moved = self.dims, change.apply_boxes(y[..., 1:], p, self.grid)
        larger = 1 / torch.linalg.det(change.matrix(p, self.grid)[:, :d, :d]).abs().to(y)  # (n,)
        before, after = ((b[..., d:] - b[..., :d]).prod(-1) for b in (y[..., 1:], moved))  # (n, most)
        gone = after < VISIBLE * before * larger[:, None]
        return torch.cat([y[..., :1].masked_fill(gone[..., None], -1), moved], -1)

    def columns(self) -> list[str]:
        """Column of each class's count: its name, bracketed where another column is called so."""
        taken = {"id", "patient", "target", "prediction", "file", "extent", "truth", "found"}
        return [f"n({name})" if name in taken else name for name in self.names]

    def write(self, row: Row, answer: Marks, folder: Path) -> dict[str, Any]:
        """Cells: target (empty where unknown) and prediction in words, the count of each class, the file, all boxes as JSON.

        boxes/ID.xml (VOC), .txt (YOLO) or .json (COCO) holds those boxes that are counted, in pixels of the image, with scores.
        """
        size, n = extent(row), len(self.names)
        truth = None if row.get("boxes") is None else self.marks(row)
        counts = np.bincount(answer.label[answer.counted], minlength=n)
        cells: dict[str, Any] = {
            "target": "" if truth is None else self.text(np.bincount(truth.label, minlength=n)),
            "prediction": self.text(counts),
        }
        cells |= {column: int(c) for column, c in zip(self.columns(), counts, strict=True)}
        found = [[*box, bool(c)] for box, c in zip(self.pixels(answer, size), answer.counted, strict=True)]
        ending, form = written.BOXES[self.form]
        path = folder / "boxes" / f"{written.stem_of(str(row['id']))}{ending}"
        make_folder(path.parent, parents=True)
        write(path, form(Path(str(row["id"])).name, size, [b[:-1] for b in found if b[-1]], self.names))
        return cells | {
            "file": f"boxes/{path.name}", "extent": "x".join(map(str, size)), "found": json.dumps(found),
            "truth": "" if truth is None else json.dumps([[b.label, *b.corners] for b in row["boxes"]]),
        }  # fmt: skip

    def text(self, counts: np.ndarray) -> str:
        """Counts in words.

        >>> Boxes(("RBC", "WBC"), 2, 9, 1.0, 64).text(np.array([12, 1]))
        'RBC 12, WBC 1'
        """
        return ", ".join(f"{name} {c}" for name, c in zip(self.names, counts, strict=True) if c) or NONE

    def pixels(self, marks: Marks, size: Sequence[int]) -> list[list[Any]]:
        """Each box as (class, score, x1, y1, .., x2, y2, ..) in the image's own pixels."""
        corners = np.round(marks.corners * np.array(tuple(size)[::-1] * 2), 4).tolist()
        return [
            [self.names[k], round(float(s), 9), *c] for k, s, c in zip(marks.label, marks.score, corners, strict=True)
        ]

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Marks]:
        """The inverse of `write`; raises Wrong (exit 3) for cells that `write` did not write."""
        with as_written():
            size = tuple(int(s) for s in cells["extent"].split("x"))
            row: Row = {"extent": size}
            if cells["truth"]:
                row["boxes"] = tuple(Box(label, tuple(corners)) for label, *corners in json.loads(cells["truth"]))
            boxes = [(self.names.index(b[0]), *b[1:]) for b in json.loads(cells["found"])]
            flat = np.array(boxes, float).reshape(len(boxes), 3 + 2 * self.dims)
        corners = flat[:, 2:-1] / np.array(size[::-1] * 2, float)
        return row, Marks(flat[:, 0].astype(int), corners, flat[:, 1], flat[:, -1] > 0)
