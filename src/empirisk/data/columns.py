"""From columns of text to samples: which column is what, what it says of each row, and what x is."""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from empirisk.data import labels, pictures
from empirisk.data.labels import Sheet
from empirisk.data.pictures import PARTS, Seen
from empirisk.data.readers import File, Labels, Text, Vector
from empirisk.data.rows import Box, Columns, Line, Row, Rows, Table, refused
from empirisk.errors import Wrong, listed, near, shown

USUAL = {
    "image": "image img file filename path filepath image_path image_file picture",
    "label": "label class diagnosis category finding",
    "target": "target value y",
    "mask": "mask mask_path mask_file label_map",
    "boxes": "boxes bboxes",
    "text": "text sentence question",
    "caption": "caption",
    "patient": "patient patient_id patientid subject subject_id case case_id",
    "split": "split part set subset partition",
}
"The usual names of the columns; case, spaces and hyphens do not count."
_OURS = {"id", "x", "label", "target", "mask", "boxes", "extent", "patient", "part"}
Truth = tuple[dict[str, list[Any]], tuple[str, ...], list[str]]
"label, target, mask and boxes by row, None where missing; names of the classes in order, where given; what is odd."


class Answers(NamedTuple):
    """What the rows of a sheet say, before it is known what x is."""

    rows: Rows  # patient, part, label, target, mask, boxes, other columns as text
    role: dict[str, str | None]  # image, label, target, mask, boxes, patient, split -> the column
    used: set[str]
    classes: tuple[str, ...]
    odd: list[str]


def answers(sheet: Sheet, columns: Columns) -> Answers:
    """Label, target, mask and boxes, patient, part and the other columns of each row of a sheet.

    Raises Wrong (exit 2): no row, no truth (unless `bare` or `truthless`), masks or boxes without images, what `column`, `labels.read`,
    `_maps` and `_boxes` refuse.
    """
    if not sheet.at:
        raise Wrong("the table has no row below its header", where=sheet.where)
    several, bare = [c.strip() for c in (columns.label or "").split(",")], columns.bare
    if len(several) < 2 or (bare and not {*several} <= {*sheet.columns}):
        several = []
    several = [column(sheet, "label", c) or c for c in several]
    role = {
        r: None if several and r == "label" else column(sheet, r, getattr(columns, r), bare=bare)
        for r in USUAL
        if r != "text"
    }
    read = columns.text or (not role["image"] and "text" in (columns.inputs or ("text",)))
    role["text"] = column(sheet, "text", columns.text, bare=bare) if read else None
    for r in ("mask", "boxes"):
        if role[r] and not role["image"] and getattr(columns, r):
            raise refused(sheet.where, f"--{r} without a column of pictures", "name it with --image")
        role[r] = role[r] if role["image"] else None
    used = {c for c in role.values() if c} | {*several}
    truth, classes, odd = _several(sheet, several, columns) if several else _answer(sheet, role, columns)
    if role["mask"]:
        truth["mask"] = _maps(sheet, role["mask"])
    if role["boxes"]:
        truth["boxes"] = _boxes(sheet, role["boxes"])
    said = {r: [t or None for t in sheet.columns[c]] for r in ("text", "caption") if (c := role[r])}
    if columns.caption and role["caption"] and not bare:
        what = f'no text in column "{shown(role["caption"])}"'
        sheet.check([t is None for t in said["caption"]], what, "write it, or leave the row out")
    if role["caption"] and (columns.caption or not truth):
        truth["caption"] = said["caption"]
    gone = [i for i, *found in zip(sheet.at, *truth.values(), strict=True) if all(a is None for a in found)]
    if len(gone) == len(sheet.at) and not (bare or columns.truthless or role["text"]):
        hint = "name it with --label or --target, --mask or --boxes"
        raise refused(sheet.where, f"no labels or numbers in {listed(list(sheet.columns))}", hint)
    odd += [f"{len(gone)} rows have no label: {labels.named(gone)}"] if gone and truth else []
    who, given = (sheet.columns[c] if (c := role[r]) else [""] * len(sheet.at) for r in ("patient", "split"))
    parts = [PARTS.get(t.strip().casefold(), "") if role["split"] else "new" for t in given]
    what = f'in column "{shown(role["split"])}" is not train, val or test'
    sheet.check([not p for p in parts], what, "correct it, or add --split none", given)
    cells: dict[str, list[Any]] = {n: c for n, c in sheet.columns.items() if n not in used | _OURS} | said | truth
    cells |= {"patient": [None if labels.missing(t) else t for t in who], "part": parts}
    rows: Rows = [{n: c[k] for n, c in cells.items()} for k in range(len(sheet.at))]
    rows = [{n: v for n, v in row.items() if v is not None or n == "patient"} for row in rows]
    role["label"] = listed(several) or role["label"]
    return Answers(rows, role, used, classes, odd)


def samples(sheet: Sheet, columns: Columns) -> Table:
    """The table of a sheet: a picture or a vector of its numeric columns; label and target, mask, boxes; patient, split.

    --classes and --rename speak of the labels where there are some, else of the boxes. Raises Wrong (exit 2): what `answers`
    refuses, pictures and masks that cannot be read, do not fit, have a box outside, one picture with two labels.
    """
    rows, role, used, classes, odd = answers(sheet, columns)
    if role["image"]:
        rows, at, more = _pictures(sheet, role["image"], rows)
        if role["boxes"] and not role["label"]:
            pictures.called(rows, columns, sheet.where, at=at)
            classes = columns.class_names()
        found = pictures.seen(rows, sheet.where, columns, at=at)
        found = found._replace(images=(*found.images[:2], "--size" if sheet.words else "--image, --size"))
    elif not role["text"] and "text" in columns.inputs:
        remedy = f"call it text; the columns are {listed(list(sheet.columns), 12)}"
        raise refused(sheet.where, "no column of texts", remedy)
    elif role["text"]:
        found, more = _texts(sheet, role["text"], rows), []
    else:
        found, more = _vectors(sheet, used, columns.inputs, rows)
    patients = None
    if not role["image"] or role["patient"]:
        patients = of_column(found.rows, role["patient"])
    answer = role["label"] or role["target"]
    said = [f"column {shown(answer)}"] if answer and not sheet.words else []
    if classes and (role["label"] or role["target"]):
        every = [r["label"] if isinstance(r.get("label"), tuple) else (r.get("label"),) for r in found.rows]
        count = Counter(n for some in every for n in some)
        said += [f"{len(classes)} classes: {listed([f'{c} {count[c]:,}' for c in classes])}"]
    return pictures.table(
        found, columns, name=sheet.name, form=sheet.form, classes=classes, patients=patients, odd=[*sheet.notes, *odd, *more],
        words=f"{sheet.form}, {len(sheet.at):,} rows, {len(sheet.columns)} columns",
        lines=[("labels", ", ".join(said) or "none", "--classes" if sheet.words else "--label, --target")],
    )  # fmt: skip


def of_column(rows: Rows, name: str | None) -> Line:
    """How many patients there are, from the column of that name."""
    known = len({r["patient"] for r in rows} - {None})
    return ("patients", f"{known:,}, from column {shown(name)}" if name else "unknown", "--patient")


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
        raise refused(sheet.where, f"columns {listed(found)} could each be the {role}", f"name it with --{role}")
    if name and not found and (role == "image" or not bare):
        hint = f"{near(name, names)} The columns are {listed(names, 12)}".strip()
        raise refused(sheet.where, f'no column is called "{shown(name)}"', hint)
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
            found["target"] = labels.numbers(sheet, target)
        label = label or (target if words or all(t.lstrip("+-").isdecimal() for t in texts) else None)
    if not label:
        return found, (), []
    found["label"], numbers, odd = labels.read(sheet, label, columns)
    if numbers and not target:
        found["target"] = numbers
    names = sorted({n for n in found["label"] if n is not None}, key=labels.natural) if sheet.words else ()
    return found, columns.class_names() or tuple(names), odd


def _several(sheet: Sheet, several: list[str], columns: Columns) -> Truth:
    """Columns of 0 and 1: the label of a row is the names of those that are 1; it has none where one is missing."""
    rename = columns.renamed(several, sheet.where)
    names = [rename.get(c, c) for c in several]
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


def _maps(sheet: Sheet, name: str) -> list[Labels | None]:
    """The label map of each row by its path, relative to the table; None where the cell is empty."""
    cells = sheet.columns[name]
    paths = [None if labels.missing(c) else os.path.normpath(sheet.folder / c) for c in cells]
    what = f'in column "{shown(name)}" is no file'
    remedy = "give the path of a label map, relative to the table; leave the cell empty where there is none"
    sheet.check([p is not None and not os.path.isfile(p) for p in paths], what, remedy, cells)
    return [None if p is None else Labels(p) for p in paths]


def _boxes(sheet: Sheet, name: str) -> list[tuple[Box, ...] | None]:
    """The boxes of each row from JSON, [["label", x1, y1, x2, y2], ...], in 3D six numbers; None where the cell is empty."""

    def read(cell: str) -> tuple[Box, ...] | None:
        try:
            found = json.loads(cell)
            if not all(isinstance(part, list) for part in (found, *found)) or not all(len(b) in {5, 7} for b in found):
                return None
            boxes = tuple(Box(label.strip(), tuple(map(float, corners))) for label, *corners in found)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        return boxes if all(b.label and all(map(math.isfinite, b.corners)) for b in boxes) else None

    cells = sheet.columns[name]
    found = [None if labels.missing(c) else read(c) for c in cells]
    what = f'in column "{shown(name)}" is no list of boxes'
    remedy = 'write [["label", x1, y1, x2, y2], ...], of volumes x1, y1, z1, x2, y2, z2; [] where nothing is there'
    sheet.check([b is None and not labels.missing(c) for b, c in zip(found, cells, strict=True)], what, remedy, cells)
    return found


def _pictures(sheet: Sheet, name: str, rows: Rows) -> tuple[Rows, list[str], list[str]]:
    """Rows with id and x, each picture once a part; what a message calls each; what is odd."""
    cells = sheet.columns[name]
    sheet.check([not c for c in cells], f'no picture in column "{shown(name)}"')
    seen: dict[str, tuple[Row, object]] = {}
    once: dict[tuple[str, str], tuple[Row, str]] = {}
    again = []
    for row, cell, i in zip(rows, cells, sheet.at, strict=True):
        path = os.path.normpath(sheet.folder / cell)
        inside = os.path.relpath(path, sheet.folder)
        row |= {"id": cell if inside.startswith("..") else inside.replace(os.sep, "/"), "x": File(path)}
        before, j = seen.setdefault(path, (row, i))
        if any(before.get(k) != row.get(k) for k in ("label", "target", "mask", "boxes", "patient")):
            said = " and ".join(shown(r.get("label", r.get("target", ""))) for r in (before, row))
            what = f"one picture with two labels or patients: {shown(row['id'])}: {said}"
            raise refused(f"{sheet.where} rows {j} and {i}", what, "correct the file")
        mine = row, str(row["id"]) if sheet.words else f"row {i}, {row['id']}"
        if once.setdefault((path, row["part"]), mine)[0] is not row:
            again.append(i)
    beside = (p for f in sorted({Path(p).parent for p in seen}) if f.is_dir() for p in sorted(f.iterdir()))
    known = seen.keys() | {r["mask"].path for r in rows if "mask" in r}
    loose = [p.name for p in beside if os.path.normpath(p) not in known and pictures.is_picture(p)]
    odd = [f"{len(loose)} pictures beside them have no row: {listed(loose, 3)}"] if loose else []
    odd += [f"{len(again)} rows repeat a picture, which counts once: {labels.named(again)}"] if again else []
    return [row for row, _ in once.values()], [name for _, name in once.values()], odd


def _ids(sheet: Sheet) -> Sequence[str]:
    """What rows without a picture are called: by a column id that tells them apart, else by their numbers."""
    ids = (c for n, c in sheet.columns.items() if n.casefold() == "id" and len(set(c)) == len(c))
    return next(ids, [str(i) for i in sheet.at])


def _texts(sheet: Sheet, name: str, rows: Rows) -> Seen:
    """Rows with id and x, the text of a column; refuses (Wrong, exit 2) those without a word, with the rows."""
    cells = sheet.columns[name]
    what, remedy = f'no word in column "{shown(name)}"', "write the text, or leave the row out"
    sheet.check([not any(map(str.isalnum, t)) for t in cells], what, remedy)
    for row, i, text in zip(rows, _ids(sheet), cells, strict=True):
        row |= {"id": i, "x": Text(text)}
    return Seen(rows, [], ("texts", f"{len(rows):,}, from column {shown(name)}", "--text"))


def _vectors(sheet: Sheet, used: set[str], inputs: Sequence[str], rows: Rows) -> tuple[Seen, list[str]]:
    """Rows with id and x, the numbers of the columns `inputs`, else of all numeric columns that have no role; what is odd."""
    free = {n: c for n, c in sheet.columns.items() if n not in used and n.casefold() not in {"id", "index"}}
    if absent := [n for n in inputs if n not in sheet.columns]:
        raise refused(sheet.where, f"no column {listed(absent)}", near(absent[0], free))
    numeric = [n for n, c in free.items() if labels.numeric(c)]
    names = tuple(inputs) or tuple(n for n in numeric if not all(labels.missing(t) for t in free[n]))
    if not names:
        raise refused(sheet.where, "no column of pictures, and none of numbers", "name it with --image")
    for n in names:
        sheet.check([labels.missing(t) for t in sheet.columns[n]], f'no number in column "{shown(n)}"', "fill it in")
    values = [labels.numbers(sheet, n) for n in names]
    x = np.array(values, np.float32).T  # (n, D)
    for row, name, v in zip(rows, _ids(sheet), x, strict=True):
        row |= {"id": name, "x": Vector(v, names)}
    words = [n for n in free if n not in numeric]
    odd = [f"columns of words are no inputs: {listed(words)}"] if words and not inputs else []
    return Seen(rows, [], ("inputs", f"{len(rows):,} rows of {len(names)} numbers: {listed(names, 4)}", "")), odd
