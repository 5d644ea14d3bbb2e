"""Whether the gradients are those of the loss: back-propagation against central differences, in float64."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from cyclopts import Parameter
from torch import Tensor, nn

from empirisk import runtime
from empirisk.erm import Player
from empirisk.errors import RUN, Wrong
from empirisk.experiment import Experiment
from empirisk.losses import Batch
from empirisk.verbs.flags import Json, Trained
from empirisk.verbs.run import load
from empirisk.verbs.say import Say

STEPS = (1e-5, 1e-6, 1e-7)
"""Lengths of the differences; the best of three counts, as one may step over a kink of a ReLU, or drown in rounding."""
BAR = 1e-4
"""Largest relative error of gradients that are right."""
FLOOR = 1e-3
"""Share of the largest derivative below which a derivative is compared with that share: a bias before a norm has none."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Derivative:
    """Of the risk of one player by one parameter w, along a direction v: <gradient, v> and its difference quotients."""

    player: str
    name: str
    numbers: int
    "of the parameter"
    analytic: float
    numeric: list[float]

    def error(self, largest: float) -> float:
        """|a - d| / max(|a|, |d|, FLOOR largest), the least over the lengths of the differences."""
        a = self.analytic
        return min(abs(a - d) / max(abs(a), abs(d), FLOOR * largest, 1e-300) for d in self.numeric)


def derivatives(model: nn.Module, player: Player, batch: Batch, *, seed: int = 0) -> list[Derivative]:
    """Of every parameter that the player may move, all in float64 and in train mode; its numbers are put back.

    v is the gradient at length 1 plus normal numbers of length about 1, so that <gradient, v> is no small number and no part of
    a wrong gradient is at right angles to v. Whatever the loss draws is drawn alike at each of its calls.
    `Wrong` (exit 3) if the risk is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    names = {id(p): name for name, p in model.named_parameters()}
    parameters = [p for p in player.moves(model).parameters() if p.requires_grad]

    def risk() -> Tensor:
        runtime.reseed(CPU, seed, 0, 0)
        return player.loss(model, batch).mean()

    def moved(p: Tensor, v: Tensor, h: float) -> float:
        before = p.detach().clone()
        with torch.no_grad():
            p.add_(v, alpha=h)
        value = float(risk().detach())
        with torch.no_grad():
            p.copy_(before)
        return value

    here = risk()
    if not torch.isfinite(here):
        raise Wrong(f"the risk of player {player.name!r} is {float(here.detach())} at the weights of the run", code=RUN)
    found = []
    for p, slope in zip(parameters, torch.autograd.grad(here, parameters, allow_unused=True), strict=True):
        g = torch.zeros_like(p) if slope is None else slope
        noise = torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.numel() ** 0.5
        v = g / g.norm().clamp_min(1e-300) + noise
        quotients = [(moved(p, v, h) - moved(p, v, -h)) / (2 * h) for h in STEPS]
        found.append(Derivative(player.name, names[id(p)], p.numel(), float((g * v).sum()), quotients))
    return found


def double(value: Any) -> Any:
    """Floating-point tensors of a batch in float64."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    return type(value)(double(v) for v in value) if isinstance(value, (tuple, list)) else value


def checked(e: Experiment, samples: int) -> list[tuple[Derivative, float]]:
    """Every derivative with its relative error, on a few training samples spread over the rows.

    `Wrong` (exit 2): a closed form has no gradient; fewer than two samples.
    """
    if not e.players:
        what = f"{e.name} is a closed form, it follows no gradient"
        raise Wrong(what, remedy="check a run that was trained by steps")
    if samples < 2:
        raise Wrong(f"--samples is {samples}", remedy="give 2 or more")
    model = e.model.double().train()
    batch = double(next(iter(e.data.batches("train", samples, CPU, samples))))
    found = []
    for player in e.players:
        own = derivatives(model, player, batch)
        largest = max(abs(d.analytic) for d in own)
        found += [(d, d.error(largest)) for d in own]
    return found


def check(
    run: Trained, *, samples: Annotated[int, Parameter(help="training samples that the loss is computed on")] = 8, json: Json = False
) -> int:  # fmt: skip
    """Compare the gradients of a run's loss with finite differences, at its weights, in float64. Exit 3 if they differ.

    Example: empirisk check runs/pneumoniamnist
    """
    say = Say(as_json=json)
    found = checked(load(run).experiment(), samples)
    numbers = sum(d.numbers for d, _ in found)
    say("Compared", f"{len(found)} parameters, {numbers:,} numbers, on {samples} training samples")
    layers: dict[str, list[tuple[Derivative, float]]] = {}  # named at the first level of the network
    for d, error in found:
        layers.setdefault(d.name.removeprefix("net.").split(".")[0], []).append((d, error))
    for name, some in layers.items():
        d, error = max(some, key=lambda pair: pair[1])
        say("", f"{name:<16}relative error {error:.1e}   {d.name if len(some) > 1 else ''}")
    worst = max(error for _, error in found)
    agree = worst <= BAR
    said = "the gradients are those of the loss" if agree else "the gradients are NOT those of the loss"
    say("Verdict", f"{said}: largest relative error {worst:.1e}, allowed {BAR:.0e}")
    parameters = [{"player": d.player, "name": d.name, "numbers": d.numbers, "error": error} for d, error in found]
    say.document({"parameters": parameters, "largest": worst, "allowed": BAR, "agree": agree})
    return 0 if agree else RUN
