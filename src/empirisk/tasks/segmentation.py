"""A class for each pixel, and where they are to be told apart the things of one class."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.masks import Masks, Segmented
from empirisk.data.plan import Plan
from empirisk.data.table import Rows
from empirisk.estimate import Statistic
from empirisk.experiment import Task
from empirisk.losses import Batch, Loss
from empirisk.metrics import instances, overlap
from empirisk.tasks import overlays, priors, things

SMOOTH = 1.0
"Voxels added above and below in the soft Dice, so that an absent structure has a value."
BETA, WEIGHT = 0.1, 6.0
"Of the distance's smooth L1: where it turns from a parabola into a line, and its weight, as its errors are small numbers."
SIGMA = 1 / 8
"Deviation of the Gaussian that weighs a window, a share of its side."


def segmentation(masks: Masks, plan: Plan) -> Task:
    """The task of marking structures: cross-entropy and soft Dice on patches, sliding windows for whole images."""
    return Task(
        loss=patch_loss(len(masks.names), distance=masks.instances),
        predict=partial(predict, masks, plan),
        score=partial(score, masks),
        baseline=partial(priors.baseline, masks),
        show=lambda experiment, rows, answers: overlays.segmentation(rows, answers, masks),
        live=False,
    )


def patch_loss(structures: int, *, distance: bool = False) -> Loss:
    """The terms [n], a patch each: cross-entropy, the mean over its pixels, and 1 - the mean over structures k of

        D_k = (2 sum_i p_ik g_ik + 1) / (sum_i p_ik + sum_i g_ik + 1),

    p the softmax of the output, g the truth; pixels that are not counted are in no sum. With `distance` also 6 times the smooth L1
    (beta .1) of one more output and the distance to the edge of its thing. x (n, C, *patch), y as Masks.encode gives it.

    Milletari et al., 3DV 2016 (Dice); Naylor et al., IEEE TMI 38 (2019) (distance).
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        x, y = batch
        z = model(x)
        z = z.to(torch.promote_types(z.dtype, torch.float32))  # (n, K + 1, *patch), with distance one more
        truth = y[:, 0].long() - 1  # (n, *patch), -1: not counted
        counted = (truth >= 0).to(z.dtype)
        n = counted.flatten(1).sum(1).clamp_min(1)
        logits = z[:, : structures + 1]
        entropy = F.cross_entropy(logits, truth, ignore_index=-1, reduction="none").flatten(1).sum(1) / n
        terms = entropy + 1 - soft_dice(logits.softmax(1), truth, counted)
        if distance:
            away = F.smooth_l1_loss(z[:, -1], y[:, 1].to(z.dtype) / 255, reduction="none", beta=BETA) * counted
            terms = terms + WEIGHT * away.flatten(1).sum(1) / n
        out: Tensor = terms
        return out

    return loss


def soft_dice(p: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """The mean over structures of D_k (n,); p (n, K + 1, *size) with the background first, truth and counted (n, *size)."""
    values = []
    for k in range(1, p.shape[1]):
        q, g = (p[:, k] * counted).flatten(1), (truth == k).to(p.dtype).flatten(1)
        values.append((2 * (q * g).sum(1) + SMOOTH) / (q.sum(1) + g.sum(1) + SMOOTH))
    return torch.stack(values).mean(0)


@torch.no_grad()
def predict(masks: Masks, plan: Plan, model: nn.Module, x: tuple[Tensor, Tensor]) -> list[Segmented]:
    """The answer to one image, x = its pixels (1, C, *size) on the plan's grid, and its own size: likeliest class a pixel, there."""
    image, own, k = x[0], tuple(x[1].tolist()), len(masks.names) + 1
    z = slid(partial(_probabilities, model, k), image, plan.patch, plan.batch)
    if z.shape[1:] != own:
        z = F.interpolate(z[None], own, mode="bilinear" if len(own) == 2 else "trilinear")[0]
    labels = z[:k].argmax(0).to(torch.uint8).cpu().numpy()
    if not masks.instances:
        return [Segmented(labels)]
    found, surety = things.apart(labels > 0, z[1].cpu().numpy(), z[-1].cpu().numpy())
    return [Segmented(labels, found, surety)]


def _probabilities(model: nn.Module, classes: int, x: Tensor) -> Tensor:
    """Softmax of the first `classes` outputs, and what is beyond them as it is."""
    z = model(x).float()
    return torch.cat([z[:, :classes].softmax(1), z[:, classes:]], 1)


def slid(f: Callable[[Tensor], Tensor], image: Tensor, patch: Sequence[int], batch: int) -> Tensor:
    """f over a whole image (1, C, *size) by windows of the size of a patch that overlap by half, (k, *size).

        y = sum_w G_w f(x_w) / sum_w G_w,  G a Gaussian of deviation 1/8 of the window's side. Isensee et al. (2021).

    An image smaller than the patch goes on with its outermost values.
    """
    lack = [max(0, p - s) for p, s in zip(patch, image.shape[2:], strict=True)]
    pads = [side for more in reversed(lack) for side in (more // 2, more - more // 2)]
    wide = F.pad(image, pads, mode="replicate") if any(lack) else image
    starts = itertools.product(*(_starts(s, p) for s, p in zip(wide.shape[2:], patch, strict=True)))
    windows = [tuple(slice(a, a + p) for a, p in zip(at, patch, strict=True)) for at in starts]
    weight = _gaussian(patch).to(image)
    total, norm = torch.zeros(0), torch.zeros_like(wide[0, 0])
    for low in range(0, len(windows), batch):
        some = windows[low : low + batch]
        y = f(torch.cat([wide[:, :, *w] for w in some]))
        total = total if len(total) else y.new_zeros(y.shape[1], *wide.shape[2:])
        for w, part in zip(some, y, strict=True):
            total[:, *w] += weight * part
            norm[w] += weight
    inside = tuple(slice(more // 2, more // 2 + s) for more, s in zip(lack, image.shape[2:], strict=True))
    return (total / norm)[:, *inside]


def _starts(side: int, patch: int) -> list[int]:
    """Where windows begin along an axis: evenly, half a window apart at most, the last at the end."""
    n = -(-(side - patch) // max(patch // 2, 1)) + 1
    return sorted({round(v) for v in np.linspace(0, side - patch, n).tolist()})


def _gaussian(patch: Sequence[int]) -> Tensor:
    """The weight of each pixel of a window, at most 1, at least 1e-3: at its corners a window has a say where no other looks."""
    weight = torch.ones(())
    for side in patch:
        at = (torch.arange(side) - (side - 1) / 2) / (side * SIGMA)
        weight = weight[..., None] * torch.exp(-0.5 * at.square())
    return weight.clamp_min(1e-3)


def score(masks: Masks, rows: Rows, answers: list[Segmented]) -> dict[str, Statistic]:
    """Dice, HD95, surface Dice and volume error by case; of things told apart also ap and ap50."""
    cases = np.stack([masks.measure(row, answer) for row, answer in zip(rows, answers, strict=True)])  # (N, K, 4)
    out = overlap.statistics(cases, masks.names)
    found = [(a.instances, a.surety) for a in answers if a.instances is not None and a.surety is not None]
    if masks.instances and len(found) == len(answers):
        maps, surety = zip(*found, strict=True)
        things = instances.scores([masks.things(r) for r in rows], maps, surety)
        out = {k: v for k, v in out.items() if "/" not in k} | things | out
    return out
