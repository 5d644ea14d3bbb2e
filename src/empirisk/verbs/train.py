"""Experiment -> run folder: make the risk small, keep the best epoch, say how good it is on validation."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from empirisk import erm, runtime
from empirisk.errors import RUN, Wrong
from empirisk.estimate import values
from empirisk.experiment import Experiment, Rows
from empirisk.experiments import rebuild
from empirisk.folder import RunFolder
from empirisk.models.transfer import first_kernels
from empirisk.report import drawn
from empirisk.verbs import words
from empirisk.verbs.place import finished, place
from empirisk.verbs.record import made_of, split_of
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, answer, beside, judge, recorded
from empirisk.verbs.say import Say

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

    Raises
    ------
    Wrong
        exit 2 for wrong arguments, exit 3 if the run cannot go on.
    """
    say = say or Say()
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
            Training(e, folder, chosen, workers, say, flag, fixed or {}).run(dry_run)
        return run


def found(e: Experiment, out: str | Path | None) -> tuple[RunFolder, bool, bool]:
    """The run's folder, and whether it is finished, and whether it has learned; one process looks for all."""
    folder, begun = place(e.name, e.arguments, out)
    return folder, begun and finished(folder), begun and bool(folder.read().get("learned"))


class Training:
    """One run of `train`, from the table to the report."""

    def __init__(
        self, e: Experiment, folder: RunFolder, device: torch.device, workers: int, say: Say, flag: runtime.Signals,
        fixed: dict[str, Any],
    ) -> None:  # fmt: skip
        self.e, self.folder, self.device, self.workers = e, folder, device, workers
        self.say, self.flag = say, flag
        earlier = folder.read() if folder.exists() else {}
        self.steps = fixed.get("steps") or earlier.get("steps")
        self.lr = fixed.get("lr") or earlier.get("lr") if e.recipe.lr == "find" else e.recipe.lr
        threads = fixed.get("threads") or earlier.get("threads")
        if threads in runtime.choices_of_threads(device):  # bytes depend on it
            torch.set_num_threads(threads)
        self.precision = runtime.precision_of(e.recipe.precision, device, e.model)
        self.train_rows, self.val_rows = e.data.rows("train"), e.data.rows("val")
        self.batch = e.recipe.batch_for(len(self.train_rows))
        runtime.placed(e.model, device)

    @property
    def chief(self) -> bool:
        """Whether this process writes and speaks."""
        return runtime.rank() == 0

    def run(self, dry_run: bool) -> None:
        """All of it."""
        e = self.e
        if e.begin:  # first: weights that do not fit are told before anything is written
            e.begin(e.model)
        self.kernels = first_kernels(e.model)
        words.understood(self.say, e)
        stream = e.data.stream(batch=self.batch, seed=e.recipe.seed, device=self.device, workers=self.workers)
        words.plan(self.say, e, epoch=len(stream), batch=self.batch, precision=self.precision, device=self.device)
        if dry_run:
            self.say("Next", "the same command without --dry-run")
            return
        if self.chief:
            self.begin()
        baselines = e.task.baseline(self.train_rows) if self.chief else {}
        if self.chief:
            words.baselines(self.say, e, self.val_rows, baselines)
        try:
            fitted = self.fit(stream) if e.players else None
        except Wrong as wrong:
            self.fail(wrong)
            raise
        finally:
            self.say.end()
        if fitted and fitted.kept.kept:
            e.model.load_state_dict({k: v.to(self.device) for k, v in fitted.kept.kept.items()})
        if e.solve:
            with torch.no_grad():
                e.solve(e.model.eval(), e.data.batches("train", self.batch, self.device))
        if self.chief and (fitted is None or fitted.kept.kept):
            self.conclude(fitted, baselines)
        elif self.chief and fitted:
            self.folder.write(status="stopped", step=fitted.step)
        runtime.wait()
        if self.flag:
            self.say("Saved", "go on with the same command")
            raise Interrupted(self.flag.code)

    def begin(self) -> None:
        """Write what the run is made of, before anything moves."""
        e = self.e
        earlier = self.folder.read() if self.folder.exists() else {}
        if not earlier.get("learned"):  # in this order, so that a run killed in between is known and begins again
            self.folder.write(experiment=e.name, arguments=e.arguments, status="running")
            self.folder.split(split_of(e))
        known = {
            "opened": list[str](), "stops": list[str](), "step": 0, "steps": self.steps, "lr": self.lr,
            "threads": torch.get_num_threads(),
        }  # fmt: skip
        self.folder.write(
            **made_of(e, batch=self.batch, precision=self.precision, device=self.device),
            status="running", **{k: earlier.get(k, v) for k, v in known.items()},
        )  # fmt: skip

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        """Risk on an even sample of the training rows and on validation, and the task's scores on validation."""
        e, row = self.e, dict[str, float]()
        if e.task.loss:
            most = min(512, max(len(self.val_rows), 128))
            row["train"] = erm.risk(model, e.data.batches("train", 256, self.device, most), e.task.loss)
            row["val"] = erm.risk(model, e.data.batches("val", 256, self.device), e.task.loss)
        if e.task.live and len(self.val_rows) <= LIVE:
            with torch.no_grad():
                said = [a for x, _ in e.data.batches("val", 256, self.device) for a in e.task.predict(model, x)]
            found = values(e.task.score(self.val_rows, said), len(said))
            row |= {k: v for k, v in found.items() if v is not None and "/" not in k}
        return row

    def rate(self, stream: erm.Batches) -> float:
        """The learning rate: the given one, or found once, before the first step."""
        found = runtime.gather(self.lr)[0]
        if found is None:
            found = erm.rate_found(
                self.e.model, stream, self.e.players, recipe=self.e.recipe, precision=self.precision, device=self.device
            )
            self.say("Rate", f"{found:g}, a tenth of where the risk was least in a range test", "--lr")
        return float(found)

    def fit(self, stream: erm.Batches) -> erm.Fitted:
        """The loop, with its steps fixed before the first."""
        e, recipe, lr = self.e, self.e.recipe, self.rate(stream)
        planned = runtime.gather(self.steps)[0]
        if planned is None and recipe.minutes:
            self.say("Budget", f"{recipe.minutes:g} min for the fit: timing its first steps")
            planned = erm.steps_within(
                recipe.minutes * 60, e.model, stream, e.players, recipe=recipe, lr=lr, evaluate=self.evaluate,
                precision=self.precision, device=self.device,
            )  # fmt: skip
            self.say("", f"{planned:,} steps, with {words.threads()}")
        self.steps = planned or recipe.epochs_for(len(stream)) * len(stream)
        if self.chief:
            made = self.folder.read()["recipe"] | {"lr": lr}
            self.folder.write(steps=self.steps, threads=torch.get_num_threads(), lr=lr, recipe=made)
        limit = recipe.minutes * 60 * 1.03 if recipe.minutes else math.inf
        epochs = math.ceil(self.steps / len(stream))
        began: list[float] = []

        def tell(run: erm.Run) -> None:
            began[:] = began or [time.monotonic() - run.seconds * (run.step - 1) / max(run.step, 1)]
            row = run.rows[-1] if run.rows else {}
            self.say.progress(
                run.step, self.steps or 1, (run.step - 1) // len(stream), epochs, words.epoch(row), began[0]
            )

        def log(rows: list[dict[str, Any]]) -> None:
            if self.chief:
                self.folder.history(rows)
                if not self.say.stream.isatty():
                    row = rows[-1]
                    left = words.left(row["seconds"] / row["step"] * ((self.steps or 0) - row["step"]))
                    self.say.line(
                        f"epoch {row['epoch'] + 1:>{len(str(epochs))}}/{epochs}  {words.epoch(row)}  {left} left"
                    )

        fitted = erm.fit(
            e.model, stream, e.players, recipe=recipe, lr=lr, steps=self.steps, evaluate=self.evaluate,
            watch="val" if e.task.loss else None, precision=self.precision, device=self.device,
            checkpoints=self.folder.checkpoints, signals=self.flag, tell=tell, log=log, limit=limit,
        )  # fmt: skip
        if self.chief:
            self.folder.history(fitted.rows)
        return fitted

    def conclude(self, fitted: erm.Fitted | None, baselines: dict[str, Callable[[Rows], list[Any]]]) -> None:
        """Calibrate on validation, save the weights, score validation, write the report."""
        e = self.e
        e.model.eval()
        if e.task.calibrate:
            e.task.calibrate(e.model, e.data.batches("val", 256, self.device))
        self.folder.save_weights(e.model.state_dict())
        answers = answer(e, self.val_rows, self.device)
        mine = e.task.score(self.val_rows, answers)
        scores = judge(e, self.val_rows, mine)
        theirs, differences = beside(e, self.val_rows, mine, baselines)
        self.folder.write_metrics(val=recorded(scores), baseline=recorded(theirs), difference=recorded(differences))
        run = Run(self.folder.path, e.objects)
        run.write_predictions(e, self.val_rows, answers, "val")
        if (after := first_kernels(e.model)) is not None and self.kernels is not None:
            figure = drawn.filters(self.kernels.numpy(), after.numpy())
            self.folder.write_figures("filters", [figure.to_dict()])
        stopped = bool(fitted and fitted.stopped)
        kept = {"epoch": fitted.kept.epoch, "why": fitted.why} if fitted else {"epoch": None, "why": "a closed form"}
        stops = self.folder.read().get("stops", []) + ([{"step": fitted.step}] if stopped and fitted else [])
        self.folder.model_card.unlink(missing_ok=True)  # written last: where it is, the run is whole
        self.folder.write(
            status="stopped" if stopped else "finished", kept=kept, stops=stops, learned=e.data.facts,
            seconds=round(fitted.seconds, 2) if fitted else 0.0,
            step=fitted.step if fitted else 0,
        )  # fmt: skip
        page = reported(run, e, answers)
        words.result(self.say, kept, scores, differences, page, self.folder.path)

    def fail(self, wrong: Wrong) -> None:
        """Record why the run could not go on; the last good weights stay, and are written where there are some."""
        if not self.chief or wrong.code != RUN:
            return
        found = self.folder.checkpoints.load(self.device)
        if found and found[1].get("kept"):
            self.folder.save_weights(found[1]["kept"])
            epoch = found[1]["stop"]["epoch"]
            wrong.args = (f"{wrong}\n  the weights of epoch {epoch} are kept in {self.folder.weights}",)
        self.folder.write(status="failed", reason=wrong.reason)
