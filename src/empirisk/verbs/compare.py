"""Two runs over the same rows: the paired difference, an interval across 0 is a tie."""

import math
from typing import Any

import torch

from empirisk import runtime
from empirisk.errors import Wrong
from empirisk.estimate import Difference, Estimate, Statistic, values
from empirisk.experiment import Experiment, Rows
from empirisk.files import read_csv
from empirisk.verbs.run import Run, answer, judge, load, recorded
from empirisk.verbs.say import Say, interval


def paired(e: Experiment, rows: Rows, a: dict[str, Statistic], b: dict[str, Statistic]) -> dict[str, Estimate]:
    """a - b for every score that both have."""
    return judge(e, rows, {k: Difference(a[k], b[k]) for k in a if k in b and "/" not in k})


def on_validation(a: Experiment, b: Experiment, device: torch.device) -> dict[str, Any]:
    """Scores of both and their differences on the validation rows that both hold out.

    Raises
    ------
    Wrong
        exit 2 if the runs were validated on other rows.
    """
    rows, others = a.data.rows("val"), b.data.rows("val")
    contents = [{r["id"]: e.data.prepared().hashes[r["id"]] for r in some} for e, some in ((a, rows), (b, others))]
    if contents[0] != contents[1]:
        raise Wrong(
            "the two runs were validated on other rows", remedy="train both on the same data with the same --split-seed"
        )
    place = {r["id"]: r for r in others}
    s, t = (
        a.task.score(rows, answer(a, rows, device)),
        b.task.score(rows, answer(b, [place[r["id"]] for r in rows], device)),
    )
    return {"first": judge(a, rows, s), "second": judge(b, rows, t), "difference": paired(a, rows, s, t)}


def stored(run: Run, e: Experiment) -> tuple[Rows, dict[str, Statistic]] | None:
    """Rows and scores of predictions/test.csv, if the run was tested; only scores that the table gives again as they were."""
    file = run.folder.prediction_file("test")
    if not file.exists():
        return None
    kind: Any = e.data.kind
    cells = sorted(read_csv(file), key=lambda c: c["id"])
    read = [kind.read(c) for c in cells]
    rows = [{"id": c["id"], "patient": c["patient"] or None} | row for c, (row, _) in zip(cells, read, strict=True)]
    scores, before = e.task.score(rows, [said for _, said in read]), run.folder.metrics().get("test", {})
    now = values(scores, len(rows))
    same = [k for k in scores if k in before and close(now[k], before[k]["value"])]  # a threshold is not in the table
    return rows, {k: scores[k] for k in same}


def close(a: float | None, b: float | None) -> bool:
    """Equal but for the table's nine digits."""
    return a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-5)


def compared(first: Run, second: Run, device: torch.device) -> dict[str, dict[str, dict[str, Estimate]]]:
    """By part: scores of the first, of the second, and first minus second."""
    a, b = first.experiment(), second.experiment()
    if type(a.data.kind) is not type(b.data.kind):
        raise Wrong(f"{first.path} is {a.name}, {second.path} is {b.name}", remedy="compare runs of one experiment")
    found = {"val": on_validation(a, b, device)}
    s, t = stored(first, a), stored(second, b)
    if s and t and [r["id"] for r in s[0]] == [r["id"] for r in t[0]]:
        found["test"] = {"first": judge(a, *s), "second": judge(b, *t), "difference": paired(a, *s, t[1])}
    return found


def compare(first: str, second: str, *, device: str = "auto", json: bool = False) -> None:
    """Compare two runs by paired differences on validation, and on test where both were tested.

    Example: empirisk compare runs/a runs/b

    Parameters
    ----------
    first
        folder of a run.
    second
        folder of another run on the same data.
    device
        auto, cpu, cuda or mps.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    a, b = load(first), load(second)
    found = compared(a, b, runtime.device_named(device))
    for part, scores in found.items():
        say("Validation" if part == "val" else "Test", f"{a.path} minus {b.path}, paired over the same rows")
        say.line(f"{'':<20}{'first':<20}{'second':<20}difference")
        for name, d in scores["difference"].items():
            three = (scores["first"][name], scores["second"][name], d)
            cells = [interval(e) if e.value is not None else "undefined" for e in three]
            say.line(f"{'=' if d.tie else '':<2}{name:<18}{cells[0]:<20}{cells[1]:<20}{cells[2]}")
    say("=", "a tie: the interval of the difference holds 0")
    say.document(recorded(found))
