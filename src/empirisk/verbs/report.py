"""Gather what a run is and what it answered, and write the page, its text and the model card."""

from pathlib import Path
from typing import Any

import numpy as np

from empirisk import report as pages
from empirisk.errors import Wrong
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.figures import Figure
from empirisk.files import write
from empirisk.report import drawn
from empirisk.report.evidence import Context
from empirisk.verbs.run import Run, answer, load, patients
from empirisk.verbs.say import Say


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
    found: dict[str, set[str]] = {}
    for r, patient in zip(rows, patients(rows), strict=True):
        if patient is not None and r["part"]:
            found.setdefault(r["part"], set()).add(patient)
    return {part: len(names) for part, names in found.items()}


def context(run: Run, e: Experiment, answers: list[Answer] | None = None) -> Context:
    """All that the page is made from: validation is drawn anew, what test showed is joined."""
    record, metrics = run.folder.read(), run.folder.metrics()
    history = run.folder.read_history()
    kept = (record.get("kept") or {}).get("epoch")
    figures = drawn.training(history, kept, record.get("stops", []))
    patients_by_part: dict[str, int] = {}
    warnings: list[tuple[str, str]] = []
    tested = [Figure.from_dict(f) for f in run.folder.read_figures("test")] if metrics.get("test") else []
    try:
        rows = e.data.rows("val")
        figures += data_figures(e)
        patients_by_part = people(e.data.prepared().rows)
    except Wrong as wrong:
        if wrong.code != 2:
            raise
        rows = []
        warnings.append(("The data are no longer there: their pictures are left out.", "data"))
    if not tested and rows:
        figures += e.task.show(e, rows, answers if answers is not None else answer(e, rows))
    audit = record["learned"].get("audit", {})
    data = record.get("data", {})
    card = e.data.card()
    grid = "x".join(map(str, card.size)) or "vector"
    about = {k: data.get(k) for k in ("name", "form", "source", "licence") if data.get(k)}
    return Context(
        name=str(data.get("name") or e.name), run=record, history=history, metrics=metrics, figures=[*tested, *figures],
        card=about | {"image": f"{grid}, {card.channels} channel{'s' if card.channels > 1 else ''}"},
        counts={k: v for k, v in data.get("n", {}).items() if k}, patients=patients_by_part,
        audit=audit | {"left_out": len(audit.get("left_out", {}))}, odd=data.get("odd", []), warnings=warnings,
        command=command_of(record),
    )  # fmt: skip


def command_of(record: dict[str, Any]) -> str:
    """The command that makes this run again."""
    import inspect
    import shlex

    from empirisk.experiments import named

    parameters = inspect.signature(named(record["experiment"])).parameters
    words = ["empirisk", "train", record["experiment"], str(record["arguments"].get("data", ""))]
    for key, value in record["arguments"].items():
        if key != "data" and key in parameters and value != parameters[key].default:
            words += [f"--{key.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(words)


def reported(run: Run, e: Experiment | None = None, answers: list[Answer] | None = None) -> Path:
    """Write report.html, report.md and model_card.md."""
    c = context(run, e or run.experiment(), answers)
    write(run.folder.report, pages.page(c))
    if hasattr(pages, "text"):
        write(run.folder.report_md, pages.text(c))
        write(run.folder.model_card, pages.model_card(c))
    return run.folder.report


def report(run: str, *, json: bool = False) -> None:
    """Write a run's page again, and show it as text. It never opens the test set.

    Example: empirisk report runs/pneumoniamnist

    Parameters
    ----------
    run
        folder of a trained run.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    opened = load(run)
    if not opened.folder.weights.exists():
        raise Wrong(f"{run} has no weights yet", remedy="train it to its end first: the same train command goes on")
    page = reported(opened)
    if say.stream.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console(file=say.stream).print(Markdown(opened.folder.report_md.read_text("utf-8")))
    else:
        say.out(opened.folder.report_md.read_text("utf-8"))
    say("Report", str(page))
    say.document({"report": str(page), "metrics": opened.folder.metrics()})
