"""The first minutes, offline: a planted leak that the audit refuses, then a run, its test and its report."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from empirisk.data import phantom
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.experiments import named
from empirisk.verbs.flags import Json
from empirisk.verbs.say import Say, short
from empirisk.verbs.train import train
from empirisk.verbs.words import against

EPOCHS = 30


def demo(
    experiment: Annotated[str, Parameter(help="classification or regression")] = "classification", *,
    out: Annotated[str | None, Parameter(help="run folder; runs/demo if not given")] = None, json: Json = False,
) -> None:  # fmt: skip
    """Train on the embedded phantom, test, write and name the report: no data, no network, about two minutes.

    Example: empirisk demo
    """
    say = Say(as_json=json)
    build = named(experiment)
    try:
        build("phantom:planted=1")
    except Wrong as refused:
        say("Leak", f"planted on purpose: {refused.what}; {refused.where}")
        say("", f"refused; going on without {phantom.PLANTED}, as a table without that patient")
    name = "demo" if experiment == "classification" else f"demo-{experiment}"
    run = train(build(f"phantom:without={phantom.PLANTED}", epochs=EPOCHS), out or Path("runs") / name, say=say)
    scores = run.test()
    say.numbers("Test", scores)
    first = next(iter(scores))
    for name, found in run.folder.metrics()["difference"].items():
        if first in found:
            say("", against(name, first, Estimate(**found[first])))
    if (accuracy := scores.get("accuracy")) and accuracy.value is not None:
        error, bayes = 1 - accuracy.value, phantom.bayes_error()
        side = "above" if error >= bayes else "below"
        say("", f"error {short(error)}: {short(abs(error - bayes))} {side} the Bayes error {short(bayes)}")
    elif (rmse := scores.get("rmse")) and rmse.value is not None:
        least = short(phantom.least_rmse())
        say("", f"root mean squared error {short(rmse.value)} mm, the least possible is {least} mm")
    say("Report", str(run.folder.report))
    say("Again", f"empirisk train --config {run.folder.path / 'run.json'}")
    say("Yours", "empirisk data FOLDER")
    say("", f"empirisk train {experiment} FOLDER")
    test = {k: v.json() for k, v in scores.items()}
    say.document({"run": str(run.path), "report": str(run.folder.report), "test": test})
