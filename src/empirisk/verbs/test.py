"""Open the test set, once and stamped; or judge on all of another set."""

import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter

from empirisk import runtime
from empirisk.data.labels import natural
from empirisk.errors import Wrong, listed, near, shown
from empirisk.estimate import Estimate
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, answer, beside, joined, judge, load, recorded, rivals
from empirisk.verbs.say import Say, interval
from empirisk.verbs.words import leads

GROUPS = 10
"""Most values of a column that make subgroups."""


def opened(run: Run, e: Experiment, device: torch.device, at: str | None = None) -> tuple[Rows, list[Answer]]:
    """The test rows and the answers to them; the opening is stamped in run.json."""
    rows = e.data.test()
    stamp = {"time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "at": at}
    run.folder.write(opened=[*run.folder.read().get("opened", []), stamp])
    return rows, answer(e, rows, device)


def tested(
    run: Run, *, data: Any = None, at: str | None = None, subgroup: str | None = None, device: torch.device
) -> dict[str, Estimate]:
    """Scores with their intervals on the test rows, or on all rows of other data; written into the run.

    `Wrong` (exit 2) for a run that is not trained or has no test rows, other data without the truth, a `subgroup` that is no column.
    """
    record = run.folder.read()
    if at is not None and "at" not in record["arguments"]:
        raise Wrong(f"{record['experiment']} has no operating point", remedy="leave --at out")
    if subgroup is not None and data is not None:
        raise Wrong("--subgroup is of the test set, --data of another", remedy="leave one of them out")
    with run.folder.lock():
        e = run.experiment(**({"at": at} if at is not None else {}))
        if at is not None and e.task.calibrate:
            e.task.calibrate(e.model.to(device).eval(), e.data.batches("val", 256, device))
        if data is not None:
            rows, stem = e.data.other(data), joined([data]) if isinstance(data, (str, Path)) else "table"
            answers = answer(e, rows, device)
            scores = judge(e, rows, e.task.score(rows, answers))
            run.folder.write_metrics(other=run.folder.metrics().get("other", {}) | {stem: recorded(scores)})
            run.write_predictions(e, rows, answers, stem)
            return scores
        if subgroup is not None:
            groups(e.data.rows("val"), subgroup)  # a wrong name is refused before the set is opened
        rows, answers = opened(run, e, device, at)
        mine = e.task.score(rows, answers)
        parts = {name: judge(e, rows, mine, keep) for name, keep in groups(rows, subgroup).items()} if subgroup else {}
        scores = judge(e, rows, mine)
        twins = set(record["learned"].get("audit", {}).get("test_twins", []))
        keep = np.array([r["id"] not in twins for r in rows])
        run.folder.write_metrics(
            test=recorded(scores), without_twins=recorded(judge(e, rows, mine, keep)) if twins else {},
            subgroups=recorded(parts), **beside(e, rows, mine, rivals(e, rows)),
        )  # fmt: skip
        run.write_predictions(e, rows, answers, "test")
        run.folder.write_figures("test", [f.to_dict() for f in e.task.show(e, rows, answers)])
        reported(run, e)
    return scores


def groups(rows: Rows, columns: str) -> dict[str, np.ndarray]:
    """Which rows (N,) have each value of the columns a,b, under column=value; an empty cell is "unknown".

    `Wrong` (exit 2) for no such column, or one of more values than make groups.
    """
    there = sorted({k for r in rows for k, v in r.items() if isinstance(v, str)} - {"id", "part", "why"})
    found: dict[str, np.ndarray] = {}
    for column in (c.strip() for c in columns.split(",")):
        if column not in there:
            remedy = near(column, there) or f"there are {listed(there, 12)}"
            raise Wrong(f"no column is called {shown(column)!r}", remedy=remedy)
        cells = np.array([str(r.get(column) or "unknown") for r in rows])
        values = sorted(set(cells.tolist()), key=natural)
        if len(values) > GROUPS:
            remedy = f"name one of at most {GROUPS}, say age by decade"
            raise Wrong(f"column {shown(column)} has {len(values)} values", remedy=remedy)
        found |= {f"{column}={v}": cells == v for v in values}
    return found


def test(
    run: Trained, *,
    data: Annotated[str | None, Parameter(help="another set instead; all of its rows are used")] = None,
    at: Annotated[str | None, Parameter(help="operating point of two classes: sensitivity=.95 or specificity=.9, its threshold from validation")] = None,
    subgroup: Annotated[str | None, Parameter(help="column, or columns a,b: the scores also of each of its values")] = None,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Open the test set of a run, or judge it on all of another set.

    Writes metrics.json, predictions/, and the report anew. Example: empirisk test runs/pneumoniamnist
    """
    say, a = Say(as_json=json), load(run)
    scores = tested(a, data=data, at=at, subgroup=subgroup, device=runtime.device_named(device))
    record, metrics = a.folder.read(), a.folder.metrics()
    say("Test" if data is None else "Other data", f"{data or record['data']['name']}")
    say.numbers("", scores)
    if data is None:
        for name, found in [*metrics["without_twins"].items()][:1]:
            say("", f"without near-twins: {name} {interval(Estimate(**found))}   n = {found['n']}")
        first = next(iter(scores))
        leads(say, first, metrics["difference"])
        if len(record["opened"]) > 1:
            say("Odd", f"the test set has been opened {len(record['opened'])} times; each is stamped in run.json")
        for name, found in metrics["subgroups"].items():
            say("", f"{shown(name):<20}{first} {interval(Estimate(**found[first]))}   n = {found[first]['n']}")
        say("Report", str(a.folder.report))
    more = {"subgroups": metrics["subgroups"]} if subgroup else {}
    say.document({name: s.json() for name, s in scores.items()} | more)
