"""From any accepted form of a data set to one table: the folder, or the file, is the argument."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from empirisk.data import embedded, folders, frames, medmnist, pictures, sheets, trees, video, voc_coco_yolo
from empirisk.data.columns import samples
from empirisk.data.labels import Sheet
from empirisk.data.readers import form, head
from empirisk.data.rows import Columns, Table
from empirisk.errors import Wrong, listed

__all__ = ["Columns", "Table", "table"]
ONLY = {
    "a folder of DICOM objects": ("series", "labels", "join"),
    "a table of pictures": ("mask", "boxes"),
    "a table": ("text", "caption"),
}
"Flags that can be given for nothing else."


def table(source: Any, columns: Columns = Columns(), *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table that a source is: a built-in name, .npz, a folder, .csv or .tsv, .json of COCO or of rows, an image, a list of them, a data frame.

    With `bare` its rows need no truth (what is to be predicted); images are then taken from anywhere below a folder.
    Up to `skip_bad` unreadable images are left out and recorded in `unreadable`; one more, and all are refused.

    Raises Wrong (exit 2): nothing there, no known form, flags of DICOM or of tables for something else, or whatever the form
    itself refuses.
    """
    found = _table(source, replace(columns, skip_bad=skip_bad, bare=bare))
    tree, sheet = found.form == "DICOM tree", found.form.startswith(("CSV", "JSON", "data frame"))
    for (what, flags), fits in zip(ONLY.items(), (tree, sheet, sheet), strict=True):
        asked = [f"--{name}" for name in flags if getattr(columns, name) not in {None, "none"}]
        if asked and not fits and not bare:
            raise Wrong(f"{listed(asked)} can only be given for {what}", where=f"{found.name}: {found.form}")
    return found


def _table(source: Any, columns: Columns) -> Table:
    if isinstance(source, Mapping) or hasattr(source, "columns"):
        return of_sheet(sheets.frame(source), columns)
    if isinstance(source, Sequence) and not isinstance(source, str):
        return pictures.single([Path(p) for p in source], columns)
    if isinstance(source, str) and source.startswith("<"):
        raise Wrong("the run was made from a table in memory", remedy="give it again: empirisk.load(RUN, data=TABLE)")
    if isinstance(source, str) and embedded.knows(source):
        return embedded.table(source)
    path, packed = Path(source), Path(f"{source}.npz")
    if not path.exists() and packed.exists():
        path = packed  # a MedMNIST name, its file in the working directory
    if path.is_dir():
        return folder(path, columns)
    if not path.exists():
        remedy = "give a file, a folder, or a name that `empirisk list datasets` shows"
        raise Wrong(f"{path} is not there", remedy=remedy)
    if not path.is_file():
        raise Wrong(f"{path} is no regular file")
    kind = path.suffix.casefold()
    if kind == ".npz":
        return medmnist.table(path, columns)
    if kind == ".txt" and columns.bare and "text" in columns.inputs:
        return of_sheet(sheets.lines(path), columns)
    if kind == ".json" and head(path, 256).lstrip()[:1] == b"[":
        return of_sheet(sheets.objects(path), columns)
    if kind in {".csv", ".tsv", ".txt"}:
        return of_sheet(sheets.sheet(path), columns)
    if kind == ".json":
        return voc_coco_yolo.coco(path.parent, [path], columns)
    if kind in video.ENDINGS:
        return frames.film(path)
    if form(path) or kind in pictures.ENDINGS or path.name.casefold().endswith(".nii.gz"):
        return pictures.single([path], columns)
    images = "DICOM, NIfTI, PNG, JPEG, TIFF images"
    remedy = f"give a folder, a .csv with image and label, a MedMNIST .npz, a .json of COCO or of rows, or {images}"
    raise Wrong(f"{path} is of no known form", remedy=remedy)


def of_sheet(sheet: Sheet, columns: Columns) -> Table:
    """The table of a sheet: its lines are frames of videos, or samples."""
    return frames.videos(sheet, columns) if frames.are_frames(sheet) else samples(sheet, columns)


def folder(path: Path, columns: Columns) -> Table:
    """The table of a folder, by what lies in it: the most telling form first."""
    if (path / "dataset.json").is_file():
        return folders.decathlon(path, columns)
    if (path / "Annotations").is_dir() and (path / "JPEGImages").is_dir():
        return voc_coco_yolo.voc(path, columns)
    if files := voc_coco_yolo.found_coco(path):
        return voc_coco_yolo.coco(path, files, columns)
    images, others = folders.beside(path)
    if images and voc_coco_yolo.is_yolo(others):
        return voc_coco_yolo.yolo(path, images, others, columns)
    if set(images) & set(others):
        return folders.pairs(path, images, others, columns)
    if objects := trees.found(path):
        return trees.table(path, objects, columns)
    return folders.table(path, columns)
