"""Hand-designed features of 2D images: the intensities, the edges and the texture, as they were designed before they were learned."""

import numpy as np

OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 4), (4, 0))
"""Displacements (rows, columns) of the pairs that co-occurrence counts."""

LEVELS, BINS, ORIENTATIONS, GRID = 8, 16, 8, 4


def features(images: np.ndarray) -> np.ndarray:
    """The features (n, D) of images (n, C, H, W) in [0, 1]: histograms, gradient orientations, co-occurrence.

    One channel gives 16 + 2 + 4*4*8 + 1 + 8*4 = 179 numbers; each channel of a colour image adds 16 + 2.
    """
    grey = images.mean(1)  # (n, C, H, W) -> (n, H, W)
    parts = [histogram(grey), gradients(grey), cooccurrence(grey)]
    if images.shape[1] > 1:
        parts += [histogram(images[:, c]) for c in range(images.shape[1])]
    return np.concatenate(parts, 1).astype(np.float32)


def histogram(grey: np.ndarray) -> np.ndarray:
    """Shares of 16 equal bins of [0, 1], mean and standard deviation (n, 18)."""
    n, size = len(grey), grey[0].size
    bins = np.clip((grey * BINS).astype(np.int64), 0, BINS - 1).reshape(n, -1)
    counts = np.bincount((bins + BINS * np.arange(n)[:, None]).ravel(), minlength=n * BINS).reshape(n, BINS)
    flat = grey.reshape(n, -1)
    return np.concatenate([counts / size, flat.mean(1, keepdims=True), flat.std(1, keepdims=True)], 1)


def gradients(grey: np.ndarray) -> np.ndarray:
    """Gradient magnitude by 8 orientations of [0, pi) in a grid of 4 x 4 cells, of norm 1, and the log of that norm (n, 129).

    Dalal and Triggs, Histograms of oriented gradients, CVPR 2005.
    """
    n, h, w = grey.shape
    gy, gx = np.zeros_like(grey), np.zeros_like(grey)
    gy[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    gx[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    turn = np.arctan2(gy, gx) * (ORIENTATIONS / np.pi)  # pi is ORIENTATIONS bins
    orientation = np.floor(turn).astype(np.int64) % ORIENTATIONS
    cell = (np.arange(h) * GRID // h)[:, None] * GRID + np.arange(w) * GRID // w  # (H, W)
    index = (np.arange(n)[:, None, None] * GRID * GRID + cell) * ORIENTATIONS + orientation
    sums = np.bincount(index.ravel(), np.hypot(gy, gx).ravel(), n * GRID * GRID * ORIENTATIONS).reshape(n, -1)
    norm = np.sqrt((sums**2).sum(1, keepdims=True)) + 1e-6
    return np.concatenate([sums / norm, np.log(norm)], 1)


def cooccurrence(grey: np.ndarray) -> np.ndarray:
    """Contrast, homogeneity, energy and correlation of the grey-level co-occurrence matrices at 8 offsets (n, 32).

    8 levels of equal width from mean - 2 sd to mean + 2 sd of each image; matrices symmetric, of sum 1.
    Haralick, Shanmugam and Dinstein, IEEE Trans. SMC 3 (1973).
    """
    n, h, w = grey.shape
    mean, sd = grey.mean((1, 2), keepdims=True), grey.std((1, 2), keepdims=True)
    levels = np.clip(((grey - mean) / (sd + 1e-6) + 2) * (LEVELS / 4), 0, LEVELS - 1).astype(np.int64)
    i, j = np.mgrid[:LEVELS, :LEVELS]
    base = np.arange(n)[:, None, None] * LEVELS * LEVELS
    out = []
    for dy, dx in OFFSETS:
        a = levels[:, : h - dy, max(0, -dx) : w - max(0, dx)]
        b = levels[:, dy:, max(0, dx) : w + min(0, dx)]
        counts = np.bincount((base + a * LEVELS + b).ravel(), minlength=n * LEVELS * LEVELS)
        p = counts.reshape(n, LEVELS, LEVELS).astype(np.float64)
        p = p + p.transpose(0, 2, 1)
        p /= p.sum((1, 2), keepdims=True)
        mu = (p * i).sum((1, 2))
        var = (p * i**2).sum((1, 2)) - mu**2
        cov = (p * i * j).sum((1, 2)) - mu**2
        correlation = np.where(var > 1e-9, cov / np.maximum(var, 1e-9), 1.0)
        contrast, alike = (p * (i - j) ** 2).sum((1, 2)), (p / (1 + (i - j) ** 2)).sum((1, 2))
        out += [contrast, alike, (p**2).sum((1, 2)) ** 0.5, correlation]
    return np.stack(out, 1)
