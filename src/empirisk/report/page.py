"""One self-contained HTML page: calls nobody, needs no script, escapes whatever comes from outside."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from empirisk.errors import shown
from empirisk.figures import Figure, intervals, number
from empirisk.files import csv_cell
from empirisk.metrics import LESS_IS_BETTER
from empirisk.report import evidence as ev
from empirisk.report import tables, trust
from empirisk.report.evidence import Context

HERE = Path(__file__).parent
MARKS = {"good": "✓", "caution": "!", "bad": "✕", "unknown": "?"}
SAID = {"good": "in order", "caution": "take care", "bad": "not in order", "unknown": "not known"}
SECTIONS = (("operating", "Operating point"), ("pictures", "In pictures"), ("mistakes", "Mistakes"))


def build(c: Context) -> str:
    """The report as one HTML document, with a policy that lets it load and call nothing.

    Every value from outside is escaped (autoescape; control and direction characters shown); only figures' own markup is not.
    """
    facts = trust.facts(c)
    figures: dict[str, list[Figure]] = {}
    for figure in c.figures:
        figures.setdefault(figure.section, []).append(figure)
    return _render(
        "page.html.j2", name=c.name, c=c, ev=ev, opening=trust.opening, marks=MARKS, said=SAID, sections=SECTIONS, pairs=_pairs(c), facts=facts,
        warnings=trust.warnings(c, facts), class_names=_classes(c.counts), forest=_forest(c), figures=figures, tables=tables.numbers(c),
        all_numbers=tables.everything(c), repeat=_repeat(c),
        run_json=json.dumps(c.run, indent=1, default=str, ensure_ascii=False).splitlines(),
    )  # fmt: skip


def look(
    name: str,
    about: Mapping[str, object],
    counts: Mapping[str, Mapping[str, int]],
    odd: Sequence[str],
    figures: Sequence[Figure],
) -> str:
    """A page of data that nothing has been trained on yet: what it is, images by part and class, what is odd, its pictures."""
    shared = f"{name}: {number(sum(sum(n.values()) for n in counts.values()))} rows"
    parts = ", ".join(f"{number(sum(n.values()))} {ev.PARTS.get(p, p)}" for p, n in counts.items() if p)
    return _render(
        "look.html.j2", name=name, verdict=f"{shared}, of them {parts}." if parts else f"{shared}.", card=about,
        counts={p: n for p, n in counts.items() if p}, class_names=_classes(counts), odd=odd, figures=figures,
    )  # fmt: skip


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def outside(value: Any) -> Any:
        return value if isinstance(value, (Markup, int, float)) or callable(value) else shown(value, 2000)

    def whole(text: str) -> Markup:
        """A value stays on one line with its interval."""
        parts = re.split(r"([−.,\d]+ \[[^\]]*\])", shown(text, 2000))
        span = Markup('<span class="whole">{}</span>')
        return Markup("").join(span.format(p) if i % 2 else p for i, p in enumerate(parts))

    pages = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, finalize=outside,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pages.filters |= {"number": number, "part": lambda p: ev.PARTS.get(p, p), "whole": whole, "drawn": Markup}
    style, script = ((HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    pages.globals |= {"policy": Markup(policy), "style": Markup(style), "script": Markup(script), "csv": csv_link}
    return pages.get_template(template).render(**values)


def csv_link(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A data: link to the rows as CSV, whole; text that a spreadsheet would run as a formula starts with an apostrophe."""
    from markupsafe import Markup  # quoted, so safe

    text = "".join(",".join(map(csv_cell, row)) + "\n" for row in [columns, *rows])
    return Markup("data:text/csv;charset=utf-8," + quote(text.encode("utf-8", "backslashreplace")))


def _forest(c: Context) -> str:
    """The first metric of the model and of its baselines, one under the other."""
    found = {"this model": c.metrics.get(c.part, {}).get(c.headline)}
    found |= {name: m.get(c.headline) for name, m in c.metrics.get("baseline", {}).items()}
    rows = [(name, e["value"], e.get("low"), e.get("high")) for name, e in found.items() if e]
    if len(rows) < 2:
        return ""
    words = "; ".join(f"{name} {ev.estimate(e)}" for name, e in found.items() if e)
    name = ev.metric_name(c.headline)
    less = "less is better" if c.headline in LESS_IS_BETTER else "more is better"
    return intervals(rows, label=f"{name}: {words}", x=f"{name} with its 95 % interval; {less}")


def _repeat(c: Context) -> list[tuple[str, str]]:
    """What another person needs to get the same weights: seed, versions, machine, hash of the data."""
    run, seconds = c.run, float(c.run.get("seconds") or 0)
    time = f"{number(round(seconds))} seconds" if seconds < 120 else f"{number(seconds / 60)} minutes"
    steps = run.get("steps") or 0
    steps = steps.get("done", 0) if isinstance(steps, Mapping) else steps  # a run that is not finished keeps both
    out = [
        ("Seed", str((run.get("arguments") or {}).get("seed", 0))),
        ("Recipe", _words(run.get("recipe") or {})),
        ("Versions", _words(run.get("versions") or {})),
        ("Machine", _words((run.get("machine") or {}) | {"threads": run.get("threads", "")})),
        ("Time", f"{time}, {number(steps)} steps" if seconds else ""),
        ("SHA-256 of the data", str((run.get("data") or {}).get("sha256", ""))),
    ]
    return [(k, v) for k, v in out if v]


def _words(values: Mapping[str, Any]) -> str:
    """Names and values in one line."""
    said = {k: number(v, 5).rstrip("0") if isinstance(v, float) else v for k, v in values.items() if v is not None}
    return ", ".join(f"{k} {number(v) if type(v) is int else v}" for k, v in said.items())


def _classes(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    return list(dict.fromkeys(name for n in counts.values() for name in n))


def _pairs(c: Context) -> list[str]:
    """The pairs of parts that the audit compared."""
    return list(dict.fromkeys(pair for kind in ("identical", "twins", "patients") for pair in c.audit.get(kind) or {}))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
