"""Kinds of data that need no truth: y is nothing, or the class that is only looked at afterwards; the answer is all there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from empirisk.data.labels import natural
from empirisk.data.rows import Row, Rows, as_written
from empirisk.data.targets import MOST

UNKNOWN = -1
"""y of a row without a class where others have one; the cluster of a row that is in none."""


def classes_of(rows: Rows) -> tuple[str, ...]:
    """The classes of rows in their order; none where no row has one, or a row may have several.

    >>> classes_of([{"label": "b"}, {}, {"label": "a"}])
    ('a', 'b')
    """
    found = {r["label"] for r in rows if r.get("label") is not None}
    if any(not isinstance(name, str) for name in found) or len(found) > MOST:
        return ()
    return tuple(sorted(found, key=natural))


def label_of(row: Row) -> str:
    """The cell `target` of a row: its class, several with | between them, or nothing.

    >>> label_of({"label": "benign"}), label_of({})
    ('benign', '')
    """
    label = row.get("label")
    return "|".join(label) if isinstance(label, tuple) else label or ""


def _known(cells: Mapping[str, str]) -> Row:
    """The row that the cell `target` tells of."""
    return {"label": cells["target"]} if cells["target"] else {}


def number_of(kind: Any, row: Row) -> np.int64:
    """`encode` of a kind that knows `names`: the number of the row's class; -1 where it has none of the names, 0 where there are no names."""
    label = row.get("label")
    return np.int64(kind.names.index(label) if label in kind.names else UNKNOWN if kind.names else 0)


@dataclass(frozen=True)
class Named:
    """What such kinds share: every row counts, with a class or without; y is the number of its class where there are names, else 0."""

    names: tuple[str, ...] = ()
    column: str = "x"

    encode = number_of

    @classmethod
    def learn(cls, rows: Rows) -> Self:
        """The classes that training rows happen to have."""
        return cls(classes_of(rows))


class Unlabelled(Named):
    """A code for each row."""

    def write(self, row: Row, answer: np.ndarray, folder: Path) -> dict[str, Any]:
        """Cells: target (empty where unknown), prediction (empty), then the code z1 .. zD."""
        code = {f"z{i}": float(z) for i, z in enumerate(answer, 1)}
        return {"target": label_of(row), "prediction": ""} | code

    def read(self, cells: Mapping[str, str]) -> tuple[Row, np.ndarray]:
        """The inverse of `write`; raises Wrong (exit 3) for cells that `write` did not write."""
        with as_written():
            names = sorted((c for c in cells if c[:1] == "z" and c[1:].isdecimal()), key=natural)
            return _known(cells), np.array([float(cells[c]) for c in names])


class Score(Named):
    """A number for each row, such as its log-likelihood or how strange it is."""

    def write(self, row: Row, answer: float, folder: Path) -> dict[str, Any]:
        """Cells: target (the class, empty where unknown), prediction and score."""
        return {"target": label_of(row), "prediction": float(answer), "score": float(answer)}

    def read(self, cells: Mapping[str, str]) -> tuple[Row, float]:
        """The inverse of `write`; raises Wrong (exit 3) for cells that `write` did not write."""
        with as_written():
            return _known(cells), float(cells["score"])


class Member(NamedTuple):
    """The answer of clustering to one row."""

    cluster: int
    "0, 1, ..; -1: in none"
    distance: float
    "to the centre of its cluster, or of the nearest one, in deviations of the codes"
    code: np.ndarray
    "(D,), by which rows are near or far"


class Clusters(Named):
    """The group of each row."""

    def write(self, row: Row, answer: Member, folder: Path) -> dict[str, Any]:
        """Cells: target (the class, empty where unknown), prediction and cluster (-1: none), distance, then the code z1 .. zD."""
        said = {"prediction": answer.cluster, "cluster": answer.cluster, "distance": answer.distance}
        return {"target": label_of(row)} | said | {f"z{i}": float(z) for i, z in enumerate(answer.code, 1)}

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Member]:
        """The inverse of `write`; raises Wrong (exit 3) for cells that `write` did not write."""
        row, code = Unlabelled().read(cells)
        with as_written():
            return row, Member(int(cells["cluster"]), float(cells["distance"]), code)


@dataclass(frozen=True)
class Count:
    """How many training rows there are: the size of what remembers them, known when they are gone."""

    rows: int

    @classmethod
    def learn(cls, rows: Rows) -> Self:
        """Of the training rows."""
        return cls(len(rows))
