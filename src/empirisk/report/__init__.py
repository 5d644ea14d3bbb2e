"""From plain values and figures to one self-contained HTML page that calls nobody, the same words as Markdown, and the model card.

Asks no task what it is; whatever comes from outside is escaped.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

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
SECTIONS = {"operating": "Operating point", "pictures": "In pictures", "mistakes": "Mistakes"}


def page(c: Context) -> str:
    """The report as one HTML document, with a policy that lets it load and call nothing."""
    figures: dict[str, list[Figure]] = {}
    for figure in c.figures:
        figures.setdefault(figure.section, []).append(figure)
    pairs = dict.fromkeys(p for kind in ("identical", "twins", "patients") for p in c.audit.get(kind) or {})
    return filled_page("page.html.j2", c, {
        "marks": MARKS, "sections": SECTIONS, "opening": trust.opening, "pairs": list(pairs), "forest": _forest(c),
        "figures": figures, "everything": tables.everything(c), "repeat": _repeat(c),
        "run_json": json.dumps(c.run, indent=1, default=str, ensure_ascii=False).splitlines(),
    })  # fmt: skip


def look(
    name: str, about: Mapping[str, object], counts: Mapping[str, Mapping[str, int]], odd: Sequence[str], figures: Sequence[Figure]
) -> str:  # fmt: skip
    """A page of data that nothing has been trained on yet: what it is, images by part and class, what is odd, its pictures."""
    sizes = {part: sum(n.values()) for part, n in counts.items()}
    parts = ", ".join(f"{number(n)} {ev.PARTS.get(part, part)}" for part, n in sizes.items() if part)
    verdict = f"{name}: {number(sum(sizes.values()))} rows" + (f", of them {parts}." if parts else ".")
    c = Context(name, {}, card=about, counts={p: n for p, n in counts.items() if p}, odd=odd, figures=figures)
    return filled_page("look.html.j2", c, {"verdict": verdict})


def text(c: Context) -> str:
    """report.md: verdict, trust, numbers, baselines, data, how to repeat."""
    return _filled("report.md.j2", c, {}, _markdown)


def model_card(c: Context) -> str:
    """What the model is, was made from, reaches and must not be used for. Mitchell et al., FAT* 2019."""
    arguments = c.run.get("arguments") or {}
    built = _words({k: v for k, v in arguments.items() if k in {"model", "width", "depth", "dropout"}})
    return _filled("model_card.md.j2", c, {"built": built, "versions": _words(c.run.get("versions") or {})}, _markdown)


def filled_page(template: str, c: Context, values: dict[str, Any], *, script: str = "page.js") -> str:
    """A template of this folder as a page that may load and call nothing; of scripts only the one named runs."""
    style, run = ((HERE / name).read_text("utf-8") for name in ("page.css", script))
    hashes = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (style, run))
    policy = "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
    ours = {"policy": Markup(policy.format(*hashes)), "style": Markup(style), "script": Markup(run)}
    return _filled(template, c, values | ours, lambda text: text)


def _filled(template: str, c: Context, values: dict[str, Any], safe: Callable[[str], str]) -> str:
    """A template with the context in it; text is shown (control and direction characters too), made `safe`, and escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, (Markup, int, float)) else safe(shown(value, 2000)),
    )  # fmt: skip
    pages.filters |= {"number": number, "part": lambda p: ev.PARTS.get(p, p), "whole": _whole, "drawn": Markup}
    pages.filters["code"] = lambda line: Markup(shown(line, 2000))
    facts = trust.facts(c)
    shared = {
        "c": c, "ev": ev, "csv": csv_link, "said": SAID, "facts": facts, "warnings": trust.warnings(c, facts), "tables": tables.numbers(c),
        "class_names": list(dict.fromkeys(name for n in c.counts.values() for name in n)),
    }  # fmt: skip
    return pages.get_template(template).render(shared | values)


def _whole(text: str) -> Markup:
    """A value stays on one line with its interval."""
    parts = re.split(r"([−.,\d]+ \[[^\]]*\])", shown(text, 2000))
    span = Markup('<span class="whole">{}</span>')
    return Markup("").join(span.format(p) if i % 2 else p for i, p in enumerate(parts))


def _markdown(text: str) -> Markup:
    """Text from outside inside Markdown: neither markup nor HTML, on one line.

    >>> _markdown("<b>|x")
    Markup('&lt;b&gt;\\\\|x')
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(re.sub(r"([\\`*_{}|!#]|\[(?=[^\]]*\]\())", r"\\\1", escaped))


def csv_link(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """A data: link to the rows as CSV, whole; text that a spreadsheet would run as a formula starts with an apostrophe."""
    lines = "".join(",".join(map(csv_cell, row)) + "\n" for row in [columns, *rows])
    return Markup("data:text/csv;charset=utf-8," + quote(lines.encode("utf-8", "backslashreplace")))  # quoted, so safe


def _forest(c: Context) -> str:
    """The first metric of the model and of its baselines, one under the other."""
    found = {"this model": c.scores.get(c.headline)}
    found |= {name: m.get(c.headline) for name, m in c.metrics.get("baseline", {}).items()}
    rows = [(name, e["value"], e.get("low"), e.get("high")) for name, e in found.items() if e]
    if len(rows) < 2:
        return ""
    words = "; ".join(f"{name} {ev.estimate(e)}" for name, e in found.items() if e)
    name, better = ev.metric_name(c.headline), "less" if c.headline in LESS_IS_BETTER else "more"
    return intervals(rows, label=f"{name}: {words}", x=f"{name} with its 95 % interval; {better} is better")


def _repeat(c: Context) -> dict[str, str]:
    """What another person needs to get the same weights: seed, versions, machine, hash of the data."""
    run, seconds, steps = c.run, float(c.run.get("seconds") or 0), number(c.run.get("steps") or 0)
    time = f"{number(round(seconds))} seconds" if seconds < 120 else f"{number(seconds / 60)} minutes"
    out = {
        "Seed": str((run.get("arguments") or {}).get("seed", "")),
        "Recipe": _words(run.get("recipe") or {}),
        "Versions": _words(run.get("versions") or {}),
        "Machine": _words((run.get("machine") or {}) | {"threads": run.get("threads")}),
        "Time": f"{time}, {steps} steps" if seconds else "",
        "SHA-256 of the data": str((run.get("data") or {}).get("sha256", "")),
    }
    return {k: v for k, v in out.items() if v}


def _words(values: Mapping[str, Any]) -> str:
    """Names and values in one line.

    >>> _words({"lr": 0.002, "dropout": 0.0, "batch": 1024, "clip": None})
    'lr .002, dropout 0, batch 1,024'
    """
    said = {k: number(v, 5).rstrip("0").rstrip(".") or "0" if isinstance(v, float) else v for k, v in values.items()}
    return ", ".join(f"{k} {number(v) if type(v) is int else v}" for k, v in said.items() if v is not None)
