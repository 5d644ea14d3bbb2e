"""Does a run under-fit or over-fit? Its error over capacity and training rows, a verdict by a test, and a remedy."""

import itertools
from typing import Literal

import numpy as np

from empirisk import runtime
from empirisk.data import embedded
from empirisk.errors import Wrong
from empirisk.figures import Curve, Figure, chart
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.refit import Again
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, load
from empirisk.verbs.say import Say, interval, short
from empirisk.verbs.verdict import Fits, Verdict, verdict

LEAST = 8
"""Training rows, of fewer nothing is learned."""
USUAL = {"degree": (3,), "width": (16, 64, 32, 6, 8, 24, 48, 96, 128)}
"""Settings that models and experiments have where none is given."""
WORDS = {"train": "training error", "val": "validation error", "fresh": "expected risk"}


def dial_of(again: Again) -> tuple[str, int, list[int]]:
    """The dial of capacity, where the run stands on it, and where it is tried: halves and doubles, or degrees 1 to 15.

    A model's own setting is the usual one that gives a network of as many parameters. Without a dial "", 0, [0].
    """
    for dial, usual in USUAL.items():
        given = again.own.arguments.get(dial)
        mine = sum(p.numel() for p in again.own.model.parameters())
        own = given or next((u for u in usual if parameters(again, dial, u) == mine), 0)
        if own:
            tried = range(1, 16) if dial == "degree" else (max(1, own // 4), max(1, own // 2), 2 * own)
            return dial, own, sorted({own, *tried})
    return "", 0, [0]


def parameters(again: Again, dial: str, value: int) -> int:
    """Of the model with this setting; 0 where it has no such dial."""
    try:
        return sum(p.numel() for p in again.build(**{dial: value}).model.parameters())
    except Wrong:
        return 0


def drawn(again: Again, dial: str, over: str, own: int, fits: Fits, least: float | None) -> Figure:
    """Training and validation error, of a generator also the expected risk, over the dial or the rows; bands over seeds."""
    most = len(again.train)
    along = {
        n if over == "rows" else c: some for (c, n), some in fits.items() if (c == own if over == "rows" else n == most)
    }
    along = dict(sorted(along.items()))
    curves = []
    for name in WORDS if again.fresh else ("train", "val"):
        cells = [[float(getattr(f, name).mean()) for f in some] for some in along.values()]
        low, middle, high = ([float(g(v)) for v in cells] for g in (np.min, np.mean, np.max))
        curves.append(Curve(WORDS[name], list(along), middle, low, high))
    text = "Mean over seeds and band from the least to the largest; training and validation lie a generalisation gap apart."
    top = 1.1 * max(*curves[0].y, 3 * float(np.median(curves[1].y)))  # one that runs wild does not flatten the rest
    svg = chart(
        curves, label=text, x="training rows" if over == "rows" else dial, y="risk", whole=True, y_range=(0, top),
        across=[] if least is None else [(least, "least possible")], marks=[(float(most if over == "rows" else own), "this run")],
    )  # fmt: skip
    rows = tuple(zip(along, *(c.y for c in curves), strict=True))
    return Figure(
        f"capacity-{over}", f"Error over {over}", svg, text, "training", (over, *(c.name for c in curves)), rows
    )


def studied(
    run: Run, over: str | None, *, seeds: int, minutes: float | None, device: str, say: Say
) -> tuple[str, Fits, Verdict]:
    """The dial, every fit, and the verdict; figures go into the run.

    Raises
    ------
    Wrong
        exit 2 for a dial that the model lacks, or where the time reached nothing.
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
        expected = float(np.mean([f.fresh.mean() for f in fits[own, most]]))
        say(
            "Expected",
            f"risk {short(expected)} on {len(again.fresh):,} new rows; the least possible (Bayes) {short(least)}",
        )
    figures = [drawn(again, dial, o, own, fits, least) for o in (dial, "rows") if o and over in {None, o}]
    with run.folder.lock():
        run.folder.write_figures("capacity", [f.to_dict() for f in figures])
    return dial, fits, found


def capacity(
    run: Trained, *, over: Literal["width", "rows", "degree"] | None = None, seeds: int = 3, minutes: float | None = 10,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Say whether a run under-fits, fits or over-fits, by a test, and what would help.

    A hypothesis space that is too small has a large training error (it under-fits); one that is too large for its training rows
    a large gap between training and validation error (it over-fits). The run is taught again at other capacities and with fewer
    rows, in memory; RUN itself stays as it is, but for its figures and its page.

    Example: empirisk capacity runs/curve

    Parameters
    ----------
    over
        width, degree (of a polynomial) or rows alone; if not given, the model's dial and the rows.
    seeds
        of initial weights and of the draws of fewer rows: the bands.
    minutes
        time in all; no fit takes more steps than the run did.
    """
    say, opened = Say(as_json=json), load(run)
    dial, fits, found = studied(opened, over, seeds=seeds, minutes=minutes, device=device, say=say)
    say("Verdict", found.verdict)
    say("Remedy", found.remedy)
    say("Report", str(reported(opened)))
    first = int(opened.folder.read()["arguments"].get("seed", 0))
    points = [
        ({dial: c} if dial else {})
        | {"rows": n, "seed": first + s, "train": float(fit.train.mean()), "val": float(fit.val.mean())}
        for (c, n), some in fits.items()
        for s, fit in enumerate(some)
    ]
    say.document({"points": points, "verdict": found.verdict, "remedy": found.remedy, "gap": found.gap.json()})
