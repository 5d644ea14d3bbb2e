"""From any accepted form of a data set to one table: the folder, or the file, is the argument."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empirisk.data import coco, decathlon, folders, medmnist, pairs, pictures, sheets, trees, voc, yolo
from empirisk.data.readers import form
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong, listed

__all__ = ["Columns", "Row", "Rows", "Table", "table"]


def table(source: Any, columns: Columns = Columns(), *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table that a source is: .npz, a folder, .csv or .tsv, COCO's .json, an image, a list of them, a data frame or columns.

    With `bare` its rows need no truth (what is to be predicted); images are then taken from anywhere below a folder.
    Up to `skip_bad` unreadable images are left out and recorded in `unreadable`; one more, and all are refused.

    Raises Wrong (exit 2): nothing there, no known form, flags of DICOM for something else, or whatever the form
    itself refuses.
    """
    found = _table(source, columns, skip_bad=skip_bad, bare=bare)
    asked = [f"--{name}" for name in ("series", "labels", "join") if getattr(columns, name)]
    if asked and found.form != "DICOM tree" and not bare:
        raise Wrong(
            f"{listed(asked)} can only be given for a folder of DICOM objects", where=f"{found.name}: {found.form}"
        )
    return found


def _table(source: Any, columns: Columns, *, skip_bad: int, bare: bool) -> Table:
    if isinstance(source, Mapping) or hasattr(source, "columns"):
        return sheets.frame(source, columns, skip_bad=skip_bad, bare=bare)
    if isinstance(source, Sequence) and not isinstance(source, str):
        return pictures.single([Path(p) for p in source], skip_bad=skip_bad)
    path = Path(source)
    if path.is_dir():
        return folder(path, columns, skip_bad=skip_bad, bare=bare)
    if not path.exists():
        raise Wrong(
            f"{path} is not there", remedy="give a file, a folder, or a name that `empirisk list datasets` shows"
        )
    if not path.is_file():
        raise Wrong(f"{path} is no regular file")
    kind = path.suffix.casefold()
    if kind == ".npz":
        return medmnist.table(path, columns)
    if kind in {".csv", ".tsv", ".txt"}:
        return sheets.table(path, columns, skip_bad=skip_bad, bare=bare)
    if kind == ".json":
        return coco.table(path.parent, [path], columns, skip_bad=skip_bad)
    if form(path) or kind in pictures.ENDINGS or path.name.casefold().endswith(".nii.gz"):
        return pictures.single([path], skip_bad=skip_bad)
    raise Wrong(
        f"{path} is of no known form",
        remedy="give a folder, a .csv with image and label, a MedMNIST .npz, COCO's .json, or DICOM, NIfTI, PNG, JPEG, TIFF images",
    )


def folder(path: Path, columns: Columns, *, skip_bad: int, bare: bool) -> Table:
    """The table of a folder, by what lies in it: the most telling form first."""
    if decathlon.holds(path):
        return decathlon.table(path, columns, skip_bad=skip_bad)
    if voc.holds(path):
        return voc.table(path, columns, skip_bad=skip_bad)
    if files := coco.found(path):
        return coco.table(path, files, columns, skip_bad=skip_bad)
    images, others = pairs.beside(path)
    if images and yolo.holds(path, others):
        return yolo.table(path, images, others, columns, skip_bad=skip_bad)
    if set(images) & set(others):
        return pairs.table(path, columns, skip_bad=skip_bad, bare=bare)
    if objects := trees.found(path):
        return trees.table(path, objects, columns, skip_bad=skip_bad, bare=bare)
    return folders.table(path, columns, skip_bad=skip_bad, bare=bare)
