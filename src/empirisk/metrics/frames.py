"""How well the phases of a video are told: by the frame, by the phase, and by the order of the stretches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from empirisk.estimate import Macro, Metric, Statistic, itself, mean, quotient

TOLERANCE = 10.0
"""Seconds by which the relaxed accuracy lets a frame be early or late."""


class Fit(NamedTuple):
    """What the scores of one video are made of."""

    frames: int
    right: int
    relaxed: int
    "frames whose answer is the truth of a moment at most 10 s away"
    edit: float
    both: tuple[int, ...]
    "of each phase: frames where truth and answer are it"
    either: tuple[int, ...]
    "of each phase: frames where truth or answer is it"


def fit(truth: np.ndarray, answer: np.ndarray, seconds: np.ndarray, phases: int) -> Fit:
    """Truth and answer (T,) are numbers of phases, seconds (T,) their rising time stamps."""
    t, a = (v[:, None] == np.arange(phases) for v in (truth, answer))  # (T, K)
    seen = np.concatenate([np.zeros((1, phases), int), t.cumsum(0)])  # seen[i]: of each phase in the first i frames
    first = np.searchsorted(seconds, seconds - TOLERANCE - 1e-6)
    last = np.searchsorted(seconds, seconds + TOLERANCE + 1e-6)
    near = seen[last, answer] > seen[first, answer]
    return Fit(
        len(truth), int((truth == answer).sum()), int(near.sum()), edit(truth, answer),
        tuple((t & a).sum(0).tolist()), tuple((t | a).sum(0).tolist()),
    )  # fmt: skip


def stretches(phases: np.ndarray) -> list[int]:
    """The phases in their order, each stretch of equal frames once.

    >>> stretches(np.array([0, 0, 1, 1, 0]))
    [0, 1, 0]
    """
    return [int(v) for v in phases[np.append(True, phases[1:] != phases[:-1])]] if len(phases) else []


def edit(truth: np.ndarray, answer: np.ndarray) -> float:
    """1 - d / max(m, n): d the least number of stretches to insert, drop or change, m and n the stretches of both.

    Levenshtein (1966); Lea et al., CVPR 2017, "edit score". It counts flicker, whatever its length.
    """
    a, b = stretches(truth), stretches(answer)
    row = list(range(len(b) + 1))  # row[j]: distance of the first i of a and the first j of b
    for i, one in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return 1 - row[-1] / max(len(a), len(b), 1)


def statistics(fits: Sequence[Fit], names: Sequence[str]) -> dict[str, Statistic]:
    """Every score as a function of the weights of whole videos; accuracies and Jaccard pool the frames of all videos.

    accuracy = right / frames; jaccard of a phase = frames of both / frames of either, the macro over the phases that occur;
    edit is the mean over videos.
    """
    frames, right, relaxed, edits = (np.array([f[i] for f in fits], float) for i in range(4))
    both, either = (np.array([f[i] for f in fits], float) for i in (4, 5))  # (N, K)
    everyone = (np.ones(len(fits), bool),)
    each = [
        Metric(quotient(both[:, k], either[:, k]), (either[:, k] > 0,), "the phase occurs nowhere", itself)
        for k in range(len(names))
    ]
    whole: dict[str, Statistic] = {
        "accuracy": Metric(quotient(right, frames), everyone, bound=itself),
        "jaccard": Macro(tuple(each)),
        "edit": mean(edits),
        "relaxed_accuracy": Metric(quotient(relaxed, frames), everyone, bound=itself),
    }
    return whole | {f"jaccard/{name}": one for name, one in zip(names, each, strict=True)}
