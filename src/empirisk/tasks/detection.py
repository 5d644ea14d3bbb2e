"""Which things are where: the centre of each as a peak of its class's map, its box read there."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.boxes import Boxes
from empirisk.data.table import Rows
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure
from empirisk.losses import Batch
from empirisk.metrics import boxes as metrics
from empirisk.metrics.boxes import Marks
from empirisk.models.detector import alone, overlap, peaks, placed
from empirisk.tasks import box_pictures

BELL = 0.1
"Standard deviation of a centre's bell, a share of the box's side; Liu et al. 2020 (TTFNet) have .09."
NEAR = 0.05
"A cell where the bell of its box is above this learns that box."
SIDES = 2.0
"Weight of the boxes beside the centres."
MOST, LEAST = 100, 0.01
"Boxes of an answer at most, and their least score."
RIVAL = 0.6
"Boxes of one class that overlap by more than this IoU are one thing."
PLACES = {2: 8, 3: 4}
"Places along an axis at which the baseline looks for the usual boxes, by the number of dimensions."


def detection(kind: Boxes) -> Task:
    """The task of finding things; y lies on the training grid, answers are in shares of the image's sides."""
    return Task(
        loss=partial(loss, kind),
        predict=partial(predict, kind),
        score=partial(score, kind),
        baseline=partial(baseline, kind),
        show=partial(show, kind),
        calibrate=partial(calibrate, kind),
    )


def loss(kind: Boxes, model: nn.Module, batch: Batch) -> Tensor:
    """The terms [n], an image each: (sum_cells focal + SIDES sum_boxes (1 - GIoU)) / boxes of a usual image.

    focal = -(1 - p)^2 log p at the centres (h = 1), -(1 - h)^4 p^2 log(1 - p) elsewhere, h the bells of `taught`; the weights of
    the cells of a box have sum 1. Divided by a constant, so that images weigh the same in every batch. Zhou et al. 2019, eq. 1.
    """
    out = model(batch[0])
    out = out.to(torch.promote_types(out.dtype, torch.float32))
    logits, corners = placed(out, len(kind.names))
    h, box, weight = taught(kind, batch[1].to(out), out.shape[2:])
    p, log_p, log_q = logits.sigmoid(), F.logsigmoid(logits), F.logsigmoid(-logits)
    focal = -torch.where(h == 1, (1 - p) ** 2 * log_p, (1 - h) ** 4 * p**2 * log_q)  # (n, K, S)
    away = weight * (1 - overlap(corners, box)[1])  # (n, S)
    return (focal.flatten(1).sum(1) + SIDES * away.sum(1)) / kind.usual


def taught(kind: Boxes, y: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """What maps of `size` should say to y: bells h (n, K, S), the box of each cell (n, S, 2 dims) in shares, its weight (n, S).

    A bell is exp(-1/2 sum_a ((cell_a - centre_a) / sigma_a)^2), sigma_a = BELL side_a + 1/6 cell, over its value at the nearest
    cell: 1 there, and nearly so in another cell that is nearly as near.
    """
    n, k, d = *y.shape[:2], kind.dims
    cells = torch.tensor(tuple(size)[::-1]).to(y)  # (dims,), x first
    box = y[..., 1:] / torch.tensor(kind.grid[::-1] * 2).to(y)  # (n, k, 2 dims)
    low, high = (box * cells.repeat(2)).chunk(2, -1)
    centre, sigma = (low + high) / 2, BELL * (high - low) + 1 / 6  # (n, k, dims)
    bell = (y[..., :1] >= 0).to(y)  # (n, k, 1)
    for axis, length in enumerate(size):
        a = d - 1 - axis
        off = (torch.arange(length).to(y) + 0.5 - centre[..., a, None]) / sigma[..., a, None]  # (n, k, length)
        along = torch.exp((off.square().amin(-1, keepdim=True) - off.square()) / 2)
        bell = (bell[..., None] * along[:, :, None]).flatten(2)  # (n, k, cells so far)
    label = y[..., :1].long().clamp(min=0).expand_as(bell)
    h = torch.zeros(n, len(kind.names), bell.shape[2]).to(y).scatter_reduce(1, label, bell, "amax")
    best, owner = bell.max(1)  # (n, S)
    near = torch.where(best > NEAR, best, 0)
    whole = torch.zeros(n, k).to(y).scatter_add(1, owner, near)
    weight = near / whole.gather(1, owner).clamp(min=1e-6)
    return h, box.gather(1, owner[..., None].expand(-1, -1, 2 * d)), weight


@torch.no_grad()
def predict(kind: Boxes, model: nn.Module, x: Tensor) -> list[Marks]:
    """The peaks of each class's map with their boxes, without those that a surer one of the class covers, by falling score."""
    out = model(x).float()
    logits, corners = placed(out, len(kind.names))  # (n, K, S), (n, S, 2 dims)
    p = logits.sigmoid() * peaks(logits, out.shape[2:])
    scores, place = p.flatten(1).topk(min(MOST, p[0].numel()), dim=1)  # (n, k)
    label, cell = place // p.shape[2], place % p.shape[2]
    boxes = corners.gather(1, cell[..., None].expand(-1, -1, corners.shape[2])).clamp(0, 1)
    kept = alone(boxes, label, RIVAL) & (scores >= LEAST)
    counted = scores >= model.get_buffer("threshold").to(scores)[label]
    parts = [t.cpu().numpy() for t in (label, boxes.double(), scores.double(), counted)]
    return [Marks(*(part[i][keep] for part in parts)) for i, keep in enumerate(kept.cpu().numpy())]


def calibrate(kind: Boxes, model: nn.Module, batches: Iterable[Batch]) -> None:
    """The threshold of each class from which on a box counts: the largest F1 on validation, at an overlap of .5."""
    truths, said = list[Marks](), list[Marks]()
    for x, y in batches:
        said += predict(kind, model, x)
        for one in y.double().cpu().numpy():
            real = one[one[:, 0] >= 0]
            n = len(real)
            shares = real[:, 1:] / np.array(kind.grid[::-1] * 2)
            truths.append(Marks(real[:, 0].astype(int), shares, np.ones(n), np.ones(n, bool)))
    found = metrics.ranked(truths, said, len(kind.names), [0.5])
    points = torch.tensor([metrics.operating_point(c) for c in found])
    model.get_buffer("threshold").copy_(points)


def score(kind: Boxes, rows: Rows, answers: list[Marks]) -> dict[str, Statistic]:
    """AP50, AP, FROC, sensitivity at one false alarm an image, error of the count; over all classes and for each."""
    return metrics.scores([kind.marks(r) for r in rows], answers, kind.names)


def baseline(kind: Boxes, rows: Rows) -> dict[str, Callable[[Rows], list[Marks]]]:
    """The same boxes for every image: of each class the mean size at the most frequent places, scored by their frequency."""
    said = prior(kind, rows)
    return {"prior_boxes": lambda new: [said] * len(new)}


def prior(kind: Boxes, rows: Rows) -> Marks:
    """The usual boxes of the training rows; of each class as many are counted as an image has on average."""
    marks, d, places = [kind.marks(r) for r in rows], kind.dims, PLACES[kind.dims]
    label, corners = (np.concatenate([getattr(m, name) for m in marks]) for name in ("label", "corners"))
    middle, sides = (corners[:, d:] + corners[:, :d]) / 2, corners[:, d:] - corners[:, :d]
    cell = np.minimum((middle * places).astype(int), places - 1) @ places ** np.arange(d)
    found = []
    for k in np.unique(label):
        mine, size = label == k, sides[label == k].mean(0) / 2
        many = round(mine.sum() / len(rows))
        where, times = np.unique(cell[mine], return_counts=True)
        for rank, i in enumerate(np.argsort(-times, kind="stable")):
            at = middle[mine & (cell == where[i])].mean(0)
            found.append((k, [*(at - size), *(at + size)], times[i] / len(rows), rank < many))
    found = sorted(found, key=lambda f: -f[2])[:MOST]
    labels, boxes, scores, counted = zip(*found, strict=True)
    return Marks(np.array(labels), np.array(boxes).clip(0, 1), np.array(scores), np.array(counted))


def show(kind: Boxes, experiment: Experiment, rows: Rows, answers: list[Marks]) -> list[Figure]:
    """The pictures of this task."""
    return box_pictures.detection(experiment, rows, answers, kind)
