"""What there is: runs as a leaderboard, experiments, models, metrics, data sets."""

from pathlib import Path
from typing import Any, Literal

from empirisk.data.embedded import NAMES
from empirisk.experiments import EXPERIMENTS
from empirisk.folder import RunFolder
from empirisk.metrics import METRICS
from empirisk.models import list_models
from empirisk.verbs.say import Say, short


def runs(root: Path) -> list[dict[str, Any]]:
    """Every run below a folder with its first number, the best first."""
    found = []
    for file in sorted(root.glob("**/run.json")):
        folder = RunFolder(file.parent)
        record, metrics = folder.read(), folder.metrics()
        part = next((p for p in ("test", "val") if metrics.get(p)), "")
        first = next(iter(metrics.get(part, {})), "")
        e = metrics.get(part, {}).get(first, {})
        found.append(
            {"run": str(folder.path), "experiment": record.get("experiment"), "status": record.get("status"), "part": part,
             "metric": first, **{k: e.get(k) for k in ("value", "low", "high", "n")}, "seconds": record.get("seconds")}
        )  # fmt: skip
    return sorted(found, key=lambda r: (r["metric"], r["part"], -(r["value"] or 0)))


def list_(
    what: Literal["runs", "experiments", "models", "metrics", "datasets"] = "runs",
    *,
    root: str = "runs",
    json: bool = False,
) -> None:
    """List runs (as a leaderboard), experiments, models, metrics or built-in data sets.

    Example: empirisk list models

    Parameters
    ----------
    what
        runs, experiments, models, metrics or datasets.
    root
        folder below which runs are looked for.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    if what != "runs":
        lines = {"experiments": EXPERIMENTS, "models": list_models(), "metrics": METRICS, "datasets": NAMES}[what]
        for name, line in lines.items():
            say.out(f"{name:<20}{line}")
        say.document(lines)
        return
    rows = runs(Path(root))
    if not rows:
        say.out(f"no runs below {root}; begin with: empirisk demo")
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for column in ("run", "experiment", "status", "part", "metric", "value", "95 % interval", "n", "seconds"):
            table.add_column(column, overflow="fold")
        for r in rows:
            numbers = (
                (short(r["value"]), f"[{short(r['low'])}, {short(r['high'])}]".replace("[", r"\["))
                if r["value"] is not None
                else ("", "")
            )
            table.add_row(
                *(str(r[k] or "") for k in ("run", "experiment", "status", "part", "metric")),
                *numbers,
                str(r["n"] or ""),
                str(r["seconds"] or ""),
            )
        Console(file=say.stream).print(table)
    say.document(rows)
