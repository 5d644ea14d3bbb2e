"""20 steps of DPM-Solver++ against the 1,000 of Algorithm 2: how good and how quick, of a trained diffusion.

    python benchmarks/sampling_steps.py RUN [--images 500] [--steps 10 20 50 1000]

For each number of steps: the Frechet distance of as many new images, by the run's own judge, with its interval, and seconds. The
distance of few images is larger than that of many; here all have as many, so that they can be compared. No test image is seen.
"""

import argparse
import json
import time
from typing import Any

import torch

import empirisk as er
from empirisk.data.reconstructed import Images
from empirisk.estimate import estimate
from empirisk.metrics import samples


def main() -> None:
    """All of it."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("run")
    words.add_argument("--images", type=int, default=500)
    words.add_argument("--steps", type=int, nargs="+", default=[10, 20, 50, 1000])
    given = words.parse_args()
    e = er.load(given.run).experiment()
    model: Any = e.model.eval()
    card, judge = e.data.card(), model.judge
    kind, real = e.data.learn(Images, card), judge.reference.double().cpu().numpy()
    for steps in given.steps:
        start = time.monotonic()
        made = model.sample(given.images, generator=torch.Generator().manual_seed(0), steps=steps)
        took = time.monotonic() - start
        z = judge.seen(kind.stored(card, made), card.range)[0]
        found = estimate(samples.frechet(z[:, None], real, judge.name), [None] * len(z))
        print(
            json.dumps({"steps": steps, "frechet": found.value, "low": found.low, "high": found.high, "seconds": took})
        )


if __name__ == "__main__":
    main()
