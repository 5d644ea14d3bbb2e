"""Gather what a run is and what it answered, and write the page, its text and the model card."""

import inspect
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

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


def data_figures(e: Experiment) -> list[Figure]:
    """A contact sheet of training and validation images, and the closest twins side by side."""
    if not e.data.card().dims:
        return []
    shown = [*e.data.rows("train"), *e.data.rows("val")]
    pairs = [tuple(p) for p in e.data.facts.get("audit", {}).get("pairs", [])][: drawn.PAIRS]
    wanted = {i for p in pairs for i in p[1:3]}
    images = {r["id"]: np.asarray(r["x"].read()) for r in e.data.prepared().rows if r["id"] in wanted}
    return [*drawn.contact_sheet(shown), *drawn.twins(pairs, images)]


def people(rows: Rows) -> dict[str, int]:
    """Patients by part; empty where they are unknown."""
    known = {(r["part"], who) for r, who in zip(rows, patients(rows), strict=True) if who is not None and r["part"]}
    return Counter(part for part, _ in known)


def context(run: Run, e: Experiment, answers: list[Answer] | None = None) -> Context:
    """All that the page is made from: validation is drawn anew, what test showed is joined."""
    record, metrics, history = run.folder.read(), run.folder.metrics(), run.folder.read_history()
    audit, data, card = record["learned"].get("audit", {}), record.get("data", {}), e.data.card()
    kept = [figure for name in KEPT for figure in run.folder.read_figures(name)]
    tested = run.folder.read_figures("test") if metrics.get("test") else []
    figures = drawn.training(history, (record.get("kept") or {}).get("epoch"), record.get("stops", []))
    figures += [Figure.from_dict(f) for f in kept]
    rows: Rows = []
    by_part: dict[str, int] = {}
    warnings: list[tuple[str, str]] = []
    try:
        rows = e.data.rows("val")
        figures += data_figures(e)
        by_part = people(e.data.prepared().rows)
    except Wrong as wrong:
        if wrong.code != USE:
            raise
        rows = []
        warnings.append(("The data are no longer there: their pictures are left out.", "data"))
    if not tested and rows:
        figures += e.task.show(e, rows, answers if answers is not None else answer(e, rows))
    about = {k: data.get(k) for k in ("name", "form", "source", "licence") if data.get(k)}
    grid = "own size" if e.data.plan else "x".join(map(str, card.size)) or "vector"
    about["image"] = f"{grid}, {card.channels} channel{'s' if card.channels > 1 else ''}"
    return Context(
        name=str(data.get("name") or e.name), run=record, history=history, metrics=metrics,
        figures=[*(Figure.from_dict(f) for f in tested), *figures], card=about,
        counts={k: v for k, v in data.get("n", {}).items() if k}, patients=by_part,
        audit=audit | {"left_out": len(audit.get("left_out", {}))}, odd=data.get("odd", []), warnings=warnings,
        command=command_of(record),
    )  # fmt: skip


def command_of(record: dict[str, Any]) -> str:
    """The command that makes this run again."""
    parameters = inspect.signature(named(record["experiment"])).parameters
    words = ["empirisk", "train", record["experiment"], *(p["path"] for p in record["arguments"].get("runs", []))]
    words += [str(record["arguments"]["data"])] if "data" in record["arguments"] else []
    for key, value in record["arguments"].items():
        if key not in {"data", "runs"} and key in parameters and value != parameters[key].default:
            flag = key.replace("_", "-")
            words += (
                [f"--no-{flag}"] if value is False else [f"--{flag}"] if value is True else [f"--{flag}", str(value)]
            )
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
    say = Say(as_json=json)
    opened = load(run)
    page = reported(opened)
    text = opened.folder.report_md.read_text("utf-8")
    if say.stream.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console(file=say.stream).print(Markdown(text))
    else:
        say.out(text)
    say("Report", str(page))
    say.document({"report": str(page), "metrics": opened.folder.metrics()})
