"""Images as thumbnails inside the page."""

import base64
import io
from collections.abc import Sequence

import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue from 0 to 1."""


def picture(
    image: np.ndarray,
    heat: np.ndarray | None = None,
    *,
    side: int = 112,
    outlines: Sequence[tuple[np.ndarray, Colour]] = (),
) -> str:
    """An image (C, *size) as a WebP data URI at most `side` pixels wide and high; of a volume the middle slice.

    Integers, and floats outside of [0, 1], are shown over the range that their values use, as a viewer's window would.
    `heat` (*size), in [0, 1], is laid over it: transparent where low, dark red to yellow where high.
    Of each of the masks (*size) in `outlines` the inner edge is drawn in its colour, the last on top.
    """
    from PIL import Image

    grey = _slice(image)  # (C, H, W)
    if grey.dtype != np.uint8 and (grey.dtype.kind in "ui" or grey.min() < 0 or grey.max() > 1):
        low, high = np.percentile(grey, [0.5, 99.5])
        grey = (grey.astype(np.float32) - low) / max(high - low, 1)
    elif grey.dtype == np.uint8:
        grey = grey.astype(np.float32) / 255
    grey = np.nan_to_num(np.clip(grey, 0, 1))
    colour = grey.transpose(1, 2, 0) if len(grey) == 3 else np.repeat(grey[0][..., None], 3, 2)  # (H, W, 3)
    scale = side / max(colour.shape[:2])
    size = (max(1, round(colour.shape[1] * scale)), max(1, round(colour.shape[0] * scale)))
    how = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    base = Image.fromarray((colour * 255).round().astype(np.uint8)).resize(size, how)
    if heat is not None:
        map_ = _slice(np.asarray(heat, np.float32)[None])[0]
        map_ = (np.clip(np.nan_to_num(map_), 0, 1) * 255).astype(np.uint8)
        h = np.asarray(Image.fromarray(map_).resize(size, Image.Resampling.BICUBIC), np.float32)[..., None] / 255
        ramp = np.array([[0.35, 0, 0.1], [0.84, 0.37, 0], [0.94, 0.89, 0.26]], np.float32)
        at = np.clip(h * 2, 0, 1.999)
        low_index = at.astype(int)[..., 0]
        tint = ramp[low_index] + (at - low_index[..., None]) * (ramp[low_index + 1] - ramp[low_index])
        share = 0.6 * np.clip((h - 0.2) / 0.8, 0, 1)
        base = Image.fromarray(((np.asarray(base) / 255 * (1 - share) + tint * share) * 255).astype(np.uint8))
    for mask, ink in outlines:
        area = (
            np.asarray(Image.fromarray(_slice(mask[None])[0].astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
            > 0
        )
        inked = np.where(_edge(area)[..., None], np.rint(255 * np.array(ink)), np.asarray(base))
        base = Image.fromarray(inked.astype(np.uint8))
    out = io.BytesIO()
    base.save(out, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def _slice(image: np.ndarray) -> np.ndarray:
    return image[:, image.shape[1] // 2] if image.ndim == 4 else image


def _edge(mask: np.ndarray) -> np.ndarray:
    """The pixels (H, W) of a mask that have a neighbour, left, right, above or below, outside it."""
    wide = np.pad(mask, 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return np.asarray(mask & ~inner)
