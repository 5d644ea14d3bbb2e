"""Image -> sentence."""

import dataclasses as dc
from functools import partial

from torch import nn

from empirisk import models
from empirisk.data.augment import augmentation
from empirisk.data.table import Data
from empirisk.data.words import Words
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.models.captioner import captioner, eye
from empirisk.models.layers import beheaded
from empirisk.recipe import Recipe, Regularization
from empirisk.regularization import dropped, regularised
from empirisk.tasks import sentences as tasks

CHANGES = "affine,intensity,gamma,noise"
"What `--augment auto` stands for: a flip would make left and right untrue, a cut-out would hide what the words still name."
SLIGHT = {"chance": 1.0, "degrees": 5.0, "scale": 0.05, "shear": 0.02, "shift": 0.025}
"Limits of its changes, so small that left and right, high and low, large and small stay true."


@experiment
def captioning(
    data: Data, *, encoder: str | None = None, width: int = 16, state: int = 128, beam: int = 1,
    recipe: Recipe = Recipe(weight_decay=0.3, clip=1.0), regularization: Regularization = Regularization(dropout=0.5),
) -> Experiment:  # fmt: skip
    """Write a sentence about an image, word by word, by cross-entropy -log p(w_t | w_1 .. w_{t-1}, x) of the true words.

    The decoder attends to the encoder's last map. Words come from the column caption. Example: empirisk train captioning phantom

    Parameters
    ----------
    encoder
        architecture by name (`empirisk list models`) whose last map is attended to; None: its own.
    width
        channels of the encoder's first level.
    state
        numbers of the decoder's state, and of each word.
    beam
        beginnings of sentences that are kept at each word; 1: the likeliest word each.
    """
    tasks.refuse_sizes(width=width, state=state, beam=beam)
    known = data.learn(tasks.Sentences, ("caption",))
    kind, card = data.learn(Words, (known.column,)), data.card()
    if not card.dims:
        raise Wrong("captioning is for images, these rows are none", remedy="empirisk train translation DATA")
    maps: nn.Module = eye(card.channels, card.size, width)
    if encoder is not None:
        maps = models.build(encoder, channels=card.channels, classes=1, dims=card.dims, size=card.size, width=width)
        maps = beheaded(maps, card.channels, card.size)
    net = captioner(
        maps, card.channels, card.size, len(kind.names), mean=card.mean, std=card.std, width=state, dropout=regularization.dropout
    )  # fmt: skip
    spec = CHANGES if regularization.augment == "auto" else regularization.augment
    change = augmentation(spec, card.dims)
    rivals = partial(tasks.nearest, kind, card.read)
    return Experiment(
        data.as_pairs(kind, change=change and change.limited(**SLIGHT)),
        dropped(net, regularization),
        tasks.sentences(kind, known, beam=beam, first="finding_f1", rivals=rivals),
        [Player(regularised(tasks.loss, regularization))],
        dc.replace(recipe, lr=recipe.lr or 4e-3),
    )
