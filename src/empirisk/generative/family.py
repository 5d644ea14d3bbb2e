"""What a family of generators gives to the experiment, and what each of its models can do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.figures import Figure, picture
from empirisk.losses import Batch, Loss

SIDE = 56
"""Of an image in a strip, in pixels."""


class Generator(Protocol):
    """A model that makes images; what it does not know (classes, steps) it refuses: `Wrong` (exit 2)."""

    def sample(
        self, n: int, *, generator: torch.Generator, labels: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """n new images (n, C, *size) in image units; `labels` (n,) int64 are their classes; `generator` is on the CPU."""

    def score(self, x: Tensor) -> Tensor:
        """(n, C, *size) in image units -> what it says of each image that is given (n,); that depends on no other image."""


def refuse(name: str, labels: Tensor | None, steps: int | None) -> None:
    """Refuse what a model does not know: `Wrong` (exit 2)."""
    for what, given in (("classes", labels), ("steps", steps)):
        if given is not None:
            raise Wrong(f"a {name} knows no {what}", remedy=f"leave --{'label' if what == 'classes' else what} out")


def full(x: Tensor) -> Tensor:
    """x at least in float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def strip(images: np.ndarray) -> str:
    """Images (m, C, *size) side by side as one picture; of volumes the middle slices."""
    return picture(np.concatenate(list(images), -1), side=SIDE * len(images))


@dataclass(frozen=True)
class Family:
    """One model of a family, who moves it, and what is told of it."""

    model: nn.Module
    "a `Generator`"
    players: list[Player]
    loss: Loss | None
    "the risk that is watched; None: a game has none"
    score: str
    "name of the metric that is the mean of `model.score`"
    lr: float
    "largest step length where none is given"
    optimizer: str = "adamw"
    "where none is named"
    batch: int | None = None
    "samples a step where none are given; None: by the number of rows"
    solve: Callable[[nn.Module, Iterable[Batch]], None] | None = None
    "once after the fit, on training batches"
    follow: Callable[[nn.Module, Iterable[Batch]], dict[str, float]] | None = None
    "numbers of each epoch, on validation batches"
    show: Callable[[nn.Module, Tensor], list[Figure]] | None = None
    "pictures of this family, given some validation images"
