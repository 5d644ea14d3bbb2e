"""Kinds whose answer is a code of the image, what the code tells of classes, and the image that is made from it again."""

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from empirisk.data.card import LEVELS, Card
from empirisk.data.readers import Reference
from empirisk.data.rows import Row, Rows, as_written
from empirisk.data.unlabelled import Unlabelled, classes_of, label_of, number_of
from empirisk.data.written import nifti_bytes, stem_of
from empirisk.errors import Wrong
from empirisk.files import make_folder, write

LOOKS = 500
"""Training images whose least and largest value are looked at, evenly many."""


class Code(NamedTuple):
    """What an image became, and what that tells."""

    z: np.ndarray
    "(k,)"
    nearest: np.ndarray
    "(K,): shares of the classes among the nearest training rows; (0,) without classes"
    linear: np.ndarray
    "(K,): probabilities by a linear rule on the code; (0,) without classes"
    matched: float = float("nan")
    "1 if of all views shown together the nearest to one of this image was the other one of it, else 0"


@dataclass(frozen=True)
class Codes:
    """A code for every row, with a class or without; y is that of `Unlabelled`."""

    names: tuple[str, ...] = ()
    column: str = "x"

    @classmethod
    def learn(cls, rows: Rows) -> Self:
        """The classes that training rows happen to have, where they are two or more."""
        return cls(several(classes_of(rows)))

    encode = number_of

    def write(self, row: Row, answer: Code, folder: Path) -> dict[str, Any]:
        """Cells: target, prediction (the class of most neighbours), both shares of each class, matched, the code z1 .. zk."""
        said = self.names[int(answer.nearest.argmax())] if self.names else ""
        shares = {
            f"{rule}/{name}": p
            for rule in ("nearest", "linear")
            for name, p in zip(self.names, getattr(answer, rule).tolist(), strict=True)
        }
        matched = {} if np.isnan(answer.matched) else {"matched": answer.matched}
        return (
            {"target": label_of(row), "prediction": said}
            | shares
            | matched
            | {f"z{i}": float(z) for i, z in enumerate(answer.z, 1)}
        )

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Code]:
        """The inverse of `write`; raises Wrong (exit 3) for cells that `write` did not write."""
        row, z = Unlabelled().read(cells)
        with as_written():
            nearest, linear = (
                np.array([float(cells[f"{rule}/{n}"]) for n in self.names]) for rule in ("nearest", "linear")
            )
            return row, Code(z, nearest, linear, float(cells.get("matched") or "nan"))


class Rebuilt(NamedTuple):
    """The answer of an autoencoder to one image."""

    image: np.ndarray
    "(C, *size), in image units, on the card's grid"
    error: float
    "mean squared difference from the image that was given, in image units"
    code: Code


@dataclass(frozen=True)
class Images:
    """An image for every image: y is the class where there is one, the truth is x itself.

    Values lie between `low` and `high` (image units): 0 and 1 of whole numbers, of floats what training images have.
    """

    low: float
    high: float
    names: tuple[str, ...] = ()
    column: str = "x"

    @classmethod
    def learn(cls, rows: Rows, card: Card) -> Self:
        """The range of the training images, and the classes that they happen to have.

        Raises Wrong (exit 2) where all images have one value everywhere.
        """
        low, high, names = 0.0, 1.0, several(classes_of(rows))
        if card.range == 1:
            seen = [card.read(r) for r in rows[:: -(-len(rows) // LOOKS)]]
            low, high = float(min(a.min() for a in seen)), float(max(a.max() for a in seen))
        if low == high:
            raise Wrong(f"all training images are {low:g} everywhere", remedy="look at them with `empirisk data`")
        return cls(low, high, names)

    encode = number_of

    def stored(self, card: Card, x: Tensor) -> np.ndarray:
        """x (n, C, *size) in image units, cut off at the range, in the compact type of the card, as files hold it."""
        values: np.ndarray = x.float().clamp(self.low, self.high).cpu().numpy() * card.range
        return (values if card.range == 1 else np.rint(values)).astype(card.dtype)

    def write(self, row: Row, answer: Rebuilt, folder: Path) -> dict[str, Any]:
        """Write the image as the one that it is of, and give its cells: target, prediction (the file), mse, then those of the code."""
        file = write_image(folder, stem_of(str(row["id"])), answer.image, row["x"])
        cells = Codes(self.names).write(row, answer.code, folder)
        return {"target": cells["target"], "prediction": str(file.relative_to(folder)), "mse": answer.error} | {
            k: v for k, v in cells.items() if k not in {"target", "prediction"}
        }

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Rebuilt]:
        """The inverse of `write` but for the image itself, which stays in its file; raises Wrong (exit 3) for other cells."""
        row, code = Codes(self.names).read(cells)
        with as_written():
            return row, Rebuilt(np.zeros(0, np.float32), float(cells["mse"]), code)


def several(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names where they are two or more: one class alone tells nothing."""
    return names if len(names) > 1 else ()


def write_image(folder: Path, stem: str, image: np.ndarray, reference: Reference, note: str = "") -> Path:
    """Write an image (C, *size), in image units, in size, type and form of the one it is of: folder/stem.png, or .nii.gz.

    NIfTI where that image has a geometry, and for volumes and floats; whole numbers are cut off at the ends of their type. A
    `note` goes into the file's own description.

    Raises Wrong (exit 3) if it cannot be written; exit 2 if the image that it is of is gone.
    """
    like = reference.read()
    x = resized(image, like.shape[1:]) * LEVELS[str(like.dtype)]
    if like.dtype.kind == "u":
        x = np.rint(x).clip(0, np.iinfo(like.dtype).max)
    x = x.astype(like.dtype)
    x = x[: len(like)]
    make_folder(folder, parents=True)
    known = reference.geometry()
    if known is None and x.ndim == 3 and x.dtype.kind == "u" and len(x) in {1, 3}:
        from PIL import Image, PngImagePlugin

        said = PngImagePlugin.PngInfo()
        if note:
            said.add_text("Description", note)
        path, out = folder / f"{stem}.png", io.BytesIO()
        Image.fromarray(x[0] if len(x) == 1 else x.transpose(1, 2, 0)).save(out, "PNG", pnginfo=said)
        write(path, out.getvalue())
    else:
        path, volume = folder / f"{stem}.nii.gz", x if x.ndim == 4 else x[:, None]  # (C, D, H, W)
        write(
            path,
            gzip.compress(nifti_bytes(volume[0] if len(x) == 1 else volume, known, note), compresslevel=6, mtime=0),
        )
    return path


def resized(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(C, *size') -> (C, *size), float32, linearly."""
    x = torch.from_numpy(np.ascontiguousarray(image, np.float32))
    if tuple(x.shape[1:]) != tuple(size):
        x = F.interpolate(x[None], size, mode="bilinear" if len(size) == 2 else "trilinear", antialias=len(size) == 2)[
            0
        ]
    return x.numpy()
