"""A number with its evidence: value, 95 % interval, n, unit, method. No metric knows of patients or of draws."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights (B, N), how often each of N rows counts -> values (B,); NaN where undefined."""

Groups = Sequence[str | None]
"""The patient of each row; None where unknown."""

TAIL = 0.025
"""Each side's share outside the 95 % interval."""


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


@dataclass(frozen=True, eq=False)
class Metric:
    """A statistic that knows which rows it rests on, so that n, reason and exact bounds are right."""

    of: Statistic
    among: tuple[np.ndarray, ...]
    "sets of rows, each (N,) bool, that must not be empty; n counts their union"
    missing: str = "no case"
    "the reason that is given where one of the sets is empty"
    bound: Callable[[float], float] | None = None
    "rising map of a share of successes in [0, 1] to the metric, for the ends 0 and 1; None: it has no such ends"
    raised: bool = False
    "resampling raises it, as chance raised the value: its interval is moved down by that"

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """The values (B,)."""
        return self.of(w)


@dataclass(frozen=True, eq=False)
class Macro:
    """Statistics joined: 1/K sum_k s_k(w), over the classes that have a value; or `paired` s_1(w) - s_2(w) over the same draws."""

    parts: tuple[Statistic, ...]
    paired: bool = False

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """The values (B,)."""
        return self.join([part(w) for part in self.parts])

    def join(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The joint values of those (B,) of the parts."""
        if self.paired:
            return np.asarray(values[0] - values[1])
        return ratio(np.nansum(values, axis=0), np.count_nonzero(~np.isnan(values), axis=0))


def difference(a: Statistic, b: Statistic) -> Macro:
    """a(w) - b(w): estimated, the paired bootstrap; a tie where the interval holds 0."""
    return Macro((a, b), paired=True)


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, NaN where b is 0."""
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0))


def mean(values: Any, *, among: np.ndarray | None = None, missing: str = "no case") -> Metric:
    """sum_i w_i v_i / sum_i w_i over the rows `among`; of booleans it is a proportion; undefined where one of them is NaN.

    >>> mean([1, 2, 9], among=np.array([True, True, False]))(np.ones((1, 3))).tolist()
    [1.5]
    """
    v = np.asarray(values)
    rows = np.ones(len(v), bool) if among is None else among
    return Metric(quotient(np.where(rows, v, 0.0), rows), (rows,), missing, itself if v.dtype == bool else None)


def quotient(a: np.ndarray, b: np.ndarray) -> Statistic:
    """sum_i w_i a_i / sum_i w_i b_i; a, b (N,)."""
    table = np.stack([a, b], 1).astype(float)  # (N, 2)

    def of(w: np.ndarray) -> np.ndarray:
        sums = w @ table  # (B, 2)
        return ratio(sums[:, 0], sums[:, 1])

    return of


def itself(share: float) -> float:
    """The bound of a metric that is a share of successes."""
    return share


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
        study.drawn.update(_evaluate(defined, chunks if keep is None else (w * kept for w in chunks)))
    return {name: study.estimate(s) for name, s in statistics.items()}


def _leaves(s: Statistic) -> list[Statistic]:
    """The statistics that one is joined of, or itself."""
    return [leaf for p in s.parts for leaf in _leaves(p)] if isinstance(s, Macro) else [s]


def _evaluate(statistics: Iterable[Statistic], chunks: Iterable[np.ndarray]) -> dict[Statistic, np.ndarray]:
    """The values of each statistic and of its parts over all chunks of weights, each leaf computed once a chunk."""
    wanted = list(statistics)
    found: dict[Statistic, list[np.ndarray]] = {leaf: [] for s in wanted for leaf in _leaves(s)}
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
        among = [rows for leaf in _leaves(s) for rows in (leaf.among if isinstance(leaf, Metric) else (self.kept,))]
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
        if isinstance(s, Macro) and not s.paired and (left := sum(np.isnan(self.value[p]) for p in s.parts)):
            method += f"; mean over {len(s.parts) - left} of {len(s.parts)} classes"
        if len(d) < len(every):
            method += f"; {len(every) - len(d)} of {len(every)} draws undefined, left out"
        if self.alike(s):
            low, high = self.exact(s)
            method += "; every draw alike" + (": exact binomial bound" if low < high else "")
        else:
            low, high = (float(q) for q in np.quantile(d, [TAIL, 1 - TAIL]))
        if isinstance(s, Metric) and s.raised and not self.alike(s):  # reflected (Efron's basic interval), shifted
            low, high = max(2 * value - high, 0.0), high - float(d.mean()) + value
            method += "; moved down by what resampling adds"
        tie = low <= 0 <= high if isinstance(s, Macro) and s.paired else None
        return Estimate(value, low, high, n, self.unit, method, tie=tie)

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
