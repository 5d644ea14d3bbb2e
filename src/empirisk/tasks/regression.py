"""One number a sample."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.table import Row, Rows
from empirisk.data.targets import Number
from empirisk.errors import Wrong, near
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure
from empirisk.losses import Batch, Loss
from empirisk.metrics import numbers
from empirisk.models.layers import over_heads
from empirisk.tasks import baselines, hypotheses, pictures


def pinball(f: Tensor, y: Tensor, *, level: float) -> Tensor:
    """The terms max(t (y - f), (t - 1)(y - f)), t the level: least in mean where a share t of the y is below f. Koenker 1978."""
    return torch.maximum(level * (y - f), (level - 1) * (y - f))


LOSSES: dict[str, Callable[..., Tensor]] = {
    "squared": partial(F.mse_loss, reduction="none"),
    "absolute": partial(F.l1_loss, reduction="none"),
    "huber": partial(F.huber_loss, reduction="none"),
    "quantile": pinball,
}
"""(y - f)^2; |y - f|; (y - f)^2 / 2 up to 1, then |y - f| - 1/2; t (y - f) above f and (1 - t)(f - y) below."""


def residual_loss(kind: str, level: float | None = None) -> Loss:
    """The terms [n] of the risk on the standardised target: squared, absolute, Huber (delta = 1 deviation) or of a quantile.

    Raises
    ------
    Wrong
        exit 2 for another kind; for a level without that of a quantile, or outside (0, 1).
    """
    if kind not in LOSSES:
        raise Wrong(f'the loss "{kind}" is unknown', remedy=near(kind, LOSSES) or f"give {', '.join(LOSSES)}")
    if (level is not None) != (kind == "quantile"):
        raise Wrong(
            f"--loss {kind} and --quantile {level}", remedy="give both, as --loss quantile --quantile .9, or neither"
        )
    if level is not None and not 0 < level < 1:
        raise Wrong(f"--quantile is {level}", remedy="give a share between 0 and 1, say .9")
    terms = LOSSES[kind] if level is None else partial(pinball, level=level)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return over_heads(model, batch[0], lambda f: terms(f[:, 0], batch[1].reshape(-1).to(f.dtype)))  # (n, 1) -> (n,)

    return loss


def regression(
    number: Number, *, loss: str, level: float | None = None, read: Callable[[Row], np.ndarray] = baselines.raw
) -> Task:
    """The task of predicting a number: y standardised by the training rows within, in its own unit without.

    With `level` t the answer is the t-quantile: the number below which a share t of such cases lies. `read` gives the baselines
    what the model sees of a row, and no more.
    """
    return Task(
        loss=residual_loss(loss, level),
        predict=partial(predict, number),
        score=partial(score, level=level),
        baseline=partial(baseline, level=level, read=read),
        show=partial(show, number),
    )


def truth(rows: Rows) -> np.ndarray:
    """The targets (N,) in their own unit."""
    return np.array([float(r["target"]) for r in rows])


@torch.no_grad()
def predict(number: Number, model: nn.Module, x: Any) -> list[float]:
    """mean + sd f(x), in the unit of the target."""
    f = model(x)[:, 0].float().cpu().double()  # (n, 1) -> (n,)
    return [float(v) for v in f * number.std + number.mean]


def score(rows: Rows, answers: list[float], level: float | None = None) -> dict[str, Statistic]:
    """Mean absolute error and RMSE in the unit of the target, R2, Spearman's rank correlation.

    Of a quantile its own two come first: the mean of its loss, and the share of the targets that lie at or below the answer.
    """
    y, f = truth(rows), np.array(answers, dtype=np.float64)
    own = {} if level is None else {"pinball": numbers.pinball(y, f, level), "coverage": numbers.coverage(y, f)}
    usual = {"mae": numbers.mae, "rmse": numbers.rmse, "r2": numbers.r2, "spearman": numbers.spearman}
    return {**own, **{name: metric(y, f) for name, metric in usual.items()}}


def baseline(
    rows: Rows, level: float | None = None, read: Callable[[Row], np.ndarray] = baselines.raw
) -> dict[str, Callable[[Rows], list[float]]]:
    """The mean of the training targets, and ridge regression on small pixels or the vector.

    Of a quantile the quantile of the training targets, and the ridge shifted by that of its left-out residuals.
    """
    rows = baselines.some(rows)
    y, measured = truth(rows), baselines.Measured(rows, read)
    line, residuals = baselines.ridge(measured(rows)["linear"], y)
    constant = float(y.mean() if level is None else np.quantile(y, level))
    shift = 0.0 if level is None else float(np.quantile(residuals, level))
    return {
        "mean" if level is None else "quantile": lambda new: [constant] * len(new),
        "linear": lambda new: [float(v) + shift for v in line(measured(new)["linear"])],
    }


def show(number: Number, experiment: Experiment, rows: Rows, answers: list[float]) -> list[Figure]:
    """The pictures of this task."""
    return [
        *hypotheses.of_one_number(experiment, rows, number),
        *pictures.regression(experiment, rows, answers, number),
    ]
