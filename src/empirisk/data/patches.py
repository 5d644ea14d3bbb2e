"""Images of their own sizes in training: held compact on the plan's grid, random patches a batch, moved with their masks."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from empirisk.data.augment import Augmentation
from empirisk.data.batches import IN_MEMORY, Along, Order, changed
from empirisk.data.card import Card, moments
from empirisk.data.changes import Parameters
from empirisk.data.masks import differ
from empirisk.data.plan import Plan
from empirisk.data.readers import Stored
from empirisk.data.rows import Row, Rows, Table, naming
from empirisk.errors import Wrong
from empirisk.losses import Batch

FOREGROUND = 1 / 3
"Share of the patches that are laid on a structure."
PLACES = 1000
"Pixels of each structure of an image that a patch may be laid on; a seeded sample of more."
ROWS = 8
"Patches of an image where they are rows of their own."


class Case(NamedTuple):
    """One row on the plan's grid, compact."""

    x: np.ndarray
    "(C, *size)"
    y: np.ndarray
    "(k, *size), uint8: see Masks.encode"
    places: tuple[np.ndarray, ...]
    "(m, dims) pixels of each structure that is there"
    mean: np.ndarray
    std: np.ndarray


class Cases:
    """Rows on the plan's grid, held in memory as long as it lasts, by a fixed rule; the others are read when they are needed."""

    def __init__(
        self, plan: Plan, card: Card, encode: Callable[[Row], np.ndarray], rows: Rows, memory: int = IN_MEMORY
    ) -> None:
        self.plan, self.card, self.encode, self.rows = plan, card, encode, rows
        self.held: list[Case] = []
        for i in range(len(rows)):
            case = self._read(i)
            memory -= case.x.nbytes + case.y.nbytes
            if memory < 0:
                break
            self.held.append(case)

    def _read(self, i: int) -> Case:
        row = self.rows[i]
        x, own = self.plan.read(self.card, row)
        y = self.encode(row)
        if y.shape[1:] != own:
            raise differ(row, own, y.shape[1:])
        y = nearest(y, x.shape[1:])
        places = []
        for k in [k for k in np.unique(y[0]) if k > 1]:
            flat = np.flatnonzero(y[0] == k)
            if len(flat) > PLACES:
                flat = np.random.default_rng(0).choice(flat, PLACES, replace=False)
            places.append(np.stack(np.unravel_index(flat, y.shape[1:]), 1).astype(np.int32))
        return Case(x, y, tuple(places), *moments(x))

    def __getitem__(self, i: int) -> Case:
        return self.held[i] if i < len(self.held) else self._read(i)

    def take(self, index: Tensor, drawn: Parameters, device: torch.device) -> Batch:
        """x (n, C, *patch) and y (n, k, *patch) of these rows, each patch where its parameters lay it."""
        xs, ys = [], []
        for i, row in enumerate(index.tolist()):
            case = self[row]
            start = self.start(case, *(drawn.values[name][i] for name in ("on", "which", "at")))
            x, y = cut(case, start, self.plan.patch)
            xs.append(self.plan.scaled(x, self.card.range, case.mean, case.std))
            ys.append(torch.from_numpy(y))
        return torch.stack(xs).to(device), torch.stack(ys).to(device)

    def start(self, case: Case, on: Tensor, which: Tensor, at: Tensor) -> np.ndarray:
        """The first pixel of a patch (dims,): around a pixel of a structure, or anywhere; below 0 where the image is smaller."""
        size, patch = np.array(case.x.shape[1:]), np.array(self.plan.patch)
        low, high = np.minimum(0, size - patch), np.maximum(0, size - patch)
        if bool(on) and case.places:
            a, b = which.tolist()
            some = case.places[int(a * len(case.places))]
            return np.asarray(np.clip(some[int(b * len(some))] - patch // 2, low, high))
        return anywhere(size, patch, at)


def draw(generator: torch.Generator, n: int, dims: int) -> Parameters:
    """Where the patches of n samples lie: on a structure or not (n,), on which pixel of which (n, 2), else at which place (n, dims)."""
    return Parameters({
        "on": torch.rand(n, generator=generator) < FOREGROUND,
        "which": torch.rand((n, 2), generator=generator, dtype=torch.float64),
        "at": torch.rand((n, dims), generator=generator, dtype=torch.float64),
    })  # fmt: skip


def anywhere(size: Sequence[int] | np.ndarray, patch: Sequence[int] | np.ndarray, at: Tensor) -> np.ndarray:
    """The first pixels (.., dims) of patches that lie at the shares `at` of the way through an image; below 0 where it is smaller."""
    room = np.asarray(size) - np.asarray(patch)
    low, high = np.minimum(0, room), np.maximum(0, room)
    return np.asarray(low + np.floor(at.double().numpy() * (high - low + 1)).astype(int))


def cut(case: Case, start: np.ndarray, patch: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The patch of x, going on with its outermost values beyond its border, and of y, where nothing is counted there."""
    x, y = part(case.x, start, patch, "edge"), part(case.y, start, patch, "constant")
    return x, np.ascontiguousarray(y)


def part(
    x: np.ndarray, start: Sequence[int] | np.ndarray, patch: Sequence[int], beyond: Literal["edge", "constant"]
) -> np.ndarray:
    """The patch (C, *patch) of x (C, *size) from its first pixel on; beyond the border its outermost values, or 0."""
    where = list(zip(start, patch, x.shape[1:], strict=True))
    inside = [slice(max(0, s), min(n, s + p)) for s, p, n in where]
    pad = [(max(0, -s), max(0, s + p - n)) for s, p, n in where]
    return np.pad(x[:, *inside], [(0, 0), *pad], mode=beyond) if any(map(any, pad)) else x[:, *inside]


def patched(table: Table, side: int | None) -> Table:
    """The table with patches of its images, as they are, in their place: at most 8 of each, always the same ones, by a hash of its id.

    Those of an image share its patient, or where none is known the image, so that no two parts have some of them. Masks and boxes
    are left out. With no side the table as it is. Raises Wrong (exit 2) for a side below 1, and for vectors.
    """
    if side is None:
        return table
    if side < 1:
        raise Wrong(f"--patch is {side}", remedy="it must be 1 or above")
    rows: Rows = []
    for row in table.rows:
        with naming(row):
            x = row["x"].read()
        if x.ndim < 2:
            raise Wrong(f"--patch {side}: these rows are vectors", remedy="leave it out")
        digest = hashlib.sha256(str(row["id"]).encode("utf-8", "surrogateescape")).digest()
        at = draw(torch.Generator().manual_seed(int.from_bytes(digest[:7])), ROWS, x.ndim - 1).values["at"]
        patch = (side,) * (x.ndim - 1)
        at[:, np.array(x.shape[1:]) < side] = 0.5  # padded alike on both sides, so that it is one row
        starts = {tuple(s) for s in anywhere(x.shape[1:], patch, at).tolist()}
        cuts = np.stack([part(x, s, patch, "edge") for s in sorted(starts)])
        own = {k: v for k, v in row.items() if k not in {"mask", "boxes", "extent"}}
        own["patient"] = row.get("patient") or row["id"]
        rows += [own | {"id": f"{row['id']} patch {i + 1}", "x": Stored(cuts, i)} for i in range(len(cuts))]
    alone = "" if table.patients_known else ", an image taken for a patient"
    said = ("patches", f"{len(rows):,} of {side} pixels a side{alone}", "--patch")
    return replace(table, rows=rows, understood=[*table.understood, said])


def nearest(y: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """(k, *size') -> (k, *size): each pixel that of the nearest centre."""
    for axis, (old, new) in enumerate(zip(y.shape[1:], size, strict=True), 1):
        if old != new:
            y = np.take(y, np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1), axis)
    return y


class Patches:
    """Training batches of random patches, this process's share, augmented on the device; the protocol of a Stream."""

    def __init__(
        self, cases: Cases, *, batch: int, seed: int, change: Augmentation | None, along: Along | None,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.cases, self.change, self.along, self.device = cases, change, along, device
        ids = [str(r["id"]) for r in cases.rows] * cases.plan.rounds
        self.order = Order(ids, batch, seed)
        self.names = self.order.names

    def __len__(self) -> int:
        return len(self.order)

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the given one on."""
        for i, index, n, part in self.order.batches(epoch, start):
            generator = self.order.generator(epoch, i + 1)
            where = draw(generator, n, len(self.cases.plan.patch))[part]
            x, y = self.cases.take(index % len(self.cases.rows), where, self.device)
            if self.change is not None:
                x, y = changed(x, y, self.change, self.along, self.change.draw(generator, n)[part])
            yield x, y


def fixed(cases: Cases, index: np.ndarray, size: int, device: torch.device) -> Iterator[Batch]:
    """One patch of each numbered row in order, always the same one, as it is."""
    drawn = draw(torch.Generator().manual_seed(0), len(cases.rows), len(cases.plan.patch))
    for some in torch.split(torch.from_numpy(index), min(size, cases.plan.batch)):
        where = Parameters({name: value[some] for name, value in drawn.values.items()})
        yield cases.take(some, where, device)


def moved(change: Augmentation, y: Any, parameters: Parameters) -> Any:
    """Masks (n, k, *patch) move with their images; what comes from beyond the border is not counted."""
    return change.apply_mask(y, parameters)
