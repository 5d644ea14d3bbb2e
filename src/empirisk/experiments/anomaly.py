"""Normal images -> how strange another one is."""

import dataclasses as dc
from typing import Any

from torch import nn

from empirisk import models
from empirisk.data.table import Data
from empirisk.data.unlabelled import Count, Score
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.experiments.encoder import encoded
from empirisk.models.autoencoder import Autoencoder
from empirisk.recipe import Recipe
from empirisk.tasks import anomaly as tasks
from empirisk.unsupervised.strange import Strange, loss

LEAST = 20
"""Normal training rows below which nothing can be told."""


@experiment
def anomaly(
    data: Data, *, normal: str | None = None, width: int = 16, codes: int = 16, encoder: str | dict[str, Any] | None = None, recipe: Recipe = Recipe(),
) -> Experiment:  # fmt: skip
    """Learn what is normal from images of one class alone, and score how strange others are: six scores, one of which counts.

    Parameters
    ----------
    normal
        class that is normal, by name or number; other training rows are left out. None: all training rows are normal.
    width
        channels of the first stage of the net that teaches itself.
    codes
        numbers through which the autoencoder passes an image.
    encoder
        run whose net embeds the images for two of the scores; None: the net that teaches itself.
    """
    data = dc.replace(data, only=normal, truthless=True)
    card, kind, rows = data.card(), data.learn(Score), data.learn(Count).rows
    if not card.dims:
        remedy = "train density: what is unlikely is strange"
        raise Wrong("anomaly is for images, these rows are vectors", remedy=remedy)
    if len(kind.names) > 1:
        which = f"which class is normal? there are {', '.join(kind.names)}"
        raise Wrong(which, remedy=f"give --normal {kind.names[0]}")
    if rows < LEAST:
        raise Wrong(f"{rows} normal training images", remedy=f"give {LEAST} or more")
    run = encoded(encoder, card)
    teller = models.build("resnet18", channels=card.channels, classes=4, dims=card.dims, size=card.size, width=width)
    again = Autoencoder(card.channels, card.size, codes=codes, width=width)
    model = Strange(card, again, teller, run.net, rows=rows)

    def begin(net: nn.Module) -> None:
        if run.load is not None:
            run.load(net.get_submodule("see"))

    def solve(net: nn.Module, batches: Any) -> None:
        assert isinstance(net, Strange)
        net.fill(batches, rows)

    kind = dc.replace(kind, column="label") if kind.names else kind
    return Experiment(
        data.as_pairs(kind), model, tasks.anomaly(kind, card.read), [Player(loss)], dc.replace(recipe, lr=recipe.lr or 2e-3),
        begin=begin, solve=solve, arguments=run.arguments, parents=run.parents,
    )  # fmt: skip
