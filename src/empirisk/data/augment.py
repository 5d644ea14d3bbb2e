"""Augmentation of a whole batch on its device, 2D and 3D, as random/deterministic twins.

`draw(generator, n)` gives the parameters of n samples, always on the CPU; `apply(x, parameters)` is a function of them alone,
so a slice of the parameters applied to a slice of the batch is that slice of the whole. Flip and affine are one map of
positions, hence one resampling, and masks and boxes go through the same map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from empirisk.data.changes import (
    Affine,
    BiasField,
    Blur,
    CutOut,
    Flip,
    Gamma,
    Intensity,
    Noise,
    Parameters,
    Shape,
    Tone,
    centres,
)
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
        if self.shapes:
            x = F.grid_sample(x, self.grid(x, p), mode="bilinear", padding_mode="border", align_corners=False)
        else:
            x = x.clone()
        for tone in self.tones:
            x = tone.apply(x, p)
        return x

    def apply_mask(self, mask: Tensor, p: Parameters) -> Tensor:
        """Mask (n, C, *size) of any type, moved with the image, nearest neighbour, 0 beyond the border."""
        if not self.shapes:
            return mask
        value = mask.to(torch.float64 if mask.dtype == torch.int64 else torch.float32)
        moved = F.grid_sample(value, self.grid(value, p), mode="nearest", padding_mode="zeros", align_corners=False)
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

    def grid(self, x: Tensor, p: Parameters) -> Tensor:
        """Sampling positions (n, *size, dims): those of `affine_grid`, as sums of lines along each axis, several times as fast."""
        theta = self.matrix(p, x.shape[2:])[:, : self.dims].to(x)  # (n, dims, dims + 1)
        positions = torch.empty((len(x), *x.shape[2:], self.dims), dtype=x.dtype, device=x.device)
        for k in range(self.dims):
            lines = []
            for j in range(self.dims):  # x, the last axis of the array, first
                line = theta[:, k, j, None] * centres(x.shape[-1 - j], x.device)  # (n, L)
                line = line + theta[:, k, -1, None] if j == 0 else line
                lines.append(
                    line.view(-1, *[x.shape[-1 - j] if i == self.dims - 1 - j else 1 for i in range(self.dims)])
                )
            torch.add(lines[0], sum(lines[2:], lines[1]), out=positions[..., k])
        return positions

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


ALL = ("flip", "affine", "intensity", "gamma", "bias", "blur", "noise", "cutout")
"Names of the changes, in the order in which they are applied."

AUTO = ("flip", "affine", "intensity", "gamma", "noise", "cutout")
"Those of auto; bias and blur belong to some scanners, and are asked for by name."


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
    shapes: dict[str, Shape] = {"flip": Flip(), "affine": Affine(dims, scale=0, shear=0) if rigid else Affine(dims)}
    tones: dict[str, Tone] = {
        "intensity": Intensity(), "gamma": Gamma(), "bias": BiasField(dims), "blur": Blur(), "noise": Noise(), "cutout": CutOut(dims),
    }  # fmt: skip
    kept = tuple(name for name in ALL if name in names)
    return Augmentation(
        dims, tuple(shapes[n] for n in kept if n in shapes), tuple(tones[n] for n in kept if n in tones), kept
    )
