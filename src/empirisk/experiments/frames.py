"""Video -> a phase for each frame, as it comes."""

import dataclasses as dc

from empirisk.data.clips import Clips
from empirisk.data.phases import Phases
from empirisk.data.table import Data
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.models.causal import causal
from empirisk.recipe import Recipe
from empirisk.tasks import frames as tasks


@experiment
def frames(
    data: Data,
    *,
    classes: str | None = None,
    model: str = "gru",
    width: int = 96,
    depth: int = 2,
    elapsed: bool = True,
    piece: int | None = None,
    dropout: float = 0.0,
    recipe: Recipe = Recipe(weight_decay=0.01, clip=1.0),
) -> Experiment:
    """Tell the phase of each frame of a video from what was seen until then, by cross-entropy -log f_y(x_1 .. x_t).

    A table video,second,phase and columns of numbers, or files as videos. Example: empirisk train frames operations.csv

    Parameters
    ----------
    classes
        names of the phases in order, a,b,c.
    model
        memory: gru, lstm or tanh; frame: none, each frame is told by itself.
    width
        numbers of the state of each layer.
    depth
        layers.
    elapsed
        the time since the first frame is an input too.
    piece
        frames that gradients go back through; the state is carried on. None: 128 of numbers, 16 of pictures.
    dropout
        share of the outputs of each layer set to 0 at each step.
    """
    for flag, value in (("width", width), ("depth", depth), ("piece", 1 if piece is None else piece)):
        if value < 1:
            raise Wrong(f"--{flag} is {value}", remedy="it must be 1 or above")
    if not 0 <= dropout < 1:
        raise Wrong(f"--dropout is {dropout}", remedy="give a share from 0 to below 1")
    data = dc.replace(data, classes=classes)
    kind, card = data.learn(Phases, data.class_names), data.card()
    net = causal(
        len(kind.names), channels=card.channels, size=card.size, mean=card.mean, std=card.std, memory=model, width=width,
        depth=depth, lasts=kind.lasts if elapsed else None, dropout=dropout,
    )  # fmt: skip
    pairs = data.as_pairs(kind, source=Clips(kind, piece or (16 if card.dims else 128), net.carried))
    return Experiment(pairs, net, tasks.frames(kind), [Player(tasks.loss)], dc.replace(recipe, lr=recipe.lr or 2e-3))
