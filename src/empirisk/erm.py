"""Empirical risk minimisation: the one training loop, for every model that learns by gradients.

    f* = argmin over f in F of  1/N sum_i L(y_i, f(x_i))

A player has a loss it wants small and the part of the model it may move: a classifier, a VAE, a DDPM are games of one, a GAN
of two. A loss returns its terms, a vector [n] whose mean is the risk, or that mean, a scalar, which counts for len(x) terms.
Terms of all micro-batches of all processes weigh the same, so 1 process, N processes and accumulation take the same step.
"""

import contextlib
import copy
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from empirisk import optimization, runtime
from empirisk.errors import RUN, Wrong, listed
from empirisk.folder.checkpoints import Checkpoints
from empirisk.losses import Batch, Loss
from empirisk.recipe import Recipe

Evaluate = Callable[[nn.Module], dict[str, float]]


class Batches(Protocol):
    """This process's share of an epoch. Batch i is a function of (seed, epoch, i); what a stream carries is its own state."""

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


@dataclass
class EarlyStopping:
    """Keep the epoch of least `metric`; stop once it has not fallen for `patience` epochs (None: never)."""

    metric: str | None = "val"
    patience: int | None = None
    best: float = math.inf
    epoch: int = -1
    kept: dict[str, Tensor] = field(default_factory=dict)

    def update(self, row: dict[str, Any], model: nn.Module) -> bool:
        """Look at an epoch; True: stop. Without a metric the last epoch is kept."""
        if self.metric is None or row[self.metric] < self.best:
            self.best = row[self.metric] if self.metric else self.best
            self.epoch = int(row["epoch"])
            self.kept = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in model.state_dict().items()}
        return self.patience is not None and row["epoch"] - self.epoch >= self.patience


class Average:
    """Exponential moving average of weights and buffers: a <- d a + (1 - d) w, with d = min(decay, (1 + n)/(10 + n))."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module, self.decay, self.n = copy.deepcopy(model).requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model."""
        mine, theirs = list(self.module.state_dict().values()), list(model.state_dict().values())
        pairs = list(zip(mine, theirs, strict=True))
        moving = [(a, w) for a, w in pairs if a.is_floating_point()]
        torch._foreach_lerp_(
            [a for a, _ in moving], [w for _, w in moving], 1 - min(self.decay, (1 + self.n) / (10 + self.n))
        )
        for a, w in pairs:
            if not a.is_floating_point():
                a.copy_(w)
        self.n += 1


class Seat:
    """A player at the table: its parameters, its optimiser, what its terms summed to in this epoch."""

    def __init__(self, player: Player, model: nn.Module, recipe: Recipe, lr: float) -> None:
        self.player, self.model = player, model
        self.parameters = [p for p in player.moves(model).parameters() if p.requires_grad]
        if not self.parameters:
            raise Wrong(f"player {player.name!r} may move no parameter", remedy="unfreeze a part of the model")
        self.optimizer = optimization.build(recipe.optimizer, self.parameters, lr=lr, weight_decay=recipe.weight_decay)
        self.clip = player.clip if player.clip is not None else recipe.clip
        self.totals: list[Tensor] = []
        self.counts: list[Any] = []
        self.checked = False

    def prepare(self, n: Any, factor: float) -> None:
        """Turn the gradient of the sum of n terms into that of their mean, clip it, set the step length."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not self.checked:
            self.check_reached()
        torch._foreach_div_(gradients, n)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def check_reached(self) -> None:
        """A parameter that the loss does not reach would only decay: refused at the first step."""
        mine = {id(p) for p in self.parameters}
        lost = [k for k, p in self.model.named_parameters() if id(p) in mine and p.grad is None]
        if lost:
            raise Wrong(
                f"the loss of player {self.player.name!r} does not reach {len(lost)} of its parameters",
                where=listed(lost, 5),
                remedy="freeze them (requires_grad_(False)) or use them in the loss",
            )
        self.checked = True

    def risk(self) -> float:
        """Mean of this epoch's terms so far."""
        if not self.totals:
            return math.nan
        return float(torch.stack(self.totals).double().sum() / sum(float(c) for c in self.counts))

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        totals = torch.stack(self.totals) if self.totals else torch.zeros(0)
        return {"optimizer": self.optimizer.state_dict(), "totals": totals, "counts": [float(c) for c in self.counts]}

    def load(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.totals, self.counts = list(state["totals"].unbind()), list(state["counts"])


class Run:
    """Everything the next step depends on."""

    def __init__(
        self, model: nn.Module, batches: Batches, players: list[Player], recipe: Recipe, lr: float,
        precision: str, device: torch.device,
    ) -> None:  # fmt: skip
        self.model, self.batches, self.recipe, self.device = model, batches, recipe, device
        self.dtype = runtime.DTYPES[precision]
        runtime.spread(model.train())
        self.statistics = runtime.running_statistics(model)
        self.seats = [Seat(p, model, recipe, lr) for p in players]
        self.average = Average(model, recipe.ema) if recipe.ema else None
        fp16 = self.dtype is torch.float16
        self.scaler = torch.amp.GradScaler(device.type, init_scale=2.0**10, enabled=fp16)  # of a sum
        self.schedule = optimization.schedule(recipe.schedule)
        self.step, self.seconds, self.rows = 0, 0.0, list[dict[str, Any]]()
        self.asked_to_stop = False

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Lower precision for the loss, if any."""
        return torch.autocast(self.device.type, self.dtype) if self.dtype else contextlib.nullcontext()

    def judged(self) -> nn.Module:
        """The weights that count: the average where there is one."""
        return self.average.module if self.average else self.model

    def check_finite(self) -> None:
        """A loss that is not finite ends the run; the last good checkpoint stays."""
        for seat in self.seats:
            if not seat.totals:
                continue
            bad = (~torch.isfinite(torch.stack(seat.totals))).nonzero()
            if len(bad):
                epoch, done = divmod(self.step - 1, len(self.batches))
                at = int(bad[0]) * seat.player.every
                grads = [p.grad.norm() for p in seat.parameters if p.grad is not None]
                norm = float(torch.stack(grads).norm()) if grads else math.nan
                raise Wrong(
                    f"the loss of player {seat.player.name!r} is not finite at step {self.step - 1 - done + at} "
                    f"(epoch {epoch}; norm of the last gradient {norm:.3g})",
                    where=f"samples {listed(self.batches.names(epoch, at), 8)}",
                    remedy="try a smaller --lr, --clip 1, or --precision float32; look at these samples with `empirisk data`",
                    code=RUN, reason="divergence",
                )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        carried = self.batches.state_dict() if hasattr(self.batches, "state_dict") else None
        return {
            "counters": {"step": self.step, "seconds": self.seconds, "rows": self.rows},
            "model": self.model.state_dict(),
            "average": {"module": self.average.module.state_dict(), "n": self.average.n} if self.average else None,
            "seats": [seat.state() for seat in self.seats],
            "scaler": self.scaler.state_dict(),
            "carried": runtime.gather(carried) if carried is not None else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.step, self.seconds, self.rows = (state["counters"][k] for k in ("step", "seconds", "rows"))
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.module.load_state_dict(state["average"]["module"])
            self.average.n = state["average"]["n"]
        for seat, saved in zip(self.seats, state["seats"], strict=True):
            seat.load(saved)
        self.scaler.load_state_dict(state["scaler"])
        if state["carried"] is not None:
            self.batches.load_state_dict(state["carried"][runtime.rank()])  # type: ignore[attr-defined]


def size(x: Any) -> int:
    """Samples of a batch's x."""
    return len(x) if isinstance(x, Tensor) else size(x[0])


def micro(batch: Batch, parts: int) -> Iterator[Batch]:
    """The batch in at most `parts` pieces of two samples or more."""
    n = size(batch[0])
    parts = max(1, min(parts, n // 2))
    if parts == 1:
        yield batch
        return
    edges = [round(i * n / parts) for i in range(parts + 1)]
    for low, high in itertools.pairwise(edges):
        yield cut(batch[0], low, high), cut(batch[1], low, high)


def cut(value: Any, low: int, high: int) -> Any:
    """Samples low to high of nested tensors; any other object is handed on."""
    if isinstance(value, (tuple, list)):
        return type(value)(cut(v, low, high) for v in value)
    return value[low:high] if isinstance(value, Tensor) else value


def move(run: Run, seat: Seat, batch: Batch, factor: float, stop: bool) -> None:
    """One step of one player. The package's only backward() and optimizer.step()."""
    total: Tensor | None = None
    n = 0
    seat.optimizer.zero_grad()
    for part in micro(batch, run.recipe.accumulate):
        with run.autocast():
            terms = seat.player.loss(run.model, part)
        count = terms.numel() if terms.ndim else size(part[0])
        risk = terms.sum() if terms.ndim else terms * count
        torch.autograd.backward(
            run.scaler.scale(risk), inputs=seat.parameters
        )  # no gradient of another player is computed or touched
        total, n = risk.detach() if total is None else total + risk.detach(), n + count
    assert total is not None
    total, counted, stopping = runtime.all_reduce(seat.parameters, run.statistics, total, n, stop)
    run.scaler.unscale_(seat.optimizer)
    seat.prepare(counted, factor)
    run.scaler.step(seat.optimizer)
    run.scaler.update()
    seat.totals.append(total)
    seat.counts.append(counted)
    run.asked_to_stop = run.asked_to_stop or bool(stopping)


@dataclass
class Fitted:
    """What came of it: a row per epoch, the kept weights, and why it ended."""

    rows: list[dict[str, Any]]
    step: int
    seconds: float
    kept: EarlyStopping
    why: str
    stopped: bool


def fit(
    model: nn.Module, batches: Batches, players: list[Player], *, recipe: Recipe, lr: float, steps: int,
    evaluate: Evaluate, watch: str | None = "val", precision: str = "float32", device: torch.device | None = None,
    checkpoints: Checkpoints | None = None, signals: runtime.Signals | None = None,
    tell: Callable[[Run], None] = lambda run: None, log: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
    limit: float = math.inf,
) -> Fitted:  # fmt: skip
    """Let the players move in turn for `steps`, keeping the epoch of least `watch`; goes on from a checkpoint if there is one.

    Parameters
    ----------
    steps
        of the whole run, fixed before the first: the schedule follows it.
    evaluate
        scores of the judged weights at each epoch's end; they go into its row.
    limit
        seconds after which a budgeted run is cut off.

    Raises
    ------
    Wrong
        exit 3 if a loss is not finite; exit 2 if a loss reaches no parameter.
    """
    device = device or torch.device("cpu")
    run = Run(model, batches, players, recipe, lr, precision, device)
    stop = EarlyStopping(watch, recipe.patience)
    saved = Saver(run, stop, checkpoints)
    why = saved.resume()
    flag = signals if signals is not None else runtime.Signals()
    began = time.monotonic() - run.seconds
    while run.step < steps and not why:
        epoch, first = divmod(run.step, len(batches))
        model.train()
        for batch in batches(epoch, first):
            runtime.reseed(device, recipe.seed, run.step, runtime.rank())
            factor = run.schedule(run.step / steps)
            for seat in run.seats:
                if run.step % seat.player.every == 0:
                    move(run, seat, batch, factor, bool(flag))
            if run.average:
                run.average.update(model)
            run.step += 1
            run.seconds = time.monotonic() - began
            tell(run)
            if run.asked_to_stop or run.step == steps or (run.step % 50 == 0 and saved.due(60.0)):
                break
        ended = run.step % len(batches) == 0 or run.step == steps
        run.check_finite()
        if ended:
            epoch_ends(run, evaluate, epoch)
            why = (
                f"the risk on validation had not fallen for {recipe.patience} epochs"
                if stop.update(run.rows[-1], run.judged())
                else ""
            )
            if runtime.agree(run.seconds) > limit:
                why = f"the time budget ran out at step {run.step} of {steps}"
            log(run.rows)
        if run.asked_to_stop or why or run.step == steps or not ended or saved.due():
            saved.save(why)
        if run.asked_to_stop and run.step < steps and not why:
            return Fitted(run.rows, run.step, run.seconds, stop, "stopped by hand", stopped=True)
    return Fitted(run.rows, run.step, run.seconds, stop, why or "all its steps were done", stopped=False)


def epoch_ends(run: Run, evaluate: Evaluate, epoch: int) -> None:
    """Append the epoch's row: risks of the players, scores of the judged weights, step length, speed, memory."""
    began = run.rows[-1]["seconds"] if run.rows else 0.0
    trained = time.monotonic()
    row: dict[str, Any] = {"epoch": epoch, "step": run.step} | {s.player.name: s.risk() for s in run.seats}
    terms = sum(float(c) for c in run.seats[0].counts)
    for seat in run.seats:
        seat.totals, seat.counts = [], []
    judged = run.judged()
    row |= evaluate(judged.eval())
    row |= {
        "lr": run.seats[0].optimizer.param_groups[0]["lr"],
        "images_per_second": round(terms / max(run.seconds - began, 1e-9), 1),
        "memory_gib": round(runtime.memory(run.device), 3),
    }
    run.seconds += time.monotonic() - trained
    row["seconds"] = round(run.seconds, 3)
    run.rows.append(runtime.gather(row)[0])
    if not math.isfinite(row.get("val", 0.0)):
        raise Wrong(
            f"the risk on validation is {row['val']} after epoch {epoch}",
            remedy="try a smaller --lr, --clip 1, or --precision float32", code=RUN, reason="divergence",
        )  # fmt: skip


class Saver:
    """When a checkpoint is due, and what it holds. The clock decides only when: a resumed run is the same whichever is found."""

    def __init__(self, run: Run, stop: EarlyStopping, checkpoints: Checkpoints | None) -> None:
        self.run, self.stop, self.checkpoints = run, stop, checkpoints
        self.last, self.cost = time.monotonic(), 0.0

    def due(self, seconds: float = 0.0) -> bool:
        """At an epoch's end: when saving has cost less than a tenth of the time since."""
        since = runtime.agree(time.monotonic() - self.last - 10 * self.cost)
        return self.checkpoints is not None and since >= seconds

    def save(self, why: str) -> None:
        """Whole or not at all; replicas are equal, so rank 0 writes its own."""
        start = time.monotonic()
        state = self.run.state()
        state["stop"] = {"best": self.stop.best if math.isfinite(self.stop.best) else None, "epoch": self.stop.epoch}
        state["why"] = why
        if self.checkpoints is not None and runtime.rank() == 0:
            self.checkpoints.save(
                self.run.step, state, shared={"kept": self.stop.kept} if self.stop.kept else {}, world=runtime.world()
            )
        runtime.wait()
        self.last, self.cost = time.monotonic(), time.monotonic() - start

    def resume(self) -> str:
        """Go on from the newest checkpoint that verifies; returns why the run had ended, if it had."""
        found = self.checkpoints.load(self.run.device) if self.checkpoints is not None else None
        if found is None:
            return ""
        state = found[1]
        self.run.load(state)
        best = state["stop"]["best"]
        self.stop.best, self.stop.epoch = math.inf if best is None else best, state["stop"]["epoch"]
        self.stop.kept = {k: v.cpu() for k, v in state.get("kept", {}).items()}
        return str(state["why"])


@torch.no_grad()
def risk(model: nn.Module, batches: Iterable[Batch], loss: Loss) -> float:
    """The empirical risk 1/n sum of the loss's terms, in eval mode."""
    model.eval()
    total, n = 0.0, 0
    for batch in batches:
        terms = loss(model, batch)
        count = terms.numel() if terms.ndim else size(batch[0])
        total, n = total + float(terms.double().sum() if terms.ndim else terms.double() * count), n + count
    return total / n if n else math.nan


def steps_within(
    seconds: float, model: nn.Module, batches: Batches, players: list[Player], *, recipe: Recipe, lr: float,
    evaluate: Evaluate, precision: str, device: torch.device, save_seconds: float = 0.0,
) -> int:  # fmt: skip
    """How many steps fit into the time: the first 5 % time steps and one evaluation on a copy, which is then thrown away."""
    start = time.monotonic()
    trial = Run(copy.deepcopy(model), batches, players, recipe, lr, precision, device)
    trial.model.train()
    lengths: list[float] = []
    while not lengths or time.monotonic() - start < 0.05 * seconds:
        for batch in batches(0):
            before = time.monotonic()
            for seat in trial.seats:
                move(trial, seat, batch, 1e-3, False)
            if trial.average:
                trial.average.update(trial.model)
            float(trial.seats[0].totals[-1])  # wait for the device
            lengths.append(time.monotonic() - before)
            if len(lengths) > 3 and time.monotonic() - start > 0.05 * seconds:
                break
    lengths = lengths[min(2, len(lengths) - 1) :]
    before = time.monotonic()
    evaluate(trial.judged().eval())
    judging = time.monotonic() - before
    step = sum(lengths) / len(lengths)
    epoch = len(batches) * step + judging + min(save_seconds, 0.1 * (len(batches) * step + judging))
    left = max(0.0, seconds - (time.monotonic() - start)) * 0.97
    return max(1, int(runtime.agree(left / epoch * len(batches))))
