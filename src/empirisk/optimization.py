"""Optimisers and schedules by name, and the average of the weights; the optimisers are torch's."""

import copy
import importlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from empirisk.errors import Wrong, near

Schedule = Callable[[float], float]
"""progress in [0, 1) -> factor of the largest step length; no state."""


def sgd(parameters: Any, lr: float, weight_decay: float) -> Optimizer:
    """w <- w - lr g, with the decay as a penalty."""
    return torch.optim.SGD(parameters, lr, weight_decay=weight_decay, fused=True)


def momentum(parameters: Any, lr: float, weight_decay: float) -> Optimizer:
    """v <- .9 v + g, w <- w - lr v."""
    return torch.optim.SGD(parameters, lr, momentum=0.9, weight_decay=weight_decay, fused=True)


def adam(parameters: Any, lr: float, weight_decay: float) -> Optimizer:
    """Kingma and Ba 2015, algorithm 1; the decay acts through the moments."""
    return torch.optim.Adam(parameters, lr, weight_decay=weight_decay, fused=True)


def adamw(parameters: Any, lr: float, weight_decay: float) -> Optimizer:
    """Loshchilov and Hutter 2019, algorithm 2: the decay is decoupled from the moments."""
    return torch.optim.AdamW(parameters, lr, weight_decay=weight_decay, fused=True)


def constant(progress: float) -> float:
    """1."""
    return 1.0


def cosine(progress: float) -> float:
    """1/2 (1 + cos(pi t)); Loshchilov and Hutter 2017."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def warmup_cosine(progress: float, warm: float = 0.05) -> float:
    """Linear to 1 in the first 5 %, then cosine."""
    return (progress + 1e-3) / (warm + 1e-3) if progress < warm else cosine((progress - warm) / (1 - warm))


def one_cycle(progress: float, warm: float = 0.25, start: float = 1 / 25) -> float:
    """From 1/25 up to 1 in the first quarter and down to 0, both by half a cosine; Smith and Topin 2018."""
    if progress < warm:
        return start + (1 - start) * (1 - cosine(progress / warm))
    return cosine((progress - warm) / (1 - warm))


OPTIMIZERS: dict[str, Callable[[Any, float, float], Optimizer]] = {
    "sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adamw,
}  # fmt: skip
SCHEDULES: dict[str, Schedule] = {
    "constant": constant, "cosine": cosine, "warmup_cosine": warmup_cosine, "one_cycle": one_cycle,
}  # fmt: skip


def named(name: Any, known: dict[str, Any], what: str) -> Any:
    """A name of the list, "package.module:function", or a callable as it is.

    Raises
    ------
    Wrong
        exit 2 if there is no such name.
    """
    if callable(name):
        return name
    if name in known:
        return known[name]
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise Wrong(
                f"{what} {name!r} cannot be imported: {error}", remedy="write package.module:function"
            ) from error
    raise Wrong(f"no {what} {name!r}", remedy=near(name, known) or f"there are {', '.join(known)}")


def build(optimizer: Any, parameters: list[nn.Parameter], *, lr: float, weight_decay: float) -> Optimizer:
    """The optimiser of these parameters; only weights (two dimensions or more) decay, not biases and norms."""
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    built: Optimizer = named(optimizer, OPTIMIZERS, "optimizer")([g for g in groups if g["params"]], lr, weight_decay)
    for group in built.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return built


def schedule(name: Any) -> Schedule:
    """The schedule by name."""
    found: Schedule = named(name, SCHEDULES, "schedule")
    return found


class Average:
    """Exponential moving average of weights and buffers: a <- d a + (1 - d) w, with d = min(decay, (1 + n)/(10 + n))."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module, self.decay, self.n = copy.deepcopy(model).requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model; what is no floating-point number (counters) is copied."""
        d = min(self.decay, (1 + self.n) / (10 + self.n))
        pairs = list(zip(self.module.state_dict().values(), model.state_dict().values(), strict=True))
        moving = [(a, w) for a, w in pairs if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in moving], [w for _, w in moving], 1 - d)
        for a, w in pairs:
            if not a.is_floating_point():
                a.copy_(w)
        self.n += 1
