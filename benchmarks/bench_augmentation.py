"""A batch augmented at once against torchvision's v2 sample by sample, the same changes: how many times as fast.

Flip, affine, contrast and brightness, gamma, noise and cut-out of `--augment auto`, of float grey images of 28, 64 and 224 px.
One thread, alternating, medians of processor time. Ends with 1 below 25, 6 and 2 times.

    python benchmarks/bench_augmentation.py
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from empirisk.data.augment import Augmentation, augmentation

BARS = {28: (128, 25.0), 64: (128, 6.0), 224: (32, 2.0)}
"""Side: images of a batch, least ratio."""
ROUNDS, TIMES = 9, 10
"""Rounds; batches of ours a round, so that each side runs about as long before the other has its turn."""


def gamma(x: Tensor) -> Tensor:
    """A power drawn for one image."""
    return v2.functional.adjust_gamma(x, math.exp(float(torch.empty(()).uniform_(-0.3, 0.3))))


def noise(x: Tensor) -> Tensor:
    """Normal noise of a deviation drawn for one image."""
    return v2.functional.gaussian_noise(x, sigma=float(torch.empty(()).uniform_(0, 0.04)))


def theirs() -> Callable[[Tensor], Tensor]:
    """The changes of `auto` for one image (1, H, W)."""
    made: Callable[[Tensor], Tensor] = v2.Compose([
        v2.RandomHorizontalFlip(0.5),
        v2.RandomAffine(10, translate=(0.06, 0.06), scale=(0.91, 1.1), shear=2.9, interpolation=v2.InterpolationMode.BILINEAR),
        v2.ColorJitter(brightness=0.1, contrast=0.2), v2.Lambda(gamma), v2.Lambda(noise),
        v2.RandomErasing(0.5, scale=(0.01, 0.09), value=0.5),
    ])  # fmt: skip
    return made


def seconds(work: Callable[[], Tensor], times: int) -> float:
    """Of the processor, for one of so many calls in a row."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def measured(size: int, n: int, ours: Augmentation, other: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Microseconds a sample of both, and their ratio."""
    x, generator = torch.rand(n, 1, size, size), torch.Generator().manual_seed(0)

    def batch() -> Tensor:
        return ours.apply(x, ours.draw(generator, n))

    def one_by_one() -> Tensor:
        return torch.stack([other(image) for image in x])

    assert batch().shape == one_by_one().shape
    pairs = [(seconds(batch, TIMES), seconds(one_by_one, 1)) for _ in range(ROUNDS)]
    mine, his = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"ours_us": 1e6 * mine / n, "torchvision_us": 1e6 * his / n, "ratio": his / mine}


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = augmentation("auto", 2)
    assert ours is not None
    found = {size: measured(size, n, ours, theirs()) | {"bar": bar} for size, (n, bar) in BARS.items()}
    print(json.dumps(found))
    return int(any(f["ratio"] < f["bar"] for f in found.values()))


if __name__ == "__main__":
    sys.exit(main())
