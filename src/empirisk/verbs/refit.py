"""A run's experiment taught again with changes, in memory, its data read once: what `capacity` and `ablate` compare, and how."""

import dataclasses as dc
import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from empirisk import erm, runtime
from empirisk.data import embedded, splits
from empirisk.data.batches import edges
from empirisk.data.table import Loaded
from empirisk.errors import Wrong
from empirisk.estimate import Estimate, Statistic, difference, draws, mean
from empirisk.experiment import Experiment, Rows
from empirisk.experiments import rebuild
from empirisk.losses import Batch
from empirisk.verbs.run import Run, patients
from empirisk.verbs.say import Say, short

LOOKS = 20
"""Times at most that validation is looked at while one model is taught."""
MOST = 1000
"""Training rows at most that the training error is measured on."""


@dc.dataclass(frozen=True)
class Fit:
    """The risk's term of each row, in eval mode, after a model was taught."""

    train: np.ndarray  # (n,)
    val: np.ndarray  # (m,)
    fresh: np.ndarray  # (k,), new rows of the generator; none where nature is the generator

    @property
    def held(self) -> np.ndarray:
        """Of all rows that taught nothing (m + k,)."""
        return np.concatenate([self.val, self.fresh])


class Again:
    """The experiment of a run, to be taught again: other arguments, fewer training rows, other seeds, the same validation rows.

    `Wrong` (exit 2) for no seed or no time; for a game, which has no one risk; for an ensemble, which learns nothing from training rows.
    """

    def __init__(self, run: Run, device: torch.device, *, seeds: int, minutes: float | None) -> None:
        if seeds < 1 or (minutes is not None and minutes <= 0):
            remedy = "give one seed or more, and a time above 0 or none"
            raise Wrong(f"--seeds {seeds} --minutes {minutes}", remedy=remedy)
        self.budget = 60 * minutes if minutes else math.inf
        self.until = time.monotonic() + self.budget
        self.run, self.device, self.record, self.split = run, device, run.folder.read(), run.folder.read_split()
        self.own = run.experiment()
        if self.own.task.loss is None:
            raise Wrong(f"{run.path} is a game and has no one risk", remedy="give a run that minimises one")
        if not (self.own.players or self.own.solve):
            what = f"{run.path} ({self.own.name}) learns nothing from training rows"
            raise Wrong(what, remedy="give one of its members")
        data, first = self.own.data, int(self.own.arguments.get("seed", 0))
        self.loaded, self.train, self.val = data.prepared(), data.rows("train"), data.rows("val")
        self.fresh = embedded.fresh(str(self.own.arguments.get("data"))) if data.plan is None else []
        ends = edges(len(self.fresh), 256, 1) if self.fresh else []
        some = [self.fresh[low:high] for low, high in itertools.pairwise(ends)]
        self.pairs: list[Batch] = [(data.x(rows).to(device), data.y(rows).to(device)) for rows in some]
        self.batch, self.lr = int(self.record["recipe"]["batch"]), float(self.record.get("lr") or 0)
        self.steps = int(self.record.get("steps") or 0)  # a closed form has none
        self.seeds = range(first, first + seeds)

    def build(self, rows: int | None = None, seed: int | None = None, **changes: Any) -> Experiment:
        """The experiment with changed arguments, on the first `rows` training rows of a random order of the patients.

        The order is a function of the seed alone, so that a smaller set lies within a larger one.
        """
        changes |= {} if seed is None or "seed" not in self.record["arguments"] else {"seed": seed}
        e = rebuild(self.record, self.split, objects=self.run.objects, **changes)
        loaded = self.loaded
        if rows is not None and rows < len(self.train):
            order = np.random.default_rng(seed or 0).permutation(sorted({splits.group(r) for r in self.train})).tolist()
            place = {name: i for i, name in enumerate(order)}
            kept = {r["id"] for r in sorted(self.train, key=lambda r: place[splits.group(r)])[:rows]}
            less = [r if r["part"] != "train" or r["id"] in kept else r | {"part": ""} for r in loaded.rows]
            loaded = Loaded(table=loaded.table, rows=less, hashes=loaded.hashes)
            loaded.pixels |= {k: v for k, v in self.loaded.pixels.items() if k.startswith("val")}
            loaded.cases |= {k: v for k, v in self.loaded.cases.items() if k.startswith("val")}
        return dc.replace(e, data=dc.replace(e.data, loaded=loaded))

    def teach(self, e: Experiment, steps: int, until: float = math.inf) -> Fit | None:
        """Teach it so many steps, keep its best epoch, and measure it; None where the clock passed `until` before it was done."""
        model = runtime.placed(e.model, self.device)
        precision = runtime.precision_of(e.recipe.precision, self.device, model)
        if e.begin:
            e.begin(model)
        if e.players:
            stream = self.stream(e)
            fitted = erm.fit(
                model, stream, e.players, recipe=e.recipe, lr=self.lr, steps=steps, precision=precision,
                evaluate=self.looking(e, math.ceil(steps / len(stream))), device=self.device, limit=until - time.monotonic(),
            )  # fmt: skip
            if fitted.step < steps and time.monotonic() > until:
                return None
            model.load_state_dict(fitted.kept.kept)
        if e.solve:
            e.solve(model.eval(), e.data.batches("train", 256, self.device))
        train, val = (terms(e, e.data.batches(p, 256, self.device, n)) for p, n in (("train", MOST), ("val", None)))
        return Fit(train, val, terms(e, self.pairs) if self.pairs else np.empty(0))

    def stream(self, e: Experiment) -> erm.Batches:
        """Training batches of the run's own size."""
        batch = min(self.batch, len(e.data.rows("train")))
        return e.data.stream(batch=batch, seed=e.recipe.seed, device=self.device)

    def looking(self, e: Experiment, epochs: int) -> Callable[[torch.nn.Module], dict[str, float]]:
        """The risk on validation at about `LOOKS` of the epochs and at the last; in between it is said to be as it was."""
        loss, every, calls, seen = e.task.loss, max(1, epochs // LOOKS), itertools.count(), {"val": math.inf}
        assert loss is not None

        def evaluate(model: torch.nn.Module) -> dict[str, float]:
            call = next(calls)
            if call % every == 0 or call == epochs - 1:
                seen["val"] = erm.risk(model, e.data.batches("val", 256, self.device), loss)
            return dict(seen)

        return evaluate

    def seconds(self, e: Experiment) -> tuple[float, float]:
        """What a step takes, and what one look at validation does."""
        stream, loss = self.stream(e), e.task.loss
        assert loss is not None
        precision = runtime.precision_of(e.recipe.precision, self.device, e.model.to(self.device))
        trial = erm.Run(e.model, stream, e.players, e.recipe, self.lr, precision, self.device)
        endless = itertools.chain.from_iterable(stream(epoch) for epoch in itertools.count())
        step, start = erm.step_length(trial, endless, time.monotonic()), time.monotonic()
        erm.risk(e.model, e.data.batches("val", 256, self.device), loss)
        return step, time.monotonic() - start

    def steps_for(self, seconds: float, es: Iterable[Experiment]) -> int:
        """How many steps each of these may take so that all of them take `seconds`; never more than the run had."""
        step, look = map(sum, zip(*(self.seconds(e) for e in es), strict=True))
        once = 1 + (min(MOST, len(self.train)) + len(self.fresh)) / len(self.val)  # measured at the end, in looks

        def takes(steps: int) -> float:
            return steps * step + (min(LOOKS, math.ceil(steps * self.batch / len(self.train))) + once) * look

        down = range(self.steps, 10, -max(1, self.steps // 200))
        return next((steps for steps in down if takes(steps) < 0.9 * seconds), min(10, self.steps))

    def taught(self, variants: Sequence[tuple[int, dict[str, Any]]], say: Say) -> list[list[Fit]]:
        """Of each variant (training rows, changed arguments) a fit a seed, seed after seed, all with equally many steps.

        What the time does not reach is said, and the others stand.
        """
        steps, n = self.steps, len(self.seeds) * len(variants)
        if self.own.players:
            if self.budget < math.inf:
                some = (self.build(rows, self.seeds[0], **changes) for rows, changes in variants)
                steps = self.steps_for(self.budget / len(self.seeds), some)
            say("Plan", f"{n} fits of {steps:,} steps each; the run had {self.steps:,}", "--minutes, --seeds")
            if 2 * steps < self.steps:
                say("Odd", "what is said is of so short a training, not of the run's own", "--minutes")
        fits: list[list[Fit]] = [[] for _ in variants]
        for i, (seed, (v, (rows, changes))) in enumerate(itertools.product(self.seeds, enumerate(variants))):
            late = time.monotonic() >= self.until
            fit = None if late else self.teach(self.build(rows, seed, **changes), steps, self.until)
            if fit is None:
                say("Odd", f"the time is over: {i} of {n} fits were done", "--minutes")
                break
            fits[v].append(fit)
            if self.own.players:  # a closed form is quicker than its line is read
                what = ", ".join([*(f"{k} {value}" for k, value in changes.items()), f"{rows:,} rows, seed {seed}"])
                say.line(f"{i + 1}/{n}  {what}: training {short(fit.train.mean())}, validation {short(fit.val.mean())}")
        return fits

    def lowered(self, a: list[Fit], b: list[Fit], of: int = 1) -> Estimate:
        """By how much b's held-out error lies below a's, paired by row and seed."""
        return paired([x.held - y.held for x, y in zip(a, b, strict=False)], [*self.val, *self.fresh], of=of)

    def gap(self, a: list[Fit], b: list[Fit] | None = None, of: int = 1) -> Estimate:
        """Held-out error minus training error, mean over seeds; with `b` how much larger a's gap is than b's, paired."""
        chosen = self.own.data.sample("train", MOST)
        rows = [*(self.train[i] for i in chosen), *self.val, *self.fresh]
        held = np.arange(len(rows)) >= len(chosen)
        values, less = ([np.concatenate([f.train, f.held]) for f in some] for some in (a, b or []))
        if b is not None:
            values = [v - w for v, w in zip(values, less, strict=False)]
        return paired(values, rows, of=of, statistic=lambda v: difference(mean(v, among=held), mean(v, among=~held)))


def paired(
    values: Sequence[np.ndarray], rows: Rows, *, of: int = 1, statistic: Callable[[np.ndarray], Statistic] = mean
) -> Estimate:
    """The mean over S seeds of a statistic of values (N,) a row, with an interval that knows both rows and seeds.

    Each end is as far away as the percentile over draws of whole patients and, squared and added, t_{S-1} standard errors of the
    seeds: few seeds tell little. With `of` comparisons each has 5 % / of outside (Bonferroni), so that all hold together.
    """
    from scipy.stats import t

    each = np.array([float(statistic(v)(np.ones((1, len(v))))[0]) for v in values])
    whole, S, tail = statistic(np.mean(values, axis=0)), len(values), 0.025 / of
    drawn = np.concatenate([whole(w) for w in draws(patients(rows), n=2000)])
    ends = np.nanquantile(drawn, [tail, 1 - tail])
    seeds = float(each.std(ddof=1)) / math.sqrt(S) * float(t.isf(tail, S - 1)) if S > 1 else 0.0
    value = float(each.mean())
    low, high = value - math.hypot(max(value - ends[0], 0), seeds), value + math.hypot(max(ends[1] - value, 0), seeds)
    method = f"bootstrap by patient and {S} seeds" + (f", {of} comparisons" if of > 1 else "")
    return Estimate(value, low, high, len(rows), "row", method, tie=low <= 0 <= high)


@torch.no_grad()
def terms(e: Experiment, batches: Iterable[Batch]) -> np.ndarray:
    """The risk's term of each row (N,), as the loss gives them in eval mode; else, of a loss that gives others, row by row."""
    e.model.eval()
    loss, out = e.task.loss, list[torch.Tensor]()
    assert loss is not None
    for batch in batches:
        found, n = loss(e.model, batch), erm.size(batch[0])
        if found.shape != (n,):
            alone = ((erm.cut(batch[0], i, i + 1), erm.cut(batch[1], i, i + 1)) for i in range(n))
            found = torch.stack([loss(e.model, one).mean() for one in alone])
        out.append(found.double().cpu())
    return torch.cat(out).numpy()
