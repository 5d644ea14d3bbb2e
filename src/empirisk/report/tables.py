"""metrics.json as tables: for the page and report.md, and all of it for the CSV."""

from collections.abc import Mapping
from typing import Any

from empirisk.metrics import METRICS
from empirisk.report import evidence as ev
from empirisk.report.evidence import Context


def numbers(c: Context) -> list[dict[str, Any]]:
    """The tables of "Numbers": the newest part, its classes, the lead over baselines; behind buttons all the others."""
    newest, clean = c.metrics.get(c.part, {}), c.metrics.get("without_twins", {})
    main = {"": newest} | ({"without near-twins": clean} if clean else {})
    classes = sorted({name.partition("/")[2] for name in newest if "/" in name})
    out = [_table(f"On {ev.rows_of(c, c.part)}", main, counts=True)] if newest else []
    if classes:
        split = {name: name.partition("/") for name in newest}
        out.append(
            _table(
                "Class by class",
                {k: {split[m][0]: e for m, e in newest.items() if split[m][2] == k} for k in classes},
                turned=True,
            )
        )
    if lead := c.metrics.get("difference"):
        out.append(
            _table(
                "Difference from each baseline, on the same images",
                {f"less {b}": m for b, m in lead.items()},
                ties=True,
            )
        )
    hidden = [
        ("What the baselines reach", c.metrics.get("baseline", {})),
        ("Subgroups", c.metrics.get("subgroups", {})),
    ]
    hidden += (
        [(f"On {ev.rows_of(c, 'val')}", {"": c.metrics["val"]})] if c.part == "test" and c.metrics.get("val") else []
    )
    hidden += [(f"On other data: {stem}", {"": m}) for stem, m in c.metrics.get("other", {}).items()]
    return out + [_table(title, sets, hidden=True, counts="" in sets) for title, sets in hidden if sets]


def _table(
    title: str, sets: Mapping[str, Mapping[str, Any]], *, counts: bool = False, ties: bool = False, turned: bool = False,
    hidden: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Metrics down and sets across (turned: the other way); what differs from the usual method stands under the number."""
    names = [m for m in dict.fromkeys(m for s in sets.values() for m in s) if "/" not in m]
    methods = [e["method"] for s in sets.values() for e in s.values() if e.get("method") and e.get("value") is not None]
    usual = max(set(methods), key=methods.count) if methods else ""
    cells = {(m, k): _shown(s[m], usual, ties) for k, s in sets.items() for m in names if m in s}
    words = {m: w[0].upper() + w[1:] for m, w in ((m, ev.metric_name(m)) for m in names)}
    rows, heads = words, {k: k or "value" for k in sets}
    if turned:
        cells, rows, heads = {(k, m): v for (m, k), v in cells.items()}, {k: k for k in sets}, words
    n = {m: next(iter(sets.values())).get(m, {}) for m in names} if counts else {}
    how = {m: w for m, w in METRICS.items() if w != ev.metric_name(m)} if counts and not hidden else {}
    return {
        "title": title,
        "cells": cells,
        "rows": rows,
        "heads": heads,
        "usual": usual,
        "ties": ties,
        "hidden": hidden,
        "n": n,
        "how": how,
    }


def _shown(e: Mapping[str, Any], usual: str, ties: bool) -> dict[str, Any]:
    low, high, value = e.get("low"), e.get("high"), e.get("value")
    notes, method = [e.get("reason", "")], e.get("method", "")
    if value is not None:
        notes += [method.removeprefix(usual).lstrip("; ,")] if method != usual else []
        notes += ["no interval"] if low is None else []
    tie = ties and low is not None and high is not None and low <= 0 <= high
    return {"text": ev.estimate(e), "note": "; ".join(n for n in notes if n), "tie": tie}


def everything(c: Context) -> tuple[list[str], list[list[Any]]]:
    """Every number of metrics.json as one table, for the CSV."""
    columns, rows = ["set", "metric", "value", "low", "high", "n", "unit", "method", "reason"], []
    for part, content in c.metrics.items():
        flat = part in {"test", "val", "without_twins"}
        sets = {part: content} if flat else {f"{part}: {k}": v for k, v in content.items()}
        rows += [[where, name, *(e.get(k) for k in columns[2:])] for where, m in sets.items() for name, e in m.items()]
    return columns, rows
