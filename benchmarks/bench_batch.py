"""A batch of 128 images of 28 px handed over, without augmentation: milliseconds, beside TensorDataset and DataLoader.

One thread, alternating, medians. Ends with 1 above .1 ms.

    python benchmarks/bench_batch.py
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from empirisk.data.batches import Pixels, Stream

N, BATCH, ROUNDS, BAR = 4736, 128, 9, 0.1


def milliseconds(batches: Iterable[Any]) -> float:
    """Median milliseconds between two batches of an epoch."""
    done = [time.perf_counter() for _ in batches]
    return statistics.median(1e3 * (b - a) for a, b in itertools.pairwise(done))


def main() -> int:
    torch.set_num_threads(1)
    images = np.random.default_rng(0).integers(0, 256, (N, 1, 28, 28)).astype(np.uint8)
    y = torch.arange(N) % 2
    pixels = Pixels(lambda i: images[i], N, scale=255, workers=0)
    stream = Stream(pixels, y, [str(i) for i in range(N)], batch=BATCH, seed=0, change=None, device=torch.device("cpu"))
    loader = DataLoader(TensorDataset(torch.from_numpy(images).float() / 255, y), batch_size=BATCH, shuffle=True)
    rounds = [(milliseconds(stream(epoch)), milliseconds(loader)) for epoch in range(ROUNDS)]
    ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(json.dumps({"ours_ms": ours, "loader_ms": theirs, "ratio": theirs / ours, "bar_ms": BAR}))
    return int(ours > BAR)


if __name__ == "__main__":
    sys.exit(main())
