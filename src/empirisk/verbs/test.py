"""Open the test set, once and stamped; or judge on all of another set."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from empirisk import runtime
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, answer, beside, joined, judge, load, recorded
from empirisk.verbs.say import Say, interval
from empirisk.verbs.words import against


def tested(run: Run, *, data: Any = None, at: str | None = None, device: torch.device) -> dict[str, Estimate]:
    """Scores with their intervals on the test rows, or on all rows of other data; written into the run.

    Raises
    ------
    Wrong
        exit 2 if the run is not trained, has no test rows, or the other data lack the truth.
    """
    record = run.folder.read()
    if not run.folder.weights.exists():
        raise Wrong(
            f"{run.path} has no weights yet", remedy="train it to its end first: the same train command goes on"
        )
    if at is not None and "at" not in record["arguments"]:
        raise Wrong(f"{record['experiment']} has no operating point", remedy="leave --at out")
    with run.folder.lock():
        e = run.experiment(**({"at": at} if at is not None else {}))
        if at is not None and e.task.calibrate:
            e.task.calibrate(e.model.to(device).eval(), e.data.batches("val", 256, device))
        if data is not None:
            return elsewhere(run, e, data, device)
        rows = e.data.test()
        stamp = {"time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "at": at}
        run.folder.write(opened=[*record.get("opened", []), stamp])
        answers = answer(e, rows, device)
        mine = e.task.score(rows, answers)
        scores = judge(e, rows, mine)
        twins = set(record["learned"].get("audit", {}).get("test_twins", []))
        keep = np.array([r["id"] not in twins for r in rows])
        theirs, differences = beside(e, rows, mine, e.task.baseline(e.data.rows("train")))
        run.folder.write_metrics(
            test=recorded(scores), without_twins=recorded(judge(e, rows, mine, keep)) if twins else {},
            baseline=recorded(theirs), difference=recorded(differences),
        )  # fmt: skip
        run.write_predictions(e, rows, answers, "test")
        run.folder.write_figures("test", [f.to_dict() for f in e.task.show(e, rows, answers)])
        reported(run, e)
    return scores


def elsewhere(run: Run, e: Any, data: Any, device: torch.device) -> dict[str, Estimate]:
    """Judge on all rows of another set."""
    rows = e.data.other(data)
    answers = answer(e, rows, device)
    scores = judge(e, rows, e.task.score(rows, answers))
    stem = joined([data]) if isinstance(data, (str, Path)) else "table"
    others = run.folder.metrics().get("other", {})
    run.folder.write_metrics(other=others | {stem: recorded(scores)})
    run.write_predictions(e, rows, answers, stem)
    return scores


def test(run: str, *, data: str | None = None, at: str | None = None, device: str = "auto", json: bool = False) -> None:
    """Open the test set of a run, or judge it on all of another set.

    Writes metrics.json, predictions/, and the report anew. Example: empirisk test runs/pneumoniamnist

    Parameters
    ----------
    run
        folder of a trained run.
    data
        another set instead; all of its rows are used.
    at
        operating point of two classes: sensitivity=.95 or specificity=.9, its threshold from validation.
    device
        auto, cpu, cuda or mps.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    opened = load(run)
    scores = tested(opened, data=data, at=at, device=runtime.device_named(device))
    record, metrics = opened.folder.read(), opened.folder.metrics()
    say("Test" if data is None else "Other data", f"{data or record['data']['name']}")
    say.numbers("", scores)
    if data is None:
        for name, found in metrics["without_twins"].items():
            say("", f"without near-twins: {name} {interval(Estimate(**found))}   n = {found['n']}")
            break
        first = next(iter(scores))
        for name, found in metrics["difference"].items():
            if first in found:
                say("", against(name, first, Estimate(**found[first])))
        if len(record["opened"]) > 1:
            say("Odd", f"the test set has been opened {len(record['opened'])} times; each is stamped in run.json")
        say("Report", str(opened.folder.report))
    say.document({name: s.json() for name, s in scores.items()})
