"""Boxes of one image as the text of a file that labelling tools open: Pascal VOC, YOLO, COCO.

Each box comes as (class, score, x1, y1, .., x2, y2, ..) in pixels from the image's outer edge, the last axis of the array first.
"""

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

Placed = Sequence[Sequence[Any]]


def voc(name: str, size: Sequence[int], boxes: Placed, names: Sequence[str]) -> str:
    """One XML document, with a score beside each box; corners count from 1 and are both inside: xmin = x1 + 1, xmax = x2."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    shape = ElementTree.SubElement(root, "size")
    for tag, value in zip(("width", "height"), size[::-1], strict=True):
        ElementTree.SubElement(shape, tag).text = str(value)
    for label, score, *corners in boxes:
        thing = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(thing, "name").text = label
        ElementTree.SubElement(thing, "score").text = f"{score:.6g}"
        box = ElementTree.SubElement(thing, "bndbox")
        for tag, value, first in zip(("xmin", "ymin", "xmax", "ymax"), corners, (1, 1, 0, 0), strict=True):
            ElementTree.SubElement(box, tag).text = f"{value + first:g}"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def yolo(name: str, size: Sequence[int], boxes: Placed, names: Sequence[str]) -> str:
    """A line a box: class number, middle and sides as shares of the image's, score."""
    height, width = size
    lines = []
    for label, score, x1, y1, x2, y2 in boxes:
        shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(" ".join([str(names.index(label)), *(f"{v:.6f}" for v in shares), f"{score:.6g}"]))
    return "\n".join([*lines, ""])


def coco(name: str, size: Sequence[int], boxes: Placed, names: Sequence[str]) -> str:
    """images, categories and annotations; bbox is (x, y, .., width, height, ..), of volumes with z and depth."""
    dims = len(size)
    image = {"id": 1, "file_name": name} | dict(zip(("width", "height", "depth"), size[::-1], strict=False))
    found = [
        {
            "id": i, "image_id": 1, "category_id": names.index(label) + 1, "score": score, "iscrowd": 0,
            "bbox": [*corners[:dims], *(round(b - a, 4) for a, b in zip(corners[:dims], corners[dims:], strict=True))],
        }
        for i, (label, score, *corners) in enumerate(boxes, 1)
    ]  # fmt: skip
    categories = [{"id": i, "name": n} for i, n in enumerate(names, 1)]
    return json.dumps({"images": [image], "categories": categories, "annotations": found}, indent=1) + "\n"
