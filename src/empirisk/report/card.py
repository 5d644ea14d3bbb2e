"""report.md, which a terminal can show, and the model card: the page's words and numbers as Markdown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from empirisk.errors import shown
from empirisk.figures import number
from empirisk.report import evidence as ev
from empirisk.report import tables, trust
from empirisk.report.evidence import Context


def text(c: Context) -> str:
    """The report in Markdown: verdict, trust, numbers, baselines, data, how to repeat."""
    facts = trust.facts(c)
    lines = [f"# {_safe(c.name)}", "", f"**{_safe(ev.verdict(c))}**", "", f"{_safe(ev.status(c))}.", ""]
    lines += [f"- Take care: {_safe(words)}" for words, _ in trust.warnings(c, facts)]
    lines += ["", "## Can it be trusted?", ""]
    said = {"good": "yes", "caution": "take care", "bad": "no", "unknown": "not known"}
    lines += [f"- **{_safe(f.what)}** ({said[f.state]}): {_safe(f.why)}" for f in facts]
    lines += ["", "## Numbers", ""]
    for t in tables.numbers(c):
        lines += [f"### {_safe(t['title'])}", "", *_numbers(t), ""]
    lines += ["## Data", "", *_data(c), "## Repeat it", ""]
    lines += [f"    {shown(line, 2000)}" for line in c.command.splitlines()]
    return "\n".join([*lines, "", "## Limits", "", *(f"- {_safe(line)}" for line in ev.limits(c)), ""])


def model_card(c: Context) -> str:
    """What the model is, was made from, reaches and must not be used for. Mitchell et al., FAT* 2019."""
    run, arguments = c.run, c.run.get("arguments") or {}
    built = ", ".join(
        f"{k} {v}" for k, v in arguments.items() if k in {"model", "width", "depth", "dropout"} and v is not None
    )
    versions = ", ".join(f"{k} {v}" for k, v in (run.get("versions") or {}).items())
    lines = [
        f"# Model card: {_safe(c.name)}", "",
        "## The model", "",
        f"- Task: {_safe(run.get('experiment', 'not recorded'))}",
        f"- Network: {_safe(built or 'not recorded')}",
        f"- Made with: {_safe(versions or 'not recorded')}; seed {_safe(arguments.get('seed', 0))}",
        f"- {_safe(ev.status(c))}", "",
        "## Meant for", "",
        "Research and teaching, on images like those it was trained on. It is not a medical device.", "",
        "## Trained and tested on", "", *_data(c),
        "## How good it is", "", f"{_safe(ev.verdict(c))}", "",
    ]  # fmt: skip
    for t in tables.numbers(c)[:1]:
        lines += [f"{_safe(t['title'])}:", "", *_numbers(t), ""]
    lines += ["## What speaks for and against", ""]
    lines += [f"- {_safe(f.what)}: {_safe(f.why)}" for f in trust.facts(c)]
    return "\n".join([*lines, "", "## Limits", "", *(f"- {_safe(line)}" for line in ev.limits(c)), ""])


def _numbers(t: Mapping[str, Any]) -> list[str]:
    """One table of `tables.numbers` in Markdown."""
    rows = []
    for row, name in t["rows"].items():
        cells = [t["cells"].get((row, head), {}) for head in t["heads"]]
        words = [
            f"{v['text']}{' (tie)' if v['tie'] else ''}{f' ({note})' if (note := v['note']) else ''}" if v else ""
            for v in cells
        ]
        n = t["n"].get(row, {})
        rows.append((name, *words, *([f"{number(n.get('n'))} {n.get('unit', 'image')}s"] if n else [])))
    head = ("metric", *t["heads"].values(), *(["n"] if t["n"] else []))
    return [*_table(head, rows), *(["", f"In brackets 95 % intervals: {_safe(t['usual'])}."] if t["usual"] else [])]


def _data(c: Context) -> list[str]:
    lines = [f"- {_safe(k)}: {_safe(v)}" for k, v in c.card.items() if v not in (None, "")]
    names = list(dict.fromkeys(name for n in c.counts.values() for name in n))
    if names:
        rows = [(name, *(number(n.get(name, 0)) for n in c.counts.values())) for name in names]
        lines += ["", *_table(("class", *(ev.PARTS.get(p, p) for p in c.counts)), rows)]
    return [*lines, *(f"- Odd: {_safe(line)}" for line in c.odd[:50]), ""]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(_safe(c) for c in cells)} |" for cells in (head, *rows)]
    return [lines[0], f"|{' --- |' * len(head)}", *lines[1:]]


def _safe(value: object) -> str:
    """Text from outside inside Markdown: neither markup nor HTML, on one line.

    >>> _safe("<b>|x")
    '&lt;b&gt;\\\\|x'
    """
    escaped = shown(value, 2000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}|!#]|\[(?=[^\]]*\]\())", r"\\\1", escaped)
