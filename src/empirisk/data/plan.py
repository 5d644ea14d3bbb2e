"""The plan of work on images of their own sizes, learned from training rows: grid, patch, levels, batch within a memory."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from empirisk.data.card import Card, moments, own_units, unlike
from empirisk.data.masks import LOOKS
from empirisk.data.rows import Row, Rows, naming, spacing_of
from empirisk.errors import Wrong

LEVELS, LEAST = 4, 4  # Most levels of a network, and the least side of its deepest maps, in pixels.
LARGEST = {2: 256, 3: 96}  # Longest side of a patch, in pixels by the number of dimensions, where --size is not given.
MOST = 32  # Samples of a step at most, where --batch is not given.
TENSORS = 10  # Activations of 4 bytes that a U-Net keeps for each voxel and channel of a level: an estimate.
ROUND = 500  # Least patches of an epoch: fewer rows are visited several times.


@dataclass(frozen=True)
class Plan:
    """On which grid a network works, in what patches, how deep: a rule of the training rows, and of the memory allowed."""

    spacing: tuple[float, ...]  # mm of a voxel along each axis of the array; (): the pixels as they are
    patch: tuple[int, ...]  # voxels
    strides: tuple[tuple[int, ...], ...]  # of each level of the network against the one before, along each axis
    batch: int
    rounds: int  # patches of each row an epoch
    alone: bool  # each image is brought to mean 0 and deviation 1 by itself, as their units differ
    gib: float  # estimated activations of one step

    @classmethod
    def learn(
        cls, rows: Rows, card: Card, memory: float, width: int, size: int | None = None, batch: int | None = None,
        levels: int | None = None,
    ) -> Self:  # fmt: skip
        """Spacing: the median. Patch: the median size on that grid, at most 256 (3D: 96) or `size` a side, less where two would
        not fit into `memory` (GiB). Batch: what fits into it, at most 32. `width`: channels of the first level; `levels`: at
        most, 4. Raises Wrong (exit 2): images too small to halve once, a patch of least size is too large for the memory.
        """
        if levels is not None and levels < 2:
            raise Wrong(f"--depth is {levels}", remedy="a U-Net has 2 levels or more")
        if not 0 < memory < math.inf:
            raise Wrong(f"--memory is {memory}", remedy="give a number of GiB above 0")
        looks = [_look(r) for r in rows[:: -(-len(rows) // LOOKS)]]
        known = [mm for _, mm, _ in looks if mm is not None]
        spacing = tuple(float(v) for v in np.median(known, axis=0)) if len(known) == len(looks) else ()
        sizes = [cls._grid(own, mm, spacing) for own, mm, _ in looks]
        middle = [min(math.ceil(s), size or LARGEST[card.dims]) for s in np.median(sizes, axis=0)]
        strides = strides_of(middle, spacing or (1.0,) * card.dims, levels or LEVELS)
        if len(strides) == 1:
            what = f"images of {'x'.join(map(str, middle))} pixels are too small for a U-Net"
            raise Wrong(what, remedy=f"it needs a side of {2 * LEAST} pixels or more")
        patch = patch_of(middle, strides, width, memory)
        one = activations(patch, strides, width)
        most = batch or max(2, min(int(memory / one), MOST))
        alone, rounds = unlike([deviation for *_, deviation in looks]), max(1, round(ROUND / len(rows)))
        return cls(spacing, patch, strides, most, rounds, alone=alone, gib=round(one * most, 3))

    def lines(self) -> list[tuple[str, str]]:
        """What is said of it, each with the flag that changes it."""
        grid = f"{' x '.join(f'{mm:.3g}' for mm in self.spacing)} mm voxels" if self.spacing else "pixels as they are"
        scale = ", each image by its own mean and deviation" if self.alone else ""
        patches = f"patches of {'x'.join(map(str, self.patch))}, a third of them on a structure"
        memory = f"about {self.gib:.2g} GiB of activations a step"
        levels = f"{patches}; {len(self.strides)} levels"
        return [(f"{grid}{scale}", ""), (levels, "--size, --depth"), (memory, "--memory, --batch")]

    @staticmethod
    def _grid(size: Sequence[int], mm: Sequence[float] | None, spacing: Sequence[float]) -> tuple[int, ...]:
        if mm is None or not spacing:
            return tuple(size)
        return tuple(max(1, round(s * a / b)) for s, a, b in zip(size, mm, spacing, strict=True))

    def read(self, card: Card, row: Row) -> tuple[np.ndarray, tuple[int, ...]]:
        """A row's image on the plan's grid (C, *size), in its compact type, and its own size."""
        with naming(row):
            array = row["x"].read()
            own = array.shape[1:]
            return card.fit(array, self._grid(own, spacing_of(row), self.spacing)), own

    def scaled(self, x: np.ndarray, level: float, mean: np.ndarray, std: np.ndarray) -> Tensor:
        """Float x (C, *size): in image units, or by the image's own mean and deviation (C,)."""
        return torch.from_numpy(own_units(x, mean, std) if self.alone else x.astype(np.float32) / np.float32(level))

    def whole(self, card: Card, rows: Rows, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each row x (1, C, *size) on the plan's grid, and the image's own size (dims,)."""
        for row in rows:
            x, own = self.read(card, row)
            yield self.scaled(x, card.range, *moments(x))[None].to(device), torch.tensor(own)


def _look(row: Row) -> tuple[tuple[int, ...], tuple[float, ...] | None, float]:
    """Size, spacing and deviation of an image."""
    with naming(row):
        array = row["x"].read()
        return array.shape[1:], spacing_of(row), float(array.std())


def strides_of(size: Sequence[int], spacing: Sequence[float], levels: int = LEVELS) -> tuple[tuple[int, ...], ...]:
    """Of each level: an axis is halved while its side stays 4 or more and its voxels are less than twice as long as the shortest.

    >>> strides_of((35, 50, 35), (1, 1, 1)), strides_of((20, 96, 96), (3, 1, 1))[1:3]
    (((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)), ((1, 2, 2), (2, 2, 2)))
    """
    side, mm, out = list(map(float, size)), list(spacing), [(1,) * len(size)]
    while len(out) < levels:
        long = [s >= 2 * LEAST for s in side]
        shortest = min((m for m, may in zip(mm, long, strict=True) if may), default=math.inf)
        step = tuple(2 if may and m < 2 * shortest else 1 for m, may in zip(mm, long, strict=True))
        if set(step) == {1}:
            break
        side, mm = [s / k for s, k in zip(side, step, strict=True)], [m * k for m, k in zip(mm, step, strict=True)]
        out.append(step)
    return tuple(out)


def patch_of(size: Sequence[int], strides: Sequence[Sequence[int]], width: int, memory: float) -> tuple[int, ...]:
    """The multiple of all strides nearest to `size`, its longest axis shortened until two patches fit into `memory` GiB.

    Nearest, not above: what is beyond the border of an image is work for nothing, and windows overlap anyway.

    Raises Wrong (exit 2): the least patches do not.
    """
    unit = np.prod(strides, axis=0)
    patch = np.maximum(np.rint(np.array(size) / unit), 1).astype(int) * unit
    while (need := 2 * activations(patch, strides, width)) > memory:
        axis = int(np.argmax(patch / unit))
        if patch[axis] == unit[axis]:
            remedy = f"the least patches need {need:.2g}; or give a smaller --width"
            raise Wrong(f"--memory {memory:g} GiB is too little", remedy=remedy)
        patch[axis] -= unit[axis]
    return tuple(patch.tolist())


def activations(patch: Sequence[int] | np.ndarray, strides: Sequence[Sequence[int]], width: int) -> float:
    """GiB that a U-Net keeps for one patch: sum over levels l of 10 voxels_l 2^l width 4 bytes."""
    voxels, total = float(np.prod(patch)), 0.0
    for level, step in enumerate(strides):
        voxels /= math.prod(step)
        total += voxels * width * 2**level
    return total * TENSORS * 4 / 2**30
