"""Augmentation of a whole batch on its device, 2D and 3D, as random/deterministic twins.

`draw(generator, n)` gives the parameters of n samples, always on the CPU; `apply(x, parameters)` is a function of them alone,
so a slice of the parameters applied to a slice of the batch is that slice of the whole. Flip and affine are one map of
positions, hence one resampling, and masks and boxes go through the same map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from empirisk.data.changes import Affine, Flip, Parameters, Shape, centres
from empirisk.data.tones import BiasField, Blur, CutOut, Gamma, Intensity, Invert, Noise, Tone, span_of
from empirisk.errors import Wrong, listed, near


@dataclass(frozen=True)
class Augmentation:
    """Changes of shape as one resampling, then changes of tone in their order."""

    dims: int
    shapes: tuple[Shape, ...] = ()
    tones: tuple[Tone, ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    def draw(self, generator: Generator, n: int) -> Parameters:
        """Parameters of a batch of n samples."""
        drawn: dict[str, Tensor] = {}
        for change in (*self.shapes, *self.tones):
            drawn |= change.draw(generator, n)
        return Parameters(drawn)

    def apply(self, x: Tensor, p: Parameters) -> Tensor:
        """Float x (n, C, *size), any units, changed; beyond its border an image goes on with its outermost values."""
        x = resampled(x, self.matrix(p, x.shape[2:])) if self.shapes else x.clone()
        span = span_of(x.detach())
        for tone in self.tones:
            x, span = tone.apply(x, p, span)
        return x

    def apply_mask(self, mask: Tensor, p: Parameters) -> Tensor:
        """Mask (n, C, *size) of any type, moved with the image, nearest neighbour, 0 beyond the border."""
        if not self.shapes:
            return mask
        value = mask.to(torch.float64 if mask.dtype == torch.int64 else torch.float32)
        positions = grid(value, self.matrix(p, value.shape[2:]))
        moved = F.grid_sample(value, positions, mode="nearest", padding_mode="zeros", align_corners=False)
        return moved.to(mask.dtype)

    def apply_boxes(self, boxes: Tensor, p: Parameters, size: Sequence[int]) -> Tensor:
        """Boxes (n, k, 2 dims) as (x1, y1, .., x2, y2, ..) in pixels from the outer edge -> the boxes around the moved ones, clipped."""
        if not self.shapes:
            return boxes
        sides = torch.tensor(list(size)[::-1], dtype=boxes.dtype, device=boxes.device)
        low, high = (2 * boxes / sides.repeat(2) - 1).chunk(2, -1)  # (n, k, dims) each
        choose = torch.cartesian_prod(*[torch.tensor([False, True])] * self.dims).to(boxes.device)  # (2^dims, dims)
        corners = torch.where(choose, high[..., None, :], low[..., None, :])  # (n, k, 2^dims, dims)
        forward = torch.linalg.inv(self.matrix(p, size).double()).to(boxes)  # where a position of the input goes
        moved = torch.einsum("nij,nkcj->nkci", forward[:, :-1, :-1], corners) + forward[:, None, None, :-1, -1]
        around = torch.cat([moved.amin(2), moved.amax(2)], -1)
        return ((around + 1) / 2 * sides.repeat(2)).clamp(min=torch.zeros_like(sides.repeat(2)), max=sides.repeat(2))

    def limited(self, kind: type[Any] = Affine, /, **limits: Any) -> Self:
        """The same with other limits of one kind of change, by the names of its fields."""
        shapes = tuple(replace(c, **limits) if isinstance(c, kind) else c for c in self.shapes)
        tones = tuple(replace(c, **limits) if isinstance(c, kind) else c for c in self.tones)
        return replace(self, shapes=shapes, tones=tones)

    def matrix(self, p: Parameters, size: Sequence[int]) -> Tensor:
        """All shapes as one map of positions (n, dims + 1, dims + 1); turns keep angles where the sides are unequal."""
        sides = torch.tensor([*list(size)[::-1], 1.0])
        whole = torch.eye(self.dims + 1)
        for shape in self.shapes:
            matrix = shape.matrix(p, self.dims)
            stretched = matrix * sides / sides[:, None]  # S^-1 M S
            stretched[:, :, -1] = matrix[:, :, -1]  # shifts are in half sides already
            whole = whole @ stretched
        return whole


def resampled(x: Tensor, theta: Tensor) -> Tensor:
    """x at the positions of `grid`, linearly; volumes whose axes are not turned an axis at a time, several times as fast."""
    dims = x.ndim - 2
    scale, shift = theta[:, :dims, :dims].diagonal(dim1=1, dim2=2), theta[:, :dims, -1]  # (n, dims) each
    if dims == 2 or not torch.equal(theta[:, :dims, :dims], scale.diag_embed()):
        return F.grid_sample(x, grid(x, theta), mode="bilinear", padding_mode="border", align_corners=False)
    for axis in range(dims):  # x, the last axis of the array, first
        x = stretched(x, x.ndim - 1 - axis, scale[:, axis, None].to(x), shift[:, axis, None].to(x))
    return x


def grid(x: Tensor, theta: Tensor) -> Tensor:
    """Where the maps theta (n, dims + 1, dims + 1) take the pixels of x from, (n, *size, dims).

    As `affine_grid`, but as sums of lines along each axis, several times as fast; the numbers of one coordinate lie side by side.
    """
    n, dims = len(x), x.ndim - 2
    theta, lines = theta[:, :dims].to(x), []
    for j in range(dims):  # x, the last axis of the array, first
        line = theta[:, :, j, None] * centres(x.shape[-1 - j], x.device)  # (n, dims, L)
        line = line + theta[:, :, -1:] if j == 0 else line
        lines.append(line.view(n, dims, *[-1 if axis == dims - 1 - j else 1 for axis in range(dims)]))
    positions: Tensor = lines[0] + sum(lines[2:], lines[1])  # (n, dims, *size)
    return positions.movedim(1, -1)


def stretched(x: Tensor, axis: int, scale: Tensor, shift: Tensor) -> Tensor:
    """x (n, .., L, ..) at the positions u = scale c + shift of one axis, c its pixel centres, scale and shift (n, 1).

    W x, W_ij = max(0, 1 - |u_i - j|) with u_i in pixels and inside the image. (n, L, L) times (n, A, L, B).
    """
    n, length = len(x), x.shape[axis]
    u = (((scale * centres(length, x.device) + shift + 1) * length - 1) / 2).clamp(0, length - 1)  # (n, L)
    w = (1 - (u[:, :, None] - torch.arange(length, device=x.device)).abs()).clamp_min(0).to(x.dtype)
    if axis == x.ndim - 1:
        return (x.view(n, -1, length) @ w.mT).view_as(x)
    return (w[:, None] @ x.reshape(n, x.shape[1:axis].numel(), length, -1)).view_as(x)


ALL = ("flip", "upside", "affine", "invert", "intensity", "gamma", "bias", "blur", "noise", "cutout")
"Names of the changes, in the order in which they are applied."

AUTO = ("flip", "affine", "intensity", "gamma", "noise", "cutout")
"""Those of auto; the others are asked for by name: bias and blur belong to some scanners, upside to images without an up, invert to
things that are stained dark or light."""

MOVED = {2: 0.25, 3: 1.0}
"""Share of the images that the affine map moves, by the number of dimensions: volumes are few, and each of them moved is worth more
than its noise; nnU-Net turns and scales a fifth each, Isensee et al. (2021)."""


def augmentation(spec: str, dims: int, *, rigid: bool = False) -> Augmentation | None:
    """What --augment asks for: auto, none, or names with commas; vectors (dims 0) are never changed by auto.

    `rigid` for a target that is a length, area or count: turns and shifts, no scale or shear, so that it stays true; then auto
    cuts nothing out.

    Raises
    ------
    Wrong
        exit 2: an unknown name, or changes of images asked for vectors.
    """
    names = [name.strip() for name in spec.split(",") if name.strip()]
    if names == ["none"] or (names == ["auto"] and dims == 0):
        return None
    names = [n for n in AUTO if not (rigid and n == "cutout")] if names == ["auto"] else names
    unknown = [name for name in names if name not in ALL]
    if unknown or not names:
        raise Wrong(
            f"--augment {listed(unknown) or 'is empty'}: not known",
            remedy=near(unknown[0], ALL) if unknown else f"give auto, none or {', '.join(ALL)}",
        )
    if dims == 0:
        raise Wrong(f"--augment {spec} changes images, the data are vectors", remedy="leave it out")
    affine = Affine(dims, MOVED[dims], scale=0, shear=0) if rigid else Affine(dims, MOVED[dims])
    shapes: dict[str, Shape] = {"flip": Flip(), "upside": Flip("upside", 1), "affine": affine}
    tones: dict[str, Tone] = {
        "invert": Invert(), "intensity": Intensity(), "gamma": Gamma(), "bias": BiasField(dims), "blur": Blur(),
        "noise": Noise(), "cutout": CutOut(dims),
    }  # fmt: skip
    kept = tuple(name for name in ALL if name in names)
    return Augmentation(
        dims, tuple(shapes[n] for n in kept if n in shapes), tuple(tones[n] for n in kept if n in tones), kept
    )
