"""What `train` says: what was understood, what is odd, the plan, the baselines, an epoch, the verdict."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from empirisk import models, runtime
from empirisk.data.rows import Table
from empirisk.errors import listed
from empirisk.estimate import Estimate, Statistic, values
from empirisk.experiment import Experiment, Rows
from empirisk.report.evidence import lead
from empirisk.verbs.say import Say, interval, short

ALWAYS = {"epoch", "step", "train", "val", "loss", "lr", "images_per_second", "memory_gib", "seconds"}
"""Columns of history.csv that are no score of the task."""


def understood(say: Say, label: str, table: Table, rows: int, more: str = "") -> None:
    """What was understood, with the flag that changes it; the form stands in the first line, the split in the plan."""
    say(label, f"{table.name}: {table.form}, {rows:,} rows{more}")
    for what, found, flag in table.understood:
        if what not in {"form", "split"}:
            say("", f"{what} {found}", flag)


def data(say: Say, e: Experiment) -> None:
    """What was understood of the data of an experiment, and what is odd."""
    loaded, card = e.data.prepared(), e.data.card()
    assert loaded.table is not None
    grid = "own sizes" if e.data.plan else "x".join(map(str, card.size)) or card.numbers
    channels = f", {card.channels} channels" if card.channels > 1 and card.dims else ""
    understood(say, "Data", loaded.table, len(loaded.rows), f", {grid}{channels}")
    if card.spacing:
        mm = " x ".join(f"{v:.3g}" for v in card.spacing)
        own = ["each by its own mean and deviation"] if card.alone else []
        say("", [f"a window of {mm} mm voxels about the middle", *own, "the size of a crop tells nothing"], "--size")
    for line in odd_of(e):
        say("Odd", line)


def odd_of(e: Experiment) -> list[str]:
    """What is odd in the data, what the audit and the split found."""
    loaded, found = e.data.prepared(), e.data.facts.get("audit", {})
    copies = set(found.get("left_out", {}))
    out = [r["id"] for r in loaded.rows if r["id"] in copies]
    others = Counter(str(r["why"]) for r in loaded.rows if r.get("why") and r["id"] not in copies)
    twins = {p: n - found["identical"][p] for p, n in found.get("twins", {}).items()}  # copies are left out
    near = [f"{n} of {pair.split('/')[1]}" for pair, n in twins.items() if n and pair.startswith("train")]
    lines = {
        f"{len(out)} training {e.data.unit}s are identical to a held-out one and are left out: {listed(out, 3)}": out,
        f"near-twins of training {e.data.unit}s: {', '.join(near)}; numbers are given with and without them": near,
        f"{len(loaded.added)} rows were added since the split was saved and are left out: {listed(loaded.added, 3)}": loaded.added,
    }
    lines |= {f"{n:,} training rows are left out: {why}": [why] for why, n in others.items()}
    return [*(loaded.table.odd if loaded.table else ()), *(line for line, some in lines.items() if some)]


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
    table, rows = e.data.prepared().table, e.data.prepared().rows
    sizes = [f"{part} {n:,}" for part in ("train", "val", "test") if (n := sum(r["part"] == part for r in rows))]
    how, flag = ("given", "--split") if table and table.split_given else ("drawn", "--split-seed")
    say("Plan", f"{how} split: {', '.join(sizes)}", flag)
    name = str(e.arguments.get("model") or e.name)
    name = models.usual(e.data.card().dims) if name == "auto" else name
    dials = ", ".join(f"--{dial}" for dial in ("model", "width", "state", "codes", "clusters") if dial in e.arguments)
    say("", f"{name}, {sum(p.numel() for p in e.model.parameters()):,} parameters", dials)
    for line, flag in e.data.plan.lines() if e.data.plan else []:
        say("", line, flag)
    with_threads = f", {threads()}" if device.type == "cpu" else ""
    together = f", {runtime.world()} processes" if runtime.world() > 1 else ""
    say("", f"{precision} on {device}{with_threads}{together}", "--precision")
    minutes, n = e.recipe.minutes, e.recipe.epochs_for(epoch)
    epochs = f"{n} epoch{'s' if n > 1 else ''} of {epoch} step{'s' if epoch > 1 else ''}"
    if e.players:
        say("", f"{f'{minutes:g} min' if minutes else epochs}, {batch} samples a step", "--epochs, --batch")
    else:
        say("", "no steps: a closed form of all training rows")


def baselines(say: Say, theirs: Mapping[str, Mapping[str, Statistic]], n: int) -> None:
    """What must be beaten, by the first score on n validation rows."""
    parts, first = [], ""
    for name, scores in theirs.items():
        first = next(iter(scores))
        parts.append(f"{name} {short(values({first: scores[first]}, n)[first])}")
    if parts:
        say("Baseline", [f"validation {first}:", *parts])


def epoch(row: dict[str, Any]) -> str:
    """An epoch in one line: risks, the first score, speed, memory."""
    words = [f"{k} {short(row[k])}" for k in ("train", "val") if k in row]
    words += [f"{k} {short(v)}" for k, v in row.items() if k not in ALWAYS][:1]
    if "images_per_second" in row:
        words.append(f"{row['images_per_second']:.0f} img/s  {row['memory_gib']:.1f} GiB")
    return "  ".join(words)


def against(name: str, metric: str, d: Estimate) -> str:
    """A paired difference from a baseline, in words."""
    if d.value is None:
        return f"against {name}: undefined ({d.reason})"
    how, by = lead(metric, d.json())
    words = f"a tie with {name}: {by}" if how == "tie" else f"{how} than {name} by {by}"
    return f"{words} ({metric})".replace("−", "-")


def leads(say: Say, metric: str, differences: Mapping[str, Mapping[str, Any]]) -> None:
    """The paired differences from the baselines by one metric, as metrics.json holds them, a line each."""
    for name, found in differences.items():
        if metric in found:
            say("", against(name, metric, Estimate(**found[metric])))


def result(
    say: Say, kept: dict[str, Any], scores: dict[str, Estimate], differences: Any, page: Path, watched: bool = True
) -> None:
    """The verdict, paths and the next command; `watched`: the risk on validation chose the epoch."""
    if kept["epoch"] is not None:
        say(
            "Kept", f"epoch {kept['epoch'] + 1}, the {'least risk on validation' if watched else 'last'}; {kept['why']}"
        )
    first = next(iter(scores))
    some = [first, *(k for k in scores if k in {"accuracy", "rmse", "r2"} and k != first)]
    say("Validation", [*(f"{k} {interval(scores[k])}" for k in some), f"n = {scores[first].n}"])
    leads(say, first, differences)
    say("Report", str(page))
    say("Next", f"empirisk test {page.parent}")
