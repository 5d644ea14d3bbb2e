"""What each regulariser of a run is worth: the same run with it and without, by the risk on validation and by the gap."""

import dataclasses as dc
from typing import Annotated, Any

from cyclopts import Parameter

from empirisk import runtime
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.figures import Figure, intervals
from empirisk.recipe import Regularization, dashed
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.refit import Again, Fit
from empirisk.verbs.report import reported
from empirisk.verbs.run import load
from empirisk.verbs.say import Say, interval

NAMES = (*(f.name for f in dc.fields(Regularization)), "label_smoothing", "mixup", "weight_decay", "l1", "ema")
"""Regularisers: the last five are flags of the recipe or of an experiment."""
IN = {"augment": "auto", "dropout": 0.2, "label_smoothing": 0.1, "mixup": 0.2, "weight_decay": 0.1, "ema": 0.99}
"""Those that are put in where they are off, and how strongly."""


@dc.dataclass(frozen=True)
class Switch:
    """A regulariser, whether the run has it, and the arguments of the run with it the other way."""

    name: str
    on: bool
    value: Any
    "its strength where it is on"
    changes: dict[str, Any]


@dc.dataclass(frozen=True)
class Effect:
    """The risk on held-out rows with a regulariser less that without it, and the same of the gap; all together at 95 %."""

    switch: Switch
    risk: Estimate
    gap: Estimate

    @property
    def word(self) -> str:
        """helps, hurts or tie, by the risk on validation."""
        return "tie" if self.risk.tie else "helps" if (self.risk.value or 0) < 0 else "hurts"


def switches(again: Again) -> list[Switch]:
    """What can be taken out or put in; what the model or the data have no place for is left out."""
    arguments, found = again.own.arguments, []
    for name in NAMES:
        if name not in arguments or name == "adversarial_steps":
            continue
        value, off = arguments[name], "none" if name == "augment" else 0.0
        on = again.own.data.change is not None if name == "augment" else value != off
        changes: dict[str, Any] = {name: off if on else IN.get(name, off)}
        if name == "adversarial":
            changes["adversarial_steps"] = 1
        try:
            other = again.build(**changes)
        except Wrong:
            continue
        if changes[name] != value and (name != "augment" or on or other.data.change is not None):
            found.append(Switch(name, on, value if on else changes[name], changes))
    return found


def effects(again: Again, every: list[Switch], mine: list[Fit], others: list[list[Fit]]) -> list[Effect]:
    """Of each switch that the time reached, the strongest help first."""
    out, of = [], sum(bool(o) for o in others)
    for switch, theirs in zip(every, others, strict=True):
        if theirs:
            a, b = (mine, theirs) if switch.on else (theirs, mine)  # with, without
            out.append(Effect(switch, again.lowered(a, b, of=of), again.gap(a, b, of=of)))
    return sorted(out, key=lambda e: e.risk.value or 0.0)


def figure(found: list[Effect]) -> Figure:
    """A forest of the effects on the validation risk."""
    rows = tuple((e.switch.name, e.risk.value, e.risk.low, e.risk.high) for e in found)
    gaps = ((e.gap.value, e.gap.low, e.gap.high, "on" if e.switch.on else "off") for e in found)
    text = "The risk on validation with each regulariser less that without it, paired over rows and seeds: left of 0 it helps, an interval across 0 is a tie."
    columns = ("regulariser", "risk", "low", "high", "gap", "low", "high", "in this run")
    table = tuple((*row, *gap) for row, gap in zip(rows, gaps, strict=True))
    svg = intervals(rows, label=text, x="change of the risk")
    return Figure("ablate", "What each regulariser is worth", svg, text, "training", columns, table)


def ablate(
    run: Trained, *,
    seeds: Annotated[int, Parameter(help="of initial weights, order and augmentation; each pairs the run with its changed selves")] = 3,
    minutes: Annotated[
        float | None,
        Parameter(help="time in all: fewer steps each where the run's own do not fit; if not given, as many as the run had"),
    ] = None,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Take each regulariser out of a run, or put it in, and say what it is worth.

    A regulariser is whatever is meant to lower the expected, not the empirical, risk: it may raise the training error, and helps
    if it lowers that on validation. Every seed teaches the run as it is and with one switch turned, on the same rows.

    Example: empirisk ablate runs/pneumoniamnist --minutes 10
    """
    say, opened = Say(as_json=json), load(run)
    again = Again(opened, runtime.device_named(device), seeds=seeds, minutes=minutes)
    if not again.own.players:
        what = f"{opened.path} is a closed form: it has no regulariser to take out"
        raise Wrong(what, remedy="empirisk capacity changes its dial")
    every = switches(again)
    mine, *others = again.taught([(len(again.train), changes) for changes in ({}, *(s.changes for s in every))], say)
    found = effects(again, every, mine, others)
    if not found:
        raise Wrong("the time did not reach one pair of fits", remedy="give more --minutes")
    with opened.folder.lock():
        opened.folder.write_figures("ablate", [figure(found).to_dict()])
    say.line(f"{'':<26}{'risk on validation':<28}gap")
    for e in found:
        name = f"--{dashed(e.switch.name)} {e.switch.value}"
        say.line(f"{e.word:<7}{name:<25}{interval(e.risk):<28}{interval(e.gap)}")
    say("", "with the regulariser less without it; tie: the interval holds 0; all together at 95 %")
    say("Report", str(reported(opened)))
    say.document({"switches": [
        {"name": e.switch.name, "in_the_run": e.switch.on, "value": e.switch.value, "verdict": e.word, "risk": e.risk.json(), "gap": e.gap.json()}
        for e in found
    ]})  # fmt: skip
