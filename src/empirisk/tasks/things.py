"""Telling things of one class apart by a distance map: cores are its high parts, every other pixel climbs to one."""

import itertools

import numpy as np

from empirisk.data.masks import middles

CORES = (0.5, 0.3, -np.inf)
"""Distances (1 in the middle of a thing, 0 at its edge) from which on a pixel is in a core: high, so that neighbours come apart;
then low, for things that the network sees flat; then any, so that no part of the mask is without."""
SMALLEST = 3
"Pixels of the smallest core, and of a thing."


def apart(mask: np.ndarray, p: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Instances (*size), numbers 1 .. n, 0 outside the mask; and how sure each is, (n,).

    A core is a connected part where the distance is .5 or more, or .3 where it holds no such, or a whole part of the mask. Every
    pixel of the mask goes to its highest neighbour until it stands on a peak: the watershed of the distance turned over. From a
    peak without a core it goes to the nearest core. Sure is a thing by the mean of p in it, times 1 - the mean of |d - d'|, d the
    distance and d' that of the shape that was found. Naylor et al., IEEE TMI 38 (2019).

    mask (*size) of bool; p the probability of the mask, distance: (*size).
    """
    from scipy import ndimage

    around = np.ones((3,) * mask.ndim)
    height = np.where(mask, ndimage.gaussian_filter(np.asarray(distance, np.float32), 1.0), -np.inf)
    cores = np.zeros(mask.shape, np.int64)
    for level in CORES:
        parts, n = ndimage.label(mask & (height >= level), around)
        held = np.bincount(parts.ravel(), weights=(cores > 0).ravel(), minlength=n + 1) > 0
        new = ~held & (np.bincount(parts.ravel(), minlength=n + 1) >= (SMALLEST if level > 0 else 1))
        new[0] = False
        cores = np.where(new[parts], np.cumsum(new)[parts] + cores.max(initial=0), cores)
    found = np.where(cores > 0, cores, np.where(mask, cores.ravel()[_climb(height)].reshape(mask.shape), 0))
    lost = mask & (found == 0)
    if lost.any():
        nearest = ndimage.distance_transform_edt(found == 0, return_distances=False, return_indices=True)
        found = np.where(lost, found[tuple(nearest)], found)
    found = large(found, SMALLEST)
    sizes = np.bincount(found.ravel(), minlength=1)
    off = abs(distance.clip(0, 1) - middles(found))
    share, away = (np.bincount(found.ravel(), weights=v.ravel(), minlength=1) / np.maximum(sizes, 1) for v in (p, off))
    return found.astype(np.uint16 if len(sizes) <= 65536 else np.int32), (share * (1 - away))[1:]


def large(labels: np.ndarray, least: int) -> np.ndarray:
    """Labels of at least so many pixels, numbered 1 .. n anew; the others become 0."""
    sizes = np.bincount(labels.ravel(), minlength=1)
    kept = sizes >= least
    kept[0] = False
    numbers = np.cumsum(kept) * kept
    out: np.ndarray = numbers[labels]
    return out


def _climb(height: np.ndarray) -> np.ndarray:
    """For each pixel (flat) the index of the peak that it comes to by going to its highest neighbour, again and again."""
    best, towards = height.copy(), np.arange(height.size).reshape(height.shape)
    index = towards.copy()
    for step in itertools.product((-1, 0, 1), repeat=height.ndim):
        if any(step):
            here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, height.shape, strict=True))
            there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, height.shape, strict=True))
            higher = height[there] > best[here]
            best[here] = np.where(higher, height[there], best[here])
            towards[here] = np.where(higher, index[there], towards[here])
    root: np.ndarray = towards.ravel()
    while not np.array_equal(following := root[root], root):
        root = following
    return root
