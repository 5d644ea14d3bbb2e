"""Gather what a run is and what it answered, and write the page, its text and the model card."""

import inspect
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from empirisk import report as pages
from empirisk.errors import USE, Wrong
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.experiments import named
from empirisk.figures import Figure
from empirisk.files import write
from empirisk.report import drawn
from empirisk.report.evidence import Context
from empirisk.verbs.flags import Json, Trained
from empirisk.verbs.run import Run, answer, load, patients
from empirisk.verbs.say import Say

KEPT = ("filters", "folds", "capacity", "ablate", "attack")
"""Figures that a verb has left in the run, beside those of test."""


def context(run: Run, e: Experiment, answers: list[Answer] | None = None) -> Context:
    """All that the page is made from: validation is drawn anew, what test showed is joined."""
    record, metrics, history = run.folder.read(), run.folder.metrics(), run.folder.read_history()
    audit, data, card = record["learned"].get("audit", {}), record.get("data", {}), e.data.card()
    tested = [Figure.from_dict(f) for f in run.folder.read_figures("test")] if metrics.get("test") else []
    game = [] if e.task.loss else [p.name for p in e.players]
    figures = drawn.training(history, (record.get("kept") or {}).get("epoch"), record.get("stops", []), game)
    figures += [Figure.from_dict(f) for name in KEPT for f in run.folder.read_figures(name)]
    val: Rows = []
    people: dict[str, int] = {}
    warnings: list[tuple[str, str]] = []
    try:
        val, rows = e.data.rows("val"), e.data.prepared().rows
        if card.dims:
            figures += drawn.of_data(
                [*e.data.rows("train"), *val], audit.get("pairs", []), rows, e.data.kind.column if e.data.kind else ""
            )
        known = zip((r["part"] for r in rows), patients(rows), strict=True)
        people = Counter(p for p, who in set(known) if p and who is not None and audit.get("patients_known", True))
    except Wrong as wrong:
        if wrong.code != USE:
            raise
        val = []
        warnings.append(("The data are no longer there: their pictures are left out.", "data"))
    if not tested and val:
        figures += e.task.show(e, val, answers if answers is not None else answer(e, val))
    about = {k: data.get(k) for k in ("name", "form", "source", "licence") if data.get(k)}
    grid, many = "own size" if e.data.plan else "x".join(map(str, card.size)), "s" if card.channels > 1 else ""
    about |= {"image": f"{grid}, {card.channels} channel{many}"} if card.dims else {"input": card.numbers}
    return Context(
        name=str(data.get("name") or e.name), run=record, history=history, metrics=metrics, figures=[*tested, *figures], card=about,
        counts={k: v for k, v in data.get("n", {}).items() if k}, patients=people, odd=data.get("odd", []), warnings=warnings,
        audit=audit | {"left_out": len(audit.get("left_out", {}))}, command=command_of(record),
    )  # fmt: skip


def command_of(record: dict[str, Any]) -> str:
    """The command that makes this run again."""
    name, arguments = record["experiment"], record["arguments"]
    known = inspect.signature(named(name)).parameters
    words = ["empirisk", "train", name, *(p["path"] for p in arguments.get("runs", []))]
    words += [str(arguments["data"])] if "data" in arguments else []
    for key, value in arguments.items():
        if key not in {"data", "runs"} and key in known and value != known[key].default:
            flag, value = key.replace("_", "-"), value["path"] if isinstance(value, dict) else value  # a run by value
            words += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return shlex.join(words)


def reported(run: Run, e: Experiment | None = None, answers: list[Answer] | None = None) -> Path:
    """Write report.html, report.md and model_card.md."""
    c = context(run, e or run.experiment(), answers)
    write(run.folder.report, pages.page(c))
    write(run.folder.report_md, pages.text(c))
    write(run.folder.model_card, pages.model_card(c))
    return run.folder.report


def report(run: Trained, *, json: Json = False) -> None:
    """Write a run's page again, and show it as text. It never opens the test set.

    Example: empirisk report runs/pneumoniamnist
    """
    say, opened = Say(as_json=json), load(run)
    page = reported(opened)
    text = opened.folder.report_md.read_text("utf-8")
    if say.stream.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console(file=say.stream).print(Markdown(text))
    else:
        say.line(text)
    say("Report", str(page))
    say.document({"report": str(page), "metrics": opened.folder.metrics()})
