"""The bootstrap of the AUC on 10,000 cases against a loop over scikit-learn's roc_auc_score: seconds a resample.

Both draw cases with replacement and compute the area; alternating, medians, one process. Ends with 1 below 25 times.

    python benchmarks/bench_bootstrap_auc.py
"""

import json
import statistics
import sys
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from empirisk.estimate import estimates
from empirisk.metrics.ranking import auc

CASES, DRAWS, LOOPS, ROUNDS, BAR = 10_000, 1000, 40, 7, 25


def ours(y: np.ndarray, p: np.ndarray, groups: list[str]) -> float:
    start = time.perf_counter()
    estimates({"auc": auc(y, p)}, groups, n=DRAWS)
    return (time.perf_counter() - start) / DRAWS


def theirs(y: np.ndarray, p: np.ndarray, rng: np.random.Generator) -> float:
    start = time.perf_counter()
    for _ in range(LOOPS):
        drawn = rng.integers(0, len(y), len(y))
        roc_auc_score(y[drawn], p[drawn])
    return (time.perf_counter() - start) / LOOPS


def main() -> int:
    rng = np.random.default_rng(0)
    y = rng.random(CASES) < 0.3
    p, groups = rng.normal(size=CASES) + y, [f"patient-{i}" for i in range(CASES)]
    ours(y, p, groups), theirs(y, p, rng)  # warm
    pairs = [(ours(y, p, groups), theirs(y, p, rng)) for _ in range(ROUNDS)]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(json.dumps({"cases": CASES, "ours_ms": a * 1e3, "scikit_learn_ms": b * 1e3, "ratio": b / a, "bar": BAR}))
    return int(b / a < BAR)


if __name__ == "__main__":
    sys.exit(main())
