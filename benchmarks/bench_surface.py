"""HD95 and surface Dice of a case with two structures: milliseconds, beside MONAI's two functions on the same masks.

One thread, alternating, medians; both must say the same numbers. Ends with 1 below 4 times. MONAI is no dependency: install it
with `pip install --no-deps monai`.

    python benchmarks/bench_surface.py
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from empirisk.metrics.overlap import overlap

ROUNDS, BAR = 7, 4.0
CASES = {"hippocampus, 40x56x40": (40, 56, 40), "organ, 128x128x128": (128, 128, 128), "slice, 512x512": (512, 512)}


def blobs(size: tuple[int, ...], seed: int) -> np.ndarray:
    """Labels 0, 1, 2 (*size): two rough ellipsoids that touch, an eighth of the image or so."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij"), -1)
    rough = 1 + 0.12 * np.sin(grid @ rng.normal(0, 5, (len(size), 4)) + rng.uniform(0, 6, 4)).mean(-1)
    middle = rng.normal(0, 0.03, len(size))
    inside = (((grid - middle) / 0.45) ** 2).sum(-1) < rough
    return np.where(inside, np.where(grid[..., -1] > middle[-1], 2, 1), 0)


def ours(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """HD95 and surface Dice of both structures (2, 2)."""
    found = [overlap(truth == k, answer == k) for k in (1, 2)]
    return np.array([(f.hd95, f.surface_dice) for f in found])


def theirs(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """The same by MONAI."""
    y, said = (torch.from_numpy(np.stack([m == k for k in range(3)]))[None] for m in (truth, answer))
    hd95 = compute_hausdorff_distance(said, y, percentile=95)
    dice = compute_surface_dice(said, y, class_thresholds=[1.0, 1.0])
    return np.stack([hd95[0].numpy(), dice[0].numpy()], 1)


def milliseconds(f: Callable[..., object], *given: np.ndarray) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    f(*given)
    return 1e3 * (time.perf_counter() - start)


def main() -> int:
    torch.set_num_threads(1)
    ratios = {}
    for name, size in CASES.items():
        truth, answer = blobs(size, 0), blobs(size, 1)
        np.testing.assert_allclose(ours(truth, answer), theirs(truth, answer), rtol=1e-5)
        rounds = [(milliseconds(ours, truth, answer), milliseconds(theirs, truth, answer)) for _ in range(ROUNDS)]
        mine, other = (statistics.median(side) for side in zip(*rounds, strict=True))
        ratios[name] = other / mine
        print(json.dumps({"case": name, "ours_ms": mine, "monai_ms": other, "ratio": other / mine, "bar": BAR}))
    return int(min(ratios.values()) < BAR)


if __name__ == "__main__":
    sys.exit(main())
