"""Ways from rows to batches: images on one grid, or patches of images that keep their own sizes. Others: `clips`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from empirisk import runtime
from empirisk.data.batches import Stream, edges, pick
from empirisk.data.patches import Patches, fixed
from empirisk.data.plan import Plan
from empirisk.data.rows import Row, Rows
from empirisk.data.words import Words
from empirisk.losses import Batch

if TYPE_CHECKING:
    from empirisk.data.table import Data

CHUNK = 128  # Images answered at once; an answer does not depend on it beyond rounding.
ALL = 2**31  # More rows than there are.


class Batches(Protocol):
    """Training batches of an epoch from one on; `erm.Batches` says more."""

    def __len__(self) -> int:
        """Steps of an epoch."""

    def __call__(self, epoch: int, start: int = 0) -> Iterable[Batch]:
        """The batches of an epoch from the given one on."""

    def names(self, epoch: int, index: int) -> list[str]:
        """The rows of one batch, for a message."""


class Source(Protocol):
    """How the rows of a `Data` become x and y."""

    @property
    def unit(self) -> str:
        """What a row is called; nothing: an image, or a row."""

    @property
    def most(self) -> int:
        """Rows of an even sample at most."""

    def stream(self, data: "Data", *, batch: int, seed: int, device: torch.device, workers: int = 0) -> Batches:
        """Training batches."""

    def chunks(self, data: "Data", rows: Rows, device: torch.device) -> Iterator[Any]:
        """x of these rows in order, as many at once as one forward pass takes."""

    def batches(
        self, data: "Data", part: str, size: int, device: torch.device, most: int | None = None
    ) -> Iterator[Batch]:
        """Rows of train or val in order, as they are; with `most` those of `Data.sample`."""

    def pieces(self, data: "Data", row: Row, device: torch.device) -> Iterator[Any]:
        """x of one row piece by piece, as it would arrive."""


@dataclass(frozen=True)
class Grid:
    """Images, or vectors, of one size; with `words` the texts of rows instead, as (indices (n, L), lengths (n,))."""

    unit: str = ""
    most: int = ALL
    words: Words | None = None

    def stream(self, data: "Data", *, batch: int, seed: int, device: torch.device, workers: int = 0) -> Stream:
        """Batches in an order that each epoch draws."""
        rows = data.rows("train")
        return Stream(
            data.part("train", workers), data.y(rows), [r["id"] for r in rows], batch=batch, seed=seed, change=data.change,
            device=device, along=data.along,
        )  # fmt: skip

    def chunks(self, data: "Data", rows: Rows, device: torch.device) -> Iterator[Any]:
        """Images (n, C, *size), 128 at once."""
        pixels = data.pixels(rows)
        for index in torch.split(torch.arange(len(rows)), CHUNK):
            yield runtime.to(pixels.take(index, device), device)

    def batches(
        self, data: "Data", part: str, size: int, device: torch.device, most: int | None = None
    ) -> Iterator[Batch]:
        """`size` images at once."""
        pixels, y, index = data.part(part), data.y(data.rows(part)), torch.from_numpy(data.sample(part, most))
        for low, high in zip(c := edges(len(index), size, 1), c[1:], strict=False):
            some = index[low:high]
            yield runtime.to((pixels.take(some, device), pick(y, some)), device)

    def pieces(self, data: "Data", row: Row, device: torch.device) -> Iterator[Any]:
        """An image comes in one piece."""
        return self.chunks(data, [row], device)


@dataclass(frozen=True)
class Windows:
    """Images of their own sizes: patches of them for training, one at a time for an answer."""

    plan: Plan
    unit: str = ""
    most: int = 32

    def stream(self, data: "Data", *, batch: int, seed: int, device: torch.device, workers: int = 0) -> Patches:
        """Random patches."""
        return Patches(data.cases("train"), batch=batch, seed=seed, change=data.change, along=data.along, device=device)

    def chunks(self, data: "Data", rows: Rows, device: torch.device) -> Iterator[Any]:
        """Whole images, one by one."""
        return self.plan.whole(data.card(), rows, device)

    def batches(
        self, data: "Data", part: str, size: int, device: torch.device, most: int | None = None
    ) -> Iterator[Batch]:
        """One patch of each image, always the same one."""
        return fixed(data.cases(part), data.sample(part, most), size, device)

    def pieces(self, data: "Data", row: Row, device: torch.device) -> Iterator[Any]:
        """An image comes in one piece."""
        return self.chunks(data, [row], device)
