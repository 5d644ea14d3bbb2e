"""Experiment -> run folder: make the risk small, keep the best epoch, say how good it is on validation."""

import contextlib
import math
import platform
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import empirisk
from empirisk import erm, runtime
from empirisk.errors import RUN, Wrong, listed
from empirisk.estimate import Estimate, values
from empirisk.experiment import Experiment, Rows
from empirisk.experiments import rebuild
from empirisk.folder import RunFolder
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, answer, beside, judge, recorded
from empirisk.verbs.say import Say, interval, short

LIVE = 2000
"""Validation rows that are scored at each epoch at most; the risk is always of all."""


class Interrupted(KeyboardInterrupt):
    """Stopped by a signal after everything was saved; carries the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def place(name: str, arguments: dict[str, Any], out: str | Path | None) -> tuple[RunFolder, bool]:
    """The run's folder, and whether this very run is in it.

    Without `out`: runs/<stem of data>, or the next free name if other arguments were used there.

    Raises
    ------
    Wrong
        exit 2 if `out` holds a run of other arguments; names them.
    """
    if out is not None:
        folder = RunFolder(Path(out))
        if not folder.exists():
            if folder.path.exists() and (
                not folder.path.is_dir() or any(not p.name.startswith(".") for p in folder.path.iterdir())
            ):
                raise Wrong(f"{folder.path} is there and is no run", remedy="give another --out")
            return folder, False
        differing = differs(folder, name, arguments)
        if differing:
            raise Wrong(
                f"{folder.path} holds a run of other arguments", where=listed(differing, 5),
                remedy="give another --out, or the same arguments to go on",
            )  # fmt: skip
        return folder, True
    data = str(arguments.get("data", name))
    stem = Path(data.split(":", 1)[0]).name.removesuffix(".gz")
    first = Path("runs") / (Path(stem).stem or name)
    folder, number = RunFolder(first), 1
    while folder.exists() and differs(folder, name, arguments):
        number += 1
        folder = RunFolder(first.with_name(f"{first.name}-{number}"))
    return folder, folder.exists()


def differs(folder: RunFolder, name: str, arguments: dict[str, Any]) -> list[str]:
    """The arguments in which a folder's run is another."""
    run = folder.read()
    there = {"experiment": run.get("experiment")} | run.get("arguments", {})
    here = {"experiment": name} | arguments
    return [f"{k}: {there.get(k)!r} there, {here.get(k)!r} now" for k in here | there if there.get(k) != here.get(k)]


def train(
    e: Experiment, out: str | Path | None = None, *, device: str = "auto", workers: int = 0, processes: int = 1,
    dry_run: bool = False, steps: int | None = None, say: Say | None = None,
) -> Run:  # fmt: skip
    """Train an experiment into a folder; the same call goes on where it was stopped, and says so when it is finished.

    Parameters
    ----------
    out
        run folder; None: runs/<name of the data>.
    device
        auto, cpu, cuda, cuda:1 or mps.
    workers
        processes that read images; 0: none, held in memory where they fit.
    processes
        that train together on this machine.
    dry_run
        say what was understood and planned, and stop there.
    steps
        of the whole run, as fixed by an earlier one.

    Raises
    ------
    Wrong
        exit 2 for wrong arguments, exit 3 if the run cannot go on.
    """
    say = say or Say()
    if processes > 1 and not dry_run:
        from empirisk.verbs.processes import spread

        return spread(e, out, device=device, workers=workers, processes=processes, steps=steps, say=say)
    with runtime.together(device) as chosen:
        folder, begun = place(e.name, e.arguments, out) if runtime.rank() == 0 else (None, False)
        folder, begun = runtime.gather((folder, begun))[0]
        run = Run(folder.path)
        say.quiet = say.quiet or runtime.rank() > 0
        if begun and folder.read().get("status") == "finished":
            say("Finished", f"{folder.path} already holds this very run", "--out")
            say("Next", f"empirisk test {folder.path}")
            return run
        flag = runtime.Signals()
        with contextlib.ExitStack() as held:
            held.enter_context(flag.caught())
            if runtime.rank() == 0 and not dry_run:
                held.enter_context(folder.lock())
            if begun and folder.read().get("learned") and not str(e.arguments.get("data", "")).startswith("<"):
                e = rebuild(folder.read(), folder.read_split())
            Training(e, folder, chosen, workers, say, flag, steps).run(dry_run)
        return run


class Training:
    """One run of `train`, from the table to the report."""

    def __init__(
        self, e: Experiment, folder: RunFolder, device: torch.device, workers: int, say: Say, flag: runtime.Signals,
        steps: int | None,
    ) -> None:  # fmt: skip
        self.e, self.folder, self.device, self.workers = e, folder, device, workers
        self.say, self.flag, self.steps = say, flag, steps
        self.began = time.monotonic()
        self.precision = runtime.precision_of(e.recipe.precision, device, e.model)
        self.train_rows, self.val_rows = e.data.rows("train"), e.data.rows("val")
        self.batch = e.recipe.batch_for(len(self.train_rows))
        e.model.to(device)
        if any(isinstance(m, torch.nn.BatchNorm2d) for m in e.model.modules()):
            e.model.to(memory_format=torch.channels_last)

    @property
    def chief(self) -> bool:
        """Whether this process writes and speaks."""
        return runtime.rank() == 0

    def run(self, dry_run: bool) -> None:
        """All of it."""
        e = self.e
        self.say_understood()
        stream = e.data.stream(batch=self.batch, seed=e.recipe.seed, device=self.device, workers=self.workers)
        self.say_plan(len(stream))
        if dry_run:
            self.say("Next", "the same command without --dry-run")
            return
        if self.chief:
            self.begin()
        if e.begin:
            e.begin(e.model)
        baselines = e.task.baseline(self.train_rows) if self.chief else {}
        if self.chief:
            self.say_baselines(baselines)
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
        loaded = e.data.prepared()
        table = loaded.table
        assert table is not None
        earlier = self.folder.read() if self.folder.exists() else {}
        if not earlier.get("learned"):
            self.folder.split(
                [
                    {k: r.get(k, "") for k in ("id", "patient", "part", "why")} | {"sha256": loaded.hashes[r["id"]]}
                    for r in loaded.rows
                ]
            )
        self.folder.write(
            experiment=e.name, arguments=e.arguments, learned=e.data.facts, parents={},
            data={"name": table.name, "form": table.form, "source": table.source, "licence": table.licence,
                  "patients_known": table.patients_known, "sha256": fingerprint(loaded.hashes), "n": counts(loaded.rows),
                  "odd": [*table.odd, *odd_of(e, loaded)]},
            versions={"empirisk": empirisk.__version__, "torch": torch.__version__, "python": platform.python_version()},
            machine=runtime.machine(self.device),
            recipe={"batch": self.batch, "lr": e.recipe.lr, "precision": self.precision,
                    "parameters": sum(p.numel() for p in e.model.parameters())},
            status="running", opened=earlier.get("opened", []), stops=earlier.get("stops", []),
            added=loaded.added, steps=earlier.get("steps", self.steps),
            step=earlier.get("step", 0),
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

    def fit(self, stream: erm.Batches) -> erm.Fitted:
        """The loop, with its steps fixed before the first."""
        e, recipe = self.e, self.e.recipe
        assert recipe.lr is not None
        planned = self.steps or self.folder.read().get("steps")
        planned = runtime.gather(planned)[0]
        if planned is None and recipe.minutes:
            self.say("Budget", f"{recipe.minutes:g} min for the fit: timing its first steps")
            planned = erm.steps_within(
                recipe.minutes * 60, e.model, stream, e.players, recipe=recipe, lr=recipe.lr, evaluate=self.evaluate,
                precision=self.precision, device=self.device,
            )  # fmt: skip
        self.steps = planned or recipe.epochs_for(len(stream)) * len(stream)
        if self.chief:
            self.folder.write(steps=self.steps)
        limit = recipe.minutes * 60 * 1.08 if recipe.minutes else math.inf
        epochs = math.ceil(self.steps / len(stream))
        began: list[float] = []

        def tell(run: erm.Run) -> None:
            began[:] = began or [time.monotonic() - run.seconds * (run.step - 1) / max(run.step, 1)]
            row = run.rows[-1] if run.rows else {}
            self.say.progress(run.step, self.steps or 1, (run.step - 1) // len(stream), epochs, said(row), began[0])

        def log(rows: list[dict[str, Any]]) -> None:
            if self.chief:
                self.folder.history(rows)
                if not self.say.stream.isatty():
                    left = rows[-1]["seconds"] / rows[-1]["step"] * ((self.steps or 0) - rows[-1]["step"])
                    text = f"{rows[-1]['epoch'] + 1}/{epochs}  {said(rows[-1])}  {int(left) // 60}:{int(left) % 60:02d} left"
                    self.say("epoch", text)

        fitted = erm.fit(
            e.model, stream, e.players, recipe=recipe, lr=recipe.lr, steps=self.steps, evaluate=self.evaluate,
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
        run = Run(self.folder.path)
        run.write_predictions(e, self.val_rows, answers, "val")
        stopped = bool(fitted and fitted.stopped)
        kept = {"epoch": fitted.kept.epoch, "why": fitted.why} if fitted else {"epoch": None, "why": "a closed form"}
        stops = self.folder.read().get("stops", []) + ([{"step": fitted.step}] if stopped and fitted else [])
        self.folder.write(
            status="stopped" if stopped else "finished", kept=kept, stops=stops, learned=e.data.facts,
            seconds=round(fitted.seconds, 2) if fitted else 0.0,
            step=fitted.step if fitted else 0,
        )  # fmt: skip
        page = reported(run, e, answers)
        self.say_result(kept, scores, differences, page)

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

    def say_understood(self) -> None:
        """What was understood, and what is odd."""
        loaded = self.e.data.prepared()
        table = loaded.table
        assert table is not None
        card = self.e.data.card()
        grid = "x".join(str(s) for s in card.size) or f"{card.channels} columns"
        self.say(
            "Data",
            f"{table.name}: {table.form}, {len(loaded.rows):,} rows, {grid}"
            + (f", {card.channels} channels" if card.channels > 1 and card.dims else ""),
        )
        for what, found, changed in table.understood:
            self.say("", f"{what} {found}", changed)
        for line in [*table.odd, *odd_of(self.e, loaded)]:
            self.say("Odd", line)

    def say_plan(self, steps: int) -> None:
        """How it will be trained."""
        recipe, n = self.e.recipe, counts(self.e.data.prepared().rows)
        parts = ", ".join(f"{part} {sum(c.values()):,}" for part, c in n.items() if part)
        self.say("Plan", f"{parts}", "--split-seed")
        count = sum(p.numel() for p in self.e.model.parameters())
        name = self.e.arguments.get("model") or self.e.name
        if name == "auto":
            name = type(getattr(self.e.model, "net", self.e.model)).__name__.lower()
        length = f"{recipe.minutes:g} min" if recipe.minutes else f"{recipe.epochs_for(steps)} epochs of {steps} steps"
        where = (
            f"{self.device.type}, {torch.get_num_threads()} threads" if self.device.type == "cpu" else str(self.device)
        )
        self.say(
            "",
            f"{name}, {count:,} parameters, {self.precision}, batch {self.batch}, {where}, {length}",
            "--model --width",
        )

    def say_baselines(self, baselines: dict[str, Callable[[Rows], list[Any]]]) -> None:
        """What must be beaten."""
        lines = []
        for name, baseline in baselines.items():
            scores = self.e.task.score(self.val_rows, baseline(self.val_rows))
            first = next(iter(scores))
            found = values({first: scores[first]}, len(self.val_rows))[first]
            lines.append(f"{name} {short(found)}")
        if lines:
            self.say("Baseline", f"validation {first}: {'   '.join(lines)}")

    def say_result(self, kept: dict[str, Any], scores: dict[str, Estimate], differences: Any, page: Path) -> None:
        """The verdict, paths and the next command."""
        if kept["epoch"] is not None:
            self.say("Kept", f"epoch {kept['epoch'] + 1}, the least risk on validation; ended because {kept['why']}")
        first = next(iter(scores))
        others = [f"{k} {interval(v)}" for k, v in scores.items() if k in {"accuracy", "rmse", "r2"}]
        self.say(
            "Validation", "   ".join([f"{first} {interval(scores[first])}", *others]) + f"   n = {scores[first].n}"
        )
        for name, found in differences.items():
            if first in found and found[first].value is not None:
                d = found[first]
                self.say("", f"{'a tie with' if d.tie else 'differs from'} the baseline {name}: {interval(d)}")
        self.say("Report", str(page))
        self.say("Next", f"empirisk test {self.folder.path}")


def said(row: dict[str, Any]) -> str:
    """An epoch in one line."""
    words = [f"{k} {short(row[k])}" for k in ("train", "val") if k in row]
    fixed = {"epoch", "step", "train", "val", "lr", "images_per_second", "memory_gib", "seconds", "loss"}
    words += [f"{k} {short(v)}" for k, v in row.items() if k not in fixed][:1]
    if "images_per_second" in row:
        words.append(f"{row['images_per_second']:.0f} img/s  {row['memory_gib']:.1f} GiB")
    return "  ".join(words)


def counts(rows: Rows) -> dict[str, dict[str, int]]:
    """Rows per part and label; part "" is left out."""
    n: dict[str, Counter[str]] = {p: Counter() for p in ("train", "val", "test", "")}
    for r in rows:
        labels = r.get("label")
        for label in labels if isinstance(labels, tuple) else (labels if labels is not None else "rows",):
            n[r["part"]][str(label)] += 1
    return {part: dict(sorted(c.items())) for part, c in n.items() if c}


def fingerprint(hashes: dict[str, str]) -> str:
    """One sha256 of all rows' ids and contents."""
    import hashlib

    text = "\n".join(f"{i} {h}" for i, h in sorted(hashes.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def odd_of(e: Experiment, loaded: Any) -> list[str]:
    """What the audit and the split found."""
    lines = []
    out = [r["id"] for r in loaded.rows if r.get("why")]
    if out:
        lines.append(f"{len(out)} training images are identical to a held-out one and are left out: {listed(out, 3)}")
    twins = e.data.facts.get("audit", {}).get("twins", {})
    near = [f"{n} of {pair.split('/')[1]}" for pair, n in twins.items() if n and pair.startswith("train")]
    if near:
        lines.append(f"near-twins of training images: {', '.join(near)}; numbers are given with and without them")
    if loaded.added:
        lines.append(f"{len(loaded.added)} rows were added since the split was saved and are left out")
    return lines
