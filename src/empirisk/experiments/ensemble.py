"""Runs -> their mean, and how far they disagree."""

import dataclasses as dc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from empirisk.data.targets import Classes, Number, Value, Verdict
from empirisk.errors import Wrong, listed, shown
from empirisk.estimate import Statistic, estimate
from empirisk.experiment import Answer, Experiment, Rows, Task, experiment
from empirisk.experiments import rebuild
from empirisk.figures import Curve, Figure, chart
from empirisk.files import sha256
from empirisk.folder import RunFolder
from empirisk.models.ensemble import Answered, Ensemble
from empirisk.recipe import Recipe

PARTS = 5
"""Groups of equally many rows, from those on which the members agree to those on which they do not."""


@experiment
def ensemble(runs: list[str]) -> Experiment:
    """Average the answers of several trained runs of one task: f(x) = 1/M sum_m f_m(x), probabilities or values.

    By Jensen's inequality its cross-entropy is at most the mean of its members'. Lakshminarayanan et al. (2017).
    Nothing is trained; the members' weights are copied, so their folders may go.

    Example: empirisk train ensemble runs/first runs/second

    Parameters
    ----------
    runs
        folders of two trained runs or more, of the same data, split and classes; their models and seeds may differ.
    """
    parents = [parent(run) for run in runs]  # from run.json they come by value: their folders may be gone
    members = [rebuild(p, {}) for p in parents]
    folders = [RunFolder(Path(p["path"])) for p in parents]
    splits = [f.read_split() for f in folders if (f.path / "split.csv").exists()]
    known = any(isinstance(run, dict) for run in runs)
    refuse_others([shown(f.path) for f in folders], members, [] if known else splits)
    first, kind = members[0], members[0].data.kind
    if not isinstance(kind, Classes | Number):
        raise Wrong(f"{first.name} has no mean of answers", remedy="join runs of classification or of regression")
    link: Any = "values" if isinstance(kind, Number) else "labels" if kind.multi else "classes"
    unit = kind.std if isinstance(kind, Number) else 1.0  # of the disagreement
    return Experiment(
        dc.replace(first.data, assigned=splits[0] if splits else {}),
        Ensemble([m.model for m in members], link),
        dc.replace(first.task, predict=partial(predict, first.task, unit), show=partial(show, first.task)),
        [],
        Recipe(precision="float32"),
        begin=partial(copy_weights, parents),
        arguments={"runs": parents},
        parents={p["path"]: p["sha256"] for p in parents},
    )


def parent(run: Any) -> dict[str, Any]:
    """A member by value: its folder, experiment, arguments, what it learned, and the hash of its weights.

    `Wrong` (exit 2): no run, one that is not trained, or one that was made with an object.
    """
    if isinstance(run, dict):
        return run
    folder = RunFolder(Path(getattr(run, "path", run)))
    record = folder.read()
    if not (folder.weights.exists() and record.get("learned")):
        remedy = "train it to its end first: the same train command goes on"
        raise Wrong(f"{folder.path} has no weights yet", remedy=remedy)
    kept = {k: record[k] for k in ("experiment", "arguments", "learned")}
    return {"path": str(folder.path), **kept, "sha256": sha256(folder.weights)}


def refuse_others(paths: list[str], members: list[Experiment], splits: list[dict[str, dict[str, str]]]) -> None:
    """Refuse a single run, a run twice, and runs of another task, other classes, grid or split: `Wrong` (exit 2), naming what differs."""
    if len(members) < 2 or len(set(paths)) < len(paths):
        raise Wrong(f"an ensemble of {listed(paths) or 'nothing'}", remedy="give two different runs or more")
    here = described(members[0])
    for path, there in zip(paths[1:], map(described, members[1:]), strict=True):
        differ = [f"{k} {shown(there.get(k), 60)}, not {shown(v, 60)}" for k, v in here.items() if there.get(k) != v]
        if differ:
            what = f"{path} is of another kind than {paths[0]}"
            raise Wrong(what, where=listed(differ, 4), remedy="join runs of one task")
    parts = [{i: (row["part"], row["sha256"]) for i, row in split.items()} for split in splits]
    for path, others in zip(paths[1:], parts[1:], strict=False):
        if others != parts[0]:
            n = sum(others.get(i) != row for i, row in parts[0].items()) + len(others.keys() - parts[0].keys())
            what = f"{path} is of other data or another split than {paths[0]}: {n} rows differ"
            raise Wrong(what, remedy="train both on the same data with the same --split-seed")


def described(e: Experiment) -> dict[str, Any]:
    """What members must share: the experiment, what an answer is, and the images' grid."""
    grid = {k: getattr(e.data.card(), k) for k in ("channels", "size", "range", "inputs")}
    return {"experiment": e.name} | vars(e.data.kind) | grid


def copy_weights(parents: list[dict[str, Any]], model: nn.Module) -> None:
    """Each member's weights from its folder, if they still are what they were; raises Wrong (exit 3) if not."""
    for p, member in zip(parents, model.get_submodule("members").children(), strict=True):
        fill(p, member)


def fill(parent: dict[str, Any], net: nn.Module) -> None:
    """The weights of a run that is kept by value, from its folder; raises Wrong (exit 3) if they are no longer what they were."""
    folder = RunFolder(Path(parent["path"]))
    folder.load_weights(net)
    if sha256(folder.weights) != parent["sha256"]:
        raise Wrong(f"{shown(folder.path)} was trained anew since", remedy="give another --out", code=3)


class Vote(Verdict):
    """A verdict with a further column: the disagreement."""

    more: dict[str, float]


@torch.no_grad()
def predict(task: Task, unit: float, model: Ensemble, x: Any) -> list[Answer]:
    """The task's answers to the mean, each with the disagreement beside it."""
    out = model.each(x)
    answers: list[Answer] = []
    for said, d in zip(task.predict(Answered(model, model.joined(out)), x), model.apart(out).tolist(), strict=True):
        answers.append(Value(said) if isinstance(said, float) else Vote(*said))
        answers[-1].more = {"disagreement": unit * d}
    return answers


def show(task: Task, e: Experiment, rows: Rows, answers: list[Answer]) -> list[Figure]:
    """The task's pictures, and whether disagreement tells of errors."""
    return [disagreement(task, rows, answers), *task.show(e, rows, answers)]


def disagreement(task: Task, rows: Rows, answers: list[Answer]) -> Figure:
    """The score of the rows in five groups, from those on which the members agree to those on which they do not."""
    d = np.array([a.more["disagreement"] for a in answers])
    scores: dict[str, Statistic] = task.score(rows, answers)
    name = next((k for k in ("accuracy", "rmse") if k in scores), next(iter(scores)))
    points = []
    for group in np.array_split(np.argsort(d, kind="stable"), min(PARTS, len(d))):
        found = estimate(scores[name], [r.get("patient") for r in rows], keep=np.isin(np.arange(len(d)), group))
        ends = (np.nan if v is None else v for v in (found.value, found.low, found.high))
        points.append((float(d[group].mean()), *ends, found.n))
    x, y, low, high, _ = zip(*points, strict=True)
    text = (
        f"Rows in {len(points)} groups of equal size by how far the members are apart; each with its {name} and the 95 % interval. "
        "Where the last group is worse than the first, disagreement tells which answers to doubt."
    )
    svg = chart([Curve("", x, y, low, high, dots=True)], label=text, x="disagreement", y=name)
    columns = ("disagreement", name, "low", "high", "n")
    return Figure("disagreement", "Disagreement", svg, text, "pictures", columns, tuple(points))
