"""From columns of text to samples: which column is what, what it says of each row, and what x is."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from empirisk.data import labels, pictures
from empirisk.data.folders import PARTS, counts
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
_OURS = {"id", "x", "label", "target", "patient", "part"}


@dataclass(frozen=True)
class Sheet:
    """Columns of text with unique names, and where they came from."""

    name: str
    where: str
    columns: dict[str, list[str]]
    at: Sequence[int]
    "numbers of the rows as a person counts them"
    folder: Path
    "what paths of pictures are relative to"
    form: str
    notes: tuple[str, ...] = ()


def samples(sheet: Sheet, columns: Columns, *, skip_bad: int, bare: bool) -> Table:
    """The table of a sheet: a picture or a vector of its numeric columns, label and target, patient, split.

    Raises
    ------
    Wrong
        exit 2: a named column that is absent, two columns that could both be meant, pictures that are not there or cannot
        be read, one picture with two labels, no label or number (unless `bare`), whatever `labels.read` refuses.
    """
    if not sheet.at:
        raise Wrong("the table has no row below its header", where=sheet.where)
    named = {r: getattr(columns, r) for r in USUAL}
    if bare:  # what is to be predicted may lack the columns that training named
        named |= {r: None for r in USUAL if r != "image" and not _there(sheet, named[r])}
    several = [c.strip() for c in named["label"].split(",")] if named["label"] and "," in named["label"] else []
    role = {r: None if several and r == "label" else column(sheet, r, named[r]) for r in USUAL}
    used = {c for c in role.values() if c} | set(several)
    rows: Rows = [{"patient": None, "part": "new"} for _ in sheet.at]
    classes, odd = _several(sheet, several, columns, rows) if several else _answer(sheet, role, columns, rows)
    if not bare and not any("label" in r or "target" in r for r in rows):
        hint = "name it with --label or --target"
        raise Wrong(f"no labels or numbers in {listed(list(sheet.columns))}", where=sheet.where, remedy=hint)
    split = _parts(sheet, role["split"], rows)
    for name, cells in sheet.columns.items():
        for row, cell in zip(rows, cells, strict=True):
            if name == role["patient"]:
                row["patient"] = None if labels.missing(cell) else cell
            elif name not in used | _OURS:
                row[name] = cell.strip()
    unreadable: list[tuple[str, str]] = []
    if role["image"]:
        rows, unreadable, found, more = _pictures(sheet, role["image"], rows, skip_bad)
        what = ("images", found, "--image, --size")
    else:
        found, more = _vectors(sheet, used, columns.inputs, rows)
        what = ("inputs", found, "")
    patients = ("patients", "unknown", "--patient")
    if role["patient"]:
        known = {r["patient"] for r in rows} - {None}
        patients = ("patients", f'{len(known):,}, from column "{shown(role["patient"])}"', "--patient")
    elif role["image"]:
        rows, patients, names = pictures.with_patients(rows, columns)
        more += names
    answer = listed(several) or role["label"] or role["target"]
    about = [
        ("form", f"{sheet.form}, {len(sheet.at):,} rows, {len(sheet.columns)} columns", ""), what,
        ("labels", (f"column {shown(answer)}" if answer else "none") + (f": {listed(classes)}" if classes else ""), "--label, --target"),
        patients, ("split", counts(rows) if split else "none given", "--split"),
    ]  # fmt: skip
    return Table(
        name=sheet.name, rows=rows, form=sheet.form, understood=about, odd=[*sheet.notes, *odd, *more], classes=classes,
        split_given=split, patients_known=any(r["patient"] for r in rows), unreadable=unreadable,
    )  # fmt: skip


def _there(sheet: Sheet, name: str | None) -> bool:
    return name is not None and ("(" in name or {n.strip() for n in name.split(",")} <= {*sheet.columns, "none"})


def column(sheet: Sheet, role: str, name: str | None) -> str | None:
    """The column of a role: the named one, else the one with a usual name; None where there is none.

    Raises
    ------
    Wrong
        exit 2: the named column is absent, or several have usual names and none is called like the role itself.
    """

    def plain(text: str) -> str:
        return re.sub(r"[\s_-]+", "_", text.strip().casefold())

    names = list(sheet.columns)
    if name == "none" or (role == "patient" and name and name not in names and "(" in name):
        return None  # nothing, or a pattern for file names
    if name:
        found = [name] if name in names else [n for n in names if plain(n) == plain(name)]
        if len(found) != 1:
            hint = f"{near(name, names)} The columns are {listed(names, 12)}"
            raise Wrong(f'no column is called "{shown(name)}"', where=sheet.where, remedy=hint.strip())
        return found[0]
    found = [n for n in names if plain(n) in USUAL[role].split()]
    exact = [n for n in found if plain(n) == role]
    if len(found) > 1 and len(exact) != 1:
        raise Wrong(
            f"columns {listed(found)} could each be the {role}", where=sheet.where, remedy=f"name it with --{role}"
        )
    return exact[0] if exact else found[0] if found else None


def _answer(
    sheet: Sheet, role: dict[str, str | None], columns: Columns, rows: Rows
) -> tuple[tuple[str, ...], list[str]]:
    """label and target of each row; a single column that can be read both ways gives both."""
    label, target = role["label"], role["target"]
    odd: list[str] = []
    if target:
        texts = sheet.columns[target]
        if columns.target or label or any(labels.number(t) is not None for t in texts):
            for row, value in zip(rows, labels.numbers(texts, sheet.at, sheet.where), strict=True):
                row.update({} if value is None else {"target": value})
        whole = all(labels.missing(t) or re.fullmatch(r"[+-]?\d+", t.strip()) for t in texts)
        words = all(labels.number(t) is None for t in texts)
        label = label or (target if whole or words else None)
    if label:
        read = labels.read(sheet.columns[label], sheet.at, columns, sheet.where)
        odd += read.odd
        for row, name, value in zip(rows, read.labels, read.numbers or [None] * len(rows), strict=True):
            row.update({} if name is None else {"label": name})
            row.update({} if value is None or target else {"target": value})
    gone = [i for row, i in zip(rows, sheet.at, strict=True) if "label" not in row and "target" not in row]
    odd += [f"{len(gone)} rows have no label: {labels.named(gone)}"] if gone and (label or target) else []
    return columns.class_names() if label else (), odd


def _several(sheet: Sheet, several: list[str], columns: Columns, rows: Rows) -> tuple[tuple[str, ...], list[str]]:
    """Columns of 0 and 1: the names of those that are 1; a row with a missing one has no label."""
    rename, given = columns.renamed(), columns.class_names()
    found = [column(sheet, "label", c) or c for c in several]
    labels.check_renames(rename, found, sheet.where)
    names = [rename.get(c, c) for c in found]
    if len(set(names)) < len(names) or (given and set(given) != set(names)):
        raise Wrong(f"the labels {listed(names)} are not --classes {columns.classes}", remedy="name each once")
    marks = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
    gone = []
    for k, (row, i) in enumerate(zip(rows, sheet.at, strict=True)):
        cells = [sheet.columns[c][k].strip() for c in found]
        bad = [c for c in cells if c.casefold() not in marks and not labels.missing(c)]
        if bad:
            raise Wrong(
                f'"{shown(bad[0], 40)}" is neither 0 nor 1', where=f"{sheet.where} row {i}", remedy="correct the file"
            )
        if any(labels.missing(c) for c in cells):
            gone.append(i)
        else:
            positive = {n for n, c in zip(names, cells, strict=True) if marks[c.casefold()]}
            row["label"] = tuple(n for n in given or names if n in positive)
    return given or tuple(names), [f"{len(gone)} rows have no label: {labels.named(gone)}"] if gone else []


def _parts(sheet: Sheet, name: str | None, rows: Rows) -> bool:
    """Part of each row from the split column; raises Wrong (exit 2) with the rows of any other word."""
    if not name:
        return False
    other = [(i, c) for i, c in zip(sheet.at, sheet.columns[name], strict=True) if c.strip().casefold() not in PARTS]
    if other:
        raise Wrong(
            f'"{shown(other[0][1], 40)}" in column "{shown(name)}" is not train, val or test',
            where=f"{sheet.where} {labels.named([i for i, _ in other])}", remedy="correct it, or add --split none",
        )  # fmt: skip
    for row, cell in zip(rows, sheet.columns[name], strict=True):
        row["part"] = PARTS[cell.strip().casefold()]
    return True


def _pictures(sheet: Sheet, name: str, rows: Rows, skip_bad: int) -> tuple[Rows, list[tuple[str, str]], str, list[str]]:
    """Rows with id and x, each picture once; the unreadable ones; what they are; what is odd."""
    first: dict[tuple[str, str], tuple[Row, int]] = {}
    again = []
    answers: dict[str, tuple[Row, int]] = {}
    empty = [i for i, cell in zip(sheet.at, sheet.columns[name], strict=True) if not cell.strip()]
    if empty:
        raise Wrong(f'no picture in column "{shown(name)}"', where=f"{sheet.where} {labels.named(empty)}")
    for row, cell, i in zip(rows, sheet.columns[name], sheet.at, strict=True):
        path = os.path.normpath(sheet.folder / cell.strip())
        inside = os.path.relpath(path, sheet.folder)
        row |= {"id": cell.strip() if inside.startswith("..") else inside.replace(os.sep, "/"), "x": File(path)}
        before, j = answers.setdefault(path, (row, i))
        if any(before.get(k) != row.get(k) for k in ("label", "target", "patient")):
            said = " and ".join(shown(r.get("label", r.get("target", ""))) for r in (before, row))
            raise Wrong(
                f"one picture with two labels or patients: {shown(row['id'])}: {said}",
                where=f"{sheet.where} rows {j} and {i}", remedy="correct the file",
            )  # fmt: skip
        if first.setdefault((path, row["part"]), (row, i))[1] != i:
            again.append(i)
    folders = {p for p in (Path(r["x"].path).parent for r in rows) if p.is_dir()}
    held = [p for f in sorted(folders) for p in sorted(f.iterdir()) if p.suffix.casefold() in pictures.ENDINGS]
    loose = [p.name for p in held if os.path.normpath(p) not in answers]
    odd = [f"{len(loose)} pictures beside them have no row: {listed(loose, 3)}"] if loose else []
    odd += [f"{len(again)} rows repeat a picture, which counts once: {labels.named(again)}"] if again else []
    kept, unreadable, found = pictures.readable([row for row, _ in first.values()], sheet.where, skip_bad=skip_bad)
    return kept, unreadable, found, odd + pictures.name_twins(kept)


def _vectors(sheet: Sheet, used: set[str], inputs: Sequence[str], rows: Rows) -> tuple[str, list[str]]:
    """Give rows id and x, the numbers of the columns `inputs`, else of all numeric columns that have no role."""
    free = {n: c for n, c in sheet.columns.items() if n not in used and n.casefold() not in {"id", "index"}}
    absent = [n for n in inputs if n not in sheet.columns]
    if absent:
        raise Wrong(f"no column {listed(absent)}", where=sheet.where, remedy=near(absent[0], free))
    numeric = [n for n, c in free.items() if all(labels.missing(t) or labels.number(t) is not None for t in c)]
    names = tuple(inputs) or tuple(n for n in numeric if not all(labels.missing(t) for t in free[n]))
    if not names:
        raise Wrong("no column of pictures, and none of numbers", where=sheet.where, remedy="name it with --image")
    values = np.empty((len(rows), len(names)), np.float32)
    for k, n in enumerate(names):
        found = labels.numbers(sheet.columns[n], sheet.at, f'{sheet.where} column "{shown(n)}"')
        gaps = [i for v, i in zip(found, sheet.at, strict=True) if v is None]
        if gaps:
            raise Wrong(
                f'no number in column "{shown(n)}"', where=f"{sheet.where} {labels.named(gaps)}", remedy="fill it in"
            )
        values[:, k] = found
    ids = next((c for n, c in sheet.columns.items() if n.casefold() == "id" and len(set(c)) == len(c)), None)
    for k, (row, i) in enumerate(zip(rows, sheet.at, strict=True)):
        row |= {"id": ids[k] if ids else str(i), "x": Vector(values[k], names)}
    words = [n for n in free if n not in numeric]
    odd = [f"columns of words are no inputs: {listed(words)}"] if words and not inputs else []
    return f"{len(rows):,} rows of {len(names)} numbers: {listed(names, 4)}", odd
