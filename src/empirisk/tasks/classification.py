"""One of several classes, in an order or without one, or any of several labels, a sample."""

import dataclasses as dc
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Verdict
from empirisk.errors import Wrong
from empirisk.estimate import Statistic
from empirisk.experiment import Task
from empirisk.losses import Batch, Loss
from empirisk.metrics import numbers, ranking
from empirisk.models.layers import over_heads
from empirisk.tasks import baselines, calibration, hypotheses, pictures


@dc.dataclass(frozen=True)
class ClassWeights:
    """Weights w_c, inverse to the number of training rows of a class, of mean 1 over the classes present; 0 for absent ones."""

    values: tuple[float, ...]

    @classmethod
    def learn(cls, rows: Rows, classes: Classes) -> "ClassWeights":
        """From training rows."""
        n = counts(truth(classes, rows), classes)
        w = np.where(n > 0, 1 / np.maximum(n, 1), 0)
        return cls(tuple(float(v) for v in w / w[n > 0].mean()))


def training_loss(
    classes: Classes, *, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0, focal: float = 0.0
) -> Loss:
    """What the player minimises: the terms [n] -sum_c q_c (1 - f_c)^gamma log f_c, q = (1 - eps) v + eps / K sum v, v = w y.

    f the softmax of the logits, y one-hot or shares of the classes (n, K); for labels the sum over them of w_c times
    -q (1 - f)^gamma log f - (1 - q) f^gamma log(1 - f), q = (1 - eps) y + eps / 2. gamma is `focal`, 0 is cross-entropy; the
    weights are scaled to mean 1 over those above 0 and fixed. `Wrong` (exit 2) for weights that are not one a class or below 0,
    a smoothing outside [0, 1), a focal exponent below 0. Szegedy et al. (2016), equation 7; Lin et al. (2017), equation 4.
    """
    K, eps, gamma, weights = len(classes.names), label_smoothing, focal, None
    if not 0 <= eps < 1:
        raise Wrong(f"--label-smoothing is {eps}", remedy="give a share from 0 to below 1, say .1")
    if not (gamma >= 0 and math.isfinite(gamma)):
        raise Wrong(f"--focal is {gamma}", remedy="it must be 0 or above, say 2")
    if class_weights is not None:
        w = np.array(class_weights, dtype=np.float64)
        if w.shape != (K,) or not np.isfinite(w).all() or (w < 0).any() or not w.any():
            remedy = "give one a class, 0 or above, in the order of the classes"
            raise Wrong(f"{len(w)} class weights for {K} classes", remedy=remedy)
        weights = torch.from_numpy(w / w[w > 0].mean())
    terms = of_labels if classes.multi else of_classes

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        def of_head(logits: Tensor) -> Tensor:  # (n, K) -> (n,)
            return terms(logits, batch[1], None if weights is None else weights.to(logits), eps, gamma)

        return over_heads(model, batch[0], of_head)

    return loss


def of_classes(logits: Tensor, y: Tensor, w: Tensor | None, eps: float, gamma: float) -> Tensor:
    """The terms [n] of one class a sample: logits (n, K), y numbers (n,) or shares (n, K), w (K,)."""
    if not gamma and not y.is_floating_point():
        y = y.reshape(-1).long()
        terms = F.cross_entropy(logits, y, label_smoothing=eps, reduction="none")
        return terms if w is None else w[y] * terms
    v = y.to(logits) if y.is_floating_point() else F.one_hot(y.reshape(-1).long(), logits.shape[1]).to(logits)
    v = v if w is None else w * v
    q = (1 - eps) * v + eps / logits.shape[1] * v.sum(1, keepdim=True)  # (n, K)
    log_f = logits.log_softmax(1)
    hard = (1 - log_f.exp()).clamp_min(1e-6) ** gamma if gamma else 1.0
    return -(q * hard * log_f).sum(1)


def of_labels(logits: Tensor, y: Tensor, w: Tensor | None, eps: float, gamma: float) -> Tensor:
    """The terms [n] of any number of labels a sample: logits and y (n, K), w (K,)."""
    q = y.to(logits.dtype) * (1 - eps) + eps / 2
    if not gamma:
        return F.binary_cross_entropy_with_logits(logits, q, weight=w, reduction="none").sum(1)  # (n, K) -> (n,)
    log_f, log_1_f = F.logsigmoid(logits), F.logsigmoid(-logits)
    each = -q * (gamma * log_1_f).exp() * log_f - (1 - q) * (gamma * log_f).exp() * log_1_f
    return (each if w is None else w * each).sum(1)


def classification(classes: Classes, *, at: str | None = None) -> Task:
    """The task of naming a class, or labels. The risk watched is the plain one: -sum y log f, no weights, no smoothing.

    `at`, "sensitivity=.95" or "specificity=.9", is the operating point of a binary task, found on validation; its choices then
    follow the threshold. Without it the choice is the likeliest class and the threshold is Youden's. `Wrong` (exit 2) for an
    `at` that is no operating point, or where there are not two classes.
    """
    if at is not None:
        calibration.wanted(at)
        if not binary(classes):
            many = f"there are {len(classes.names)}"
            raise Wrong(f'--at "{at}" needs two classes', where=many, remedy="leave out --at")
    return Task(
        loss=lambda model, batch: calibration.log_loss(model(batch[0]), batch[1], classes.multi),
        predict=partial(predict, classes, at),
        score=partial(score, classes),
        baseline=partial(baseline, classes, at),
        show=lambda e, rows, said: (
            pictures.classification(e, rows, said, classes) + hypotheses.of_two_numbers(e, rows, classes)
        ),
        calibrate=partial(calibrate, classes, at),
    )


def ordinal(classes: Classes, *, at: str | None = None) -> Task:
    """The task of naming a grade: that of classification over the log-probabilities of `models.cumulative`, and its own score.

    The risk -log p_y is the likelihood of the cumulative link, so temperature, threshold, baselines and pictures stay; the
    quadratic weighted kappa comes first. `Wrong` (exit 2) for labels of which several may hold.
    """
    if classes.multi:
        raise Wrong("--ordinal: a row may have several labels, so they have no order", remedy="leave --ordinal out")

    def graded(rows: Rows, answers: list[Verdict]) -> dict[str, Statistic]:
        kappa = numbers.quadratic_kappa(truth(classes, rows), np.array([a.choice for a in answers]))
        return {"quadratic_kappa": kappa} | score(classes, rows, answers)

    return dc.replace(classification(classes, at=at), score=graded)


def binary(classes: Classes) -> bool:
    """Two classes, one of which holds; the last is the positive one."""
    return not classes.multi and len(classes.names) == 2


def truth(classes: Classes, rows: Rows) -> np.ndarray:
    """Class numbers (N,), or 0 and 1 of labels (N, K)."""
    y = np.array([classes.encode(r) for r in rows])
    return y if classes.multi else y.reshape(-1)


def counts(y: np.ndarray, classes: Classes) -> np.ndarray:
    """Rows of each class (K,)."""
    return y.sum(0) if classes.multi else np.bincount(y, minlength=len(classes.names))


def verdicts(p: np.ndarray, threshold: float, classes: Classes, at: str | None) -> list[Verdict]:
    """Answers from probabilities (n, K): the likeliest class, by the threshold where `at` was given; labels from .5 on."""
    p = p.astype(np.float32)
    if classes.multi:
        return [Verdict(v, tuple(int(k) for k in np.flatnonzero(v >= 0.5)), 0.5) for v in p]
    if at is not None:
        return [Verdict(v, int(v[1] >= threshold), threshold) for v in p]
    return [Verdict(v, int(v.argmax()), threshold) for v in p]


@torch.no_grad()
def predict(classes: Classes, at: str | None, model: nn.Module, x: Any) -> list[Verdict]:
    """Softmax, or the sigmoid of each label, of logits / temperature."""
    z = (model(x).float() / getattr(model, "temperature", 1.0)).cpu().double()  # (n, K)
    p = z.sigmoid() if classes.multi else z.softmax(1)
    return verdicts(p.numpy(), float(getattr(model, "threshold", 0.5)), classes, at)


def score(classes: Classes, rows: Rows, answers: list[Verdict]) -> dict[str, Statistic]:
    """Every metric of classes, AUC first; of two classes, sensitivity and specificity at the threshold."""
    y, p = truth(classes, rows), np.array([a.p for a in answers], dtype=np.float64)  # p (N, K)
    choice = np.zeros(p.shape, dtype=np.int64) if classes.multi else np.array([a.choice for a in answers])
    if classes.multi:
        for i, a in enumerate(answers):
            choice[i, np.array(a.choice, dtype=np.int64)] = 1
    out = ranking.scores(y, p, choice, classes.names, multi=classes.multi)
    if binary(classes):
        called = p[:, 1] >= np.array([a.threshold for a in answers])
        out |= {"sensitivity": ranking.sensitivity(y, called), "specificity": ranking.specificity(y, called)}
    return out


def calibrate(classes: Classes, at: str | None, model: nn.Module, batches: Iterable[Batch]) -> None:
    """Temperature, then for two classes the threshold, from validation batches into the buffers of the model."""
    logits, y = calibration.seen(model, batches)
    if not len(y):
        return
    t = model.get_buffer("temperature")
    t.fill_(calibration.temperature(logits, y, classes.multi))
    if binary(classes):
        p = (logits / t.cpu()).double().softmax(1)[:, 1].numpy()
        model.get_buffer("threshold").fill_(calibration.operating_point(p, y.reshape(-1).numpy() == 1, at))


def baseline(classes: Classes, at: str | None, rows: Rows) -> dict[str, Callable[[Rows], list[Verdict]]]:
    """The shares of the classes; logistic regression on small pixels; for 2D, logistic regression on designed features.

    Fitted to the training rows, at most 20,000 of them, where also their thresholds come from.
    """
    rows = baselines.some(rows)
    y, measured = truth(classes, rows), baselines.Measured(rows)
    share = counts(y, classes) / len(rows)
    cut = calibration.operating_point(np.full(len(rows), share[1]), y == 1, at) if at is not None else 0.5

    def fitted(name: str, x: np.ndarray) -> Callable[[Rows], list[Verdict]]:
        f = baselines.labels(x, y) if classes.multi else baselines.logistic(x, y, len(classes.names))
        threshold = calibration.operating_point(f(x)[:, 1], y == 1, at) if binary(classes) else 0.5
        return lambda new: verdicts(f(measured(new)[name]), threshold, classes, at)

    def prior(new: Rows) -> list[Verdict]:
        return verdicts(np.tile(share, (len(new), 1)), cut, classes, at)

    return {"prior": prior} | {name: fitted(name, x) for name, x in measured(rows).items()}
