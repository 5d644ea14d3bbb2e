"""From columns of text to samples: which column is what, what it says of each row, and what x is."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from empirisk.data import labels, pictures
from empirisk.data.readers import File, Vector
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong, listed, near, shown

USUAL = {
    "image": "image img file filename path filepath image_path image_file picture",
    "label": "label class diagnosis category finding",
    "target": "target value y",
    "patient": "patient patient_id patientid subject subject_id case case_id",
    "split": "split part set subset partition",
}
"The usual names of the columns; case, spaces and hyphens do not count."
PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"What the parts of a given split are called, in any case."
_OURS = {"id", "x", "label", "target", "patient", "part"}
Truth = tuple[dict[str, list[Any]], tuple[str, ...], list[str]]
"label and target by row, None where missing; names of the classes in order, where given; what is odd."


@dataclass(frozen=True)
class Sheet:
    """Columns of text with unique names, and where they came from."""

    name: str
    where: str
    columns: dict[str, list[str]]
    at: Sequence[object]
    "for messages: numbers of the rows as a person counts them, or names of files"
    folder: Path
    "what paths of pictures are relative to"
    form: str
    notes: tuple[str, ...] = ()
    words: bool = False
    "labels are names of folders: none is a number, and all are classes"

    def check(self, bad: Sequence[bool], what: str, remedy: str = "correct it", texts: Sequence[str] = ()) -> None:
        """Refuse the table (Wrong, exit 2) with the numbers of its bad rows, if there are any, and the first of `texts`."""
        if some := np.flatnonzero(bad).tolist():
            what = f'"{shown(texts[some[0]], 40)}" {what}' if texts else what
            raise Wrong(what, where=f"{self.where} {labels.named([self.at[k] for k in some])}", remedy=remedy)


class Answers(NamedTuple):
    """What the rows of a sheet say, before it is known what x is."""

    rows: Rows
    "patient, part, label, target, other columns as text"
    role: dict[str, str | None]
    "image, label, target, patient, split -> the column"
    used: set[str]
    classes: tuple[str, ...]
    odd: list[str]
    split: bool


def answers(sheet: Sheet, columns: Columns, *, bare: bool) -> Answers:
    """Label and target, patient, part and the other columns of each row of a sheet.

    Raises Wrong (exit 2): no row, no label or number (unless `bare`), what `column` and `labels.read` refuse.
    """
    if not sheet.at:
        raise Wrong("the table has no row below its header", where=sheet.where)
    several = [c.strip() for c in (columns.label or "").split(",")]
    if len(several) < 2 or (bare and not {*several} <= {*sheet.columns}):
        several = []
    several = [column(sheet, "label", c) or c for c in several]
    role = {r: None if several and r == "label" else column(sheet, r, getattr(columns, r), bare=bare) for r in USUAL}
    used = {c for c in role.values() if c} | {*several}
    truth, classes, odd = _several(sheet, several, columns) if several else _answer(sheet, role, columns)
    gone = [i for i, *said in zip(sheet.at, *truth.values(), strict=True) if all(a is None for a in said)]
    if len(gone) == len(sheet.at) and not bare:
        hint = "name it with --label or --target"
        raise Wrong(f"no labels or numbers in {listed(list(sheet.columns))}", where=sheet.where, remedy=hint)
    odd += [f"{len(gone)} rows have no label: {labels.named(gone)}"] if gone and truth else []
    who, given = (sheet.columns[c] if (c := role[r]) else [""] * len(sheet.at) for r in ("patient", "split"))
    parts = [PARTS.get(t.strip().casefold(), "") if role["split"] else "new" for t in given]
    what = f'in column "{shown(role["split"])}" is not train, val or test'
    sheet.check([not p for p in parts], what, "correct it, or add --split none", given)
    cells: dict[str, list[Any]] = {n: c for n, c in sheet.columns.items() if n not in used | _OURS} | truth
    cells |= {"patient": [None if labels.missing(t) else t for t in who], "part": parts}
    rows: Rows = [{n: c[k] for n, c in cells.items()} for k in range(len(sheet.at))]
    rows = [{n: v for n, v in row.items() if v is not None or n == "patient"} for row in rows]
    role["label"] = listed(several) or role["label"]
    return Answers(rows, role, used, classes, odd, bool(role["split"]))


def samples(sheet: Sheet, columns: Columns, *, skip_bad: int, bare: bool) -> Table:
    """The table of a sheet: a picture or a vector of its numeric columns, label and target, patient, split.

    Raises Wrong (exit 2): what `answers` refuses, pictures that cannot be read, one picture with two labels.
    """
    rows, role, used, classes, odd, split = answers(sheet, columns, bare=bare)
    unreadable: list[tuple[str, str]] = []
    if role["image"]:
        rows, unreadable, found, more = _pictures(sheet, role["image"], rows, skip_bad)
        what = ("images", found, "--size" if sheet.words else "--image, --size")
    else:
        found, more = _vectors(sheet, used, columns.inputs, rows)
        what = ("inputs", found, "")
    if role["image"] and not role["patient"]:
        rows, patients, names = pictures.with_patients(rows, columns, bare=bare)
        more += names
    else:
        known = len({r["patient"] for r in rows} - {None})
        words = f"{known:,}, from column {shown(role['patient'])}" if role["patient"] else "unknown"
        patients = ("patients", words, "--patient")
    answer = role["label"] or role["target"]
    said = [f"column {shown(answer)}"] if answer and not sheet.words else []
    count = Counter(n for r in rows for n in (r["label"] if isinstance(r.get("label"), tuple) else (r.get("label"),)))
    said += [f"{len(classes)} classes: {listed([f'{c} {count[c]:,}' for c in classes])}"] if classes else []
    about = [
        ("form", f"{sheet.form}, {len(sheet.at):,} rows, {len(sheet.columns)} columns", ""), what,
        ("labels", ", ".join(said) or "none", "--classes" if sheet.words else "--label, --target"),
        patients, ("split", counts(rows) if split else "none given", "--split"),
    ]  # fmt: skip
    return Table(
        name=sheet.name, rows=rows, form=sheet.form, understood=about, odd=[*sheet.notes, *odd, *more], classes=classes,
        split_given=split, patients_known=any(r["patient"] for r in rows), unreadable=unreadable,
    )  # fmt: skip


def counts(rows: Rows) -> str:
    """Rows of each part of a given split, in words."""
    count = Counter(r["part"] for r in rows)
    return "given: " + ", ".join(f"{p} {count[p]:,}" for p in ("train", "val", "test") if count[p])


def column(sheet: Sheet, role: str, name: str | None, *, bare: bool = False) -> str | None:
    """The column of a role: the named one, else the one with a usual name; None where there is none.

    Case, spaces and hyphens do not count where that tells one column. Raises Wrong (exit 2): no column of that name (with
    `bare`, what is to be predicted may lack all but the picture), or several of usual names, none called like the role.
    """

    def plain(text: str) -> str:
        return re.sub(r"[\s_-]+", "_", text.strip().casefold())

    names = list(sheet.columns)
    if name == "none" or (role == "patient" and name and name not in names and "(" in name):
        return None  # nothing, or a pattern for file names
    wanted = [plain(n) for n in ([name] if name else USUAL[role].split())]
    found = [n for n in names if plain(n) in wanted]
    exact = [n for n in found if (n == name if name else plain(n) == role)]
    if len(found) > 1 and len(exact) != 1:
        what = f"columns {listed(found)} could each be the {role}"
        raise Wrong(what, where=sheet.where, remedy=f"name it with --{role}")
    if name and not found and (role == "image" or not bare):
        hint = f"{near(name, names)} The columns are {listed(names, 12)}".strip()
        raise Wrong(f'no column is called "{shown(name)}"', where=sheet.where, remedy=hint)
    if found:
        return (exact or found)[0]
    return column(sheet, role, None) if name else None


def _answer(sheet: Sheet, role: dict[str, str | None], columns: Columns) -> Truth:
    """A column of classes and one of numbers; a single one that can be read both ways gives both."""
    label, target = role["label"], role["target"]
    found: dict[str, list[Any]] = {}
    if target:
        texts = [t for t in sheet.columns[target] if not labels.missing(t)]
        words = all(labels.number(t) is None for t in texts)
        if columns.target or label or not words:
            found["target"] = labels.numbers(sheet.columns[target], sheet.at, sheet.where)
        label = label or (target if words or all(t.lstrip("+-").isdecimal() for t in texts) else None)
    if not label:
        return found, (), []
    found["label"], numbers, odd = labels.read(sheet.columns[label], sheet.at, columns, sheet.where, words=sheet.words)
    if numbers and not target:
        found["target"] = numbers
    names = sorted({n for n in found["label"] if n is not None}, key=labels.natural) if sheet.words else ()
    return found, columns.class_names() or tuple(names), odd


def _several(sheet: Sheet, several: list[str], columns: Columns) -> Truth:
    """Columns of 0 and 1: the label of a row is the names of those that are 1; it has none where one is missing."""
    labels.check_renames(columns.renamed(), several, sheet.where)
    names = [columns.renamed().get(c, c) for c in several]
    classes = columns.class_names() or tuple(names)
    if len(set(names)) < len(names) or set(classes) != set(names):
        raise Wrong(f"the labels {listed(names)} are not --classes {columns.classes}", remedy="name each once")
    marks = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
    cells = {n: [t.casefold() for t in sheet.columns[c]] for n, c in zip(names, several, strict=True)}
    for texts in cells.values():
        sheet.check([t not in marks and not labels.missing(t) for t in texts], "is neither 0 nor 1", texts=texts)
    found: list[Any] = []
    for k in range(len(sheet.at)):
        row = {n: cells[n][k] for n in classes}
        gone = any(map(labels.missing, row.values()))
        found.append(None if gone else tuple(n for n, t in row.items() if marks[t]))
    return {"label": found}, classes, []


def _pictures(sheet: Sheet, name: str, rows: Rows, skip_bad: int) -> tuple[Rows, list[tuple[str, str]], str, list[str]]:
    """Rows with id and x, each picture once a part; the unreadable ones; what they are; what is odd."""
    cells = sheet.columns[name]
    sheet.check([not c for c in cells], f'no picture in column "{shown(name)}"')
    seen: dict[str, tuple[Row, object]] = {}
    once: dict[tuple[str, str], Row] = {}
    again = []
    for row, cell, i in zip(rows, cells, sheet.at, strict=True):
        path = os.path.normpath(sheet.folder / cell)
        inside = os.path.relpath(path, sheet.folder)
        row |= {"id": cell if inside.startswith("..") else inside.replace(os.sep, "/"), "x": File(path)}
        before, j = seen.setdefault(path, (row, i))
        if any(before.get(k) != row.get(k) for k in ("label", "target", "patient")):
            said = " and ".join(shown(r.get("label", r.get("target", ""))) for r in (before, row))
            what = f"one picture with two labels or patients: {shown(row['id'])}: {said}"
            raise Wrong(what, where=f"{sheet.where} rows {j} and {i}", remedy="correct the file")
        if once.setdefault((path, row["part"]), row) is not row:
            again.append(i)
    beside = (p for f in sorted({Path(p).parent for p in seen}) if f.is_dir() for p in sorted(f.iterdir()))
    loose = [p.name for p in beside if os.path.normpath(p) not in seen and pictures.is_picture(p)]
    odd = [f"{len(loose)} pictures beside them have no row: {listed(loose, 3)}"] if loose else []
    odd += [f"{len(again)} rows repeat a picture, which counts once: {labels.named(again)}"] if again else []
    kept, unreadable, found = pictures.readable(list(once.values()), sheet.where, skip_bad=skip_bad)
    return kept, unreadable, found, odd + pictures.name_twins(kept)


def _vectors(sheet: Sheet, used: set[str], inputs: Sequence[str], rows: Rows) -> tuple[str, list[str]]:
    """Give rows id and x, the numbers of the columns `inputs`, else of all numeric columns that have no role."""
    free = {n: c for n, c in sheet.columns.items() if n not in used and n.casefold() not in {"id", "index"}}
    if absent := [n for n in inputs if n not in sheet.columns]:
        raise Wrong(f"no column {listed(absent)}", where=sheet.where, remedy=near(absent[0], free))
    numeric = [n for n, c in free.items() if all(labels.missing(t) or labels.number(t) is not None for t in c)]
    names = tuple(inputs) or tuple(n for n in numeric if not all(labels.missing(t) for t in free[n]))
    if not names:
        raise Wrong("no column of pictures, and none of numbers", where=sheet.where, remedy="name it with --image")
    for n in names:
        sheet.check([labels.missing(t) for t in sheet.columns[n]], f'no number in column "{shown(n)}"', "fill it in")
    values = [labels.numbers(sheet.columns[n], sheet.at, f'{sheet.where} column "{shown(n)}"') for n in names]
    ids = next((c for n, c in sheet.columns.items() if n.casefold() == "id" and len(set(c)) == len(c)), None)
    x = np.array(values, np.float32).T  # (n, D)
    for k, (row, i) in enumerate(zip(rows, sheet.at, strict=True)):
        row |= {"id": ids[k] if ids else str(i), "x": Vector(x[k], names)}
    words = [n for n in free if n not in numeric]
    odd = [f"columns of words are no inputs: {listed(words)}"] if words and not inputs else []
    return f"{len(rows):,} rows of {len(names)} numbers: {listed(names, 4)}", odd
