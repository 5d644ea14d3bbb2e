"""From any accepted form of a data set to one table: archives, class folders, sheets, single pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empirisk.data import folders, medmnist, pictures, sheets
from empirisk.data.readers import sniff
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong

__all__ = ["Columns", "Row", "Rows", "Table", "table"]


def table(source: Any, columns: Columns = Columns(), *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table that a source is: .npz, a folder, .csv or .tsv, a picture, a list of pictures, a data frame or columns.

    With `bare` its rows need no labels (what is to be predicted); pictures are then taken from anywhere below a folder.
    Up to `skip_bad` unreadable pictures are left out and recorded in `unreadable`; one more, and all are refused.

    Raises
    ------
    Wrong
        exit 2: nothing there, no known form, or whatever the form itself refuses.
    """
    if isinstance(source, Mapping) or hasattr(source, "columns"):
        return sheets.frame(source, columns, skip_bad=skip_bad, bare=bare)
    if isinstance(source, Sequence) and not isinstance(source, str):
        return pictures.single([Path(p) for p in source], skip_bad=skip_bad)
    path = Path(source)
    if path.is_dir():
        return folders.table(path, columns, skip_bad=skip_bad, bare=bare)
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
    with path.open("rb") as f:
        shown = bool(sniff(f.read(16)))
    if shown or kind in pictures.ENDINGS:
        return pictures.single([path], skip_bad=skip_bad)
    raise Wrong(
        f"{path} is of no known form",
        remedy="give a folder of class folders, a .csv with image and label, a MedMNIST .npz, or PNG, JPEG, TIFF pictures",
    )
