"""Pictures with boxes, as labelling tools save them: Pascal VOC, COCO, YOLO.

VOC: Annotations/A.xml beside JPEGImages/A.jpg, parts in ImageSets/Main. Corners are counted from 1 and both inside, so that
x1 = xmin - 1 and x2 = xmax from the outer edge; a set in which a corner is 0 counts from 0: x1 = xmin.
COCO: a .json with images, annotations and categories, or a folder of such: annotations/*.json, or PART/_annotations.coco.json;
bbox = (x, y, width, height) from the outer edge.
YOLO: images/A.jpg beside labels/A.txt, a line a box: class, then centre and size as shares of the picture's sides. Names of the
classes come from data.yaml (names: a list, or number: name) or classes.txt; without them they are numbers. A picture without a
file of lines has no box, as the form has it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from empirisk.data import pictures
from empirisk.data.pictures import PARTS
from empirisk.data.readers import File
from empirisk.data.rows import Box, Columns, Row, Rows, Table, refused
from empirisk.errors import Wrong, listed, shown
from empirisk.files import guarded, read_bytes, read_json

CORNERS = ("xmin", "ymin", "xmax", "ymax")
KEYS = {"images", "annotations", "categories"}


def _table(
    folder: Path, form: str, rows: Rows, columns: Columns, odd: Sequence[str], names: Sequence[str] = (), *, shares: bool = False
) -> Table:  # fmt: skip
    """The table of annotated pictures; `names` of the classes in the order that the form gives.

    Raises Wrong (exit 2): no picture; what `pictures.called` and `pictures.seen` refuse.
    """
    if not rows:
        raise Wrong("the set has no annotated picture", where=str(folder))
    if columns.split == "none":
        rows = [r | {"part": "new"} for r in rows]
    classes = pictures.called(rows, columns, folder, names)
    found = pictures.seen(rows, folder, columns, shares=shares)
    return pictures.table(found, columns, name=folder.resolve().name, form=form, classes=classes, odd=odd)


def _row(id_: str, path: Path, part: str, boxes: Sequence[Box], size: tuple[int, ...] = ()) -> Row:
    """One annotated picture; `size` (H, W) where the annotation speaks of it."""
    return {"id": id_, "x": File(str(path)), "patient": None, "part": part, "boxes": tuple(boxes), "extent": size}


def lines(path: Path) -> list[str]:
    """The lines of a text, empty ones too."""
    with guarded(str(path)):
        return read_bytes(path, limit=16 << 20).decode().splitlines()


def voc(folder: Path, columns: Columns) -> Table:
    """The annotated pictures, in the parts of ImageSets/Main where those are given; ids are file names.

    Raises Wrong (exit 2): an annotation that is no such XML, a picture in two parts, whatever `_table` refuses.
    """
    found = {p.stem: p for p in sorted((folder / "JPEGImages").iterdir()) if pictures.is_picture(p)}
    read = {p.stem: read_voc(p) for p in sorted((folder / "Annotations").glob("*.xml"))}
    parts = _parts(folder / "ImageSets" / "Main")
    lost = [name for name in read if parts and name not in parts]
    odd = [f"{len(lost)} pictures are in no list of ImageSets/Main and are left out: {listed(lost, 3)}"] if lost else []
    loose = [name for name in found if name not in read]
    odd += [f"{len(loose)} pictures have no annotation and are left out: {listed(loose, 3)}"] if loose else []
    first = 0.0 if any(0.0 in b.corners[:2] for boxes, _ in read.values() for b in boxes) else 1.0
    rows: Rows = []
    flat: list[str] = []
    for name in [n for n in read if n not in lost]:
        path, (boxes, size) = found.get(name, folder / "JPEGImages" / f"{name}.jpg"), read[name]
        corners = [(b.label, b.corners) for b in boxes if b.corners[0] != b.corners[2] and b.corners[1] != b.corners[3]]
        flat += [path.name] if len(corners) < len(boxes) else []  # both corners one pixel: a slip of the hand
        kept = [Box(label, (x1 - first, y1 - first, x2, y2)) for label, (x1, y1, x2, y2) in corners]
        rows.append(_row(path.name, path, parts.get(name, "new"), kept, size))
    odd += [f"boxes without area are left out, in {listed(flat, 3)}"] if flat else []
    return _table(folder, "Pascal VOC folder", rows, columns, odd)


def read_voc(path: Path) -> tuple[list[Box], tuple[int, ...]]:
    """Boxes with the corners as written, and (H, W) where it is given."""
    content = read_bytes(path, limit=16 << 20)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise refused(path, "the annotation defines entities, which none needs", "write it without DOCTYPE")

    def text(element: Element, tag: str) -> str:
        if not (found := (element.findtext(tag) or "").strip()):
            raise ValueError(f"an object has no {tag}")
        return found

    with guarded(str(path), remedy="each object needs name, and bndbox with xmin, ymin, xmax, ymax"):
        root = fromstring(content)
        things = [(text(o, "name"), [float(text(o, f"bndbox/{c}")) for c in CORNERS]) for o in root.iter("object")]
        height, width = (int(root.findtext(f"size/{k}") or 0) for k in ("height", "width"))
    return [Box(label, tuple(corners)) for label, corners in things], (height, width) if width and height else ()


def _parts(lists: Path) -> dict[str, str]:
    """Name -> part, from train.txt, val.txt and test.txt (trainval.txt where there is neither)."""
    files = {part: lists / f"{part}.txt" for part in ("train", "val", "test") if (lists / f"{part}.txt").is_file()}
    if not files and (lists / "trainval.txt").is_file():
        files = {"train": lists / "trainval.txt"}
    parts: dict[str, str] = {}
    for part, name in [(part, line.split()[0]) for part, file in files.items() for line in lines(file) if line.strip()]:
        if parts.setdefault(name, part) != part:
            raise refused(lists, f"{name} is in {parts[name]}.txt and in {part}.txt", "give each picture one part")
    return parts


def found_coco(folder: Path) -> list[Path]:
    """The COCO files with boxes of a folder: at its top, in annotations/, and one level down where they are called COCO."""

    def fits(file: Path) -> bool:  # any other .json may lie in a folder, a broken one too
        try:
            return _holds_boxes(read_json(file))
        except Wrong:
            return False

    named = [*(folder / "annotations").glob("*.json"), *folder.glob("*/_annotations.coco.json")]
    found = [f for f in sorted(named) if _holds_boxes(read_json(f))]
    return found or [f for f in sorted(folder.glob("*.json")) if fits(f)]


def _holds_boxes(value: Any) -> bool:
    if not (isinstance(value, dict) and set(value) >= KEYS and isinstance(value["annotations"], list)):
        return False
    return any(isinstance(a, dict) and "bbox" in a for a in value["annotations"])


def coco(folder: Path, files: Sequence[Path], columns: Columns) -> Table:
    """The annotated pictures of all files; several are parts of a split, told by a word in their names or folders.

    Crowds (iscrowd = 1) are left out and counted. Raises Wrong (exit 2): a file that is no COCO with boxes, an annotation
    of an unknown image or category, a picture in two files, whatever `_table` refuses.
    """
    rows: dict[str, Row] = {}
    names: list[str] = []
    odd: list[str] = []
    for file in files:
        value, part = read_json(file), "new"
        if not _holds_boxes(value):
            remedy = "it needs images, annotations with bbox, and categories"
            raise Wrong(f"{file} is no COCO file with boxes", remedy=remedy)
        if len(files) > 1:
            words = [w for text in (file.stem, file.parent.name) for w in re.split(r"[\W_\d]+", text.casefold())]
            part = next((PARTS[w] for w in words if w in PARTS), "")
        if not part:
            remedy = "name each file for its part: train, val or test"
            raise Wrong(f"{file} is one of several, and of no part", remedy=remedy)
        with guarded(str(file), remedy="each annotation needs image_id, category_id and bbox"):
            some, crowds = _read_coco(value, folder, file, part)
            names += [str(c["name"]) for c in sorted(value["categories"], key=lambda c: int(c["id"]))]
        odd += [f"{crowds} crowds are left out"] if crowds else []
        if twice := [r["id"] for r in some if r["id"] in rows]:
            what = f"{len(twice)} pictures are in two files: {listed(twice, 3)}"
            raise refused(file, what, "give each picture one part")
        rows |= {r["id"]: r for r in some}
    used = {b.label for r in rows.values() for b in r["boxes"]}
    names = [n for n in dict.fromkeys(names) if n in used]  # a supercategory without boxes is none
    return _table(folder, "COCO annotations", [*rows.values()], columns, odd, names)


def _read_coco(value: dict[str, Any], folder: Path, file: Path, part: str) -> tuple[Rows, int]:
    """The pictures of one file with their boxes, and how many crowds there were."""
    names = {int(c["id"]): str(c["name"]) for c in value["categories"]}
    boxes: dict[int, list[Box]] = {int(i["id"]): [] for i in value["images"]}
    crowds = 0
    for a in value["annotations"]:
        image, kind = int(a["image_id"]), int(a["category_id"])
        if image not in boxes or kind not in names:
            which = f"image {image}" if image not in boxes else f"category {kind}"
            what = f"annotation {shown(a.get('id', '?'))} is of {which}, which is not listed"
            raise refused(file, what, "correct the file")
        if a.get("iscrowd"):
            crowds += 1
            continue
        x, y, width, height = (float(v) for v in a["bbox"])
        boxes[image].append(Box(names[kind], (x, y, x + width, y + height)))
    rows = []
    for i in value["images"]:
        size = (int(i["height"]), int(i["width"])) if i.get("height") and i.get("width") else ()
        name = str(i["file_name"])
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise refused(file, f"a picture lies outside of the folder: {shown(name)}", "give paths inside it")
        tops = [file.parent, folder, folder / "images", folder / file.stem.removeprefix("instances_")]
        tops += [folder / part, folder / "images" / part]
        path = next((p for top in tops if (p := top / name).is_file()), folder / name)
        rows.append(_row(name if part == "new" else f"{part}/{name}", path, part, boxes[int(i["id"])], size))
    return rows, crowds


def is_yolo(others: Mapping[str, Path]) -> bool:
    """Are the files beside the images lines of boxes?"""
    texts = [p for p in others.values() if p.suffix.casefold() == ".txt" and p.stem != "classes"]
    return bool(texts) and 2 * len(texts) > len(others)


def yolo(folder: Path, images: Mapping[str, Path], others: Mapping[str, Path], columns: Columns) -> Table:
    """The pictures with their boxes, in the parts that folders name; ids are paths without `images/`.

    Raises Wrong (exit 2), with the line: not five numbers, a share outside of 0 to 1, a class without a name;
    whatever `_table` refuses.
    """
    names = _names(folder)
    images = {key: path for key, path in images.items() if pictures.is_picture(path)}
    rows = []
    for key, path in images.items():
        part = next((PARTS[p.casefold()] for p in key.split("/")[:-1] if p.casefold() in PARTS), "new")
        rows.append(_row(key + path.suffix, path, part, _shares(others[key], names) if key in others else ()))
    bare = [key for key in images if key not in others]
    odd = [f"{len(bare)} pictures have no file of boxes, which means none: {listed(bare, 3)}"] if bare else []
    loose = [key for key, p in others.items() if key not in images and p.suffix == ".txt" and p.stem != "classes"]
    odd += [f"{len(loose)} files of boxes have no picture: {listed(loose, 3)}"] if loose else []
    return _table(folder, "YOLO folder", rows, columns, odd, names, shares=True)


def _shares(path: Path, names: list[str]) -> list[Box]:
    """The box of each line, its corners as shares."""
    boxes = []
    for number, line in enumerate(lines(path), 1):
        if not (cells := line.split()):
            continue
        try:
            kind, shares = int(cells[0]), [float(c) for c in cells[1:]]
        except ValueError:
            kind, shares = -1, []
        if kind < 0 or len(shares) != 4 or not all(0 <= s <= 1 for s in shares):
            what = f"a line of boxes is not a class and four shares from 0 to 1: {shown(line, 60)}"
            remedy = "write class, x and y of the centre, width and height, as shares of the picture's sides"
            raise refused(f"{path} line {number}", what, remedy)
        if names and kind >= len(names):
            what = f"class {kind} has no name, there are {len(names)}"
            raise refused(f"{path} line {number}", what, "name it in data.yaml")
        x, y, width, height = shares
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        boxes.append(Box(names[kind] if names else str(kind), corners))
    return boxes


def _names(folder: Path) -> list[str]:
    """Names of the classes in their order: of `names` in data.yaml, a list or a mapping in either way of YAML, or of classes.txt."""
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        text = "\n".join([*lines(file), ""])
        if flow := re.search(r"^names:\s*[\[{](.*?)[\]}]", text, re.M | re.S):
            items = [re.sub(r"^\s*\d+\s*:", "", item) for item in flow[1].split(",")]
        elif block := re.search(r"^names:\s*\n((?:[ \t]*(?:-|\d+\s*:).*\n?)+)", text, re.M):
            items = [re.sub(r"^\s*(?:-|\d+\s*:)", "", line) for line in block[1].splitlines()]
        else:
            continue
        names = [re.sub(r"\s+#.*", "", item).strip().strip("'\"") for item in items]
        return [n for n in names if n]
    listing = next((f for f in (folder / "classes.txt", folder / "labels" / "classes.txt") if f.is_file()), None)
    return [line.strip() for line in lines(listing) if line.strip()] if listing else []
