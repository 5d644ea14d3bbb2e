"""A run opened again, the task's answers to rows, and how good they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from empirisk import runtime
from empirisk.data.splits import key
from empirisk.data.written import told_apart
from empirisk.errors import Wrong, listed, near
from empirisk.estimate import Estimate, Statistic, difference, estimates, measured_by
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.experiments import rebuild
from empirisk.folder import RunFolder
from empirisk.verbs.say import evidence

Scored = Mapping[str, Statistic]
"""The scores of some answers by name, as functions of weights."""


@torch.no_grad()
def answer(e: Experiment, rows: Rows, device: torch.device | None = None) -> list[Answer]:
    """One answer a row, in order, in float32. Needs no y, so new images are answered alike."""
    device = device or torch.device("cpu")
    e.model.to(device).eval()
    return [said for x in e.data.chunks(rows, device) for said in e.task.predict(e.model, x)]


def patients(rows: Rows) -> list[str | None]:
    """The patient of each row, by which intervals are drawn."""
    return [key(r["patient"]) if r.get("patient") else None for r in rows]


def judge(e: Experiment, rows: Rows, scores: Scored, keep: np.ndarray | None = None) -> dict[str, Estimate]:
    """Every score with its interval."""
    return estimates(scores, patients(rows), keep=keep, unit=e.data.unit)


def rivals(e: Experiment, rows: Rows) -> dict[str, Scored]:
    """The scores of the baselines on these rows; they are fitted to the training rows."""
    return {name: e.task.score(rows, said(rows)) for name, said in e.task.baseline(e.data.rows("train")).items()}


def paired(e: Experiment, rows: Rows, a: Scored, b: Scored) -> dict[str, Estimate]:
    """a - b over the same rows, of every score that both have, measured by the same."""
    same = [k for k in a if k in b and "/" not in k and measured_by(a[k]) == measured_by(b[k])]
    return judge(e, rows, {k: difference(a[k], b[k]) for k in same})


def beside(e: Experiment, rows: Rows, mine: Scored, theirs: Mapping[str, Scored]) -> dict[str, Any]:
    """For metrics.json: the baselines' scores on these rows, and the paired differences, model minus baseline."""
    alone = {name: judge(e, rows, scores) for name, scores in theirs.items()}
    found = {name: paired(e, rows, mine, scores) for name, scores in theirs.items()}
    differences = {name: some for name, some in found.items() if some}
    return {"baseline": recorded(alone), "difference": recorded(differences)}


def recorded(scores: Any) -> Any:
    """Estimates, nested by name, as metrics.json holds them."""
    return scores.json() if isinstance(scores, Estimate) else {k: recorded(v) for k, v in scores.items()}


class Scores(dict[str, Estimate]):
    """Estimates by name; printed, they are a small table."""

    def __repr__(self) -> str:
        return "\n".join(evidence(name, e) for name, e in self.items())


@dataclass(frozen=True)
class Run:
    """A run folder, and what can be done with it."""

    path: Path
    objects: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    "arguments that run.json could not hold: a table in memory, a module"

    @property
    def folder(self) -> RunFolder:
        """Its files."""
        return RunFolder(self.path)

    def experiment(self, **changes: Any) -> Experiment:
        """The same function, the same arguments, what it had learned, and its weights.

        `Wrong` (exit 2) if there is no run; (exit 3) if its weights are not whole.
        """
        e = rebuild(self.folder.read(), self.folder.read_split(), objects=self.objects, **changes)
        self.folder.load_weights(e.model)
        return e

    def write_predictions(
        self, e: Experiment, rows: Rows, answers: Sequence[Answer], stem: str
    ) -> tuple[Path, list[dict[str, Any]]]:
        """predictions/STEM.csv, and its rows: id, patient, target, prediction, then by kind."""
        folder, kind = self.folder.prediction_file(stem).parent, e.data.kind
        assert kind is not None
        cells = [
            {"id": r["id"], "patient": r.get("patient") or ""} | kind.write(apart, a, folder) | getattr(a, "more", {})
            for r, apart, a in zip(rows, told_apart(rows), answers, strict=True)
        ]
        return self.folder.write_predictions(stem, list(cells[0]), cells), cells

    def test(
        self, data: Any = None, at: str | None = None, subgroup: str | None = None, device: str = "auto"
    ) -> dict[str, Estimate]:
        """Open the test set, or judge on all of another one."""
        from empirisk.verbs.test import tested

        return Scores(tested(self, data=data, at=at, subgroup=subgroup, device=runtime.device_named(device)))

    def predict(self, images: Any, device: str = "auto") -> list[Answer]:
        """Answers for paths, arrays (C, *size) or tensors; needs no training data."""
        from empirisk.verbs.predict import predicted

        given = [images] if isinstance(images, (str, Path, np.ndarray, torch.Tensor)) else list(images)
        return predicted(self, given, device=runtime.device_named(device))[2]

    def report(self) -> Path:
        """Write the page again."""
        from empirisk.verbs.report import reported

        return reported(self)


def load(path: str | Path, **objects: Any) -> Run:
    """A run folder as a Run; `objects` are arguments that run.json could not hold, such as model=Net().

    `Wrong` (exit 2) if it is no run, or one that has learned nothing yet.
    """
    run = Run(Path(path), objects)
    record = run.folder.read()
    known = record.get("arguments", {})
    if unknown := [k for k in objects if k not in known]:
        raise Wrong(f"{path} has no argument {listed(unknown)}", remedy=near(unknown[0], known))
    if not record.get("learned"):
        what = f"{path} has only begun: nothing was learned yet"
        raise Wrong(what, remedy="train it first: the same train command goes on")
    return run


def joined(paths: Iterable[Any]) -> str:
    """The stem of a predictions file: of one path its own name, of several their folder's."""
    given = [Path(p) for p in paths]
    one = given[0] if len(given) == 1 else given[0].absolute().parent
    whole = one.is_dir() or len(given) > 1
    stem = (one.name if whole else Path(one.name.removesuffix(".gz")).stem) or "predictions"
    return f"{stem}-new" if stem in {"test", "val"} else stem  # those are the run's own
