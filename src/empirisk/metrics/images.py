"""How far an image that was made again is from the one that was given; and what codes tell of classes."""

from collections.abc import Sequence

import numpy as np

from empirisk.estimate import Macro, Metric, Statistic, mean
from empirisk.metrics import ranking

FLOOR = 1e-10
"""Least squared error over the squared range: no PSNR is above 100 dB."""


def psnr(mse: np.ndarray, width: float) -> Metric:
    """Mean over images of 10 log10(width^2 / mse_i), dB; mse (N,), width the range of the values, both in one unit."""
    return mean(10 * np.log10(1 / np.maximum(np.asarray(mse, float) / width**2, FLOOR)))


def auc_of_known(y: np.ndarray, p: np.ndarray) -> Statistic:
    """The AUC over the rows whose class is known: of two classes that of the second, of more the mean over them, each against the rest.

    y (N,) class numbers, -1 unknown; p (N, K).
    """
    known = y >= 0
    classes: Sequence[int] = [1] if p.shape[1] == 2 else range(p.shape[1])
    each = tuple(_known(ranking.auc(y[known] == k, p[known, k]), known) for k in classes)
    return each[0] if len(each) == 1 else Macro(each)


def _known(metric: Metric, known: np.ndarray) -> Metric:
    """A metric of the known rows as one of all rows, of which the others count nothing."""
    among = []
    for rows in metric.among:
        whole = np.zeros(len(known), bool)
        whole[known] = rows
        among.append(whole)
    return Metric(lambda w: metric.of(w[:, known]), tuple(among), metric.missing, metric.bound)
