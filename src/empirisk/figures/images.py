"""Images as thumbnails inside the page."""

import base64
import io
from collections.abc import Sequence

import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue from 0 to 1."""


def picture(
    image: np.ndarray, heat: np.ndarray | None = None, *, side: int = 112, outlines: Sequence[tuple[np.ndarray, Colour]] = (),
    stroke: int = 1,
) -> str:  # fmt: skip
    """An image (C, *size) as a WebP data URI at most `side` pixels wide and high; of a volume the middle slice.

    Integers, and floats outside of [0, 1], are shown over the range that their values use, as a viewer's window would.
    `heat` (*size), in [0, 1], is laid over it: transparent where low, dark red to yellow where high.
    Of each of the masks (*size) in `outlines` the inner edge is drawn in its colour, `stroke` pixels wide, the last on top.
    """
    from PIL import Image
    from scipy.ndimage import binary_erosion

    grey = _slice(image)  # (C, H, W)
    if grey.dtype == np.uint8:
        grey = grey.astype(np.float32) / 255
    elif grey.dtype.kind in "ui" or grey.min() < 0 or grey.max() > 1:
        low, high = np.percentile(grey, [0.5, 99.5])
        grey = (grey.astype(np.float32) - low) / (high - low or 1)
    grey = np.nan_to_num(np.clip(grey, 0, 1))
    colour = grey.transpose(1, 2, 0) if len(grey) == 3 else np.repeat(grey[0][..., None], 3, 2)  # (H, W, 3)
    scale = side / max(colour.shape[:2])
    size = (max(1, round(colour.shape[1] * scale)), max(1, round(colour.shape[0] * scale)))
    how = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    base = Image.fromarray((colour * 255).round().astype(np.uint8)).resize(size, how)
    if heat is not None:
        map_ = 255 * np.clip(np.nan_to_num(_slice(np.asarray(heat, np.float32)[None])[0]), 0, 1)
        h = np.asarray(Image.fromarray(map_.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)) / 255
        ramp = ((0.35, 0.84, 0.94), (0, 0.37, 0.89), (0.1, 0, 0.26))  # red, green, blue at 0, 1/2, 1
        tint = np.stack([np.interp(h, (0, 0.5, 1), channel) for channel in ramp], -1)
        share = 0.6 * np.clip((h[..., None] - 0.2) / 0.8, 0, 1)
        base = Image.fromarray(((np.asarray(base) / 255 * (1 - share) + tint * share) * 255).astype(np.uint8))
    for mask, ink in outlines:
        drawn = Image.fromarray(_slice(mask[None])[0].astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        area = np.asarray(drawn) > 0
        edge = area & ~binary_erosion(area, iterations=stroke)  # so many steps left, right, up or down lead outside
        inked = np.where(edge[..., None], np.rint(255 * np.array(ink)), np.asarray(base))
        base = Image.fromarray(inked.astype(np.uint8))
    out = io.BytesIO()
    base.save(out, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def _slice(image: np.ndarray) -> np.ndarray:
    return image[:, image.shape[1] // 2] if image.ndim == 4 else image
