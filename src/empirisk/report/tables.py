"""metrics.json as tables: for the page and report.md, and all of it for the CSV."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from empirisk.metrics import METRICS
from empirisk.report import evidence as ev
from empirisk.report.evidence import Context


def numbers(c: Context) -> list[dict[str, Any]]:
    """The tables of "Numbers": the newest part, its classes, the lead over baselines; behind buttons all the others."""
    m, newest = c.metrics, c.scores
    main = {"": newest} | ({"without near-twins": m["without_twins"]} if m.get("without_twins") else {})
    each: dict[str, dict[str, Any]] = {}
    for name, e in newest.items():
        metric, _, one = name.partition("/")
        if one:
            each.setdefault(one, {})[metric] = e
    val = {"": m["val"]} if c.part == "test" and m.get("val") else {}
    out = [
        _table(f"On {ev.rows_of(c, c.part)}", main if newest else {}, counts=True),
        _table("One by one", each, turned=True),
        _table("Difference from each baseline, on the same rows",
               {f"less {b}": d for b, d in m.get("difference", {}).items()}, ties=True),
        _table("What the baselines reach", m.get("baseline", {}), hidden=True),
        _table("Subgroups", m.get("subgroups", {}), hidden=True),
        _table(f"On {ev.rows_of(c, 'val')}", val, hidden=True, counts=True),
        *(_table(f"On other data: {stem}", {"": e}, hidden=True, counts=True) for stem, e in m.get("other", {}).items()),
    ]  # fmt: skip
    return [t for t in out if t["rows"]]


def _table(
    title: str, sets: Mapping[str, Mapping[str, Any]], *, counts: bool = False, ties: bool = False, turned: bool = False,
    hidden: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Metrics down and sets across (turned: the other way); what differs from the usual method stands under the number.

    Rows are (name, what it is, cells, n); a cell is empty where a set lacks the metric.
    """
    metrics = [m for m in dict.fromkeys(m for s in sets.values() for m in s) if "/" not in m]
    words = [name[0].upper() + name[1:] for name in map(ev.metric_name, metrics)]
    methods = Counter(e.get("method") for s in sets.values() for e in s.values() if e.get("value") is not None)
    usual = next((method for method, _ in methods.most_common() if method), "")

    def shown(e: Mapping[str, Any]) -> dict[str, Any]:
        low, high, method, notes = e.get("low"), e.get("high"), e.get("method", ""), [e.get("reason", "")]
        if e.get("value") is not None:
            notes += [method.removeprefix(usual).lstrip("; ,")] if method != usual else []
            notes += ["no interval"] if low is None else []
        tie = ties and low is not None and high is not None and low <= 0 <= high
        return {"text": ev.estimate(e), "note": "; ".join(n for n in notes if n), "tie": tie}

    cells = [[shown(s[m]) if m in s else {} for s in sets.values()] for m in metrics]
    rows: list[tuple[str, str, list[dict[str, Any]], Mapping[str, Any]]]
    if turned:
        rows = [(k, "", [row[i] for row in cells], {}) for i, k in enumerate(sets)]
    else:
        what = {m: words for m, words in METRICS.items() if counts and not hidden and words != ev.metric_name(m)}
        n = [next(iter(sets.values())).get(m, {}) if counts else {} for m in metrics]
        rows = list(zip(words, [what.get(m, "") for m in metrics], cells, n, strict=True))
    heads = words if turned else [k or "value" for k in sets]
    return {
        "title": title,
        "heads": heads,
        "rows": rows,
        "usual": usual,
        "counts": counts,
        "ties": ties,
        "hidden": hidden,
    }


def everything(c: Context) -> tuple[list[str], list[list[Any]]]:
    """Every number of metrics.json as one table, for the CSV."""
    columns, rows = ["set", "metric", "value", "low", "high", "n", "unit", "method", "reason"], []
    for part, content in c.metrics.items():
        flat = part in {"test", "val", "without_twins"}
        sets = {part: content} if flat else {f"{part}: {k}": v for k, v in content.items()}
        rows += [[where, name, *(e.get(k) for k in columns[2:])] for where, m in sets.items() for name, e in m.items()]
    return columns, rows
