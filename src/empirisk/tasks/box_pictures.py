"""The report's pictures of boxes: precision-recall and FROC a class, counts, and the images with most errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from empirisk.data.boxes import Boxes
from empirisk.data.table import Rows
from empirisk.experiment import Experiment
from empirisk.figures import Curve, Figure, Tile, album, chart, number, picture
from empirisk.figures.images import Colour
from empirisk.metrics import boxes as metrics
from empirisk.metrics.boxes import LOOSE, Marks

PANELS, SHOWN, POINTS = 8, 12, 200
"""Most classes with a curve of their own, images that are shown, and points of a curve or a scatter plot."""
ALARMS = 8.0
"""False alarms an image up to which FROC is drawn."""
SIDE = 192
"""Pixels of a picture."""
FOUND, MISSED, RIGHT, ALARM = (0.0, 0.62, 0.45), (0.84, 0.37, 0.0), (0.0, 0.45, 0.7), (0.9, 0.62, 0.0)
"""Colours of boxes (Okabe-Ito): of the truth found and missed, of the answer right and wrong."""
Drawn = Sequence[tuple[int, str, metrics.Ranked]]
"""Classes with a curve: number, name, answers."""


def detection(experiment: Experiment, rows: Rows, answers: list[Marks], kind: Boxes) -> list[Figure]:
    """Precision and recall, FROC, counts, worst images."""
    truths = [kind.marks(r) for r in rows]
    ranked = metrics.ranked(truths, answers, len(kind.names), [LOOSE, 0.5])
    order = np.argsort([-c.truths.sum() for c in ranked], kind="stable")[:PANELS]
    common = [(int(k), kind.names[k], ranked[k]) for k in np.sort(order)]
    said = f" The {PANELS} commonest of {len(ranked)} classes are drawn." if len(ranked) > PANELS else ""
    checked = [judged(t, a) for t, a in zip(truths, answers, strict=True)]
    return [
        _precision_recall(common, said),
        _froc(common, said),
        _counts(common, metrics.tally(truths, len(ranked)), metrics.tally(answers, len(ranked)), checked),
        _worst(experiment, rows, checked),
    ]


@dataclass(frozen=True)
class Judged:
    """One image at an overlap of .5."""

    truth: Marks
    said: Marks
    "the answers that count"
    right: np.ndarray
    "(n,) bool, of those"
    found: np.ndarray
    "(m,) bool, of the true boxes"

    @property
    def errors(self) -> int:
        """Boxes missed and false alarms."""
        return int((~self.found).sum() + (~self.right).sum())


def judged(truth: Marks, answer: Marks) -> Judged:
    """The answers that count against the truth; a true box is found where a right answer of its class overlaps it."""
    said = Marks(*(part[answer.counted] for part in answer))
    right = metrics.matched(truth, said, [0.5])[0]
    over = metrics.iou(truth.corners, said.corners[right]) * (truth.label[:, None] == said.label[right])
    return Judged(truth, said, right, (over >= 0.5).any(1))


def _precision_recall(drawn: Drawn, said: str) -> Figure:
    lines, table = _curves(drawn, lambda c: metrics.precision_recall(c, 1))
    text = f"Each point is a score from which on boxes count; right is an overlap of .5 with a true box of the class. The upper right corner is perfect.{said}"
    x, y = "recall (share of true boxes found)", "precision"
    svg = chart(lines, label=text, x=x, y=y, x_range=(0, 1), y_range=(0, 1), square=True)
    return Figure("precision-recall", "Precision and recall", svg, text, "pictures", ("class", "recall", y), table)


def _froc(drawn: Drawn, said: str) -> Figure:
    def up_to(c: metrics.Ranked) -> tuple[np.ndarray, np.ndarray]:
        alarms, found = metrics.froc_curve(c)
        return alarms[alarms <= ALARMS], found[alarms <= ALARMS]

    lines, table = _curves(drawn, up_to)
    most = max((float(np.max(line.x)) for line in lines), default=0.0)
    text = f"How many of the things are found (overlap {number(LOOSE, 1)}) for how many false alarms. The upper left corner is perfect.{said}"
    x, y = "false alarms an image", "sensitivity"
    svg = chart(lines, label=text, x=x, y=y, x_range=(0, max(most, 1)), y_range=(0, 1), square=True)
    return Figure("froc", "FROC curve", svg, text, "pictures", ("class", x, y), table)


def _curves(
    drawn: Drawn, of: Callable[[metrics.Ranked], tuple[np.ndarray, np.ndarray]]
) -> tuple[list[Curve], tuple[tuple[object, ...], ...]]:
    """A curve a class, and the numbers behind them."""
    lines, table = list[Curve](), list[tuple[object, ...]]()
    for _, name, c in drawn:
        x, y = (_thinned(v) for v in of(c))
        lines.append(Curve(name if len(drawn) > 1 else "", x, y))
        table += list(zip([name] * len(x), x, y, strict=True))
    return lines, tuple(table)


def _thinned(values: np.ndarray) -> np.ndarray:
    if len(values) <= POINTS:
        return values
    return np.asarray(values[np.linspace(0, len(values) - 1, POINTS).round().astype(int)])


def _counts(drawn: Drawn, true: np.ndarray, said: np.ndarray, checked: Sequence[Judged]) -> Figure:
    """Counts of the answer over those of the truth, an image and class; true and said (N, K)."""
    lines, table, words = list[Curve](), list[tuple[object, ...]](), list[str]()
    for k, name, _ in drawn:
        t, s = true[:, k], said[:, k]
        lines.append(Curve(name if len(drawn) > 1 else "", _thinned(t), _thinned(s), dots=True))
        found = sum(int(j.found[j.truth.label == k].sum()) for j in checked)
        alarms = sum(int((~j.right[j.said.label == k]).sum()) for j in checked)
        words.append(
            f"{name}: {found} of {int(t.sum())} found, {alarms} false alarms, {number(np.abs(s - t).mean())} off a count"
        )
        table.append((name, int(t.sum()), found, alarms, float(np.abs(s - t).mean()), float((s - t).mean())))
    text = f"Boxes that count in each image; on the dotted line the count is right. {'; '.join(words)}."
    top = max(1.0, float(true.max()), float(said.max())) * 1.04
    svg = chart(
        lines, label=text, x="true count", y="count", x_range=(0, top), y_range=(0, top), diagonal=True, square=True
    )
    columns = ("class", "true", "found", "false alarms", "mean error of the count", "mean difference")
    return Figure("counts", "Counts", svg, text, "pictures", columns, tuple(table))


def _worst(experiment: Experiment, rows: Rows, checked: Sequence[Judged]) -> Figure:
    """The images with most errors: left the truth, right the answer."""
    order = [int(i) for i in np.argsort([-j.errors for j in checked], kind="stable")[:SHOWN]]
    x = experiment.data.x([rows[i] for i in order]).numpy()
    items, table = list[Tile](), list[tuple[object, ...]]()
    for image, i in zip(x, order, strict=True):
        j = checked[i]
        missed, alarms = int((~j.found).sum()), int((~j.right).sum())
        z = _slice(j)
        left = drawn(image, j.truth.corners, [FOUND if f else MISSED for f in j.found], z)
        right = drawn(image, j.said.corners, [RIGHT if r else ALARM for r in j.right], z)
        words = (f"{missed} missed, {alarms} false", f"{len(j.found)} true, {len(j.right)} said", str(rows[i]["id"]))
        pair = ((left, f"Truth: {words[1]}"), (right, f"Answer: {words[0]}"))
        items.append(Tile(pair, words, "" if j.errors else "no error"))
        table.append((words[2], len(j.found), len(j.right), missed, alarms))
    volumes = " Of each volume one slice through a thing." if x.ndim == 5 else ""
    text = (
        f"The {len(order)} of {len(rows)} images with most errors. Left the truth, green where found, red where missed; "
        f"right the answer, blue where right, orange where a false alarm.{volumes}"
    )
    columns = ("id", "true", "said", "missed", "false alarms")
    return album("worst", "The worst images", items, text, "mistakes", columns, table)


def _slice(j: Judged) -> float:
    """Where along the first axis of a volume to look: through the first error, else the first thing, as a share of its depth."""
    some = [j.truth.corners[~j.found], j.said.corners[~j.right], j.truth.corners, j.said.corners]
    box = next((c[0] for c in some if len(c)), np.full(6, 0.5))
    return float(box[len(box) // 2 - 1] + box[-1]) / 2


def drawn(image: np.ndarray, boxes: np.ndarray, inks: Sequence[Colour], z: float) -> str:
    """An image (C, *size) in [0, 1] with the outlines of boxes (n, 2 dims) in shares of its sides; of a volume the slice at z."""
    d = image.ndim - 1
    if d == 3:
        image = image[:, min(int(z * image.shape[1]), image.shape[1] - 1)]
        crossed = (boxes[:, 2] <= z) & (z <= boxes[:, 5])
        inks, boxes = [ink for ink, c in zip(inks, crossed, strict=True) if c], boxes[crossed]
    y, x = ((np.arange(n) + 0.5) / n for n in image.shape[1:])
    lines = []
    for box, ink in zip(boxes, inks, strict=True):
        rows, columns = (y >= box[1]) & (y <= box[d + 1]), (x >= box[0]) & (x <= box[d])
        lines.append((rows[:, None] & columns, ink))
    return picture(image if len(image) in {1, 3} else image[:1], side=SIDE, outlines=lines, stroke=2)
