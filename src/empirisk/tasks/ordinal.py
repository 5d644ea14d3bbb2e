"""One of several classes in an order, as grades are: how far an answer is off counts."""

import dataclasses as dc
from functools import partial

import numpy as np

from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Verdict
from empirisk.errors import Wrong
from empirisk.estimate import Statistic
from empirisk.experiment import Task
from empirisk.metrics import numbers
from empirisk.tasks import classification


def ordinal(classes: Classes, *, at: str | None = None) -> Task:
    """The task of naming a grade: that of classification over the log-probabilities of `models.cumulative`, and its own score.

    The risk -log p_y is the likelihood of the cumulative link, so temperature, threshold, baselines and pictures stay.

    Raises
    ------
    Wrong
        exit 2 for labels of which several may hold.
    """
    if classes.multi:
        raise Wrong("--ordinal: a row may have several labels, so they have no order", remedy="leave --ordinal out")
    return dc.replace(classification.classification(classes, at=at), score=partial(score, classes))


def score(classes: Classes, rows: Rows, answers: list[Verdict]) -> dict[str, Statistic]:
    """The quadratic weighted kappa first, then every metric of classes."""
    y, choice = classification.truth(classes, rows), np.array([a.choice for a in answers])
    return {"quadratic_kappa": numbers.quadratic_kappa(y, choice)} | classification.score(classes, rows, answers)
