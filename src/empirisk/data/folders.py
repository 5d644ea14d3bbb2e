"""Class folders: FOLDER/class/picture, or FOLDER/{train,val,test}/class/picture; folders below a class belong to it."""

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from empirisk.data import pictures
from empirisk.data.columns import PARTS, Sheet, counts, samples
from empirisk.data.rows import Columns, Table
from empirisk.errors import Wrong, listed, near

__all__ = ["PARTS", "counts", "files", "table"]


def table(folder: Path, columns: Columns, *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table of class folders: that of a sheet of their names; ids are paths relative to the folder.

    With `bare` (what is to be predicted) a folder of pictures without class folders has rows without labels. Raises Wrong
    (exit 2): no picture, pictures without class folders, a single class, what `columns.samples` refuses.
    """
    there = sorted(files(folder))
    paths = [p for p in there if pictures.is_picture(p)]
    visible = {p for p in there if not p.name.startswith(".")}
    others = [str(p.relative_to(folder)) for p in sorted(visible - {*paths})]
    if not paths:
        hint = "give a folder of class folders with PNG, JPEG, TIFF or NIfTI images, a .csv or an .npz"
        raise Wrong(f"{folder} holds no picture", where=listed(others, 3), remedy=hint)
    inside = [p.relative_to(folder).parts for p in paths]
    first = {parts[0].strip().casefold() for parts in inside if len(parts) > 1}
    split = first <= {*PARTS} and "train" in {PARTS[f] for f in first} and any(len(parts) > 2 for parts in inside)
    names = ["/".join(parts) for parts in inside]
    classes = [parts[split] if len(parts) > 1 + split else "" for parts in inside]
    loose = [name for name, label in zip(names, classes, strict=True) if not label]
    if not bare and (loose or (len({*classes}) < 2 and not columns.classes)):
        what = f"pictures outside of class folders: {listed(loose, 3)}" if loose else f"a single class, {classes[0]}"
        hint = "put each class into a folder of its own name, or give a .csv with image and label"
        raise Wrong(what, where=str(folder), remedy=hint)
    cells = {"image": names} | ({} if loose else {"label": classes})
    if split and not loose and columns.split != "none":
        cells["split"] = [parts[0] for parts in inside]
    notes = (f"{len(others)} files are no pictures: {listed(others, 3)}",) if others else ()
    form = "pictures" if loose else "class folders"
    sheet = Sheet(folder.resolve().name, str(folder), cells, names, folder, form, notes, words=True)
    found = samples(sheet, replace(columns, image=None), skip_bad=skip_bad, bare=bare)
    seen: dict[str, set[Any]] = defaultdict(set)
    for row in found.rows:
        seen[row["part"]].add(row.get("label"))
    every = set.union(*seen.values()) - {None}
    odd = [f"class {c} has no picture. {near(c, every)}".strip() for c in found.classes if c not in every]
    for part, here in sorted(seen.items()) if found.split_given else ():
        absent = [c for c in found.classes if c in every - here]
        odd += [f"{part} has no picture of {listed(absent)}"] if absent else []
    return replace(found, odd=[*found.odd, *odd])


def files(folder: Path) -> list[Path]:
    """All files below, hidden folders left out; links to folders are not followed, so that no circle is."""
    found: list[Path] = []
    for here, below, names in os.walk(folder):
        below[:] = [b for b in below if not b.startswith(".") and b != "__MACOSX"]
        found += [Path(here, n) for n in names]
    return found
