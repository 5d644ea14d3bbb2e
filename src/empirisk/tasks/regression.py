"""One number a sample."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.table import Rows
from empirisk.data.targets import Number
from empirisk.errors import Wrong, near
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure
from empirisk.losses import Batch, Loss
from empirisk.metrics import numbers
from empirisk.tasks import baselines, pictures

LOSSES: dict[str, Callable[..., Tensor]] = {
    "squared": F.mse_loss,
    "absolute": F.l1_loss,
    "huber": F.huber_loss,
}
"""(y - f)^2; |y - f|; (y - f)^2 / 2 up to 1, then |y - f| - 1/2."""


def residual_loss(kind: str) -> Loss:
    """The terms [n] of the risk on the standardised target: squared, absolute or Huber (delta = 1 standard deviation).

    Raises
    ------
    Wrong
        exit 2 for another kind.
    """
    if kind not in LOSSES:
        raise Wrong(f'the loss "{kind}" is unknown', remedy=near(kind, LOSSES) or f"give {', '.join(LOSSES)}")

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        f = model(batch[0])[:, 0]  # (n, 1) -> (n,)
        f = f.to(torch.promote_types(f.dtype, torch.float32))
        return LOSSES[kind](f, batch[1].reshape(-1).to(f.dtype), reduction="none")

    return loss


def regression(number: Number, *, loss: str) -> Task:
    """The task of predicting a number: y standardised by the training rows within, in its own unit without."""
    return Task(
        loss=residual_loss(loss),
        predict=partial(predict, number),
        score=score,
        baseline=baseline,
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


def score(rows: Rows, answers: list[float]) -> dict[str, Statistic]:
    """Mean absolute error and RMSE in the unit of the target, R2, Spearman's rank correlation."""
    y, f = truth(rows), np.array(answers, dtype=np.float64)
    return {
        "mae": numbers.mae(y, f),
        "rmse": numbers.rmse(y, f),
        "r2": numbers.r2(y, f),
        "spearman": numbers.spearman(y, f),
    }


def baseline(rows: Rows) -> dict[str, Callable[[Rows], list[float]]]:
    """The mean of the training targets, and ridge regression on small pixels or the vector."""
    rows = baselines.some(rows)
    y, measured = truth(rows), baselines.Measured(rows)
    mean, line = float(y.mean()), baselines.ridge(measured(rows)["linear"], y)
    return {
        "mean": lambda new: [mean] * len(new),
        "linear": lambda new: [float(v) for v in line(measured(new)["linear"])],
    }


def show(number: Number, experiment: Experiment, rows: Rows, answers: list[float]) -> list[Figure]:
    """The pictures of this task."""
    return pictures.regression(experiment, rows, answers, number)
