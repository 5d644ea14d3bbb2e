"""Pascal VOC: Annotations/A.xml beside JPEGImages/A.jpg, parts in ImageSets/Main.

Corners are counted from 1 and both inside, as VOC has them, so that x1 = xmin - 1 and x2 = xmax from the outer edge; a set in
which a corner is 0 counts from 0: x1 = xmin.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

from empirisk.data import annotated, pictures
from empirisk.data.annotated import Marked
from empirisk.data.rows import Box, Columns, Table
from empirisk.errors import Wrong, listed
from empirisk.files import guarded, read_bytes

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def holds(folder: Path) -> bool:
    """Is it such a folder?"""
    return (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir()


def table(folder: Path, columns: Columns, *, skip_bad: int = 0) -> Table:
    """The annotated pictures, in the parts of ImageSets/Main where those are given; ids are file names.

    Raises Wrong (exit 2): an annotation that is no such XML, a picture in two parts, whatever `annotated.table`
    refuses.
    """
    found = {p.stem: p for p in sorted((folder / "JPEGImages").iterdir()) if pictures.is_picture(p)}
    read = {p.stem: _read(p) for p in sorted((folder / "Annotations").glob("*.xml"))}
    parts = _parts(folder)
    lost = [name for name in read if parts and name not in parts]
    odd = [f"{len(lost)} pictures are in no list of ImageSets/Main and are left out: {listed(lost, 3)}"] if lost else []
    loose = [name for name in found if name not in read]
    odd += [f"{len(loose)} pictures have no annotation and are left out: {listed(loose, 3)}"] if loose else []
    first = 0.0 if any(0.0 in b.corners[:2] for boxes, _ in read.values() for b in boxes) else 1.0
    marked, flat = [], []
    for name, (boxes, size) in read.items():
        if parts and name not in parts:
            continue
        path = found.get(name, folder / "JPEGImages" / f"{name}.jpg")
        kept = [Box(b.label, (b.corners[0] - first, b.corners[1] - first, *b.corners[2:])) for b in boxes if _area(b)]
        flat += [path.name] if len(kept) < len(boxes) else []
        marked.append(Marked(path.name, path, parts.get(name, "new"), tuple(kept), size))
    odd += [f"boxes without area are left out, in {listed(flat, 3)}"] if flat else []
    return annotated.table(folder, "Pascal VOC folder", marked, columns, skip_bad=skip_bad, odd=odd)


def _area(box: Box) -> bool:
    """A box whose two corners are one pixel was a slip of the hand."""
    return box.corners[0] != box.corners[2] and box.corners[1] != box.corners[3]


def _read(path: Path) -> tuple[list[Box], tuple[int, int] | None]:
    """Boxes with the corners as written, and (H, W) where it is given."""
    content = read_bytes(path, limit=16 << 20)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Wrong(
            "the annotation defines entities, which none needs", where=str(path), remedy="write it without DOCTYPE"
        )
    with guarded(str(path), remedy="each object needs name, and bndbox with xmin, ymin, xmax, ymax"):
        root = fromstring(content)
        boxes = [
            Box(_text(o, "name"), tuple(float(_text(o, f"bndbox/{c}")) for c in CORNERS)) for o in root.iter("object")
        ]
        width, height = (int(root.findtext(f"size/{k}") or 0) for k in ("width", "height"))
    return boxes, (height, width) if width and height else None


def _text(element: Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"an object has no {path}")
    return text


def _parts(folder: Path) -> dict[str, str]:
    """Name -> part, from ImageSets/Main/train.txt, val.txt and test.txt (trainval.txt where there is neither)."""
    lists = folder / "ImageSets" / "Main"
    files = {part: lists / f"{part}.txt" for part in ("train", "val", "test") if (lists / f"{part}.txt").is_file()}
    if not files and (lists / "trainval.txt").is_file():
        files = {"train": lists / "trainval.txt"}
    parts: dict[str, str] = {}
    for part, file in files.items():
        with guarded(str(file)):
            names = [line.split()[0] for line in read_bytes(file, limit=16 << 20).decode().splitlines() if line.strip()]
        for name in names:
            if parts.setdefault(name, part) != part:
                raise Wrong(
                    f"{name} is in {parts[name]}.txt and in {part}.txt",
                    where=str(lists),
                    remedy="give each picture one part",
                )
    return parts
