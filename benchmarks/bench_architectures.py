"""A training step of each architecture against torchvision's own module with the same weights: the ratio of the times.

64 px, imagenet stem, batch 16, SGD, float32; one thread and its processor time, alternating, medians. Ends with 1 above 1.05.

    python benchmarks/bench_architectures.py [NAME ...]
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from empirisk import models
from empirisk.models.layers import over_heads

BATCH, SIDE, CLASSES, ROUNDS, BAR = 16, 64, 10, 7, 1.05


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """Ours and theirs, with equal weights."""
    torch.manual_seed(0)
    given = {"init_weights": False} if name in {"googlenet"} or name.startswith("vgg") else {}
    theirs = getattr(torchvision.models, name)(num_classes=CLASSES, **given)
    dropped = {"alexnet": 0.5, "googlenet": 0.2}.get(name, 0.5 if name.startswith("vgg") else None)
    ours = models.build(
        name, channels=3, classes=CLASSES, dims=2, size=(SIDE, SIDE), width=64, dropout=dropped, stem="imagenet"
    )
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


class Two(nn.Module):
    """torchvision's GoogLeNet with its auxiliaries as heads."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def heads(self, x: torch.Tensor) -> list[tuple[float, torch.Tensor]]:
        out, second, first = self.net(x)
        return [(1.0, out), (0.3, first), (0.3, second)]


def seconds(net: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    """One step."""
    start = time.process_time()
    optimizer.zero_grad()
    over_heads(net, x, lambda out: F.cross_entropy(out, y, reduction="none")).mean().backward()
    optimizer.step()
    return time.process_time() - start


def ratio(name: str) -> dict[str, float]:
    """Median milliseconds a step of both, and the median of the ratios."""
    ours, theirs = pair(name)
    sides = [net.train() for net in (ours, Two(theirs) if name == "googlenet" else theirs)]
    optimizers = [torch.optim.SGD(net.parameters(), 1e-3) for net in sides]
    x, y = torch.randn(BATCH, 3, SIDE, SIDE), torch.arange(BATCH) % CLASSES
    for net, optimizer in zip(sides, optimizers, strict=True):
        seconds(net, optimizer, x, y)
    rounds = [[seconds(*side, x, y) for side in zip(sides, optimizers, strict=True)] for _ in range(ROUNDS)]
    ms = [1e3 * statistics.median(times) for times in zip(*rounds, strict=True)]
    return {"ours_ms": ms[0], "theirs_ms": ms[1], "ratio": statistics.median(a / b for a, b in rounds)}


def main() -> int:
    torch.set_num_threads(1)
    names = sys.argv[1:] or [name for name in models.MODELS if hasattr(torchvision.models, name)]
    found = {}
    for name in names:
        found[name] = ratio(name)
        print(name, {k: round(v, 3) for k, v in found[name].items()}, file=sys.stderr, flush=True)
    print(json.dumps({"steps": found, "bar": BAR}))
    return int(any(f["ratio"] > BAR for f in found.values()))


if __name__ == "__main__":
    sys.exit(main())
