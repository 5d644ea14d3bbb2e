"""How well things are found: average precision, FROC, counts; each is a function of image weights (B, N) -> (B,).

An answer is right where it overlaps a true box of its class that no surer answer has taken, the most overlapped first, by at
least a given intersection over union (Lin et al. 2014, COCO). Weights are exact: w copies of an image give what weight w gives.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from empirisk.estimate import Macro, Metric, Statistic, itself, mean, ratio

IOUS = np.linspace(0.5, 0.95, 10)
"Overlaps over which `ap` is the mean."
LEVELS = np.linspace(0, 1, 101)
"Of the recall, at which precision is read."
LOOSE = 0.1
"Overlap that finds a thing where only its place counts, for FROC; Baumgartner et al. 2021 (nnDetection)."
RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"False alarms an image at which FROC is read; Setio et al. 2017 (LUNA16)."


class Marks(NamedTuple):
    """The boxes of one image, true or found; true ones have score 1 and are counted."""

    label: np.ndarray
    "class numbers (n,)"
    corners: np.ndarray
    "(n, 2 dims) as (x1, y1, .., x2, y2, ..), in shares of the image's sides, the last axis of the array first"
    score: np.ndarray
    "(n,)"
    counted: np.ndarray
    "(n,) bool: whether the score reaches the threshold of its class"


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 2 dims) and (m, 2 dims), in any common unit, (n, m).

    >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    d, inside = a.shape[1] // 2, np.ones((len(a), len(b)))
    for k in range(d):
        low, high = np.maximum(a[:, k, None], b[:, k]), np.minimum(a[:, d + k, None], b[:, d + k])
        inside *= np.maximum(high - low, 0)
    whole = volume(a)[:, None] + volume(b) - inside
    return np.asarray(np.divide(inside, whole, out=np.zeros_like(whole), where=whole > 0))


def volume(boxes: np.ndarray) -> np.ndarray:
    """Area or volume (n,) of boxes (n, 2 dims)."""
    d = boxes.shape[1] // 2
    return np.asarray((boxes[:, d:] - boxes[:, :d]).prod(1))


def matched(truth: Marks, said: Marks, least: Sequence[float] | np.ndarray) -> np.ndarray:
    """Which answers are right at each least overlap (T, n): surest first, each true box taken once, of several the most overlapped."""
    right = np.zeros((len(least), len(said.label)), bool)
    over = iou(said.corners, truth.corners)
    over[said.label[:, None] != truth.label] = 0
    i, j = np.nonzero(over >= min(least))
    value, place = over[i, j], np.empty(len(said.score), int)
    place[np.argsort(-said.score, kind="stable")] = np.arange(len(place))
    by = np.lexsort((-value, place[i]))  # by falling score, then by falling overlap
    pairs = list(zip(i[by].tolist(), j[by].tolist(), value[by].tolist(), strict=True))
    for t, bar in enumerate(np.asarray(least).tolist()):
        hit, taken = set[int](), set[int]()
        for one, other, v in pairs:
            if v >= bar and one not in hit and other not in taken:
                hit.add(one)
                taken.add(other)
        right[t, list(hit)] = True
    return right


@dataclass(frozen=True, eq=False)
class Ranked:
    """The answers of one class in all N images, by falling score."""

    score: np.ndarray
    "(n,)"
    image: np.ndarray
    "(n,) below N"
    right: np.ndarray
    "(T, n) bool, at each least overlap"
    truths: np.ndarray
    "(N,): true boxes of the class an image"

    def metric(self, of: Statistic) -> Metric:
        """A statistic of this class as a metric, undefined where no image has a true box."""
        return Metric(of, (self.truths > 0, np.ones(len(self.truths), bool)), "no true box", itself)


def ranked(
    truths: Sequence[Marks], said: Sequence[Marks], classes: int, least: Sequence[float] | np.ndarray
) -> list[Ranked]:
    """The answers to N images matched and ranked, a class each."""
    right = np.concatenate([matched(t, s, least) for t, s in zip(truths, said, strict=True)], 1)
    label, score = (np.concatenate([getattr(s, name) for s in said]) for name in ("label", "score"))
    image = np.repeat(np.arange(len(said)), [len(s.label) for s in said])
    counts = tally(truths, classes)
    out = []
    for k in range(classes):
        mine = np.flatnonzero(label == k)
        mine = mine[np.argsort(-score[mine], kind="stable")]
        out.append(Ranked(score[mine], image[mine], right[:, mine], counts[:, k]))
    return out


def tally(marks: Iterable[Marks], classes: int) -> np.ndarray:
    """Boxes that are counted, an image and class (N, K)."""
    return np.array([np.bincount(m.label[m.counted], minlength=classes) for m in marks], float)


def scores(truths: Sequence[Marks], said: Sequence[Marks], names: Sequence[str]) -> dict[str, Statistic]:
    """Every metric of boxes by name: the macro under the plain name and, of several classes, one under name/class."""
    classes = ranked(truths, said, len(names), [LOOSE, *IOUS])
    true, found = tally(truths, len(names)), tally(said, len(names))
    each: dict[str, list[Statistic]] = {
        "ap50": [average_precision(c, [1]) for c in classes],
        "ap": [average_precision(c, range(1, 1 + len(IOUS))) for c in classes],
        "froc": [froc(c, RATES) for c in classes],
        "sensitivity_at_1": [froc(c, [1.0]) for c in classes],
        "count_mae": [mean(np.abs(found - true)[:, k]) for k in range(len(names))],
    }
    plain: dict[str, Statistic] = {name: Macro(tuple(parts)) for name, parts in each.items()}
    several = each if len(names) > 1 else {}
    return plain | {f"{m}/{name}": s for m, parts in several.items() for name, s in zip(names, parts, strict=True)}


def average_precision(c: Ranked, at: Iterable[int]) -> Metric:
    """1/101 sum_{r in 0, .01, .., 1} max_{recall >= r} precision, the mean over the numbered overlaps `at`.

    Lin et al. 2014 as pycocotools computes it. Only right answers raise the recall, so the curve is read at them: each holds
    as many of the 101 levels as its own step of the recall passes.
    """
    hits = [np.flatnonzero(c.right[t]) for t in at]

    def of(w: np.ndarray) -> np.ndarray:
        total, area = (w @ c.truths)[:, None], np.zeros(len(w))  # (B, 1), (B,)
        called = np.cumsum(w.take(c.image, axis=1), axis=1)  # (B, n)
        for hit in hits:
            true = np.cumsum(w.take(c.image[hit], axis=1), axis=1)  # (B, h)
            among = called.take(hit, axis=1)
            precision = np.divide(true, among, out=np.zeros_like(true), where=among > 0)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            recall = np.divide(true, total, out=np.zeros_like(true), where=total > 0)
            level = np.floor(100 * recall + 1e-6).astype(int)
            level -= recall < LEVELS[level]  # as the tool compares them: .58 is above 29 / 50
            area += np.einsum("bh,bh->b", best, np.diff(level, axis=1, prepend=-1)) / 101
        return np.where(total[:, 0] > 0, area / len(hits), np.nan)

    return c.metric(of)


def froc(c: Ranked, rates: Sequence[float]) -> Metric:
    """Mean over `rates` f of the share of true boxes found with at most f false alarms an image, at the first least overlap."""
    hit = np.flatnonzero(c.right[0])

    def of(w: np.ndarray) -> np.ndarray:
        images, total = w.sum(1)[:, None], w @ c.truths
        mine = w.take(c.image[hit], axis=1)  # (B, h)
        alarms = np.cumsum(w.take(c.image, axis=1), axis=1).take(hit, axis=1) - np.cumsum(mine, axis=1)
        found = [np.einsum("bh,bh->b", mine, alarms <= rate * images + 1e-9) for rate in rates]
        return ratio(np.mean(found, axis=0), total)

    return c.metric(of)


def operating_point(c: Ranked) -> float:
    """The score from which on an answer counts: the largest F1 = 2 right / (answers + truths) at the first least overlap; .5 where undefined."""
    right = np.cumsum(c.right[0])
    if not len(right) or not right[-1]:
        return 0.5
    f1 = 2 * right / (np.arange(1, len(right) + 1) + c.truths.sum())
    return float(c.score[f1.argmax()])


def precision_recall(c: Ranked, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision after each answer that is right at the numbered overlap, (h,) each, from (0, 1) on."""
    hit = np.flatnonzero(c.right[at])
    true = np.arange(1, len(hit) + 1)
    return np.append(0.0, true / max(c.truths.sum(), 1)), np.append(1.0, true / (hit + 1))


def froc_curve(c: Ranked) -> tuple[np.ndarray, np.ndarray]:
    """False alarms an image and the share of true boxes found, after each answer, at the first least overlap, (n + 1,) each."""
    right = np.append(0, np.cumsum(c.right[0]))
    return (np.arange(len(right)) - right) / len(c.truths), right / max(c.truths.sum(), 1)
