"""What a sample, a table of samples and the names of its columns are."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from empirisk.errors import RUN, Wrong, near, shown
from empirisk.files import guarded

Row = dict[str, Any]
"""id, x (something with .read()), patient, part; where known label, target, mask, boxes, text, caption; every other column as text.

text is read, caption is to be written: words as a str. mask: something with .read() -> (*size), whole numbers, 0 the background. boxes: a tuple of Box, empty where nothing is there.
A video is one row: x.read() is (T, *frame), x.seconds its time stamps (T,), x.part(low, high) gives some of its frames one by one;
phases: a tuple of T names.
"""
Rows = list[Row]
Line = tuple[str, str, str]  # (what, what was found, the flag that changes it)
BROKEN = "the file is broken: copy it again, or leave it out with --skip-bad N"


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


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Cells of a predictions table that the kind's `write` did not write are `Wrong` (exit 3)."""
    try:
        yield
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Wrong(
            f"predictions of another kind or of other classes, or changed by hand: {shown(error)}", code=RUN
        ) from error


def refused(where: object, what: str, remedy: str = BROKEN) -> Wrong:
    """What a file, or the rows of one, is refused with (exit 2); the place stands apart, as a path may tell of a patient."""
    return Wrong(what, where=str(where), remedy=remedy, reason="damaged" if remedy == BROKEN else "input")


def looked_at(row: Mapping[str, Any]) -> list[Any]:
    """What is looked at of a row's x: of a video an even sample of its frames, of all else itself."""
    return list(row["x"].sample()) if hasattr(row["x"], "sample") else [row["x"]]


def spacing_of(row: Row) -> tuple[float, ...] | None:
    """Millimetres of a voxel along each axis of a row's image; None where nobody knows."""
    geometry = getattr(row["x"], "geometry", None)
    known = geometry() if geometry is not None else None
    return None if known is None else tuple(known.spacing)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How a source is read, as the flags of `table.Data` say: which column is what (not given: by the usual names), what counts."""

    image: str | None = None
    label: str | None = None
    target: str | None = None
    mask: str | None = None
    boxes: str | None = None
    text: str | None = None
    caption: str | None = None
    patient: str | None = None
    split: str | None = None
    classes: str | None = None
    "names of the classes in their order, with commas; where labels are stored numbers: their names"
    rename: str | None = None
    series: str | None = None
    labels: str | None = None
    join: str | None = None
    inputs: tuple[str, ...] = ()
    "columns of the input vector, in order, where there is no picture; a trained model's own"
    skip_bad: int = 0  # unreadable pictures to leave out at most
    bare: bool = False  # rows need no truth: they are to be predicted
    truthless: bool = False  # nor do those that teach: nothing is to be told apart

    def class_names(self) -> tuple[str, ...]:
        """The given names of the classes, in order; refuses (Wrong, exit 2) a name twice."""
        names = tuple(n.strip() for n in self.classes.split(",") if n.strip()) if self.classes else ()
        if len(set(names)) != len(names):
            raise Wrong(f"--classes {self.classes} names a class twice", remedy="name each once")
        return names

    def renamed(self, found: Collection[str], where: object) -> dict[str, str]:
        """Old label -> new label; refuses (Wrong, exit 2) another form than old=new,old=new, and an old one that is not found."""
        pairs = [p.partition("=") for p in self.rename.split(",")] if self.rename else []
        if any(not (old.strip() and sign and new.strip()) for old, sign, new in pairs):
            raise Wrong(f"--rename {self.rename} is not of the form old=new,old=new")
        rename = {old.strip(): new.strip() for old, _, new in pairs}
        if absent := [old for old in rename if old not in found]:
            what = f'--rename {absent[0]}={rename[absent[0]]}: no label is "{absent[0]}"'
            raise Wrong(what, where=str(where), remedy=near(absent[0], found))
        return rename


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one source, and what was understood on the way."""

    name: str
    rows: Rows
    form: str  # in words: class folders, MedMNIST archive, CSV table, ...
    understood: list[Line] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)  # what a careful reader would want to know, one sentence each
    classes: tuple[str, ...] = ()
    "names of the classes in their order where the form itself fixes them; empty: learned from training rows"
    patients_known: bool = False
    split_given: bool = False
    licence: str = ""
    source: str = ""
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # (id, why) of what was left out by --skip-bad
