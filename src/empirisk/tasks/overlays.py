"""The report's pictures of masks: overlays of the worst and the median cases, what the border cuts, Dice by size."""

import numpy as np

from empirisk.data.masks import Masks, Segmented
from empirisk.data.rows import spacing_of
from empirisk.data.table import Row, Rows
from empirisk.figures import Curve, Figure, Tile, album, chart, number, picture

WORST, MEDIAN, POINTS = 8, 4, 1500
"""Most cases that are shown, and points of a scatter plot."""
TRUTH, ANSWER = (0.0, 0.62, 0.45), (0.84, 0.37, 0.0)
"""Colours of the outlines (Okabe-Ito)."""
SIDE = 168
"""Pixels of an overlay."""


def segmentation(rows: Rows, answers: list[Segmented], masks: Masks) -> list[Figure]:
    """Overlays, and Dice by size."""
    cases = np.stack([masks.measure(r, a) for r, a in zip(rows, answers, strict=True)])  # (N, K, 4)
    return [_overlays(rows, answers, masks, cases), _by_size(rows, masks, cases)]


def _overlays(rows: Rows, answers: list[Segmented], masks: Masks, cases: np.ndarray) -> Figure:
    """The cases of least Dice, then those around the median."""
    known = ~np.isnan(cases[..., 0])
    dice = np.where(known, cases[..., 0], 0).sum(1) / np.maximum(known.sum(1), 1)
    order = [int(i) for i in np.argsort(dice, kind="stable") if known[i].any()]
    worst = order[:WORST]
    rest = order[len(worst) :]
    middle = max(0, len(order) // 2 - len(worst) - MEDIAN // 2)
    items = []
    for group, some in (("worst", worst), ("median", rest[middle : middle + MEDIAN])):
        for i in some:
            plain, drawn = _drawn(rows[i], masks, answers[i])
            words = (f"Dice {number(dice[i])}", group, str(rows[i]["id"]))
            items.append(Tile(((plain, "image"), (drawn, "truth and answer outlined")), words, group))
    cut = [masks.border(a.labels) for a in answers]
    n = sum(map(bool, cut))
    border = (
        f" In {n} of {len(rows)} images an answer reaches the border: the structure goes on outside, and its volume is that of "
        "the part seen (column cut of the predictions)." if n else ""
    )  # fmt: skip
    empty = int((~known.any(1)).sum())
    left = f" Of {empty} of {len(rows)}, where truth and answer hold nothing, no number tells." if empty else ""
    text = f"Green: the truth; orange: the answer, on top. First the {len(worst)} cases of least Dice, then {len(items) - len(worst)} around the median.{border}{left}"
    return album("overlays", "Truth and answer", items, text)


def _drawn(row: Row, masks: Masks, answer: Segmented) -> tuple[str, str]:
    """The image, and the image with outlines; of a volume the slice with most of the truth."""
    image, truth, said = np.asarray(row["x"].read()), masks.labels(row), answer.labels
    if image.ndim == 4:
        shown = truth if (truth > 0).any() else said
        at = int((shown > 0).sum((1, 2)).argmax())
        image, truth, said = image[:, at], truth[at], said[at]
    image = image if len(image) in {1, 3} else image[:1]
    if image.dtype != np.uint8:
        low, high = np.percentile(image, [0.5, 99.5])
        image = (image.astype(np.float32) - low) / max(high - low, 1e-9)
    lines = [(m == k, ink) for m, ink in ((truth, TRUTH), (said, ANSWER)) for k in range(1, len(masks.names) + 1)]
    stroke = 2 if max(image.shape[1:]) < SIDE else 1  # enlarged, there is room for it
    return picture(image, side=SIDE), picture(image, side=SIDE, outlines=lines, stroke=stroke)


def _by_size(rows: Rows, masks: Masks, cases: np.ndarray) -> Figure:
    """Dice against the true size of the structure: small ones are hard, and one wrong pixel costs them more."""
    voxel, structures = [[float(np.prod(spacing_of(r) or 1.0))] for r in rows], range(1, len(masks.names) + 1)
    count = [[np.count_nonzero(labels == k) for k in structures] for labels in map(masks.labels, rows)]
    size, dice = np.array(count) * voxel, cases[..., 0]  # (N, K)
    unit = "pixels" if spacing_of(rows[0]) is None else "mm³" if np.asarray(masks.labels(rows[0])).ndim == 3 else "mm²"
    curves, table = [], []
    for k, name in enumerate(masks.names):
        there = np.flatnonzero((size[:, k] > 0) & ~np.isnan(dice[:, k]))[:POINTS]
        curves.append(Curve(name, np.log10(size[there, k]), dice[there, k], dots=True, style=k))
        table += [(name, str(rows[i]["id"]), size[i, k], dice[i, k]) for i in there]
    text = "Each point is a structure of a case. The smaller it is, the more a wrong pixel costs."
    svg = chart(curves, label=text, x=f"log10 of the true size, {unit}", y="Dice", y_range=(0, 1))
    columns = ("structure", "id", f"size, {unit}", "dice")
    return Figure("dice-by-size", "Dice by size", svg, text, "pictures", columns, tuple(table))
