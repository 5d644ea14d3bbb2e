"""Answers go back in the form and the geometry of the image they belong to: label maps, and boxes as labelling tools open them.

Each box comes as (class, score, x1, y1, .., x2, y2, ..) in pixels from the image's outer edge, the last axis of the array first.
"""

import gzip
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from empirisk.data.geometry import Geometry, reversed_axes
from empirisk.data.nifti import header
from empirisk.data.readers import Reference
from empirisk.data.rows import Row
from empirisk.files import make_folder, write

Placed = Sequence[Sequence[Any]]


def stem_of(identifier: str) -> str:
    """A file name for a row's result: the path inside its data set, without the ending; of any other path the last two parts, and
    six digits of its hash, so that no two of them share a file.

    >>> stem_of("images/a.png"), stem_of("/data/new/case_1.nii.gz")
    ('images-a', 'new-case_1-142f1d')
    """
    parts = [p for p in re.split(r"[/\\]", identifier) if p not in {"", ".", ".."}]
    parts = parts[-2:] if identifier.startswith(("/", ".", "\\")) or len(identifier) > 150 else parts
    name = re.sub(r"[^\w.-]", "_", "-".join(parts), flags=re.ASCII)[-150:]
    name = re.sub(r"\.(png|jpe?g?|tiff?|dcm|nii)(\.gz)?$", "", name, flags=re.IGNORECASE)
    apart = hashlib.sha256(identifier.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return name if "/".join(parts) == identifier else f"{name}-{apart}"


def told_apart(rows: Sequence[Row]) -> list[Row]:
    """The rows, those whose results would share a file (a.png and a.jpg) with an id that has a hash in its file name."""
    stems = Counter(stem_of(str(r["id"])) for r in rows)
    return [r if stems[stem_of(str(r["id"]))] == 1 else r | {"id": f"./{r['id']}"} for r in rows]


def write_mask(folder: Path, stem: str, labels: np.ndarray, reference: Reference) -> Path:
    """Write labels (D, H, W) or (H, W), whole numbers from 0 to 65,535, as folder/stem.nii.gz or folder/stem.png.

    NIfTI where the image has a geometry (of a NIfTI file with its own header: affines, codes, units, number of axes) and for
    every volume; else PNG of 8 bits, or of 16 where a number is above 255. Reading it back gives the same numbers.

    Raises Wrong (exit 3) if it cannot be written; exit 2 if the image of which it takes the header is gone.
    """
    from PIL import Image

    labels = np.asarray(labels)
    labels = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    make_folder(folder, parents=True)
    known = reference.geometry()
    if known is None and labels.ndim == 2:
        path, out = folder / f"{stem}.png", io.BytesIO()
        Image.fromarray(labels).save(out, "PNG")
        write(path, out.getvalue())
    else:
        path = folder / f"{stem}.nii.gz"
        write(path, gzip.compress(nifti_bytes(labels, known), compresslevel=6, mtime=0))
    return path


def nifti_bytes(values: np.ndarray, known: Geometry | None, note: str = "") -> bytes:
    """The bytes of a NIfTI file of (D, H, W), (H, W) or with channels (C, D, H, W), in the world of `known`.

    The header is that of the image where it came from one.
    """
    from nibabel.nifti1 import Nifti1Image

    array = (values if values.ndim > 2 else values[None]).T  # (i, j, k) or (i, j, k, c)
    if known is not None and known.form == "nifti":
        kind, mine, *_ = header(Path(known.source))
        axes = array.ndim if array.ndim > 3 else min(int(mine["dim"][0]), 3)
        array = array.reshape(array.shape[:axes])  # (i, j) of a picture in two axes
        affine = mine.get_best_affine()
        mine.set_data_dtype(values.dtype)
        mine.set_slope_inter(1, 0)
        mine["vox_offset"] = 0
        for text in {"descrip", "aux_file", "db_name", "intent_name"} & set(mine.keys()):  # may tell of the patient
            mine[text] = b""
        image = kind(array, affine, mine)
    else:
        affine = np.eye(4) if known is None else reversed_axes(known.matrix)
        image = Nifti1Image(array, affine)
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
    if note:
        image.header["descrip"] = note.encode("ascii", "replace")[:79]
    found: bytes = image.to_bytes()
    return found


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


BOXES = {"voc": (".xml", voc), "yolo": (".txt", yolo), "coco": (".json", coco)}
"""Ending of the file, and its text, by the form of the boxes that were trained on."""
