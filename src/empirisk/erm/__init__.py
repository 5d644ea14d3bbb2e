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
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from empirisk import optimization, runtime
from empirisk.erm.players import Batches, Player, Seat, whole
from empirisk.erm.run import SMALLER, EarlyStopping, Run
from empirisk.errors import RUN, Wrong
from empirisk.folder.checkpoints import Checkpoints
from empirisk.losses import Batch, Loss
from empirisk.recipe import Recipe

__all__ = [
    "Batches", "EarlyStopping", "Fitted", "Player", "Run", "Seat", "fit", "rate_found", "risk", "steps_within", "whole",
]  # fmt: skip

Evaluate = Callable[[nn.Module], dict[str, float]]


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

    `steps` are those of the whole run, fixed before the first: the schedule follows it. `evaluate` scores the judged weights at
    each epoch's end, the same in every process, for its row. A budgeted run is cut off after `limit` seconds. `Wrong`: exit 3
    if a loss is not finite, exit 2 if a loss reaches no parameter.
    """
    device = device or torch.device("cpu")
    stop = EarlyStopping(watch, recipe.patience)
    run = Run(model, batches, players, recipe, lr, precision, device, stop, checkpoints)
    run.resume()
    began, asked, late = time.monotonic() - run.seconds, False, False
    while run.step < steps and not run.why and not asked:
        epoch, first = divmod(run.step, len(batches))
        model.train()
        for batch in batches(epoch, first):
            step(run, batch, run.schedule(run.step / steps), bool(signals))
            run.seconds = time.monotonic() - began
            tell(run)
            asked, look = run.asked_to_stop(), run.step % 10 == 0  # what clocks decide is agreed on, by a message
            late = look and runtime.agree(run.seconds) > limit
            if asked or late or run.step == steps or (look and run.due(60.0)):
                break
        run.check_finite()
        ended = late or run.step % len(batches) == 0 or run.step == steps
        if ended:
            end_epoch(run, evaluate, epoch)
            run.seconds = time.monotonic() - began
            if stop.update(run.rows[-1], run.judged()):
                run.why = f"the risk on validation had not fallen for {recipe.patience} epochs"
            elif run.step < steps and (late or runtime.agree(run.seconds) > limit):
                run.why = f"the time budget ran out at step {run.step} of {steps}"
            log(run.rows)
        if asked or run.why or run.step == steps or not ended or run.due():
            run.save()
    stopped = run.step < steps and not run.why
    why = "stopped by hand" if stopped else run.why or "all its steps were done"
    return Fitted(run.rows, run.step, run.seconds, stop, why, stopped)


def step(run: Run, batch: Batch, factor: float, stop: bool) -> None:
    """The players whose turn it is move, one after the other, and the average follows."""
    runtime.reseed(run.device, run.recipe.seed, run.step, runtime.rank())
    for seat in run.seats:
        if run.step % seat.player.every == 0:
            move(run, seat, batch, factor, stop)
    if run.average:
        run.average.update(run.model)
    run.step, run.samples = run.step + 1, run.samples + size(batch[0])


def move(run: Run, seat: Seat, batch: Batch, factor: float, stop: bool) -> None:
    """One step of one player. The package's only backward() and optimizer.step()."""
    total: Any = 0.0
    n = 0
    for p in seat.parameters:
        p.grad = None
    for part in micro(batch, run.recipe.accumulate):
        with run.autocast():
            terms = seat.player.loss(run.model, part)
        terms = terms.to(torch.promote_types(terms.dtype, torch.float32))  # sums are never taken in half precision
        count = terms.numel() if terms.ndim else size(part[0])
        risk = terms.sum() if terms.ndim else terms * count
        if risk.requires_grad:  # no gradient of another player is computed or touched
            torch.autograd.backward(run.scaler.scale(risk), inputs=seat.parameters)
        total, n = total + risk.detach(), n + count
    if not seat.reached:
        seat.check_reached()
    total, counted, run.wish = runtime.all_reduce(seat.parameters, run.statistics, total, n, stop)
    run.scaler.unscale_(seat.optimizer)
    seat.prepare(counted, factor)
    scale = run.scaler.get_scale()
    run.scaler.step(seat.optimizer)
    run.scaler.update()
    seat.skipped += run.scaler.get_scale() < scale  # fp16: a gradient overflowed, and nothing moved
    seat.totals.append(total)
    seat.counts.append(counted)


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
    """Samples low to high of nested tensors and of what else can be sliced, such as a carry; any other object is handed on."""
    if isinstance(value, (tuple, list)):
        return type(value)(cut(v, low, high) for v in value)
    return value[low:high] if hasattr(value, "__getitem__") else value


def end_epoch(run: Run, evaluate: Evaluate, epoch: int) -> None:
    """Append the epoch's row: risks of the players, scores of the judged weights, step length, speed, memory."""
    since = run.seconds - (run.rows[-1]["seconds"] if run.rows else 0.0)
    row: dict[str, Any] = {"epoch": epoch, "step": run.step} | {s.player.name: s.risk() for s in run.seats if s.terms()}
    speed = run.samples * runtime.world() / max(since, 1e-9)
    run.samples = 0
    for seat in run.seats:
        seat.totals, seat.counts = [], []
    started = time.monotonic()
    with run.autocast():
        row |= evaluate(run.judged().eval())
    if run.scaler.is_enabled():
        row["skipped"] = sum(seat.skipped for seat in run.seats)
    row |= {
        "lr": run.seats[0].optimizer.param_groups[0]["lr"],
        "images_per_second": round(speed, 1),
        "memory_gib": round(runtime.memory(run.device), 3),
        "seconds": round(run.seconds + time.monotonic() - started, 3),
    }
    run.rows.append(runtime.gather(row)[0])
    watched = run.rows[-1].get(run.stop.metric or "", 0.0)
    if not math.isfinite(watched):
        run.rescue()
        text = f"the risk on validation ({run.stop.metric}) is {watched} after epoch {epoch}"
        raise Wrong(text, remedy=SMALLER, code=RUN, reason="divergence")


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


@contextlib.contextmanager
def endless(batches: Batches) -> Iterator[Iterator[Batch]]:
    """Batches without end; afterwards the stream carries what it did before."""
    carried = batches.state_dict() if hasattr(batches, "state_dict") else None
    yield itertools.chain.from_iterable(batches(epoch) for epoch in itertools.count())
    if carried is not None:
        batches.load_state_dict(carried)  # type: ignore[attr-defined]


def steps_within(
    seconds: float, model: nn.Module, batches: Batches, players: list[Player], *, recipe: Recipe, lr: float,
    evaluate: Evaluate, precision: str, device: torch.device,
) -> int:  # fmt: skip
    """How many steps fit into the time: its first 5 % time steps and the evaluation on a copy, which is then thrown away.

    Of the numbers of threads that may be tried it leaves the fastest set; one core more must be worth a tenth of the time.
    """
    trial = Run(copy.deepcopy(model), batches, players, recipe, lr, precision, device)  # optimisers: before the clock
    start = time.monotonic()
    choices = runtime.choices_of_threads(device)
    length, threads = math.inf, choices[0]
    with endless(batches) as stream:
        for i, choice in enumerate(choices):
            torch.set_num_threads(choice)
            until = start + 0.05 * seconds * (i + 1) / len(choices)
            took = runtime.agree(step_length(trial, stream, until))
            if took < 0.9 * length:
                length, threads = took, choice
    torch.set_num_threads(threads)
    for _ in range(2):  # the first may read the images
        before = time.monotonic()
        with trial.autocast():
            evaluate(trial.judged().eval())
        judging = time.monotonic() - before
        if runtime.agree(time.monotonic() - start) > 0.07 * seconds:
            break
    left = seconds - (time.monotonic() - start)
    epochs = 0.95 * left / (len(batches) * length + judging)  # saving has the other 5 %
    return max(1, int(runtime.agree(epochs * len(batches))))


def rate_found(
    model: nn.Module, batches: Batches, players: list[Player], *, recipe: Recipe, precision: str, device: torch.device,
    steps: int = 100, low: float = 1e-6, high: float = 10.0,
) -> float:  # fmt: skip
    """The learning rate of a range test: `steps` steps on a copy at rates from low to high, evenly by their logarithm.

    It ends early when the risk is not finite or far above its least. `optimization.best_rate` reads the curve. `Wrong`: exit 2
    for a game, exit 3 if the first risk is not finite.
    """
    if len(players) != 1:
        raise Wrong(f"--lr find is for one player, here are {len(players)}", remedy="give --lr a number")
    trial = Run(copy.deepcopy(model), batches, players, recipe, 1.0, precision, device)
    rates, risks = list[float](), list[float]()
    with endless(batches) as stream:
        for t, batch in zip(range(steps), stream, strict=False):
            rate = low * (high / low) ** (t / (steps - 1))
            step(trial, batch, rate, False)
            risk = float(trial.seats[0].totals[-1]) / max(float(trial.seats[0].counts[-1]), 1)
            if not math.isfinite(risk) or (risks and risk - min(risks) > 3 * abs(risks[0])):
                break
            rates, risks = [*rates, rate], [*risks, risk]
    if not risks:
        raise Wrong("the risk of the first batch is not finite", remedy=SMALLER, code=RUN, reason="divergence")
    return optimization.best_rate(rates, risks)


def step_length(run: Run, batches: Iterator[Batch], until: float) -> float:
    """Seconds that a step takes, by the mean of all but the first two, which are slow."""
    marks = [time.monotonic()]
    least = 3 + max(seat.player.every for seat in run.seats)
    while len(marks) <= least or runtime.agree(marks[-1] - until) <= 0:
        step(run, next(batches), 1e-3, False)
        float(run.seats[0].totals[-1])  # wait for the device
        marks.append(time.monotonic())
    return (marks[-1] - marks[2]) / (len(marks) - 3)
