"""What the model's inputs are: learned from training rows, kept with the run, laid over every image it ever sees."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from empirisk.data.raster import grey
from empirisk.data.readers import scan
from empirisk.data.rows import Row, Rows, looked_at, spacing_of
from empirisk.errors import Wrong

LARGEST = {2: 224, 3: 64}  # Longest side of the grid, in pixels by the number of dimensions, where --size is not given.
LOOKS = 1000  # Images looked at for mean, deviation and size: evenly many from the rows in the order of their ids.
WINDOW = 20  # Longest side of a window in mm, in voxels, where --size is not given: coarse, as such volumes are few.
LEVELS = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
UNLIKE = 1.5
"Ratio of the images' deviations (90th to 10th percentile) above which each is brought to its own mean and deviation."


@dataclass(frozen=True)
class Card:
    """The common grid, channels and units of the images; x = value / range, mean and std are those of x, a channel each."""

    name: str
    channels: int
    size: tuple[int, ...]  # (H, W) or (D, H, W); () for vectors
    mean: tuple[float, ...]
    std: tuple[float, ...]
    range: float  # 255, 65535, or 1 for floats
    source: str = ""
    licence: str = ""
    inputs: tuple[str, ...] = ()  # columns of a vector, in order
    spacing: tuple[
        float, ...
    ] = ()  # mm of a voxel where the grid is a window about the middle of each image; (): images are resized to the grid
    alone: bool = False  # each image is brought to mean 0 and deviation 1 by itself, as their units differ

    @property
    def dims(self) -> int:
        """2, 3, or 0 for vectors."""
        return len(self.size)

    @property
    def numbers(self) -> str:
        """What a row without a picture is, in words."""
        return "text" if self.inputs == ("text",) else f"{self.channels} number{'s' if self.channels > 1 else ''}"

    @property
    def dtype(self) -> str:
        """Compact type of the fitted images."""
        return next(d for d, level in LEVELS.items() if level == self.range)

    @classmethod
    def learn(
        cls, rows: Rows, about: Mapping[str, str] | None = None, size: int | None = None, measured: bool = False
    ) -> Self:
        """The card of the training rows; `about` holds name, source, licence; `size` is the longest side of the grid.

        The grid is the commonest size, at most 224 (3D: 64) along its longest side, in its own proportions. One image in
        colour makes all colour; depth is the largest found. mean_c = E[x_c], std_c = sqrt(E[x_c^2] - mean_c^2) over pixels;
        a constant channel has deviation 1, so that x stays finite.

        With `measured`, for a target in mm, volumes that know their spacing are not resized, which would lose it and tell the
        size of a crop: the grid is the largest window about their middles that all of them cover.

        Raises Wrong (exit 2): no row, images of two and of three dimensions, --size below 1 or for vectors.
        """
        if not rows:
            raise Wrong("there is no training row")
        rows = [row | {"x": x} for row in rows for x in looked_at(row)]
        names = getattr(rows[0]["x"], "names", ())
        ordered = sorted(rows, key=lambda r: str(r["id"]))
        some = ordered if names else ordered[:: math.ceil(len(rows) / LOOKS)]
        looks = scan([r["x"] for r in some])
        for row, look in zip(some, looks, strict=True):
            if look.fault:
                raise Wrong(look.fault, where=str(row["id"]))
        if len({len(k.shape) for k in looks}) > 1:
            raise Wrong("images of two and of three dimensions", remedy="make two sets of them")
        range_ = LEVELS[max((k.dtype for k in looks), key=list(LEVELS).index)]
        sizes = [k.shape[1:] for k in looks]
        mm: list[tuple[float, ...] | None] = [spacing_of(r) if measured and len(sizes[0]) == 3 else None for r in some]
        grid, spacing = _grid(Counter(sizes), size), tuple[float, ...]()
        if None not in mm:
            grid, spacing = _window(sizes, mm, size)
        draft = cls(
            (about or {}).get("name", ""), max(k.shape[0] for k in looks), grid, (), (), range_, (about or {}).get("source", ""),
            (about or {}).get("licence", ""), names, spacing,
        )  # fmt: skip
        n, total, squares, deviations = 0, np.zeros(draft.channels), np.zeros(draft.channels), list[float]()
        for row in some:
            x = draft.read(row).reshape(draft.channels, -1).astype(np.float64) / range_  # (C, pixels)
            n, total, squares = n + x.shape[1], total + x.sum(1), squares + (x * x).sum(1)
            deviations.append(float(x.std()))
        if spacing and range_ == 1 and unlike(deviations):
            return replace(draft, mean=(0.0,) * draft.channels, std=(1.0,) * draft.channels, alone=True)
        mean = total / n
        std = np.sqrt(np.maximum(squares / n - mean**2, 0))
        std = np.where(std < 1e-7 * np.maximum(1, abs(mean)), 1.0, std)
        return replace(draft, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def read(self, row: Row) -> np.ndarray:
        """A row's image on this grid, (C, *size): resized as a whole, or its window, which keeps its mm.

        Beyond its border an image smaller than the window goes on with its outermost values.
        """
        array: np.ndarray = row["x"].read()
        if not self.spacing:
            return self.fit(array)
        mm = spacing_of(row) or self.spacing
        voxels = [max(1, round(n * s / m)) for n, s, m in zip(self.size, self.spacing, mm, strict=False)]
        x = self.fit(middle(array, voxels))
        return own_units(x, *moments(x)) if self.alone else x

    def fit(self, array: np.ndarray, size: tuple[int, ...] | None = None) -> np.ndarray:
        """Any image that was read, (C', *size'), on this grid and with these channels, (C, *size), in the compact type.

        `size` is another grid than the card's own, for images that keep their own sizes. Shrinking averages (antialiased in 2D, over
        areas in 3D), enlarging interpolates linearly. Grey is repeated for a colour model; colour with equal channels becomes grey
        for a grey one; 8 bits and 16 bits are scaled into each other.

        Raises Wrong (exit 2): other dimensions or length, real colour for a grey model, floats for a model of integers.
        """
        if array.ndim - 1 != self.dims:
            kinds = {0: "vectors", 2: "2D images", 3: "3D images"}
            raise Wrong(f"the model is for {kinds[self.dims]}, this is of shape {array.shape}")
        if self.dims == 0:
            if len(array) != self.channels:
                raise Wrong(f"the model is for {self.channels} numbers, this has {len(array)}")
            return array.astype(np.float32, copy=False)
        array = grey(array) if self.channels == 1 else array
        if len(array) not in (1, self.channels):
            what = "in colour" if len(array) == 3 else f"of {len(array)} channels"
            asked = "grey images" if self.channels == 1 else f"{self.channels} channels"
            raise Wrong(f"the model is for {asked}, this one is {what}", remedy="convert it, or train on such images")
        if array.dtype == np.float32 and self.range != 1:
            what = "the model is for 8-bit or 16-bit images, this one holds floats"
            raise Wrong(what, remedy="save it in whole numbers")
        if str(array.dtype) != self.dtype:
            x = array.astype(np.float32) * (self.range / LEVELS[str(array.dtype)])
            array = (x if self.range == 1 else np.rint(x)).astype(self.dtype)
        return np.repeat(_resized(array, size or self.size), self.channels // len(array), 0)


def middle(x: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The part of this size about the middle of x (C, *size'); beyond its border x goes on with its outermost values."""
    for axis, (n, own) in enumerate(zip(size, x.shape[1:], strict=False), 1):
        low = (own - n) // 2  # below 0: so many are lacking
        x = x.take(np.arange(low, low + n).clip(0, own - 1), axis)
    return x


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (C,) of an image (C, *size), float32; a constant channel has deviation 1."""
    flat = x.reshape(len(x), -1)
    std = flat.std(1, dtype=np.float64)
    return flat.mean(1, dtype=np.float64).astype(np.float32), np.where(std > 0, std, 1).astype(np.float32)


def own_units(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """(x - mean) / std of each channel, float32; x (C, *size), mean and std (C,)."""
    shape = (-1, *[1] * (x.ndim - 1))
    return np.asarray((x.astype(np.float32) - mean.reshape(shape)) / std.reshape(shape))


def unlike(deviations: Sequence[float]) -> bool:
    """Whether the images' units differ."""
    low, high = np.quantile(deviations, [0.1, 0.9])
    return bool(high > UNLIKE * low)


def _grid(sizes: Counter[tuple[int, ...]], size: int | None) -> tuple[int, ...]:
    """The commonest size (of equally common ones the larger), scaled so that its longest side is `size`."""
    common = max(sizes, key=lambda s: (sizes[s], s))
    if size is not None and (size < 1 or not common):
        raise Wrong(f"--size {size}", remedy="it must be 1 or more, and vectors have none")
    if not common:
        return ()
    longest = size or min(max(common), LARGEST[len(common)])
    return tuple(max(1, round(s * longest / max(common))) for s in common)


def _window(
    sizes: Sequence[tuple[int, ...]], mm: Sequence[tuple[float, ...] | None], size: int | None
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Size and spacing of the window that all images cover: the median spacing, coarser or finer for a longest side of `size`, or at most 20."""
    least, spacing = (np.array(sizes) * np.array(mm)).min(0), np.median(np.array(mm), 0)  # mm
    longest = float((least / spacing).max())
    spacing = spacing * (longest / size if size else max(1.0, longest / WINDOW))
    grid = np.maximum(np.floor(least / spacing + 1e-6), 1).astype(int)
    return tuple(grid.tolist()), tuple(spacing.tolist())


def _resized(array: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(C, *size') -> (C, *size), rounded back into the type."""
    if array.shape[1:] == size:
        return array
    import torch.nn.functional as F
    from torch import from_numpy

    x = from_numpy(array.astype(np.float32))[None]  # (1, C, *size')
    if len(size) == 2:
        x = F.interpolate(x, size, mode="bilinear", antialias=True)
    else:
        small = tuple(min(a, b) for a, b in zip(array.shape[1:], size, strict=True))
        x = F.adaptive_avg_pool3d(x, small) if small != array.shape[1:] else x
        x = F.interpolate(x, size, mode="trilinear") if small != size else x
    y: np.ndarray = x[0].numpy()
    return y if array.dtype == np.float32 else np.rint(y).clip(0, np.iinfo(array.dtype).max).astype(array.dtype)
