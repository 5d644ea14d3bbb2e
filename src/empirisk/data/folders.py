"""Class folders: FOLDER/class/picture, or FOLDER/{train,val,test}/class/picture; folders below a class belong to it."""

import os
from collections import Counter
from pathlib import Path

from empirisk.data import labels, pictures
from empirisk.data.readers import File
from empirisk.data.rows import Columns, Rows, Table
from empirisk.errors import Wrong, listed, near, shown

PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"What the parts of a given split are called, in any case."


def table(folder: Path, columns: Columns, *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table of class folders; ids are paths relative to the folder.

    With `bare` (what is to be predicted) a folder of pictures without class folders has rows without labels.

    Raises
    ------
    Wrong
        exit 2: no picture, pictures without class folders, a single class, a class that is not among --classes,
        pictures that cannot be read.
    """
    files = sorted(_files(folder))
    paths = [p for p in files if pictures.is_picture(p)]
    others = [p for p in files if p not in set(paths) and not p.name.startswith(".")]
    if not paths:
        raise Wrong(
            f"{folder} holds no picture", where=listed([str(p.relative_to(folder)) for p in others], 3),
            remedy="give a folder of class folders with PNG, JPEG or TIFF pictures, a .csv or an .npz",
        )  # fmt: skip
    rows, split = _rows(folder, paths, columns)
    odd = (
        [f"{len(others)} files are no pictures: {listed([str(p.relative_to(folder)) for p in others], 3)}"]
        if others
        else []
    )
    labelled = all("label" in r for r in rows)
    classes: tuple[str, ...] = ()
    if labelled:
        rows, classes, more = _classes(folder, rows, columns, split)
        odd += more
    if not bare and len(classes) < 2:
        loose = [r["id"] for r in rows if "label" not in r]
        raise Wrong(
            f"pictures outside of class folders: {listed(loose, 3)}" if loose else f"a single class, {listed(classes)}",
            where=str(folder), remedy="put each class into a folder of its own name, or give a .csv with image and label",
        )  # fmt: skip
    rows, unreadable, found = pictures.readable(rows, str(folder), skip_bad=skip_bad)
    rows, patients, more = pictures.with_patients(rows, columns)
    count = Counter(r.get("label") for r in rows)
    about = [
        ("form", "class folders" if labelled else "pictures", ""), ("images", found, "--size"),
        ("labels", f"{len(classes)} classes: {listed([f'{c} {count[c]:,}' for c in classes])}" if classes else "none", "--classes"),
        patients, ("split", counts(rows) if split else "none given", "--split none"),
    ]  # fmt: skip
    return Table(
        name=folder.resolve().name, rows=rows, form="class folders" if labelled else "pictures", understood=about,
        odd=odd + more + pictures.name_twins(rows), classes=classes, split_given=split, unreadable=unreadable,
        patients_known=any(r["patient"] for r in rows),
    )  # fmt: skip


def _files(folder: Path) -> list[Path]:
    """All files below, hidden folders left out; links to folders are not followed, so that no circle is."""
    found: list[Path] = []
    for here, below, names in os.walk(folder):
        below[:] = [b for b in below if not b.startswith(".") and b != "__MACOSX"]
        found += [Path(here, n) for n in names]
    return found


def _rows(folder: Path, paths: list[Path], columns: Columns) -> tuple[Rows, bool]:
    """A row a picture, its label where it lies in a class folder, and whether a split is given by folders."""
    inside = [p.relative_to(folder).parts for p in paths]
    first = {parts[0].strip().casefold() for parts in inside if len(parts) > 1}
    split = bool(first) and first <= set(PARTS) and "train" in {PARTS[f] for f in first}
    split = split and any(len(parts) > 2 for parts in inside)
    rows: Rows = []
    for path, parts in zip(paths, inside, strict=True):
        row = {"id": "/".join(parts), "x": File(str(path)), "patient": None, "part": "new"}
        if split and columns.split != "none" and len(parts) > 1:
            row["part"] = PARTS[parts[0].strip().casefold()]
        if len(parts) > 1 + split:
            row["label"] = parts[split]
        rows.append(row)
    return rows, split and columns.split != "none"


def _classes(folder: Path, rows: Rows, columns: Columns, split: bool) -> tuple[Rows, tuple[str, ...], list[str]]:
    """Rows with the labels that --rename makes, the classes in order, and what is odd about them."""
    read = labels.read([f"{r['label']}" for r in rows], [r["id"] for r in rows], columns, str(folder), words=True)
    rows = [r | {"label": label} for r, label in zip(rows, read.labels, strict=True)]
    found = sorted({str(label) for label in read.labels}, key=labels.natural)
    given = columns.class_names()
    odd = list(read.odd)
    odd += [f"class {c} has no picture. {near(c, found)}".strip() for c in given if c not in found]
    parts = sorted({r["part"] for r in rows}) if split else []
    for part in parts:
        absent = [c for c in found if c not in {r["label"] for r in rows if r["part"] == part}]
        odd += [f"{part} has no picture of {listed([shown(c) for c in absent])}"] if absent else []
    return rows, given or tuple(found), odd


def counts(rows: Rows) -> str:
    """Rows of each part, in words."""
    counts = Counter(r["part"] for r in rows)
    return "given: " + ", ".join(f"{p} {counts[p]:,}" for p in ("train", "val", "test") if counts[p])
