"""How well things are told apart: instance maps matched by intersection over union, then ranked as boxes are."""

from collections.abc import Sequence

import numpy as np

from empirisk.estimate import Statistic
from empirisk.metrics.boxes import IOUS, Ranked, average_precision


def best_overlap(truth: np.ndarray, answer: np.ndarray, n: int) -> np.ndarray:
    """The largest intersection over union of each answered thing 1 .. n with any true one, (n,).

    Both are maps (*size) of whole numbers, 0 the background. Things of one map do not overlap, so from .5 on no two
    answered things share a true one: nothing is left to choose.

    >>> best_overlap(np.array([1, 1, 2, 2]), np.array([1, 0, 2, 2]), 2).tolist()
    [0.5, 1.0]
    """
    true, flat = np.unique(truth, return_inverse=True)  # ids may have gaps
    pairs = np.bincount(answer.ravel().astype(np.int64) * len(true) + flat.ravel(), minlength=(n + 1) * len(true))
    table = pairs.reshape(n + 1, len(true)).astype(float)  # voxels of each answered and true thing
    inside = table[1:, true > 0]
    union = table[1:].sum(1, keepdims=True) + table[:, true > 0].sum(0) - inside
    return np.asarray((inside / np.maximum(union, 1)).max(1, initial=0.0))


def scores(
    truths: Sequence[np.ndarray], answers: Sequence[np.ndarray], surety: Sequence[np.ndarray]
) -> dict[str, Statistic]:
    """ap: average precision of masks, the mean over overlaps of .50, .55, .. .95; ap50: that at .50.

    truths, answers: instance maps, an image each; surety (n,) of the answered things 1 .. n, which ranks them over all images.
    An overlap of exactly .5 counts at .50 for one answer at most.
    """
    found = [best_overlap(t, a, len(s)) for t, a, s in zip(truths, answers, surety, strict=True)]
    sure, overlap = np.concatenate(surety), np.concatenate(found)
    image = np.repeat(np.arange(len(found)), [len(f) for f in found])
    order = np.argsort(-sure, kind="stable")
    right = overlap[order] >= IOUS[:, None] - 1e-9
    count = np.array([np.count_nonzero(np.unique(t)) for t in truths], float)
    one = Ranked(sure[order], image[order], right, count)
    return {"ap": average_precision(one, range(len(IOUS))), "ap50": average_precision(one, [0])}
