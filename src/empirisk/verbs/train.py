"""Experiment -> run folder: make the risk small, keep the best epoch, say how good it is on validation."""

import contextlib
import math
from pathlib import Path
from typing import Any

import torch

from empirisk import erm, runtime
from empirisk.errors import RUN, Wrong
from empirisk.estimate import values
from empirisk.experiment import Experiment
from empirisk.experiments import named, rebuild
from empirisk.folder import RunFolder
from empirisk.models.transfer import first_kernels
from empirisk.report import drawn
from empirisk.verbs import words
from empirisk.verbs.place import finished, made_of, place, split_of
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, Scored, answer, beside, judge, recorded, rivals
from empirisk.verbs.say import Say, left

LIVE = 2000
"""Validation rows that are scored at each epoch at most; the risk is always of all."""


class Interrupted(KeyboardInterrupt):
    """Stopped by a signal after everything was saved; carries the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def train(
    e: Experiment, out: str | Path | None = None, *, folds: int | None = None, device: str = "auto", workers: int = 0,
    processes: int = 1, dry_run: bool = False, fixed: dict[str, Any] | None = None, say: Say | None = None,
) -> Run:  # fmt: skip
    """Train an experiment into a folder; the same call goes on where it was stopped, and says so when it is finished.

    `Wrong` (exit 2) for wrong arguments; (exit 3) if the run cannot go on.

    Parameters
    ----------
    out
        run folder; None: runs/<name of the data>.
    folds
        also train K runs OUT/fold-1 .. fold-K that each hold out another share of the patients, and pool their answers.
    device
        auto, cpu, cuda, cuda:1 or mps.
    workers
        processes that read images; 0: none, held in memory where they fit.
    processes
        that train together on this machine.
    dry_run
        say what was understood and planned, and stop there.
    fixed
        `steps` of the whole run, `threads` of each process and the found `lr`, as an earlier one had them.
    """
    say = say or Say()
    named(e.name)  # a run of any other could not be opened again
    if folds is not None and not dry_run:
        from empirisk.verbs.folds import folded

        return folded(e, out, folds, fixed=fixed, say=say, device=device, workers=workers, processes=processes)
    if processes > 1 and not dry_run:
        from empirisk.verbs.processes import spread

        return spread(e, out, device=device, workers=workers, processes=processes, fixed=fixed or {}, say=say)
    with runtime.together(device) as chosen:
        folder, done, learned = runtime.gather(found(e, out) if runtime.rank() == 0 else None)[0]
        run = Run(folder.path, e.objects)
        say.quiet = say.quiet or runtime.rank() > 0
        if done:
            say("Finished", f"{folder.path} already holds this very run", "--out")
            say("Next", f"empirisk test {folder.path}")
            return run
        flag = runtime.Signals()
        with contextlib.ExitStack() as held:
            held.enter_context(flag.caught())
            if runtime.rank() == 0 and not dry_run:
                held.enter_context(folder.lock())
            if learned:
                e = rebuild(folder.read(), folder.read_split(), objects=e.objects)
            Training(e, run, chosen, workers, say, flag, fixed or {}).run(dry_run)
        return run


def found(e: Experiment, out: str | Path | None) -> tuple[RunFolder, bool, bool]:
    """The run's folder, and whether it is finished, and whether it has learned; one process looks for all."""
    folder, begun = place(e.name, e.arguments, out)
    return folder, begun and finished(folder), begun and bool(folder.read().get("learned"))


class Training:
    """One run of `train`, from the table to the report; only the chief among the processes writes and speaks."""

    def __init__(
        self, e: Experiment, run: Run, device: torch.device, workers: int, say: Say, flag: runtime.Signals, fixed: dict[str, Any]
    ) -> None:  # fmt: skip
        self.e, self.out, self.folder, self.device, self.workers = e, run, run.folder, device, workers
        self.say, self.flag, self.chief = say, flag, runtime.rank() == 0
        self.earlier = self.folder.read() if self.folder.exists() else {}
        steps, lr, threads = (fixed.get(k) or self.earlier.get(k) for k in ("steps", "lr", "threads"))
        self.steps, self.lr = steps, lr if e.recipe.lr == "find" else e.recipe.lr
        if threads in runtime.choices_of_threads(device):  # bytes depend on it
            torch.set_num_threads(threads)
        self.precision = runtime.precision_of(e.recipe.precision, device, e.model)
        self.batch, self.val_rows = e.recipe.batch_for(len(e.data.rows("train"))), e.data.rows("val")
        runtime.placed(e.model, device)
        if e.begin:  # first: weights that do not fit are told before anything is written
            e.begin(e.model)
        self.kernels = first_kernels(e.model)

    def run(self, dry_run: bool) -> None:
        """All of it."""
        e = self.e
        words.data(self.say, e)
        stream = e.data.stream(batch=self.batch, seed=e.recipe.seed, device=self.device, workers=self.workers)
        words.plan(self.say, e, epoch=len(stream), batch=self.batch, precision=self.precision, device=self.device)
        if dry_run:
            self.say("Next", "the same command without --dry-run")
            return
        theirs: dict[str, Scored] = {}
        if self.chief:
            self.begin()
            theirs = rivals(e, self.val_rows)
            words.baselines(self.say, theirs, len(self.val_rows))
        try:
            closed = erm.Fitted([], 0, 0.0, erm.EarlyStopping(), "a closed form", False)
            fitted = self.fit(stream) if e.players else closed
        except Wrong as wrong:
            self.fail(wrong)
            raise
        finally:
            self.say.end()
        if fitted.kept.kept:
            e.model.load_state_dict({k: v.to(self.device) for k, v in fitted.kept.kept.items()})
        if e.solve:
            with torch.no_grad():
                e.solve(e.model.eval(), e.data.batches("train", self.batch, self.device))
        if self.chief and (fitted.kept.kept or not e.players):
            self.conclude(fitted, theirs)
        elif self.chief:
            self.folder.write(status="stopped", step=fitted.step)
        runtime.wait()
        if self.flag:
            self.say("Saved", "go on with the same command")
            raise Interrupted(self.flag.code)

    def begin(self) -> None:
        """Write what the run is made of, before anything moves."""
        e = self.e
        if not self.earlier.get("learned"):  # in this order, so that a run killed in between is known and begins again
            self.folder.write(experiment=e.name, arguments=e.arguments, status="running")
            self.folder.split(split_of(e))
        known: dict[str, Any] = {"opened": [], "stops": [], "step": 0, "steps": self.steps, "lr": self.lr}
        known["threads"] = torch.get_num_threads()
        self.folder.write(
            **made_of(e, batch=self.batch, precision=self.precision, device=self.device),
            status="running", **{k: self.earlier.get(k, v) for k, v in known.items()},
        )  # fmt: skip

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        """Risk on an even sample of as many training rows as validation has, and there, and the task's scores there."""
        e, row = self.e, dict[str, float]()
        if e.task.loss:
            most = min(512, len(self.val_rows))
            row["train"] = erm.risk(model, e.data.batches("train", 256, self.device, most), e.task.loss)
            row["val"] = erm.risk(model, e.data.batches("val", 256, self.device), e.task.loss)
        if e.task.follow:
            row |= e.task.follow(model, e.data.batches("val", 256, self.device))
        if e.task.live and len(self.val_rows) <= LIVE:
            with torch.no_grad():
                said = [a for x, _ in e.data.batches("val", 256, self.device) for a in e.task.predict(model, x)]
            scores = values(e.task.score(self.val_rows, said), len(said))
            row |= {k: v for k, v in scores.items() if v is not None and "/" not in k}
        return row

    def fit(self, stream: erm.Batches) -> erm.Fitted:
        """The loop; its learning rate, where it is to be found, and its steps are fixed before the first."""
        e, recipe, minutes = self.e, self.e.recipe, self.e.recipe.minutes
        lr, steps = runtime.gather(self.lr)[0], runtime.gather(self.steps)[0]
        if lr is None:
            lr = erm.rate_found(e.model, stream, e.players, recipe=recipe, precision=self.precision, device=self.device)
            self.say("Rate", f"{lr:g}, a tenth of where the risk was least in a range test", "--lr")
        lr = float(lr)
        if steps is None and minutes:
            self.say("Budget", f"{minutes:g} min for the fit: timing its first steps")
            steps = erm.steps_within(
                minutes * 60, e.model, stream, e.players, recipe=recipe, lr=lr, evaluate=self.evaluate,
                precision=self.precision, device=self.device,
            )  # fmt: skip
            self.say("", f"{steps:,} steps, with {words.threads()}")
        steps = int(steps or recipe.epochs_for(len(stream)) * len(stream))
        if self.chief:
            made = self.folder.read()["recipe"] | {"lr": lr}
            self.folder.write(steps=steps, threads=torch.get_num_threads(), lr=lr, recipe=made)
        epochs = math.ceil(steps / len(stream))

        def tell(run: erm.Run) -> None:
            said = f"{words.epoch(run.rows[-1] if run.rows else {})}  {left(run.seconds / run.step * (steps - run.step))} left"
            self.say.progress(run.step, steps, f"{(run.step - 1) // len(stream) + 1}/{epochs}", said)

        def log(rows: list[dict[str, Any]]) -> None:
            if not self.chief:
                return
            self.folder.history(rows)
            if not self.say.stream.isatty():
                row = rows[-1]
                said = f"{words.epoch(row)}  {left(row['seconds'] / row['step'] * (steps - row['step']))} left"
                self.say.line(f"epoch {row['epoch'] + 1:>{len(str(epochs))}}/{epochs}  {said}")

        fitted = erm.fit(
            e.model, stream, e.players, recipe=recipe, lr=lr, steps=steps, evaluate=self.evaluate,
            watch="val" if e.task.loss else None, precision=self.precision, device=self.device, checkpoints=self.folder.checkpoints,
            signals=self.flag, tell=tell, log=log, limit=minutes * 60 * 1.03 if minutes else math.inf,
        )  # fmt: skip
        if self.chief:
            self.folder.history(fitted.rows)
        return fitted

    def conclude(self, fitted: erm.Fitted, theirs: dict[str, Scored]) -> None:
        """Calibrate on validation, save the weights, score validation, write the report."""
        e = self.e
        e.model.eval()
        if e.task.calibrate:
            e.task.calibrate(e.model, e.data.batches("val", 256, self.device))
        self.folder.save_weights(e.model.state_dict())
        answers = answer(e, self.val_rows, self.device)
        mine = e.task.score(self.val_rows, answers)
        scores, others = judge(e, self.val_rows, mine), beside(e, self.val_rows, mine, theirs)
        self.folder.write_metrics(val=recorded(scores), **others)
        self.out.write_predictions(e, self.val_rows, answers, "val")
        if e.players and (after := first_kernels(e.model)) is not None and self.kernels is not None:
            figure = drawn.filters(self.kernels.numpy(), after.numpy())
            self.folder.write_figures("filters", [figure.to_dict()])
        kept = {"epoch": fitted.kept.epoch if e.players else None, "why": fitted.why}
        stops = self.folder.read().get("stops", []) + ([{"step": fitted.step}] if fitted.stopped else [])
        self.folder.model_card.unlink(missing_ok=True)  # written last: where it is, the run is whole
        self.folder.write(
            status="stopped" if fitted.stopped else "finished", kept=kept, stops=stops, learned=e.data.facts,
            seconds=round(fitted.seconds, 2), step=fitted.step,
        )  # fmt: skip
        page = reported(self.out, e, answers)
        words.result(self.say, kept, scores, others["difference"], page, e.task.loss is not None)

    def fail(self, wrong: Wrong) -> None:
        """Record why the run could not go on; the last good weights stay, and are written where there are some."""
        if not self.chief or wrong.code != RUN:
            return
        last = self.folder.checkpoints.load(self.device)
        if last and last[1].get("kept"):
            self.folder.save_weights(last[1]["kept"])
            epoch = last[1]["stop"]["epoch"]
            wrong.args = (f"{wrong}\n  the weights of epoch {epoch} are kept in {self.folder.weights}",)
        self.folder.write(status="failed", reason=wrong.reason)
