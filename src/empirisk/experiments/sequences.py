"""Text -> class."""

import dataclasses as dc

from empirisk.data.sources import Grid
from empirisk.data.table import Data
from empirisk.data.targets import Classes
from empirisk.data.words import Words
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.models.reader import Reader
from empirisk.recipe import Recipe
from empirisk.tasks import sequences as tasks
from empirisk.tasks.classification import training_loss


@experiment
def sequences(
    data: Data,
    *,
    classes: str | None = None,
    model: str = "gru",
    width: int = 64,
    pool: str = "last",
    dropout: float = 0.5,
    unknown: float = 0.3,
    recipe: Recipe = Recipe(weight_decay=1.0, clip=1.0),
) -> Experiment:
    """Tell the class of a text that is read word by word, by cross-entropy -log f_y(x_1 .. x_T).

    Example: empirisk train sequences questions.json --text question --label organ

    Parameters
    ----------
    classes
        class names in order, a,b,c; the last is the positive one of two.
    model
        memory: gru, lstm or tanh.
    width
        numbers of a word's vector and of the state.
    pool
        answers from the last state, or from the mean of all: last or mean.
    dropout
        share of the vectors' numbers set to 0 at each step, of the words and of what is answered from.
    unknown
        share of the words that are taken for unknown ones at each step.
    """
    if width < 1:
        raise Wrong(f"--width is {width}", remedy="it must be 1 or above")
    for flag, share in (("dropout", dropout), ("unknown", unknown)):
        if not 0 <= share < 1:
            raise Wrong(f"--{flag} is {share}", remedy="give a share from 0 to below 1")
    data = dc.replace(data, classes=classes)
    words, kind = data.learn(Words), data.learn(Classes, data.class_names())
    sizes = len(words.names), len(kind.names)
    net = Reader(*sizes, memory=model, width=width, pool=pool, dropout=dropout, unknown=unknown)
    pairs, loss = data.as_pairs(kind, source=Grid("text", words=words)), Player(training_loss(kind))
    return Experiment(pairs, net, tasks.sequences(words, kind), [loss], dc.replace(recipe, lr=recipe.lr or 5e-3))
