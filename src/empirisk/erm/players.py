"""Who plays: a loss, the part of the model it may move, and the optimiser that fit gives it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from empirisk import optimization, runtime
from empirisk.errors import Wrong, listed
from empirisk.losses import Batch, Loss
from empirisk.recipe import Recipe


class Batches(Protocol):
    """This process's share of an epoch. Batch i is a function of (seed, epoch, i).

    A stream that carries something from batch to batch has `state_dict` and `load_state_dict` too, and hands it over in x:
    x = (frames, carry). The loss reads `carry.now` and leaves `carry.next`; the stream moves next to now, or clears it, when it
    is asked for a batch or for its state, not before: the loop may leave it at any batch.
    """

    def __len__(self) -> int:
        """Steps of an epoch."""

    def __call__(self, epoch: int, start: int = 0) -> Iterable[Batch]:
        """The batches of an epoch from the given one on."""

    def names(self, epoch: int, index: int) -> list[str]:
        """The rows of one batch, for a message."""


def whole(model: nn.Module) -> nn.Module:
    """All of it."""
    return model


@dataclass
class Player:
    """What it wants small, and the part it may move; fit builds its optimiser from the recipe."""

    loss: Loss
    moves: Callable[[nn.Module], nn.Module] = whole
    name: str = "loss"
    clip: float | None = None
    "largest norm of its gradient; None: the recipe's"
    every: int = 1
    "it moves at every such step of the loop"


class Seat:
    """A player at the table: its parameters, its optimiser, what its terms summed to at each of this epoch's moves."""

    def __init__(self, player: Player, model: nn.Module, recipe: Recipe, lr: float) -> None:
        self.player, self.model = player, model
        self.parameters = [p for p in player.moves(model).parameters() if p.requires_grad]
        if not self.parameters:
            raise Wrong(f"player {player.name!r} may move no parameter", remedy="unfreeze a part of the model")
        self.optimizer = optimization.build(
            recipe.optimizer, self.parameters, lr=lr, weight_decay=recipe.weight_decay, l1=recipe.l1
        )
        self.clip = player.clip if player.clip is not None else recipe.clip
        self.totals: list[Tensor] = []
        self.counts: list[Any] = []
        self.skipped = 0
        self.reached = False

    def check_reached(self) -> None:
        """At the first move: a parameter that the loss reaches in no process would only decay, and is refused."""
        mine = {id(p) for p in self.parameters}
        here = [k for k, p in self.model.named_parameters() if id(p) in mine and p.grad is None]
        lost = sorted(set(here).intersection(*runtime.gather(here)), key=here.index)
        if lost:
            what = f"the loss of player {self.player.name!r} does not reach {len(lost)} of its parameters"
            raise Wrong(
                what, where=listed(lost, 5), remedy="freeze them (requires_grad_(False)) or use them in the loss"
            )
        self.reached = True

    def prepare(self, n: Any, factor: float) -> None:
        """Turn the gradient of the sum of n terms into that of their mean, clip it, set the step length."""
        n = n.clamp(min=1) if isinstance(n, Tensor) else max(n, 1)  # a batch may hold no term: every pixel ignored
        torch._foreach_div_([p.grad for p in self.parameters if p.grad is not None], n)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def terms(self) -> float:
        """How many terms this epoch had so far."""
        return sum(float(c) for c in self.counts)

    def risk(self) -> float:
        """Mean of this epoch's terms so far."""
        return float(torch.stack(self.totals).double().sum()) / self.terms()

    def not_finite(self) -> tuple[int, str] | None:
        """Which of this epoch's moves had a sum of terms that is NaN or infinite, or the last, if that broke the weights."""
        if not self.totals:
            return None
        finite = torch.isfinite(torch.stack(self.totals)).tolist()
        if not all(finite):
            return finite.index(False), "loss"
        largest = torch.stack(torch._foreach_norm([p.detach() for p in self.parameters if p.numel()], math.inf))
        return None if bool(torch.isfinite(largest).all()) else (len(finite) - 1, "update")

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        totals = torch.stack(self.totals) if self.totals else torch.zeros(0)
        counts = [float(c) for c in self.counts]
        return {"optimizer": self.optimizer.state_dict(), "totals": totals, "counts": counts, "skipped": self.skipped}

    def load(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.totals, self.counts = list(state["totals"].unbind()), list(state["counts"])
        self.skipped = state["skipped"]
