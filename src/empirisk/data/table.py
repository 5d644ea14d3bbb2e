"""From disk to (x, y): a table, its split, and what was learned from its training rows."""

import functools
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from empirisk.data import audit as audits
from empirisk.data import forms, splits
from empirisk.data.augment import Augmentation
from empirisk.data.batches import Along, Pixels
from empirisk.data.card import Card
from empirisk.data.patches import Cases, patched
from empirisk.data.plan import Plan
from empirisk.data.readers import Text
from empirisk.data.rows import Columns, Row, Rows, Table, naming
from empirisk.data.sources import Batches, Grid, Source
from empirisk.data.words import Texts, padded
from empirisk.errors import Wrong, listed
from empirisk.losses import Batch

__all__ = ["Data", "Loaded", "Row", "Rows", "Target", "plain_fields"]
T = TypeVar("T")


class Target(Protocol):
    """What y is, both ways: a cell of the table -> y; an answer -> cells or a file in the input's own form."""

    @property
    def column(self) -> str:
        """Of the table; a row without it has no truth."""

    def encode(self, row: Row) -> Any:
        """The row's y."""

    def write(self, row: Row, answer: Any, folder: Path) -> dict[str, Any]:
        """Cells of the predictions table."""


@dataclass
class Loaded:
    """What was read from disk, shared by all copies of a Data."""

    table: Table | None = None
    rows: Rows = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    pixels: dict[str, Pixels | Texts] = field(default_factory=dict)
    cases: dict[str, Cases] = field(default_factory=dict)


NO_FLAG = {"flag": False}  # Of a field.


@dataclass(frozen=True)
class Data:
    """A table of samples, in the terms of one experiment."""

    data: Any
    "a path (folder, .csv, .json, .npz), phantom, curve, breast-cancer, or a DataFrame"
    _: KW_ONLY
    image: str | None = None
    "column of the image paths"
    label: str | None = None
    "column of the class; several 0/1 columns a,b,c make it multi-label"
    target: str | None = None
    "column of the number"
    mask: str | None = None
    "column of the label maps' paths, relative to the table; none: not used"
    boxes: str | None = None
    "column of the boxes as JSON, [[label, x1, y1, x2, y2], ...]; none: not used"
    text: str | None = None
    "column of the text that is read; without a column of pictures it is all that is"
    caption: str | None = None
    "column of the text that is to be written"
    patient: str | None = None
    "column of the patient; for folders a pattern such as '(P[0-9]+)', or none"
    split: str | None = None
    "column that says train, val or test"
    rename: str | None = None
    "labels to rename, wrong=right,..."
    series: str | None = None
    "of a DICOM tree: series number, modality, or words of the description"
    labels: str | None = None
    "table of the labels of a DICOM tree, a .csv"
    join: str | None = None
    "DICOM tag by which that table is joined, such as StudyInstanceUID"
    size: int | None = None
    "side of the training grid in pixels; None: the commonest, at most 224 (3D: 64)"
    split_seed: int = 0
    "of the split, so that runs with other seeds pair"
    fold: str | None = None
    "k/K: of K equal shares by patient the k-th is the test set; --folds K trains them all"
    waive: str | None = None
    "the reason why a patient may be in two splits; printed in the report"
    skip_bad: int = 0
    "unreadable pictures to leave out at most"
    classes: str | None = field(default=None, metadata=NO_FLAG)
    "names of the classes or structures in order; a flag of those experiments that have such"
    truthless: bool = field(default=False, metadata=NO_FLAG)
    "rows need no class or number, as nothing is to be told apart"
    reads: str | None = field(default=None, metadata=NO_FLAG)
    "column of the text that is x, whatever a row has beside it; None: x is what the form of the data says"
    only: str | None = field(default=None, metadata=NO_FLAG)
    "class of the training rows, by name or number; those of others are left out of training"
    apart: int = field(default=0, metadata=NO_FLAG)
    "a tenth of the training rows, at least so many, teaches nothing: answers are compared with it; 0: none"
    patch: int | None = field(default=None, metadata=NO_FLAG)
    "side of the patches in pixels that are the rows in place of the images; None: the images are"
    facts: dict[str, Any] = field(default_factory=dict, metadata=NO_FLAG)
    "learned from the training rows: saved, read back"
    assigned: dict[str, dict[str, str]] = field(default_factory=dict, metadata=NO_FLAG)
    "id -> patient, part, why, sha256: saved, so that a grown folder leaks nothing"
    kind: Target | None = field(default=None, metadata=NO_FLAG)
    change: Augmentation | None = field(default=None, metadata=NO_FLAG)
    along: Along | None = field(default=None, metadata=NO_FLAG)
    source: Source = field(default=Grid(), metadata=NO_FLAG)
    "how rows become x and y"
    loaded: Loaded = field(default_factory=Loaded, metadata=NO_FLAG, repr=False, compare=False)

    @property
    def columns(self) -> Columns:
        """How the table's columns are named."""
        inputs = tuple(self.facts.get("card", {}).get("inputs", ()))
        named = {f.name: getattr(self, f.name) for f in fields(Columns) if hasattr(self, f.name)}
        return Columns(**named, inputs=inputs)

    def table(self, data: Any, *, bare: bool = False) -> Table:
        """The table of a set, read in the terms of this one; with `bare` its rows need no truth."""
        return patched(forms.table(data, self.columns, skip_bad=self.skip_bad, bare=bare), self.patch)

    def prepared(self) -> Loaded:
        """Read the table once, split it or take the saved split, and audit it."""
        if self.loaded.table is None:
            table = self.table(self.data)
            if self.assigned:
                self.loaded.hashes = audits.hashes(table.rows)
                self.loaded.rows, self.loaded.added = splits.as_saved(table.rows, self.assigned, self.loaded.hashes)
            else:
                rows = splits.split(table.rows, seed=self.split_seed, fold=self.fold)
                prints = audits.prints(table.rows)
                self.loaded.hashes = prints.hashes
                audit = replace(audits.audit(rows, prints, waive=self.waive), patients_known=table.patients_known)
                out, self.facts["audit"] = audit.left_out, audit.record()
                rows = [r | {"why": out[r["id"]], "part": ""} if r["id"] in out else r for r in rows]
                rows = rows if self.only is None else splits.of_one_class(rows, self.only, table.classes)
                self.loaded.rows = splits.kept_apart(rows, self.apart) if self.apart else rows
            self.loaded.rows = self.read_as_text(self.loaded.rows)
            self.loaded.table = table
        return self.loaded

    def rows(self, part: str) -> Rows:
        """train | val; the test rows have another door. Raises Wrong (exit 2) if the part is empty."""
        if part not in {"train", "val"}:
            raise ValueError(part)
        return self._of(part, f"the {part} split is empty", "more rows are needed, or a split column that names it")

    def kept_apart(self) -> Rows:
        """The training rows that teach nothing."""
        return [r for r in self.prepared().rows if r.get("why") == splits.APART]

    def test(self) -> Rows:
        """Called by verbs/test.py and nothing else (a test greps for it)."""
        return self._of("test", "there are no test rows", "give other data: empirisk test RUN --data OTHER")

    def _of(self, part: str, what: str, remedy: str) -> Rows:
        rows = self.taught([r for r in self.prepared().rows if r["part"] == part])
        if not rows:
            raise Wrong(what, remedy=remedy)
        return rows

    def taught(self, rows: Rows) -> Rows:
        """The rows whose truth is known; the others were counted as odd when the table was read."""
        return [r for r in rows if r.get(self.kind.column) is not None] if self.kind is not None else rows

    def other(self, data: Any) -> Rows:
        """All rows of another set, read in the terms of this one."""
        return [r | {"part": "new"} for r in self.read_as_text(self.table(data, bare=True).rows)]

    def read_as_text(self, rows: Rows) -> Rows:
        """The rows with their column `reads` as x, where there is one; `Wrong` (exit 2) for a row without it."""
        gone = [str(r["id"]) for r in rows if self.reads and not r.get(self.reads)]
        if gone:
            raise Wrong(
                f"{len(gone)} rows have no {self.reads}",
                where=listed(gone, 3),
                remedy=f"name its column with --{self.reads}",
            )
        return [r | {"x": Text(r[self.reads])} for r in rows] if self.reads else rows

    def learn(self, kind: type[T], *args: Any) -> T:
        """The only way to a value that depends on data: `kind.learn(training rows, *args)`, once; later from run.json."""
        key = kind.__name__.lower()
        if key not in self.facts:
            self.facts[key] = plain_fields(kind.learn(self.rows("train"), *args))  # type: ignore[attr-defined]
        return of_fields(kind, self.facts[key])

    def card(self, *, measured: bool = False) -> Card:
        """What the images are, learned from the training rows; `measured` where the target is in mm."""
        table = None if "card" in self.facts else self.prepared().table
        about = {"name": table.name, "source": table.source, "licence": table.licence} if table else {}
        return self.learn(Card, about, self.size, measured)

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in their order where a flag or the form of the data fixes them."""
        table = None if "classes" in self.facts else self.prepared().table
        return self.columns.class_names() or (table.classes if table else ())

    def as_pairs(
        self, kind: Target | None = None, change: Augmentation | None = None, along: Along | None = None,
        source: Source = Grid(),
    ) -> "Data":  # fmt: skip
        """The same table, its y encoded by `kind`, its training batches changed on the device, y moved along with x, by a source."""
        return replace(self, kind=kind, change=change, along=along, source=source)

    @property
    def plan(self) -> Plan | None:
        """Where images keep their own sizes: how they are worked on."""
        return getattr(self.source, "plan", None)

    @property
    def unit(self) -> str:
        """What a row is called."""
        return self.source.unit or ("image" if self.card().dims else "row")

    def read(self, rows: Rows, i: int) -> np.ndarray:
        """One row's x on the card's grid, in its compact type."""
        with naming(rows[i]):
            return self.card().read(rows[i])

    def pixels(self, rows: Rows, *, workers: int = 0) -> Pixels | Texts:
        """x of these rows, held in memory where it fits."""
        if (words := getattr(self.source, "words", None)) is not None:
            return Texts(words, rows)
        return Pixels(functools.partial(self.read, rows), len(rows), scale=self.card().range, workers=workers)

    def part(self, part: str, workers: int = 0) -> Pixels | Texts:
        """x of train or val, read once."""
        key = f"{part}/{workers}"
        if key not in self.loaded.pixels:
            self.loaded.pixels[key] = self.pixels(self.rows(part), workers=workers)
        return self.loaded.pixels[key]

    def chunks(self, rows: Rows, device: torch.device) -> Iterator[Any]:
        """x of these rows in order, as many at once as one forward pass takes; images that keep their own sizes one by one."""
        return self.source.chunks(self, rows, device)

    def pieces(self, row: Row, device: torch.device) -> Iterator[Any]:
        """x of one row piece by piece, as it would arrive."""
        return self.source.pieces(self, row, device)

    def cases(self, part: str) -> Cases:
        """The rows of train or val on the grid of the plan, read once."""
        assert self.plan is not None
        assert self.kind is not None
        if part not in self.loaded.cases:
            self.loaded.cases[part] = Cases(self.plan, self.card(), self.kind.encode, self.rows(part))
        return self.loaded.cases[part]

    def x(self, rows: Rows) -> Any:
        """Float images (n, C, *size), integers scaled to [0, 1]; of texts (indices (n, L), lengths (n,))."""
        return self.pixels(rows).take(torch.arange(len(rows)), torch.device("cpu"))

    def y(self, rows: Rows) -> Any:
        """Encoded truth, stacked, ragged one padded as (values, lengths); raises Wrong for a row without it."""
        assert self.kind is not None
        y = [np.asarray(self.kind.encode(r)) for r in rows]
        return padded(y) if getattr(self.kind, "ragged", False) else torch.from_numpy(np.stack(y))

    def stream(self, *, batch: int, seed: int, device: torch.device, workers: int = 0) -> Batches:
        """Training batches."""
        return self.source.stream(self, batch=batch, seed=seed, device=device, workers=workers)

    def sample(self, part: str, most: int | None) -> np.ndarray:
        """Numbers of the rows of train or val that `batches` gives: all, or an even sample of `most`."""
        rows = len(self.rows(part))
        n = rows if most is None else min(most, rows, self.source.most)
        return np.arange(n) if n == rows else np.linspace(0, rows - 1, n).astype(int)

    def batches(self, part: str, size: int, device: torch.device, most: int | None = None) -> Iterator[Batch]:
        """Rows of train or val in order, as they are; with `most` those of `sample`."""
        return self.source.batches(self, part, size, device, most)


def plain_fields(value: Any) -> dict[str, Any]:
    """A frozen dataclass as JSON holds it, so that learned now and read back later are the same."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(value).items()}


def of_fields(kind: type[T], fields: dict[str, Any]) -> T:
    """The inverse of `plain_fields`, also after JSON: lists become tuples."""
    return kind(**{k: _tuples(v) for k, v in fields.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
