"""What a number is, before any interval: a function of how often each row counts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights (B, N), how often each of N rows counts -> values (B,); NaN where undefined."""


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
    by: str = ""
    "what it is measured by, said with the method: numbers measured by something else are not compared with it"

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """The values (B,)."""
        return self.of(w)


@dataclass(frozen=True, eq=False)
class Biased:
    """A statistic that depends on how many rows there are, and that rows counted twice would change: no bootstrap.

    Its interval is value -+ t s / sqrt(K), s the deviation of the values of K = 10 disjoint parts, t Student's of K - 1 degrees:
    what the parts have in common, their bias, drops out. It is said of weights that are 0 or 1.
    """

    of: Statistic
    by: str = ""
    "as that of `Metric`"
    least: float = -math.inf
    "no value is below"
    most: float = math.inf
    "no value is above"

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


def measured_by(s: Statistic) -> str:
    """What a statistic, or what it is joined of, is measured by; nothing where it does not say."""
    return ", ".join(dict.fromkeys(leaf.by for leaf in leaves(s) if isinstance(leaf, Metric | Biased) and leaf.by))


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


def leaves(s: Statistic) -> list[Statistic]:
    """The statistics that one is joined of, or itself."""
    return [leaf for p in s.parts for leaf in leaves(p)] if isinstance(s, Macro) else [s]


def biased(s: Statistic) -> bool:
    """Whether its interval comes from disjoint parts of the rows."""
    return any(isinstance(leaf, Biased) for leaf in leaves(s))
