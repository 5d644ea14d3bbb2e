"""Under-fits, fits or over-fits: three words for what a test finds, not for what an eye sees."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from empirisk.errors import Wrong
from empirisk.estimate import Difference, Estimate, Statistic, draws, mean
from empirisk.experiment import Rows
from empirisk.verbs.refit import MOST, Again, Fit
from empirisk.verbs.run import patients
from empirisk.verbs.say import interval

Fits = dict[tuple[int, int], list[Fit]]
"""(capacity, training rows) -> a fit a seed, seeds in one order; capacity 0 where the model has no dial."""


MATTERS = 0.1
"""Share of the held-out error that a difference must be to count: a smaller one may be real and still not worth a word."""


@dataclass(frozen=True)
class Verdict:
    """What the test says of the run's own setting, the remedy that its numbers support, and the gap."""

    verdict: str
    remedy: str
    gap: Estimate


def verdict(again: Again, dial: str, own: int, fits: Fits) -> Verdict:
    """The verdict on the run's own setting, all of its training rows at capacity `own`, by the error on held-out rows.

    These are the validation rows and, of a generator, new ones. A difference counts if it is above 0 by the paired test over rows
    and seeds, all comparisons together at 95 %, and a tenth of that error at least. Under-fits: a larger capacity lowers the
    error. Over-fits: else, a smaller one does; or the gap from the training error counts, and no smaller one is worse by the test.
    Fits: else.

    Raises
    ------
    Wrong
        exit 2 where no fit of that setting was done.
    """
    most = len(again.train)
    if (own, most) not in fits:
        raise Wrong("the time did not reach a fit of the run's own setting", remedy="give more --minutes")
    mine = fits[own, most]
    gains, gap = compared(again, fits, own), gap_of(again, mine)
    error = float(np.mean([f.held.mean() for f in mine]))
    counting = {c for c, gain in gains.items() if counts(gain, error)}
    larger, smaller, less = (
        {c for c in counting if c > own},
        {c for c in counting if c < own},
        [c for c in gains if c < own],
    )
    if larger:
        return Verdict("under-fits", said(dial, best(gains, larger), gains), gap)
    rows = lacking_rows(again, own, fits)
    if smaller:
        return Verdict("over-fits", said(dial, best(gains, smaller), gains), gap)
    if counts(gap, error) and not (less and below(gains[best(gains, less)])):
        return Verdict("over-fits", rows or "more regularisation: empirisk ablate RUN says which", gap)
    return Verdict("fits", rows or "neither capacity nor rows: better inputs or labels", gap)


def compared(again: Again, fits: Fits, own: int) -> dict[int, Estimate]:
    """Capacity -> by how much its held-out error lies below that of `own`, on all training rows."""
    most = len(again.train)
    others = {c: theirs for (c, n), theirs in fits.items() if n == most and c != own}
    return {c: lowered(again, fits[own, most], theirs, of=len(others)) for c, theirs in others.items()}


def lowered(again: Again, a: list[Fit], b: list[Fit], of: int = 1) -> Estimate:
    """By how much b's held-out error lies below a's, paired by row and seed."""
    return paired([x.held - y.held for x, y in zip(a, b, strict=False)], again.held, of=of)


def gap_of(again: Again, a: list[Fit], b: list[Fit] | None = None, of: int = 1) -> Estimate:
    """Held-out error minus training error, mean over seeds; with `b` how much larger a's gap is than b's, paired."""
    chosen = np.linspace(0, len(again.train) - 1, min(MOST, len(again.train))).astype(int)
    rows = [*(again.train[i] for i in chosen), *again.held]
    held = np.arange(len(rows)) >= len(chosen)

    def gap(v: np.ndarray) -> Statistic:
        return Difference(mean(v, among=held), mean(v, among=~held))

    values = [np.concatenate([f.train, f.held]) for f in a]
    if b is not None:
        values = [v - np.concatenate([f.train, f.held]) for v, f in zip(values, b, strict=False)]
    return paired(values, rows, statistic=gap, of=of)


def lacking_rows(again: Again, own: int, fits: Fits) -> str:
    """Whether more rows lower the held-out error, told from what half of them cost; in words, or nothing."""
    most = len(again.train)
    fewer = max((n for c, n in fits if c == own and n < most), default=0)
    fall = lowered(again, fits[own, fewer], fits[own, most]) if fewer else None
    if fall is None or fall.low is None or fall.low <= 0:
        return ""
    return f"more training rows: from {fewer:,} to {most:,} the held-out error fell by {interval(fall)}"


def said(dial: str, value: int, gains: dict[int, Estimate]) -> str:
    """A remedy in words."""
    return f"--{dial} {value}: the held-out error falls by {interval(gains[value])}"


def best(gains: dict[int, Estimate], among: Iterable[int]) -> int:
    """The capacity of the largest gain."""
    return max(among, key=lambda c: gains[c].value or 0.0)


def counts(e: Estimate, error: float) -> bool:
    """Whether the whole interval lies above 0, and its value matters beside the error."""
    return e.low is not None and e.low > 0 and (e.value or 0.0) >= MATTERS * error


def below(e: Estimate) -> bool:
    """Whether the whole interval lies below 0."""
    return e.high is not None and e.high < 0


def paired(
    values: Sequence[np.ndarray], rows: Rows, *, of: int = 1, statistic: Callable[[np.ndarray], Statistic] = mean
) -> Estimate:
    """The mean over S seeds of a statistic of values (N,) a row, with an interval that knows both rows and seeds.

    Each end is as far away as the percentile over draws of whole patients and, squared and added, t_{S-1} standard errors of the
    seeds: few seeds tell little. With `of` comparisons each has 5 % / of outside (Bonferroni), so that all hold together.
    """
    from scipy.stats import t

    each = np.array([float(statistic(v)(np.ones((1, len(v))))[0]) for v in values])
    whole, S, tail = statistic(np.mean(values, axis=0)), len(values), 0.025 / of
    drawn = np.concatenate([whole(w) for w in draws(patients(rows), n=2000)])
    ends = np.nanquantile(drawn, [tail, 1 - tail])
    seeds = float(each.std(ddof=1)) / math.sqrt(S) * float(t.isf(tail, S - 1)) if S > 1 else 0.0
    value = float(each.mean())
    low, high = value - math.hypot(max(value - ends[0], 0), seeds), value + math.hypot(max(ends[1] - value, 0), seeds)
    method = f"bootstrap by patient and {S} seeds" + (f", {of} comparisons" if of > 1 else "")
    return Estimate(value, low, high, len(rows), "row", method, tie=low <= 0 <= high)
