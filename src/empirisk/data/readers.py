"""From one reference to one array: what a file is, is told by its first bytes, never by its name; each form has its reader."""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from empirisk.data import dicom, nifti
from empirisk.data.geometry import Geometry, Image
from empirisk.data.raster import indices, picture, sniff
from empirisk.data.rows import refused
from empirisk.errors import Wrong


class Reference(Protocol):
    """Where the x of a row lies: cheap to hold, read when needed."""

    def read(self) -> np.ndarray:
        """(C, *size), uint8, uint16 or float32; a vector (D,), float32."""

    def geometry(self) -> Geometry | None:
        """Where it lies in the patient, read anew; None where nobody knows."""


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """One entry of an array (N, C, *size) or (N, D) in memory."""

    array: np.ndarray = field(repr=False)
    index: int

    def read(self) -> np.ndarray:
        """(C, *size), or (D,)."""
        return np.asarray(self.array[self.index])

    def geometry(self) -> None:
        """Nobody knows."""


@dataclass(frozen=True, slots=True)
class File:
    """An image in one file: a picture, NIfTI, or a single DICOM object; or the folder of one DICOM series."""

    path: str

    def read(self) -> np.ndarray:
        """(C, *size), uint8, uint16 or float32; raises Wrong (exit 2) with the reason."""
        return read(Path(self.path)).array

    def geometry(self) -> Geometry | None:
        """From the header alone; pictures have none."""
        path = Path(self.path)
        kind, slices = form(path), objects(path)
        if kind == "NIfTI":
            return nifti.geometry(path)
        return dicom.geometry(slices or [path]) if slices or kind == "DICOM" else None


@dataclass(frozen=True, slots=True)
class Series:
    """A DICOM object, or the slices of a series; its row has another name, as paths may tell of patients."""

    paths: tuple[str, ...]

    def read(self) -> np.ndarray:
        """(C, *size), uint8 or float32; raises Wrong (exit 2), which says no path."""
        return dicom.read([Path(p) for p in self.paths]).array

    def geometry(self) -> Geometry | None:
        """From the headers alone."""
        return dicom.geometry([Path(p) for p in self.paths])

    @property
    def folder(self) -> str:
        """Where it lies, for a message on the terminal."""
        return self.paths[0] if len(self.paths) == 1 else os.path.commonpath(self.paths)


@dataclass(frozen=True, slots=True)
class Labels:
    """A label map in one file: whole numbers, 0 the background."""

    path: str

    def read(self) -> np.ndarray:
        """(*size), uint8 or uint16, the numbers as stored.

        Raises Wrong (exit 2): what the file's reader refuses, colour, values that are no whole numbers from 0
        to 65,535.
        """
        path = Path(self.path)
        found = nifti.read_labels(path) if form(path) == "NIfTI" else indices(path)
        low, high = found.min(), found.max()
        if not (low >= 0 and high <= 65535 and (found.dtype.kind in "uib" or (found == np.rint(found)).all())):
            what = f"the label map has values that are no labels: from {low:g} to {high:g}"
            raise refused(path, what, "save whole numbers from 0, the background, to 65,535")
        return found.astype(np.uint8 if high < 256 else np.uint16, copy=False)

    def geometry(self) -> Geometry | None:
        """As that of a File."""
        return File(self.path).geometry()


@dataclass(frozen=True, eq=False, slots=True)
class Vector:
    """Numbers of a table's row, with the names of their columns."""

    values: np.ndarray
    names: tuple[str, ...] = ()

    def read(self) -> np.ndarray:
        """(D,), float32."""
        return self.values.astype(np.float32, copy=False)

    def geometry(self) -> None:
        """Numbers lie nowhere."""


@dataclass(frozen=True, eq=False, slots=True)
class Text:
    """The text of a table's row, for what learns from words."""

    text: str

    def read(self) -> np.ndarray:
        """Refused (Wrong, exit 2): its words are no numbers."""
        raise Wrong("this is a text, not a picture or numbers", remedy="learn from it with sequences or translation")

    def sample(self) -> list[Vector]:
        """How long it is: the one number that needs no vocabulary."""
        return [Vector(np.array([len(self.text)]), ("text",))]

    def content(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over its words, without regard to case and spaces."""
        return hashlib.sha256(" ".join(self.text.casefold().split()).encode()).hexdigest()[:16]

    def geometry(self) -> None:
        """Words lie nowhere."""


class Look(NamedTuple):
    """What a scan saw of one picture: its array's shape and type, or why it cannot be read."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    fault: str = ""


def form(path: Path) -> str:
    """NIfTI, DICOM, or PNG, JPEG, TIFF by the first bytes of a regular file; "" for anything else, and where none is."""
    first = head(path, 4096)
    if nifti.is_nifti(first):
        return "NIfTI"
    return "DICOM" if dicom.is_dicom(first) else sniff(first)


def head(path: Path, n: int) -> bytes:
    """The first bytes of a regular file; none of what cannot be opened, which its reader then says."""
    try:
        with path.open("rb") if path.is_file() else io.BytesIO() as file:
            return file.read(n)
    except OSError:
        return b""


def objects(folder: Path) -> list[Path]:
    """The DICOM objects in a folder, by name; none where the path is no folder."""
    return [p for p in sorted(folder.iterdir()) if dicom.is_dicom(head(p, 132))] if folder.is_dir() else []


def read(path: Path) -> Image:
    """The image in a file and where it lies: NIfTI, DICOM, PNG, JPEG, TIFF, or an .npz of a single image; the DICOM series of a folder.

    Raises Wrong (exit 2): what the reader of its form refuses; no known form.
    """
    if slices := objects(path):
        return dicom.read(slices)
    kind = form(path)
    if kind == "NIfTI":
        return nifti.read(path)
    if kind == "DICOM":
        return dicom.read([path])
    if kind or path.suffix.casefold() != ".npz":
        return Image(picture(path), None)
    from empirisk.data import medmnist

    found = [a for name, a in medmnist.arrays(path).items() if name.endswith("images") and len(a)]
    if sum(map(len, found)) != 1:
        what = "the archive holds not one image, but a set of them"
        raise refused(path, what, "give it as the data, not as an image")
    return Image(medmnist.pixels(found[0], medmnist.compact(found[0]), str(path))[0], None)


def look(reference: Reference) -> Look:
    """Read it once; what is wrong with it is said without its path, which stands beside it."""
    try:
        array = reference.read()
    except Wrong as wrong:
        return Look(fault=said(wrong, getattr(reference, "path", "")))
    return Look(array.shape, str(array.dtype))


def said(wrong: Wrong, path: str) -> str:
    """The fault of a file without its path."""
    return wrong.where or wrong.what if path and path in wrong.what else wrong.what


def scan(references: Sequence[Reference]) -> list[Look]:
    """A look at each, in order, with a thread a processor; no fault stops it."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(look, references))
