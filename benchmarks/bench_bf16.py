"""A step of the full-width ResNet-18 (batch 128, 28 px) in bf16 over one in float32, where the CPU computes in bf16.

Alternating, medians, all threads. Ends with 1 above .65.

    python benchmarks/bench_bf16.py
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk import erm, models, runtime
from empirisk.losses import Batch
from empirisk.recipe import Recipe

ROUNDS, BAR = 3, 0.65
CPU = torch.device("cpu")


class Noise:
    """One batch of noise; never asked for more."""

    def __len__(self) -> int:
        return 1

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        yield torch.rand(128, 1, 28, 28), torch.arange(128) % 2

    def names(self, epoch: int, index: int) -> list[str]:
        return []


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return F.cross_entropy(model(batch[0]).float(), batch[1], reduction="none")


def run(precision: str) -> erm.Run:
    torch.manual_seed(0)
    net = models.build("resnet18", channels=1, classes=2, dims=2, size=(28, 28), width=64)
    net.to(memory_format=torch.channels_last)  # as `train` has it
    return erm.Run(net, Noise(), [erm.Player(loss)], Recipe(ema=0), 1e-3, precision, CPU)


def seconds(run: erm.Run) -> float:
    batch = next(iter(run.batches(0)))
    start = time.perf_counter()
    erm.step(run, batch, 1.0, False)
    return time.perf_counter() - start


def main() -> int:
    if not runtime.computes_in_bf16(CPU):
        print(json.dumps({"bf16": "this CPU does not compute in it"}))
        return 0
    low, full = run("bf16"), run("float32")
    seconds(low), seconds(full)  # warm
    rounds = [(seconds(low), seconds(full)) for _ in range(ROUNDS)]
    a, b = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(json.dumps({"bf16_s": a, "float32_s": b, "ratio": a / b, "bar": BAR}))
    return int(a / b > BAR)


if __name__ == "__main__":
    sys.exit(main())
