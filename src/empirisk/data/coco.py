"""COCO: a .json with images, annotations and categories, or a folder of such: annotations/*.json, or PART/_annotations.coco.json."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from empirisk.data import annotated
from empirisk.data.annotated import Marked
from empirisk.data.folders import PARTS
from empirisk.data.rows import Box, Columns, Table
from empirisk.errors import Wrong, listed, shown
from empirisk.files import guarded, read_json

KEYS = {"images", "annotations", "categories"}


def found(folder: Path) -> list[Path]:
    """The COCO files with boxes of a folder: at its top, in annotations/, and one level down where they are called COCO."""
    named = [*(folder / "annotations").glob("*.json"), *folder.glob("*/_annotations.coco.json")]
    return [f for f in sorted(named) if _boxed(read_json(f))] or [f for f in sorted(folder.glob("*.json")) if _is(f)]


def _is(file: Path) -> bool:
    """Any other .json may lie in a folder, a broken one too."""
    try:
        return _boxed(read_json(file))
    except Wrong:
        return False


def _boxed(value: Any) -> bool:
    if not (isinstance(value, dict) and set(value) >= KEYS and isinstance(value["annotations"], list)):
        return False
    return any(isinstance(a, dict) and "bbox" in a for a in value["annotations"])


def table(folder: Path, files: Sequence[Path], columns: Columns, *, skip_bad: int = 0) -> Table:
    """The annotated pictures of all files; several are parts of a split, told by a word in their names or folders.

    bbox = (x, y, width, height) from the outer edge. Crowds (iscrowd = 1) are left out and counted.

    Raises Wrong (exit 2): a file that is no COCO with boxes, an annotation of an unknown image or category, a
    picture in two files, whatever `annotated.table` refuses.
    """
    marked: dict[str, Marked] = {}
    names: list[str] = []
    odd: list[str] = []
    for file in files:
        value = read_json(file)
        if not _boxed(value):
            raise Wrong(
                f"{file} is no COCO file with boxes", remedy="it needs images, annotations with bbox, and categories"
            )
        part = _part(file) if len(files) > 1 else "new"
        with guarded(str(file), remedy="each annotation needs image_id, category_id and bbox"):
            some, crowds = _read(value, folder, file, part)
            names += [str(c["name"]) for c in sorted(value["categories"], key=lambda c: int(c["id"]))]
        odd += [f"{crowds} crowds are left out"] if crowds else []
        twice = [m.id for m in some if m.id in marked]
        if twice:
            raise Wrong(
                f"{len(twice)} pictures are in two files: {listed(twice, 3)}",
                where=str(file),
                remedy="give each picture one part",
            )
        marked |= {m.id: m for m in some}
    used = {b.label for m in marked.values() for b in m.boxes}
    classes = [n for n in dict.fromkeys(names) if n in used]  # a supercategory without boxes is none
    return annotated.table(
        folder, "COCO annotations", list(marked.values()), columns, skip_bad=skip_bad, odd=odd, classes=classes
    )


def _part(file: Path) -> str:
    words = [w for text in (file.stem, file.parent.name) for w in re.split(r"[\W_\d]+", text.casefold())]
    found = next((PARTS[w] for w in words if w in PARTS), "")
    if not found:
        raise Wrong(
            f"{file} is one of several, and of no part", remedy="name each file for its part: train, val or test"
        )
    return found


def _read(value: dict[str, Any], folder: Path, file: Path, part: str) -> tuple[list[Marked], int]:
    """The pictures of one file with their boxes, and how many crowds there were."""
    names = {int(c["id"]): str(c["name"]) for c in value["categories"]}
    boxes: dict[int, list[Box]] = {int(i["id"]): [] for i in value["images"]}
    crowds = 0
    for a in value["annotations"]:
        image, kind = int(a["image_id"]), int(a["category_id"])
        if image not in boxes or kind not in names:
            what = f"image {image}" if image not in boxes else f"category {kind}"
            raise Wrong(
                f"annotation {shown(a.get('id', '?'))} is of {what}, which is not listed",
                where=str(file),
                remedy="correct the file",
            )
        if a.get("iscrowd"):
            crowds += 1
            continue
        x, y, width, height = (float(v) for v in a["bbox"])
        boxes[image].append(Box(names[kind], (x, y, x + width, y + height)))
    out = []
    for i in value["images"]:
        size = (int(i["height"]), int(i["width"])) if i.get("height") and i.get("width") else None
        path = _picture(folder, file, part, str(i["file_name"]))
        name = str(i["file_name"])
        out.append(Marked(name if part == "new" else f"{part}/{name}", path, part, tuple(boxes[int(i["id"])]), size))
    return out, crowds


def _picture(folder: Path, file: Path, part: str, name: str) -> Path:
    """Where a picture lies: beside the file, in the folder, in images/, or in a folder called for the part."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise Wrong(
            f"a picture lies outside of the folder: {shown(name)}", where=str(file), remedy="give paths inside it"
        )
    tops = [file.parent, folder, folder / "images", folder / file.stem.removeprefix("instances_")]
    tops += [top / part for top in (folder, folder / "images")]
    return next((p for top in tops if (p := top / name).is_file()), folder / name)
