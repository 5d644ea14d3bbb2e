"""Two runs over the same rows: the paired difference, an interval across 0 is a tie."""

import math
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from empirisk import runtime
from empirisk.errors import Wrong
from empirisk.estimate import Estimate, values
from empirisk.experiment import Experiment, Rows
from empirisk.files import read_csv
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.run import Run, Scored, answer, judge, load, paired, recorded
from empirisk.verbs.say import Say, interval

Found = dict[str, dict[str, Estimate]]
"""first, second, difference -> score -> its estimate."""


def both(e: Experiment, rows: Rows, a: Scored, b: Scored) -> Found:
    """Scores of both and a - b for every score that both have."""
    return {"first": judge(e, rows, a), "second": judge(e, rows, b), "difference": paired(e, rows, a, b)}


def on_validation(a: Experiment, b: Experiment, device: torch.device) -> Found:
    """On the validation rows that both hold out; `Wrong` (exit 2) if they were validated on other rows."""
    rows, others = a.data.rows("val"), {r["id"]: r for r in b.data.rows("val")}
    if {r["id"]: a.data.prepared().hashes[r["id"]] for r in rows} != {i: b.data.prepared().hashes[i] for i in others}:
        remedy = "train both on the same data with the same --split-seed"
        raise Wrong("the two runs were validated on other rows", remedy=remedy)
    theirs = answer(b, [others[r["id"]] for r in rows], device)
    return both(a, rows, a.task.score(rows, answer(a, rows, device)), b.task.score(rows, theirs))


def stored(run: Run, e: Experiment) -> tuple[Rows, Scored]:
    """Rows and scores of predictions/test.csv, if the run was tested; only scores that the table gives again as they were."""
    file = run.folder.prediction_file("test")
    if not file.exists():
        return [], {}
    cells = sorted(read_csv(file), key=lambda c: c["id"])
    kind: Any = e.data.kind
    read = [kind.read(c) for c in cells]
    rows = [{"id": c["id"], "patient": c["patient"] or None} | row for c, (row, _) in zip(cells, read, strict=True)]
    scores, before = e.task.score(rows, [said for _, said in read]), run.folder.metrics().get("test", {})
    now = values(scores, len(rows))  # a threshold is not in the table
    return rows, {k: s for k, s in scores.items() if k in before and close(now[k], before[k]["value"])}


def close(a: float | None, b: float | None) -> bool:
    """Equal but for the table's nine digits."""
    return a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-5)


def compare(
    first: Trained, second: Annotated[str, Parameter(help="folder of another run on the same data")], *,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Compare two runs by paired differences on validation, and on test where both were tested.

    Example: empirisk compare runs/a runs/b
    """
    say, one, other = Say(as_json=json), load(first), load(second)
    a, b = one.experiment(), other.experiment()
    if type(a.data.kind) is not type(b.data.kind):
        raise Wrong(f"{one.path} is {a.name}, {other.path} is {b.name}", remedy="compare runs of one experiment")
    found = {"val": on_validation(a, b, runtime.device_named(device))}
    (rows, mine), (others, theirs) = stored(one, a), stored(other, b)
    if rows and [r["id"] for r in rows] == [r["id"] for r in others]:
        found["test"] = both(a, rows, mine, theirs)
    for part, scores in found.items():
        say("Validation" if part == "val" else "Test", f"{one.path} minus {other.path}, paired over the same rows")
        say.line(f"{'':<20}{'first':<20}{'second':<20}difference")
        for name, d in scores["difference"].items():
            three = (scores["first"][name], scores["second"][name], d)
            cells = [interval(e) if e.value is not None else "undefined" for e in three]
            say.line(f"{'=' if d.tie else '':<2}{name:<18}{cells[0]:<20}{cells[1]:<20}{cells[2]}")
    say("=", "a tie: the interval of the difference holds 0")
    say.document(recorded(found))
