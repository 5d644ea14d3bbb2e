"""YOLO: images/A.jpg beside labels/A.txt, a line a box: class, then centre and size as shares of the picture's sides.

Names of the classes come from data.yaml (names: a list, or number: name) or classes.txt; without them they are numbers. A picture
without a file of lines has no box, as the form has it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from empirisk.data import annotated, pictures
from empirisk.data.annotated import Marked
from empirisk.data.folders import PARTS
from empirisk.data.rows import Box, Columns, Table
from empirisk.errors import Wrong, listed, shown
from empirisk.files import guarded, read_bytes


def holds(folder: Path, others: Mapping[str, Path]) -> bool:
    """Are the files beside the images lines of boxes?"""
    lines = [p for p in others.values() if p.suffix.casefold() == ".txt" and p.stem != "classes"]
    return bool(lines) and 2 * len(lines) > len(others)


def table(
    folder: Path, images: Mapping[str, Path], others: Mapping[str, Path], columns: Columns, *, skip_bad: int = 0
) -> Table:
    """The pictures with their boxes, in the parts that folders name; ids are paths without `images/`.

    Raises Wrong (exit 2) , with the line: not five numbers, a share outside of 0 to 1, a class without a name;
    whatever `annotated.table` refuses.
    """
    names = _names(folder)
    shown_ = {key: path for key, path in images.items() if pictures.is_picture(path)}
    marked = []
    for key, path in shown_.items():
        part = next((PARTS[p.casefold()] for p in key.split("/")[:-1] if p.casefold() in PARTS), "new")
        boxes = _lines(others[key], names) if key in others else ()
        marked.append(Marked(key + path.suffix, path, part, boxes, shares=True))
    bare = [key for key in shown_ if key not in others]
    odd = [f"{len(bare)} pictures have no file of boxes, which means none: {listed(bare, 3)}"] if bare else []
    loose = [
        key for key, path in others.items() if key not in shown_ and path.suffix == ".txt" and path.stem != "classes"
    ]
    odd += [f"{len(loose)} files of boxes have no picture: {listed(loose, 3)}"] if loose else []
    return annotated.table(folder, "YOLO folder", marked, columns, skip_bad=skip_bad, odd=odd, classes=names)


def _lines(path: Path, names: list[str]) -> tuple[Box, ...]:
    """The box of each line, its corners as shares."""
    found = []
    with guarded(str(path)):
        text = read_bytes(path, limit=16 << 20).decode()
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        try:
            kind, shares = int(cells[0]), tuple(float(c) for c in cells[1:])
        except ValueError:
            kind, shares = -1, ()
        if kind < 0 or len(shares) != 4 or not all(0 <= s <= 1 for s in shares):
            raise Wrong(
                f"a line of boxes is not a class and four shares from 0 to 1: {shown(line, 60)}", where=f"{path} line {number}",
                remedy="write class, x and y of the centre, width and height, as shares of the picture's sides",
            )  # fmt: skip
        if names and kind >= len(names):
            raise Wrong(
                f"class {kind} has no name, there are {len(names)}",
                where=f"{path} line {number}",
                remedy="name it in data.yaml",
            )
        x, y, width, height = shares
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        found.append(Box(names[kind] if names else str(kind), corners))
    return tuple(found)


def _names(folder: Path) -> list[str]:
    """Names of the classes in their order: of `names` in data.yaml, a list or a mapping in either way of YAML, or of classes.txt."""
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        with guarded(str(file)):
            text = read_bytes(file, limit=1 << 20).decode()
        if flow := re.search(r"^names:\s*[\[{](.*?)[\]}]", text, re.M | re.S):
            items = [re.sub(r"^\s*\d+\s*:", "", item) for item in flow[1].split(",")]
        elif block := re.search(r"^names:\s*\n((?:[ \t]*(?:-|\d+\s*:).*\n?)+)", text, re.M):
            items = [re.sub(r"^\s*(?:-|\d+\s*:)", "", line) for line in block[1].splitlines()]
        else:
            continue
        names = [re.sub(r"\s+#.*", "", item).strip().strip("'\"") for item in items]
        return [n for n in names if n]
    for file in (folder / "classes.txt", folder / "labels" / "classes.txt"):
        if file.is_file():
            with guarded(str(file)):
                return [line.strip() for line in read_bytes(file, limit=1 << 20).decode().splitlines() if line.strip()]
    return []
