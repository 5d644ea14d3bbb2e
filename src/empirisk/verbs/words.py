"""What `train` says: what was understood, what is odd, the plan, the baselines, an epoch, the verdict."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from empirisk import models, runtime
from empirisk.errors import listed
from empirisk.estimate import Estimate, values
from empirisk.experiment import Experiment, Rows
from empirisk.report.evidence import lead
from empirisk.verbs.say import Say, interval, short

ALWAYS = {"epoch", "step", "train", "val", "lr", "images_per_second", "memory_gib", "seconds"}
"""Columns of history.csv that are no score of the task."""


def understood(say: Say, e: Experiment) -> None:
    """What was understood, with the flag that changes it, and what is odd."""
    loaded, card = e.data.prepared(), e.data.card()
    table = loaded.table
    assert table is not None
    grid = "x".join(str(s) for s in card.size) or f"{card.channels} columns"
    grid = "own sizes" if e.data.plan else grid
    channels = f", {card.channels} channels" if card.channels > 1 and card.dims else ""
    say("Data", f"{table.name}: {table.form}, {len(loaded.rows):,} rows, {grid}{channels}")
    for what, found, flag in table.understood:
        if what not in {"form", "split"}:  # the form stands above, the split in the plan
            say("", f"{what} {found}", flag)
    for line in [*table.odd, *odd_of(e)]:
        say("Odd", line)


def odd_of(e: Experiment) -> list[str]:
    """What the audit and the split found."""
    rows, added, found = e.data.prepared().rows, e.data.prepared().added, e.data.facts.get("audit", {})
    out = [r["id"] for r in rows if r.get("why")]
    twins = {p: n - found["identical"][p] for p, n in found.get("twins", {}).items()}  # copies are left out
    near = [f"{n} of {pair.split('/')[1]}" for pair, n in twins.items() if n and pair.startswith("train")]
    lines = {
        f"{len(out)} training images are identical to a held-out one and are left out: {listed(out, 3)}": out,
        f"near-twins of training images: {', '.join(near)}; numbers are given with and without them": near,
        f"{len(added)} rows were added since the split was saved and are left out: {listed(added, 3)}": added,
    }
    return [line for line, some in lines.items() if some]


def counts(rows: Rows) -> dict[str, dict[str, int]]:
    """Rows per part and label; part "" is left out."""
    n: dict[str, Counter[str]] = {p: Counter() for p in ("train", "val", "test", "")}
    for r in rows:
        labels = r.get("label")
        for label in labels if isinstance(labels, tuple) else (labels if labels is not None else "rows",):
            n[r["part"]][str(label)] += 1
    return {part: dict(sorted(c.items())) for part, c in n.items() if c}


def threads() -> str:
    """How many threads compute."""
    n = torch.get_num_threads()
    return f"{n} thread{'s' if n > 1 else ''}"


def plan(say: Say, e: Experiment, *, epoch: int, batch: int, precision: str, device: torch.device) -> None:
    """How it will be trained; `epoch` is its steps."""
    rows, table = e.data.prepared().rows, e.data.prepared().table
    sizes = [f"{part} {n:,}" for part in ("train", "val", "test") if (n := sum(r["part"] == part for r in rows))]
    given = "given split" if table and table.split_given else "drawn split"
    say("Plan", f"{given}: {', '.join(sizes)}", "--split" if given == "given split" else "--split-seed")
    name = str(e.arguments.get("model") or e.name)
    if name == "auto":
        name = models.usual(e.data.card().dims)
    say("", f"{name}, {sum(p.numel() for p in e.model.parameters()):,} parameters", "--model, --width")
    for line, flag in e.data.plan.lines() if e.data.plan else []:
        say("", line, flag)
    with_threads = f", {threads()}" if device.type == "cpu" else ""
    together = f", {runtime.world()} processes" if runtime.world() > 1 else ""
    say("", f"{precision} on {device}{with_threads}{together}", "--precision")
    recipe = e.recipe
    length = f"{recipe.minutes:g} min" if recipe.minutes else f"{recipe.epochs_for(epoch)} epochs of {epoch} steps"
    if e.players:
        say("", f"{length}, {batch} samples a step", "--epochs, --batch")
    else:
        say("", "no steps: a closed form of all training rows")


def baselines(say: Say, e: Experiment, rows: Rows, theirs: dict[str, Callable[[Rows], list[Any]]]) -> None:
    """What must be beaten."""
    parts, first = [], ""
    for name, baseline in theirs.items():
        scores = e.task.score(rows, baseline(rows))
        first = next(iter(scores))
        parts.append(f"{name} {short(values({first: scores[first]}, len(rows))[first])}")
    if parts:
        say("Baseline", [f"validation {first}:", *parts])


def epoch(row: dict[str, Any]) -> str:
    """An epoch in one line: risks, the first score, speed, memory."""
    words = [f"{k} {short(row[k])}" for k in ("train", "val") if k in row]
    words += [f"{k} {short(v)}" for k, v in row.items() if k not in ALWAYS and k != "loss"][:1]
    if "images_per_second" in row:
        words.append(f"{row['images_per_second']:.0f} img/s  {row['memory_gib']:.1f} GiB")
    return "  ".join(words)


def left(seconds: float) -> str:
    """Time left.

    >>> left(4000), left(72)
    ('1:06:40', '1:12')
    """
    minutes, second = divmod(max(0, int(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}" if minutes >= 60 else f"{minutes}:{second:02d}"


def against(name: str, metric: str, d: Estimate) -> str:
    """A paired difference from a baseline, in words."""
    if d.value is None:
        return f"against {name}: undefined ({d.reason})"
    how, by = lead(metric, d.json())
    words = f"a tie with {name}: {by}" if how == "tie" else f"{how} than {name} by {by}"
    return f"{words} ({metric})".replace("−", "-")


def result(
    say: Say, kept: dict[str, Any], scores: dict[str, Estimate], differences: Any, page: Path, run: Path
) -> None:
    """The verdict, paths and the next command."""
    if kept["epoch"] is not None:
        say("Kept", f"epoch {kept['epoch'] + 1}, the least risk on validation; {kept['why']}")
    first = next(iter(scores))
    some = [first, *(k for k in scores if k in {"accuracy", "rmse", "r2"} and k != first)]
    say("Validation", [*(f"{k} {interval(scores[k])}" for k in some), f"n = {scores[first].n}"])
    for name, found in differences.items():
        if first in found:
            say("", against(name, first, found[first]))
    say("Report", str(page))
    say("Next", f"empirisk test {run}")
