"""The first minutes, offline: a planted leak that the audit refuses, then a run, its test and its report."""

import inspect
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from empirisk.data import phantom
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.experiment import Experiment
from empirisk.experiments import named
from empirisk.verbs.flags import Json
from empirisk.verbs.say import Say, short
from empirisk.verbs.train import train
from empirisk.verbs.words import against

FIRST = "classification"
LONG, SHORT = ("phantom:size=64", 30), ("phantom:images=400,size=48", 12)
"""Data and epochs of the first demo, and of any other."""
VIDEOS = "phantom-video:videos=40,size=16"
GIVEN: dict[str, dict[str, Any]] = {"anomaly": {"normal": "benign"}}
"""What an experiment must be told of the phantom."""


def demo(
    experiment: Annotated[str, Parameter(help="one that `empirisk list experiments` names")] = FIRST, *,
    out: Annotated[str | None, Parameter(help="run folder; runs/demo if not given")] = None, json: Json = False,
) -> None:  # fmt: skip
    """Train on the embedded phantom, test, write and name the report: no data, no network; two minutes, any other half a minute.

    Example: empirisk demo
    """
    say, name = Say(as_json=json), "demo" if experiment == FIRST else f"demo-{experiment}"
    folder = Path(out or Path("runs") / name)
    run = train(made(experiment, folder, say), folder, say=say)
    scores = run.test()
    say.numbers("Test", scores)
    first = next(iter(scores))
    for rival, found in run.folder.metrics()["difference"].items():
        if first in found:
            say("", against(rival, first, Estimate(**found[first])))
    beside_the_least(say, scores)
    say("Report", str(run.folder.report))
    say("Again", f"empirisk train --config {run.folder.path / 'run.json'}")
    say("Yours", "empirisk data FOLDER")
    say("", f"empirisk train {experiment} {'RUN RUN' if joins(experiment) else 'FOLDER'}")
    test = {k: v.json() for k, v in scores.items()}
    say.document({"run": str(run.path), "report": str(run.folder.report), "test": test})


def joins(experiment: str) -> bool:
    """Whether it is made of runs, not of data."""
    return "runs" in inspect.signature(named(experiment)).parameters


def made(experiment: str, folder: Path, say: Say) -> Experiment:
    """The experiment on the phantom after a leak was refused; where it is made of runs, of two that are trained beside `folder`."""
    of_runs, (data, epochs) = joins(experiment), LONG if experiment == FIRST else SHORT
    of_videos = experiment == "frames"
    build, own = named(FIRST if of_runs else experiment), GIVEN.get(experiment, {})
    try:
        (named(FIRST) if of_videos else build)(f"{data},planted=1", **own)
    except Wrong as refused:
        say("Leak", f"planted on purpose: {refused.what}; {refused.where}")
        say("", f"refused; going on without {phantom.PLANTED}, as a table without that patient")
    data = VIDEOS if of_videos else f"{data},without={phantom.PLANTED}"
    if not of_runs:
        e = build(data, **own)
        return build(data, epochs=epochs, **own) if e.players else e
    members = {seed: folder.with_name(f"{folder.name}-member-{seed}") for seed in (0, 1)}
    paths = [train(build(data, epochs=epochs, seed=seed), path, say=say).path for seed, path in members.items()]
    return named(experiment)([str(path) for path in paths])


def beside_the_least(say: Say, scores: dict[str, Estimate]) -> None:
    """How far the error lies from the least that there can be on the phantom, where that is known."""
    if (accuracy := scores.get("accuracy")) and accuracy.value is not None:
        error, bayes = 1 - accuracy.value, phantom.bayes_error()
        side = "above" if error >= bayes else "below"
        say("", f"error {short(error)}: {short(abs(error - bayes))} {side} the Bayes error {short(bayes)}")
    elif (rmse := scores.get("rmse")) and rmse.value is not None:
        least = short(phantom.least_rmse())
        say("", f"root mean squared error {short(rmse.value)} mm, the least possible is {least} mm")
