"""What there is: runs as a leaderboard, experiments, models, activations, metrics, data sets."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from empirisk.data.embedded import NAMES
from empirisk.errors import Wrong, shown
from empirisk.experiments import EXPERIMENTS
from empirisk.folder import RunFolder
from empirisk.metrics import LESS_IS_BETTER, METRICS
from empirisk.models import list_models, sizes
from empirisk.models.activations import list_activations
from empirisk.verbs.flags import Json
from empirisk.verbs.say import Say, short


def runs(root: Path) -> list[dict[str, Any]]:
    """Every run below a folder with its first number, the best first."""
    found = []
    for file in sorted(root.glob("**/run.json")):
        folder = RunFolder(file.parent)
        try:
            record, metrics = folder.read(), folder.metrics()
        except Wrong:
            record, metrics = {"status": "broken"}, {}
        part = next((p for p in ("test", "val") if metrics.get(p)), "")
        scores = metrics.get(part, {})
        first = next(iter(scores), "")
        e = scores.get(first, {})
        found.append(
            {"run": str(folder.path), "experiment": record.get("experiment"), "status": record.get("status"), "part": part,
             "metric": first, **{k: e.get(k) for k in ("value", "low", "high", "n")}, "seconds": record.get("seconds")}
        )  # fmt: skip

    def place(r: dict[str, Any]) -> tuple[Any, ...]:
        value = float(r["value"] or 0) * (1 if r["metric"] in LESS_IS_BETTER else -1)
        return not r["metric"], r["metric"], r["part"] != "test", r["value"] is None, value

    return sorted(found, key=place)


def list_(
    what: Annotated[
        Literal["runs", "experiments", "models", "activations", "metrics", "datasets"],
        Parameter(help="runs, experiments, models, activations, metrics or datasets"),
    ] = "runs", *,
    root: Annotated[str, Parameter(help="folder below which runs are looked for")] = "runs", json: Json = False,
) -> None:  # fmt: skip
    """List runs (as a leaderboard), experiments, models, activations, metrics or built-in data sets.

    Example: empirisk list models
    """
    say = Say(as_json=json)
    if what != "runs":
        lines = {
            "experiments": EXPERIMENTS, "models": list_models(), "activations": list_activations(), "metrics": METRICS,
            "datasets": NAMES,
        }[what]  # fmt: skip
        for name, line in lines.items():
            say.line(f"{name:<20}{line}")
        say.document(sizes() if json and what == "models" else lines)
        return
    rows = runs(Path(root))
    if not rows:
        say.line(f"no runs below {root}; begin with: empirisk demo")
    cells = [("run", "status", "number", "95 % interval", "n")]
    for r in rows:
        number = f"{r['part']} {r['metric']} {short(r['value'])}" if r["metric"] else ""
        low_high = f"[{short(r['low'])}, {short(r['high'])}]" if r["value"] is not None else ""
        cells.append((shown(r["run"]), str(r["status"] or ""), number, low_high, str(r["n"] or "")))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells if rows else ():
        say.line("  ".join(f"{c:<{w}}" for c, w in zip(row, [*widths[:-1], 0], strict=True)))
    say.document(rows)
