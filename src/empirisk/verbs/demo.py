"""The first minutes, offline: a planted leak that the audit refuses, then a run, its test and its report."""

import inspect
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from empirisk.data import embedded, phantom
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.experiments import named
from empirisk.verbs.flags import Json
from empirisk.verbs.say import Say, short
from empirisk.verbs.train import train
from empirisk.verbs.words import against

PHANTOM = "phantom:images=400,size=48"
GIVEN: dict[str, dict[str, Any]] = {
    "classification": {"data": "phantom:size=64", "epochs": 30},
    "regression": {"data": PHANTOM, "epochs": 12},
    "ensemble": {"runs": [{"data": PHANTOM, "epochs": 12, "seed": seed} for seed in (0, 1)]},
    "segmentation": {"data": PHANTOM, "epochs": 12},
    "detection": {"data": PHANTOM, "epochs": 12},
    "captioning": {"data": PHANTOM, "epochs": 12, "width": 8, "state": 64},
    "translation": {"data": "phantom:images=400,size=8", "epochs": 12},
    "frames": {"data": "phantom-video:videos=40,size=16", "epochs": 3},
    "sequences": {"data": "phantom-text:sentences=400", "epochs": 12},
    "autoencoder": {"data": PHANTOM, "epochs": 12},
    "clustering": {"data": PHANTOM},
    "density": {"data": PHANTOM},
    "anomaly": {"data": PHANTOM, "epochs": 12, "normal": "benign"},
    "generation": {"data": PHANTOM, "epochs": 12, "size": 16, "codes": 16, "batch": 8},
}
"""Experiment -> the arguments of its demo; of one that is made of runs, those of the first experiment's runs."""
FIRST = next(iter(GIVEN))


def demo(
    experiment: Annotated[str, Parameter(help="one that `empirisk list experiments` names")] = FIRST, *,
    out: Annotated[str | None, Parameter(help="run folder; runs/demo if not given")] = None, json: Json = False,
) -> None:  # fmt: skip
    """Train on the embedded phantom, test, write and name the report: no data, no network; two minutes, any other half a minute.

    Example: empirisk demo
    """
    build, say, name = named(experiment), Say(as_json=json), "demo" if experiment == FIRST else f"demo-{experiment}"
    folder, given = Path(out or Path("runs") / name), GIVEN[experiment]
    leak(experiment if plantable(given) else FIRST, say)
    mine = arguments(given) if "data" in given else members(given["runs"], folder, say)
    run = train(build(**mine), folder, say=say)
    scores = run.test()
    say.numbers("Test", scores)
    first = next(iter(scores))
    for rival, found in run.folder.metrics()["difference"].items():
        if first in found:
            say("", against(rival, first, Estimate(**found[first])))
    if all(plantable(given) for given in GIVEN[experiment].get("runs", [GIVEN[experiment]])):
        beside_the_least(say, run.experiment().data.kind, scores)
    say("Report", str(run.folder.report))
    say("Again", f"empirisk train --config {run.folder.path / 'run.json'}")
    say("Yours", "empirisk data FOLDER")
    say("", f"empirisk train {experiment} {'FOLDER' if 'data' in given else 'RUN RUN'}")
    test = {k: v.json() for k, v in scores.items()}
    say.document({"run": str(run.path), "report": str(run.folder.report), "test": test})


def plantable(given: dict[str, Any]) -> bool:
    """Whether the data can hold a planted leak."""
    return "data" in given and "planted" in inspect.signature(embedded.made_by(given["data"])[0]).parameters


def arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Those of a demo, its data without the patient who leaks."""
    return given | ({"data": f"{given['data']},without={phantom.PLANTED}"} if plantable(given) else {})


def members(runs: list[dict[str, Any]], folder: Path, say: Say) -> dict[str, Any]:
    """Runs of the first experiment, trained beside `folder`."""
    paths = {folder.with_name(f"{folder.name}-member-{i}"): arguments(given) for i, given in enumerate(runs)}
    return {"runs": [str(train(named(FIRST)(**given), path, say=say).path) for path, given in paths.items()]}


def leak(experiment: str, say: Say) -> None:
    """Show that the experiment refuses data in which a patient is in train and in test."""
    given = GIVEN[experiment]
    try:
        named(experiment)(**(given | {"data": f"{given['data']},planted=1"}))
    except Wrong as refused:
        say("Leak", f"planted on purpose: {refused.what}; {refused.where}")
        say("", f"refused; going on without {phantom.PLANTED}, as a table without that patient")


def beside_the_least(say: Say, kind: Any, scores: dict[str, Estimate]) -> None:
    """How far the error lies from the least that there can be on the phantom, where that is known."""
    first = scores.get({"label": "accuracy", "target": "rmse"}.get(kind.column, ""))
    if first is None or first.value is None:
        return
    if kind.column == "label":
        error, bayes = 1 - first.value, phantom.bayes_error()
        side = "above" if error >= bayes else "below"
        say("", f"error {short(error)}: {short(abs(error - bayes))} {side} the Bayes error {short(bayes)}")
    else:
        least = short(phantom.least_rmse())
        say("", f"root mean squared error {short(first.value)} mm, the least possible is {least} mm")
