"""`fit` against a bare PyTorch loop on a tiny net: milliseconds a step more, and how much later the first step is done.

Both loops take the same step: the bare one with torch's fused AdamW and its default, whichever is faster here. One thread,
alternating, medians; the first step in new processes. Ends with 1 above .08 ms a step or .3 s for the first.

    python benchmarks/bench_fit.py
"""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk import erm
from empirisk.losses import Batch
from empirisk.recipe import Recipe

STEPS, ROUNDS, STARTS = 400, 9, 3
STEP_BAR, FIRST_BAR = 0.08, 0.3


class Same:
    """The same batch again and again."""

    def __init__(self, n: int) -> None:
        self.n, self.batch = n, (torch.randn(32, 8), torch.randint(0, 2, (32,)))

    def __len__(self) -> int:
        return self.n

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for _ in range(start, self.n):
            yield self.batch

    def names(self, epoch: int, index: int) -> list[str]:
        return []


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


def fitted(n: int) -> list[float]:
    """When each step of `fit` was done."""
    done = [time.perf_counter()]
    erm.fit(
        net(), Same(n), [erm.Player(loss)], recipe=Recipe(ema=0), lr=1e-3, steps=n, evaluate=lambda model: {"val": 1.0},
        tell=lambda run: done.append(time.perf_counter()),
    )  # fmt: skip
    return done


def bare(n: int, fused: bool | None) -> list[float]:
    """When each step of a bare loop was done."""
    done = [time.perf_counter()]
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1, fused=fused)
    for x, y in Same(n)(0):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        done.append(time.perf_counter())
    return done


SIDES: dict[str, Callable[[int], list[float]]] = {
    "fit": fitted, "bare": lambda n: bare(n, None), "bare, fused": lambda n: bare(n, True),
}  # fmt: skip


def a_step(side: str) -> float:
    """Median milliseconds a step."""
    done = SIDES[side](STEPS)[1:]
    return statistics.median(1e3 * (b - a) for a, b in itertools.pairwise(done))


def first_step(side: str) -> float:
    """Seconds to the end of the first step, in a process that has taken none."""
    said = subprocess.run([sys.executable, __file__, side], check=True, capture_output=True, text=True)
    return float(said.stdout)


def main() -> int:
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        done = SIDES[sys.argv[1]](1)
        print(done[1] - done[0])
        return 0
    for side in SIDES:
        a_step(side)
    rounds = [{side: a_step(side) for side in SIDES} for _ in range(ROUNDS)]
    ms = {side: statistics.median(r[side] for r in rounds) for side in SIDES}
    more = statistics.median(r["fit"] - min(r["bare"], r["bare, fused"]) for r in rounds)
    starts = [{side: first_step(side) for side in ("fit", "bare")} for _ in range(STARTS)]
    later = statistics.median(s["fit"] - s["bare"] for s in starts)
    print(
        json.dumps(
            {"step_ms": ms, "more_ms": more, "bar_ms": STEP_BAR, "first_step_later_s": later, "bar_s": FIRST_BAR}
        )
    )
    return int(more > STEP_BAR or later > FIRST_BAR)


if __name__ == "__main__":
    sys.exit(main())
