"""A number with its evidence: value, 95 % interval, n, unit, method. No metric knows of patients or of draws."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from empirisk.statistic import (
    Biased,
    Macro,
    Metric,
    Statistic,
    biased,
    itself,
    leaves,
    mean,
    measured_by,
    quotient,
    ratio,
)

__all__ = [
    "Biased", "Estimate", "Groups", "Macro", "Metric", "Statistic", "difference", "draws", "estimate", "estimates", "itself", "mean",
    "measured_by", "numbered", "parts", "quotient", "ratio", "values",
]  # fmt: skip

Groups = Sequence[str | None]
"""The patient of each row; None where unknown."""

TAIL = 0.025
"""Each side's share outside the 95 % interval."""
PARTS = 10
"""Disjoint parts of the rows by which the interval of a `Biased` statistic is found."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval over n units; undefined: value, low and high are None, and the reason is said."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str = "image"
    method: str = "bootstrap by patient"
    reason: str = ""
    tie: bool | None = None
    "of a difference: whether its interval holds 0; None for every other number"

    def json(self) -> dict[str, Any]:
        """The form of metrics.json: a reason only where undefined, a tie only for a difference."""
        return {k: v for k, v in asdict(self).items() if (k, v) not in {("reason", ""), ("tie", None)}}


def difference(a: Statistic, b: Statistic) -> Macro:
    """a(w) - b(w): estimated, the paired bootstrap; a tie where the interval holds 0."""
    return Macro((a, b), paired=True)


def draws(groups: Groups, n: int = 1000, seed: int = 0) -> Iterator[np.ndarray]:
    """Bootstrap weights in chunks (b, N), n rows in all: whole patients drawn with replacement; None is its own patient.

    They depend on the names of the patients, not on the order of the rows. Efron and Tibshirani 1993, chapter 6.
    """
    index = numbered(groups)
    patients, rng = int(index.max()) + 1, np.random.default_rng(seed)
    chunk = max(1, 2**16 // len(index))  # half a megabyte: it stays in the cache
    for start in range(0, n, chunk):
        drawn = rng.integers(0, patients, (min(chunk, n - start), patients))
        counts = np.array([np.bincount(d, minlength=patients) for d in drawn], float)  # (b, patients)
        yield counts.take(index, axis=1)  # (b, N)


def parts(groups: Groups, kept: np.ndarray, n: int = PARTS, seed: int = 0) -> np.ndarray:
    """Weights (n, N), 0 or 1, of n disjoint parts of the kept rows (N,): whole patients, equally many; of fewer patients as many parts.

    >>> parts(["a", "b", "a", None], np.ones(4, bool), n=2).sum(0).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    index = numbered(groups)
    there = np.random.default_rng(seed).permutation(np.unique(index[kept]))
    place = np.full(int(index.max()) + 1, -1)
    n = min(n, len(there))
    place[there] = np.arange(len(there)) % n
    return np.array([(place[index] == part) & kept for part in range(n)], float)


def numbered(groups: Groups) -> np.ndarray:
    """The number of each row's patient (N,), in the order of the names; each None has its own, after them.

    >>> numbered(["b", None, "a", "b"]).tolist()
    [1, 2, 0, 1]
    """
    place = {name: i for i, name in enumerate(sorted({g for g in groups if g is not None}))}
    own = itertools.count(len(place))
    return np.array([next(own) if g is None else place[g] for g in groups], np.int64)


def values(statistics: Mapping[str, Statistic], n: int) -> dict[str, float | None]:
    """The values alone on all n rows, without intervals; undefined is None."""
    found = _evaluate(statistics.values(), [np.ones((1, n))])
    return {name: None if np.isnan(found[s][0]) else float(found[s][0]) for name, s in statistics.items()}


def estimate(s: Statistic, groups: Groups, *, keep: np.ndarray | None = None, unit: str = "image") -> Estimate:
    """One number with its evidence; the parameters are those of `estimates`."""
    return estimates({"": s}, groups, keep=keep, unit=unit)[""]


def estimates(
    statistics: Mapping[str, Statistic], groups: Groups, *, keep: np.ndarray | None = None, unit: str = "image",
    n: int = 1000, seed: int = 0,
) -> dict[str, Estimate]:  # fmt: skip
    """Every number with its percentile interval, from n draws of whole patients that all statistics share.

    `keep` (N,) bool is a subgroup; `unit` says what a row is. A metric whose draws are all 0 or all 1 gets the exact
    binomial bound over patients instead of an interval without width (Clopper and Pearson 1934).
    """
    kept = np.ones(len(groups), bool) if keep is None else np.asarray(keep, bool)
    full = _evaluate(statistics.values(), [kept[None].astype(float)])
    study = _Study(numbered(groups), kept, unit, _method(groups, kept, unit), {s: float(v[0]) for s, v in full.items()})
    if defined := [s for s in statistics.values() if not study.reason(s)]:
        chunks = draws(groups, n, seed)
        usual = [s for s in defined if not biased(s)]
        study.drawn.update(_evaluate(usual, chunks if keep is None else (w * kept for w in chunks)))
        study.drawn.update(_evaluate([s for s in defined if biased(s)], [parts(groups, kept)]))
    return {name: study.estimate(s) for name, s in statistics.items()}


def _evaluate(statistics: Iterable[Statistic], chunks: Iterable[np.ndarray]) -> dict[Statistic, np.ndarray]:
    """The values of each statistic and of its parts over all chunks of weights, each leaf computed once a chunk."""
    wanted = list(statistics)
    found: dict[Statistic, list[np.ndarray]] = {leaf: [] for s in wanted for leaf in leaves(s)}
    for w in chunks:
        for s, some in found.items():
            some.append(s(w))
    done = {s: np.concatenate(some) for s, some in found.items()}

    def join(s: Statistic) -> np.ndarray:
        if isinstance(s, Macro) and s not in done:
            done[s] = s.join([join(part) for part in s.parts])
        return done[s]

    return done | {s: join(s) for s in wanted}


def _method(groups: Groups, kept: np.ndarray, unit: str) -> str:
    """How the interval was drawn."""
    rows = [g for g, k in zip(groups, kept, strict=True) if k]
    unknown = sum(g is None for g in rows)
    if rows and unknown == len(rows):
        return f"bootstrap by {unit}; patients unknown: may be too narrow"
    some = f"; {unknown:,} {unit}s of unknown patients: may be too narrow" if unknown else ""
    return f"bootstrap by patient, {len({g for g in rows if g is not None}):,} patients{some}"


@dataclass(frozen=True)
class _Study:
    """The rows at hand, and the values of all statistics and their parts on them and over the draws."""

    index: np.ndarray  # (N,) numbers of the patients
    kept: np.ndarray  # (N,) bool
    unit: str
    method: str
    value: dict[Statistic, float]
    drawn: dict[Statistic, np.ndarray] = field(default_factory=dict)

    def patients(self, rows: np.ndarray) -> int:
        """How many patients the kept of the rows (N,) are of."""
        return int(np.count_nonzero(np.bincount(self.index[rows & self.kept])))

    def counted(self, s: Statistic) -> np.ndarray:
        """The kept rows (N,) that a statistic rests on; all where it does not say."""
        among = [rows for leaf in leaves(s) for rows in (leaf.among if isinstance(leaf, Metric) else (self.kept,))]
        return np.asarray(self.kept & np.any(among, axis=0))

    def reason(self, s: Statistic) -> str:
        """Why a statistic is undefined on these rows, or nothing."""
        if not self.kept.any():
            return f"no {self.unit}s"
        if isinstance(s, Macro):
            why = [self.reason(part) for part in s.parts]
            if all(why) or (s.paired and any(why)):
                return next(w for w in why if w)
        if isinstance(s, Metric):
            least = min(self.patients(rows) for rows in s.among)
            if least == 0:
                return s.missing
            if least == 1 and len(s.among) > 1:
                return "a class with one patient only"
        if self.patients(self.counted(s)) < 2:
            return "one patient only"
        return f"not defined on these {self.unit}s" if np.isnan(self.value[s]) else ""

    def estimate(self, s: Statistic) -> Estimate:
        """The value with its interval, or the reason why there is none."""
        n, reason, method = int(self.counted(s).sum()), self.reason(s), self.method
        if reason:
            return Estimate(None, None, None, n, self.unit, method, reason)
        every, value = self.drawn[s], self.value[s]
        d = every[~np.isnan(every)]
        if biased(s) and len(d) < 2:
            return Estimate(None, None, None, n, self.unit, method, f"too few {self.unit}s for an interval")
        if isinstance(s, Macro) and not s.paired and (left := sum(np.isnan(self.value[p]) for p in s.parts)):
            method += f"; mean over {len(s.parts) - left} of {len(s.parts)} classes"
        if len(d) < len(every):
            method += f"; {len(every) - len(d)} of {len(every)} draws undefined, left out"
        if biased(s):
            low, high, method = self.of_parts(s, d)
        elif self.alike(s):
            low, high = self.exact(s)
            method += "; every draw alike" + (": exact binomial bound" if low < high else "")
        else:
            low, high = (float(q) for q in np.quantile(d, [TAIL, 1 - TAIL]))
        if isinstance(s, Metric) and s.raised and not self.alike(s):  # reflected (Efron's basic interval), shifted
            low, high = max(2 * value - high, 0.0), high - float(d.mean()) + value
            method += "; moved down by what resampling adds"
        method += f"; {by}" if (by := measured_by(s)) else ""
        tie = low <= 0 <= high if isinstance(s, Macro) and s.paired else None
        return Estimate(value, low, high, n, self.unit, method, tie=tie)

    def of_parts(self, s: Statistic, found: np.ndarray) -> tuple[float, float, str]:
        """Ends of the interval by the values of disjoint parts, and how they were found."""
        from scipy.stats import t

        k, value = len(found), self.value[s]
        half = float(t.ppf(1 - TAIL, k - 1) * found.std(ddof=1) / math.sqrt(k))
        least, most = (s.least, s.most) if isinstance(s, Biased) else (-math.inf, math.inf)
        unknown = "; patients unknown: may be too narrow" if "patients unknown" in self.method else ""
        method = f"{k} disjoint parts of the {self.unit}s, shifted to the value{unknown}"
        return max(value - half, least), min(value + half, most), method

    def alike(self, s: Statistic) -> bool:
        """Whether every draw that is defined gave the value."""
        return bool(np.nanmax(np.abs(self.drawn[s] - self.value[s]), initial=0) <= 1e-12)

    def exact(self, s: Statistic) -> tuple[float, float]:
        """Ends where every draw is alike: k successes, or failures, of k trials, with k the patients of the smallest set."""
        value = self.value[s]
        if isinstance(s, Macro):
            low, high = zip(*[self.exact(p) for p in s.parts if not np.isnan(self.value[p])], strict=True)
            if s.paired:
                return low[0] - high[1], high[0] - low[1]
            return float(np.mean(low)), float(np.mean(high))
        if not isinstance(s, Metric) or s.bound is None or value not in {0.0, 1.0} or not self.alike(s):
            return value, value
        share = TAIL ** (1 / min(self.patients(rows) for rows in s.among))
        return (s.bound(share), 1.0) if value else (0.0, s.bound(1 - share))
