"""The first minutes, offline: a planted leak that the audit refuses, then a run, its test and its report."""

from pathlib import Path

from empirisk.data import phantom
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.experiments import named
from empirisk.metrics import LESS_IS_BETTER
from empirisk.verbs.run import Run
from empirisk.verbs.say import Say, interval, short
from empirisk.verbs.train import train

EPOCHS = {"classification": 30, "regression": 30}


def demo(experiment: str = "classification", *, out: str | None = None, json: bool = False) -> None:
    """Train on the embedded phantom, test, write and name the report: no data, no network, about two minutes.

    Example: empirisk demo

    Parameters
    ----------
    experiment
        classification or regression.
    out
        run folder; runs/demo if not given.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    build = named(experiment)
    try:
        build("phantom:planted=1")
    except Wrong as refused:
        say("Leak", f"planted on purpose: {refused.what}; {refused.where}")
        say("", f"refused; going on without {phantom.PLANTED}, as a table without that patient")
    e = build(f"phantom:without={phantom.PLANTED}", epochs=EPOCHS[experiment])
    where = Path(out) if out else Path("runs") / ("demo" if experiment == "classification" else f"demo-{experiment}")
    run = train(e, where, say=say)
    scores = run.test()
    say("Test", "")
    say.numbers("", scores)
    first = next(iter(scores))
    for name, found in run.folder.metrics()["difference"].items():
        if first in found:
            d = Estimate(**found[first])
            say(
                "",
                f"{'a tie with' if d.tie else 'better than' if ((d.value or 0) > 0) != (first in LESS_IS_BETTER) else 'worse than'} {name} by {interval(d)} ({first})",
            )
    least(run, scores, say)
    say("Report", str(run.folder.report))
    say("Again", f"empirisk train --config {run.folder.path / 'run.json'}")
    say("Yours", "empirisk data FOLDER")
    say("", f"empirisk train {experiment} FOLDER")
    say.document(
        {"run": str(run.path), "report": str(run.folder.report), "test": {k: v.json() for k, v in scores.items()}}
    )


def least(run: Run, scores: dict[str, Estimate], say: Say) -> None:
    """How far the run is from the least possible error, which the phantom knows."""
    if "accuracy" in scores and scores["accuracy"].value is not None:
        over = 1 - scores["accuracy"].value - phantom.bayes_error()
        say(
            "",
            f"error {short(1 - scores['accuracy'].value)}: {short(abs(over))} {'above' if over >= 0 else 'below'} the Bayes error {short(phantom.bayes_error())}",
        )
    elif "rmse" in scores and scores["rmse"].value is not None:
        say(
            "",
            f"root mean squared error {short(scores['rmse'].value)} mm, the least possible is {short(phantom.least_rmse())} mm",
        )
