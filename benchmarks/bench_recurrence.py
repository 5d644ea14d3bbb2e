"""A training step of the recurrence written out against torch.nn's own layer with the same weights: the ratio of the times.

Batch 16, 128 steps, 96 inputs, width 96, float32; forward and backward, one thread and its processor time, alternating, medians.
Ends with 1 above 1.3 for the GRU.

    python benchmarks/bench_recurrence.py
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from empirisk.models.rnn import GRU, LSTM, Recurrent, Tanh

N, STEPS, WIDTH, ROUNDS, BAR = 16, 128, 96, 25, 1.3
PAIRS = {"gru": (GRU, nn.GRU), "lstm": (LSTM, nn.LSTM), "tanh": (Tanh, nn.RNN)}


def pair(name: str) -> tuple[Recurrent, nn.Module]:
    """Ours and theirs, with equal weights."""
    torch.manual_seed(0)
    ours, theirs = Recurrent(PAIRS[name][0](WIDTH, WIDTH)), PAIRS[name][1](WIDTH, WIDTH, batch_first=True)
    for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(theirs, f"{key}_l0").data.copy_(getattr(ours.cell, key))
    return ours, theirs


def seconds(forward: Callable[[], Tensor]) -> float:
    """Forward and backward once."""
    start = time.process_time()
    forward().square().mean().backward()
    return time.process_time() - start


def ratio(name: str) -> dict[str, float]:
    """Median milliseconds of both, and the median of the ratios."""
    ours, theirs = pair(name)
    x, lengths = torch.randn(N, STEPS, WIDTH), torch.full((N,), STEPS)
    torch.testing.assert_close(ours(x, lengths)[0], theirs(x)[0], rtol=0, atol=1e-5)
    sides = (lambda: ours(x, lengths)[0]), (lambda: theirs(x)[0])
    rounds = [[seconds(side) for side in sides] for _ in range(ROUNDS + 2)][2:]
    ms = [1e3 * statistics.median(times) for times in zip(*rounds, strict=True)]
    return {"ours_ms": ms[0], "theirs_ms": ms[1], "ratio": statistics.median(a / b for a, b in rounds)}


def main() -> int:
    torch.set_num_threads(1)
    found = {name: ratio(name) for name in PAIRS}
    print(json.dumps({"steps": found, "bar": BAR}))
    return int(found["gru"]["ratio"] > BAR)


if __name__ == "__main__":
    sys.exit(main())
