"""Does a run under-fit or over-fit? Its error over capacity and training rows, a verdict by a test, and a remedy."""

import itertools
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from empirisk import runtime
from empirisk.data import embedded
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.figures import Curve, Figure, chart
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.refit import Again, Fit
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, load
from empirisk.verbs.say import Say, interval, short

LEAST = 8
"""Training rows, of fewer nothing is learned."""
MATTERS = 0.1
"""Share of the held-out error that a difference must be to count: a smaller one may be real and still not worth a word."""
USUAL = {"degree": (3,), "width": (16, 64, 32, 6, 8, 24, 48, 96, 128)}
"""Settings that models and experiments have where none is given."""
WORDS = {"train": "training error", "val": "validation error", "fresh": "expected risk"}
Fits = dict[tuple[int, int], list[Fit]]
"""(capacity, training rows) -> a fit a seed, seeds in one order; capacity 0 where the model has no dial."""


@dataclass(frozen=True)
class Verdict:
    """What the test says of the run's own setting, the remedy that its numbers support, and the gap."""

    verdict: str
    remedy: str
    gap: Estimate


def dial_of(again: Again) -> tuple[str, int, list[int]]:
    """The dial of capacity, where the run stands on it, and where it is tried: halves and doubles, or degrees 1 to 15.

    A model's own setting is the usual one that gives a network of as many parameters. Without a dial "", 0, [0].
    """

    def parameters(dial: str, value: int) -> int:
        try:
            return sum(p.numel() for p in again.build(**{dial: value}).model.parameters())
        except Wrong:  # no such dial
            return 0

    mine = sum(p.numel() for p in again.own.model.parameters())
    for dial, usual in USUAL.items():
        if own := again.own.arguments.get(dial) or next((u for u in usual if parameters(dial, u) == mine), 0):
            tried = range(1, 16) if dial == "degree" else (max(1, own // 4), max(1, own // 2), 2 * own)
            return dial, own, sorted({own, *tried})
    return "", 0, [0]


def verdict(again: Again, dial: str, own: int, fits: Fits) -> Verdict:
    """The verdict on the run's own setting, all of its training rows at capacity `own`, by the error on held-out rows.

    These are the validation rows and, of a generator, new ones. A difference counts if it is above 0 by the paired test over rows
    and seeds, all comparisons together at 95 %, and a tenth of that error at least. Under-fits: a larger capacity lowers the
    error. Over-fits: else, a smaller one does; or the gap from the training error counts, and no smaller one is worse by the test.
    Fits: else. `Wrong` (exit 2) where no fit of that setting was done.
    """
    most = len(again.train)
    if (own, most) not in fits:
        raise Wrong("the time did not reach a fit of the run's own setting", remedy="give more --minutes")
    mine = fits[own, most]
    others = {c: theirs for (c, n), theirs in fits.items() if n == most and c != own}
    gains = {c: again.lowered(mine, theirs, of=len(others)) for c, theirs in others.items()}
    gap, error = again.gap(mine), float(np.mean([f.held.mean() for f in mine]))

    def counts(e: Estimate) -> bool:
        return e.low is not None and e.low > 0 and (e.value or 0.0) >= MATTERS * error

    larger, smaller = ({c: g for c, g in gains.items() if (c > own) == above} for above in (True, False))
    for word, some in (("under-fits", larger), ("over-fits", smaller)):
        if better := {c: g.value or 0.0 for c, g in some.items() if counts(g)}:
            c = max(better, key=better.__getitem__)
            return Verdict(word, f"--{dial} {c}: the held-out error falls by {interval(gains[c])}", gap)
    fewer = max((n for c, n in fits if c == own and n < most), default=0)
    fall = again.lowered(fits[own, fewer], mine) if fewer else None
    rows = ""  # whether more of them lower the error, told from what half of them cost
    if fall and (fall.low or 0.0) > 0:
        rows = f"more training rows: from {fewer:,} to {most:,} the held-out error fell by {interval(fall)}"
    best = max(smaller.values(), key=lambda g: g.value or 0.0, default=None)
    if counts(gap) and not (best and best.high is not None and best.high < 0):
        return Verdict("over-fits", rows or "more regularisation: empirisk ablate RUN says which", gap)
    return Verdict("fits", rows or "neither capacity nor rows: better inputs or labels", gap)


def drawn(again: Again, dial: str, over: str, own: int, fits: Fits, least: float | None) -> Figure:
    """Training and validation error, of a generator also the expected risk, over the dial or the rows; bands over seeds."""
    most, by_rows = len(again.train), over == "rows"
    along = {n if by_rows else c: some for (c, n), some in fits.items() if (c == own if by_rows else n == most)}
    along = dict(sorted(along.items()))
    curves = []
    for name in WORDS if again.fresh else ("train", "val"):
        cells = [[float(getattr(f, name).mean()) for f in some] for some in along.values()]
        low, middle, high = ([float(g(v)) for v in cells] for g in (np.min, np.mean, np.max))
        curves.append(Curve(WORDS[name], list(along), middle, low, high))
    text = "Mean over seeds and band from the least to the largest; training and validation lie a generalisation gap apart."
    top = 1.1 * max(*curves[0].y, 3 * float(np.median(curves[1].y)))  # one that runs wild does not flatten the rest
    svg = chart(
        curves, label=text, x="training rows" if by_rows else dial, y="risk", whole=True, y_range=(0, top),
        across=[] if least is None else [(least, "least possible")], marks=[(float(most if by_rows else own), "this run")],
    )  # fmt: skip
    table = tuple(zip(along, *(c.y for c in curves), strict=True))
    columns = (over, *(c.name for c in curves))
    return Figure(f"capacity-{over}", f"Error over {over}", svg, text, "training", columns, table)


def studied(
    run: Run, over: str | None, *, seeds: int, minutes: float | None, device: str, say: Say
) -> tuple[str, Fits, Verdict]:
    """The dial, every fit, and the verdict; figures go into the run.

    `Wrong` (exit 2) for a dial that the model lacks, or where the time reached nothing.
    """
    again = Again(run, runtime.device_named(device), seeds=seeds, minutes=minutes)
    dial, own, tried = dial_of(again)
    if over not in {None, "rows", dial}:
        what = f"--over {over}: the model of {run.path} has {f'a {dial}' if dial else 'no such dial'}"
        raise Wrong(what, remedy=f"give --over {dial or 'rows'}")
    most = len(again.train)
    counts = [most, *(n for n in (most // 2, most // 4) if n >= LEAST)] if over in {None, "rows"} else [most]
    settings = list(itertools.product([own] if over == "rows" else tried, counts))
    settings.sort(key=lambda s: (s != (own, most), s[1] != most))  # the run's own first, then what it is compared with
    every = again.taught([(n, {dial: c} if dial else {}) for c, n in settings], say)
    fits = {setting: some for setting, some in zip(settings, every, strict=True) if some}
    found = verdict(again, dial, own, fits)
    squared = again.own.arguments.get("loss", "squared") == "squared"
    least = embedded.least_risk(str(again.own.arguments.get("data")), again.own.data.kind) if squared else None
    say("Gap", f"held-out less training error {interval(found.gap)}")
    if least is not None and again.fresh:
        expected, n = short(float(np.mean([f.fresh.mean() for f in fits[own, most]]))), f"{len(again.fresh):,} new rows"
        say("Expected", f"risk {expected} on {n}; the least possible (Bayes) {short(least)}")
    figures = [drawn(again, dial, o, own, fits, least) for o in (dial, "rows") if o and over in {None, o}]
    with run.folder.lock():
        run.folder.write_figures("capacity", [f.to_dict() for f in figures])
    return dial, fits, found


def capacity(
    run: Trained, *,
    over: Annotated[
        Literal["width", "rows", "degree"] | None,
        Parameter(help="width, degree (of a polynomial) or rows alone; if not given, the model's dial and the rows"),
    ] = None,
    seeds: Annotated[int, Parameter(help="of initial weights and of the draws of fewer rows: the bands")] = 3,
    minutes: Annotated[float | None, Parameter(help="time in all; no fit takes more steps than the run did")] = 10,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Say whether a run under-fits, fits or over-fits, by a test, and what would help.

    A hypothesis space that is too small has a large training error (it under-fits); one that is too large for its training rows
    a large gap between training and validation error (it over-fits). The run is taught again at other capacities and with fewer
    rows, in memory; RUN itself stays as it is, but for its figures and its page.

    Example: empirisk capacity runs/curve
    """
    say, opened = Say(as_json=json), load(run)
    dial, fits, found = studied(opened, over, seeds=seeds, minutes=minutes, device=device, say=say)
    say("Verdict", found.verdict)
    say("Remedy", found.remedy)
    say("Report", str(reported(opened)))
    first = int(opened.folder.read()["arguments"].get("seed", 0))
    points = [
        ({dial: c} if dial else {})
        | {"rows": n, "seed": seed, "train": float(fit.train.mean()), "val": float(fit.val.mean())}
        for (c, n), some in fits.items()
        for seed, fit in enumerate(some, first)
    ]
    say.document({"points": points, "verdict": found.verdict, "remedy": found.remedy, "gap": found.gap.json()})
