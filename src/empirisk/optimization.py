"""Optimisers and schedules by name, exact zeros, the range test's rule, the average of the weights; the optimisers are torch's."""

import copy
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from empirisk.errors import Wrong, near

Schedule = Callable[[float], float]
"""progress in [0, 1) -> factor of the largest step length; no state."""
Make = Callable[[Any, float, float], Optimizer]
"""(parameters, lr, weight_decay) -> an optimiser."""

OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda p, lr, decay: torch.optim.SGD(p, lr, weight_decay=decay, fused=True),
    "momentum": lambda p, lr, decay: torch.optim.SGD(p, lr, momentum=0.9, weight_decay=decay, fused=True),
    "nesterov": lambda p, lr, decay: torch.optim.SGD(
        p, lr, momentum=0.9, nesterov=True, weight_decay=decay, fused=True
    ),
    "adagrad": lambda p, lr, decay: torch.optim.Adagrad(p, lr, weight_decay=decay, fused=True),
    "rmsprop": lambda p, lr, decay: torch.optim.RMSprop(p, lr, alpha=0.9, weight_decay=decay, foreach=True),
    "adam": lambda p, lr, decay: torch.optim.Adam(p, lr, weight_decay=decay, fused=True),
    "adamw": lambda p, lr, decay: torch.optim.AdamW(p, lr, weight_decay=decay, fused=True),
}
"""sgd       w <- w - lr g, g with the decay as a penalty, as in all but adamw
momentum  v <- .9 v + g, w <- w - lr v
nesterov  v <- .9 v + g, w <- w - lr (g + .9 v); Nesterov 1983, as Sutskever et al. 2013
adagrad   s <- s + g^2, w <- w - lr g / (sqrt(s) + 1e-10); Duchi et al. 2011
rmsprop   s <- .9 s + .1 g^2, w <- w - lr g / (sqrt(s) + 1e-8); Tieleman and Hinton 2012
adam      Kingma and Ba 2015, algorithm 1
adamw     Loshchilov and Hutter 2019, algorithm 2: the decay is decoupled from the moments
"""


def constant(progress: float) -> float:
    """1."""
    return 1.0


def step(progress: float) -> float:
    """1, from the half on 1/10, from three quarters on 1/100; He et al. 2016."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


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


SCHEDULES: dict[str, Schedule] = {
    "constant": constant, "step": step, "cosine": cosine, "warmup_cosine": warmup_cosine, "one_cycle": one_cycle,
}  # fmt: skip


def named(name: Any, known: dict[str, Any], what: str) -> Any:
    """A name of the list, "package.module:function", or a callable as it is; `Wrong` (exit 2) if there is no such name."""
    if callable(name):
        return name
    if name in known:
        return known[name]
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            said = f"{what} {name!r} cannot be imported: {error}"
            raise Wrong(said, remedy="write package.module:function") from error
    raise Wrong(f"no {what} {name!r}", remedy=near(name, known) or f"there are {', '.join(known)}")


def build(
    optimizer: Any, parameters: list[nn.Parameter], *, lr: float, weight_decay: float, l1: float = 0.0
) -> Optimizer:
    """The optimiser of these parameters; only weights (two dimensions or more) decay or are sparse, not biases and norms."""
    weights, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    built: Optimizer = named(optimizer, OPTIMIZERS, "optimizer")([g for g in groups if g["params"]], lr, weight_decay)
    for group in built.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return sparse(built, weights, l1)


def sparse(optimizer: Optimizer, weights: Sequence[nn.Parameter], l1: float) -> Optimizer:
    """The same optimiser, of the risk + l1 sum |w|: no step takes a weight across 0, so that weights become exactly 0.

    The gradient g becomes g + l1 sign(w), where w = 0 sign(g) max(|g| - l1, 0), which is 0 where 0 is the minimiser. After
    the step a weight that is not of its own sign, or where it was 0 of the sign of descent, is set to 0. It holds for every
    optimiser that scales the gradient weight by weight. Andrew and Gao 2007 (OWL-QN).
    """
    if not l1:
        return optimizer
    signs: list[tuple[nn.Parameter, Tensor]] = []

    @torch.no_grad()
    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        signs.clear()
        for w in weights:
            if w.grad is not None:
                g = torch.where(w == 0, F.softshrink(w.grad, l1), w.grad + l1 * w.sign())
                signs.append((w, torch.where(w == 0, -g.sign(), w.sign())))
                w.grad.copy_(g)

    @torch.no_grad()
    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for w, sign in signs:
            w.mul_(w.sign() == sign)

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)
    return optimizer


def schedule(name: Any) -> Schedule:
    """The schedule by name."""
    found: Schedule = named(name, SCHEDULES, "schedule")
    return found


def best_rate(rates: Sequence[float], risks: Sequence[float], smooth: float = 0.9) -> float:
    """A tenth of the rate at which the smoothed risk r_t / (1 - s^(t+1)), r_t = s r_(t-1) + (1 - s) R_t, is least.

    Smith 2017, section 3.3: the risk falls, is least, then diverges; a tenth keeps away from the edge.

    >>> best_rate([1e-3, 1e-2, 1e-1, 1.0], [3.0, 2.0, 1.0, 9.0], smooth=0.0)
    0.01
    """
    mean, least, at = 0.0, math.inf, 0
    for t, risk in enumerate(risks):
        mean = smooth * mean + (1 - smooth) * risk
        if mean / (1 - smooth ** (t + 1)) < least:
            least, at = mean / (1 - smooth ** (t + 1)), t
    return float(f"{rates[at] / 10:.2g}")


class Average:
    """Exponential moving average of weights and buffers: a <- d a + (1 - d) w, with d = min(decay, (1 + n)/(10 + n)).

    With `sparse` a weight that is exactly 0 is 0 in the average too.
    """

    def __init__(self, model: nn.Module, decay: float, *, sparse: bool = False) -> None:
        self.module, self.decay, self.n, self.sparse = copy.deepcopy(model).requires_grad_(False), decay, 0, sparse

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
            elif self.sparse and a.ndim > 1:
                a.mul_(w != 0)
        self.n += 1
