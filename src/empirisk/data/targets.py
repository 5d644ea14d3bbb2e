"""What y is, both ways: a row of the table -> y; an answer -> cells of the predictions table, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from empirisk.data.labels import natural
from empirisk.data.rows import Row, Rows, as_written
from empirisk.errors import Wrong, listed, near, shown

MOST = 1000  # Classes at most: each has numbers of its own, and each pair of them a cell of the report.
NONE = "(none)"  # Written where several labels are possible and none is there; an empty cell is an unknown one.


class Verdict(NamedTuple):
    """The answer of classification to one image."""

    p: np.ndarray  # probabilities (K,), in the order of the classes
    choice: int | tuple[int, ...]
    "index of the chosen class; where several labels are possible, of all that are chosen"
    threshold: float = 0.5  # of the choice, where it was made by one


@dataclass(frozen=True)
class Classes:
    """label <-> index. With `multi` a row has any number of labels and y is a vector of 0 and 1."""

    names: tuple[str, ...]
    multi: bool = False
    column: str = "label"

    @classmethod
    def learn(cls, rows: Rows, given: Sequence[str] = ()) -> Self:
        """The classes of the training rows: `given` where the form of the data fixes names and order, else those found.

        Raises Wrong (exit 2) where no row has a label, or all have one and the same, or where there are more than 1,000 classes.
        """
        labels = [r["label"] for r in rows if r.get("label") is not None]
        if not labels:
            remedy = "name the column with --label, or put each class in a folder"
            raise Wrong("no training row has a label", remedy=remedy)
        multi = isinstance(labels[0], tuple)
        found = {n for t in labels for n in (t if multi else (t,))}
        if len(found) < 2 and not multi:
            what = f"all training rows are {shown(labels[0])}"
            raise Wrong(what, remedy="at least two classes are needed to tell apart")
        names = tuple(given) or tuple(sorted(found, key=natural))
        if len(names) > MOST:
            remedy = "name the column of the class with --label, join some with --rename, or learn a number: --target"
            raise Wrong(f"{len(names):,} classes are more than {MOST:,}", where=listed(names, 3), remedy=remedy)
        return cls(names, multi)

    def index(self, name: str) -> int | None:
        """Index of a class by its name or, where no class is called so, by the number stored in the data.

        >>> Classes(("normal", "pneumonia")).index("1")
        1
        """
        if name in self.names:
            return self.names.index(name)
        return int(name) if name.isascii() and name.isdigit() and int(name) < len(self.names) else None

    def encode(self, row: Row) -> Any:
        """y: the class's index, int64; with `multi` (K,) of 0 and 1, float32.

        Raises Wrong (exit 2), naming the row: no label, or one that the training rows did not have.
        """
        label = row.get("label")
        if label is None:
            raise Wrong(f"{shown(row['id'])} has no label", remedy="leave it out, or correct the table")
        names = label if isinstance(label, tuple) else (label,)
        found = {n: self.index(n) for n in names}
        if None in found.values() or isinstance(label, tuple) != self.multi:
            wrong = next((n for n, i in found.items() if i is None), listed(names))
            what = f'label "{shown(wrong)}" is not among {listed(self.names)}'
            remedy = f"{near(wrong, self.names)} Correct the data or add --rename old=new".strip()
            raise Wrong(what, where=shown(row["id"]), remedy=remedy)
        indices = [i for i in found.values() if i is not None]
        return np.isin(np.arange(len(self.names)), indices).astype(np.float32) if self.multi else np.int64(indices[0])

    def columns(self) -> list[str]:
        """Column of each class's probability: its name, bracketed where another column is called so."""
        return [f"p({n})" if n in {"id", "patient", "target", "prediction"} else n for n in self.names]

    def write(self, row: Row, answer: Verdict, folder: Path) -> dict[str, Any]:
        """Cells: target (empty where unknown), prediction, then the probability of each class."""
        target = ""
        if row.get("label") is not None:
            y = self.encode(row)
            target = self.text(np.flatnonzero(y) if self.multi else [y])
        cells = {"target": target, "prediction": self.text(np.atleast_1d(answer.choice))}
        return cells | {c: float(p) for c, p in zip(self.columns(), answer.p, strict=True)}

    def text(self, indices: Iterable[int]) -> str:
        """One cell: the names, with | between several."""
        return "|".join(self.names[int(i)] for i in indices) or NONE

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Verdict]:
        """The inverse of `write`, but for the threshold; raises Wrong (exit 3) for cells that `write` did not write."""

        def names(cell: str) -> tuple[str, ...]:
            return (() if cell == NONE else tuple(cell.split("|"))) if self.multi else (cell,)

        with as_written():
            p = np.array([float(cells[c]) for c in self.columns()])
            label, chosen = names(cells["target"]), tuple(self.names.index(n) for n in names(cells["prediction"]))
        row: Row = {"label": label if self.multi else label[0]} if cells["target"] else {}
        return row, Verdict(p, chosen if self.multi else chosen[0])


class Value(float):
    """A number with further columns."""

    more: dict[str, float]


@dataclass(frozen=True)
class Number:
    """A number; y is in deviations of the training rows, y = (value - mean) / std."""

    column: str = "target"
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def learn(cls, rows: Rows) -> Self:
        """Mean and standard deviation (divisor N) of the training rows' numbers.

        Raises Wrong (exit 2) where no row has a number, or all have the same.
        """
        values = np.array([r["target"] for r in rows if r.get("target") is not None], np.float64)
        if not len(values):
            raise Wrong("no training row has a number", remedy="name its column with --target")
        if values.std() == 0:
            raise Wrong(f"all training rows have the number {values[0]:g}", remedy="nothing can be learned from that")
        return cls("target", float(values.mean()), float(values.std()))

    def encode(self, row: Row) -> np.float32:
        """y = (value - mean) / std, float32; raises Wrong (exit 2) for a row without a number."""
        if row.get("target") is None:
            raise Wrong(f"{shown(row['id'])} has no number", remedy="leave it out, or correct the table")
        return np.float32((float(row["target"]) - self.mean) / self.std)

    def decode(self, y: float) -> float:
        """The value of a y, in the unit of the data."""
        return self.mean + self.std * float(y)

    def write(self, row: Row, answer: float, folder: Path) -> dict[str, Any]:
        """Cells: target (empty where unknown), prediction and value, all in the unit of the data."""
        target = "" if row.get("target") is None else float(row["target"])
        return {"target": target, "prediction": float(answer), "value": float(answer)}

    def read(self, cells: Mapping[str, str]) -> tuple[Row, float]:
        """The inverse of `write`; raises Wrong (exit 3) for a cell that `write` did not write."""
        with as_written():
            return ({"target": float(cells["target"])} if cells["target"] else {}), float(cells["value"])
