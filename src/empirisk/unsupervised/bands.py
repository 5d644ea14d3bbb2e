"""Blur, what lies between two blurs, and how much of it there is in each part of an image: texture without a net."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

BANDS, GRID, SIDE = 3, 4, 64
"""Bands, cells an axis, and most pixels a side of the images whose bands are taken."""


def blurred(x: Tensor, sigma: float) -> Tensor:
    """x (n, C, *size) convolved with a Gaussian of deviation `sigma` pixels, axis by axis; beyond its border x is mirrored."""
    for axis in range(2, x.ndim):
        reach = min(math.ceil(3 * sigma), x.shape[axis] - 1)
        at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
        kernel = torch.exp(-at.square() / (2 * sigma * sigma))
        last = x.movedim(axis, -1)
        lines = F.pad(
            last.reshape(-1, 1, last.shape[-1]), (reach, reach), mode="reflect"
        )  # (n C others, 1, side + 2 reach)
        x = F.conv1d(lines, (kernel / kernel.sum()).view(1, 1, -1)).reshape(last.shape).movedim(-1, axis)
    return x


def energies(x: Tensor) -> Tensor:
    """Images (n, C, *size) -> (n, C 3 4^dims): the log of the mean square of each band b_i = G_{i-1} x - G_i x in each cell of a grid.

    G_0 x = x, G_i a blur of 2^(i - 1) pixels, as in a Laplacian pyramid (Burt and Adelson 1983); each image is brought to mean
    0 and deviation 1 first, so that the energies are shares.
    """
    size = tuple(min(s, SIDE) for s in x.shape[2:])
    x = F.interpolate(x, size, mode="area") if size != x.shape[2:] else x
    axes = tuple(range(1, x.ndim))
    x = (x - x.mean(axes, keepdim=True)) / x.std(axes, keepdim=True).clamp_min(1e-6)
    pool: Callable[..., Tensor] = F.adaptive_avg_pool2d if x.ndim == 4 else F.adaptive_avg_pool3d
    cells = tuple(min(GRID, s) for s in size)
    out, before = list[Tensor](), x
    for i in range(BANDS):
        after = blurred(x, 2.0**i)
        out.append(pool((before - after).square(), cells).add(1e-6).log().flatten(1))
        before = after
    return torch.cat(out, 1)
