"""What a sample, a table of samples and the names of its columns are."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from empirisk.errors import Wrong
from empirisk.files import guarded

Row = dict[str, Any]
"""id, x (something with .read()), patient, part; where known label, target, mask, boxes; every other column as text.

mask: something with .read() -> (*size), whole numbers, 0 the background. boxes: a tuple of Box, empty where nothing is there.
"""

Rows = list[Row]


class Box(NamedTuple):
    """One thing in an image: what it is, and between which pixels."""

    label: str
    corners: tuple[float, ...]
    "(x1, y1, .., x2, y2, ..) in the image's own pixels from its outer edge, the last axis of the array first"


@contextlib.contextmanager
def naming(row: Row) -> Iterator[None]:
    """Whatever goes wrong while a row is read names the row."""
    try:
        with guarded(f"{row['id']}", remedy="look at it with `empirisk data`"):
            yield
    except Wrong as wrong:
        if str(row["id"]) in str(wrong):
            raise
        raise Wrong(wrong.what, where=row["id"], remedy=wrong.remedy, code=wrong.code, reason=wrong.reason) from wrong


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column is what, and how labels are called; nothing given: found by the usual names."""

    image: str | None = None
    "column of the picture's path"
    label: str | None = None
    "column of the class; several with commas, each 0/1: a sample may have several labels"
    target: str | None = None
    "column of the number"
    patient: str | None = None
    "column of the patient; for pictures without a table a pattern such as '(P[0-9]+)'; none: no patients"
    split: str | None = None
    "column of train, val or test; none: the given split is not used"
    classes: str | None = None
    "names of the classes in their order, with commas; where labels are stored numbers: their names"
    rename: str | None = None
    "labels to be called otherwise, old=new,old=new"
    series: str | None = None
    "of a DICOM tree: series number, modality, or words of the description"
    labels: str | None = None
    "table of the labels of a DICOM tree"
    join: str | None = None
    "DICOM tag by which that table is joined, such as StudyInstanceUID"
    inputs: tuple[str, ...] = ()
    "columns of the input vector, in order, where there is no picture; a trained model's own"

    def class_names(self) -> tuple[str, ...]:
        """The given names of the classes, in order.

        Raises
        ------
        Wrong
            exit 2: a name twice, or a single one.
        """
        names = tuple(n.strip() for n in self.classes.split(",") if n.strip()) if self.classes else ()
        if len(set(names)) != len(names) or len(names) == 1:
            raise Wrong(f"--classes {self.classes} does not name two classes or more, each once")
        return names

    def renamed(self) -> dict[str, str]:
        """Old label -> new label.

        Raises
        ------
        Wrong
            exit 2: not of the form old=new,old=new.
        """
        pairs = [p.partition("=") for p in self.rename.split(",")] if self.rename else []
        if any(not (old.strip() and sign and new.strip()) for old, sign, new in pairs):
            raise Wrong(f"--rename {self.rename} is not of the form old=new,old=new")
        return {old.strip(): new.strip() for old, _, new in pairs}


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one source, and what was understood on the way."""

    name: str
    rows: Rows
    form: str
    "in words: class folders, MedMNIST archive, CSV table, ..."
    understood: list[tuple[str, str, str]] = field(default_factory=list)
    "(what, what was found, the flag that changes it)"
    odd: list[str] = field(default_factory=list)
    "what a careful reader would want to know, one sentence each"
    classes: tuple[str, ...] = ()
    "names of the classes in their order where the form itself fixes them; empty: learned from training rows"
    patients_known: bool = False
    split_given: bool = False
    licence: str = ""
    source: str = ""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    "(id, why) of what was left out by --skip-bad"
