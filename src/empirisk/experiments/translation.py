"""Sentence -> sentence."""

import dataclasses as dc

from empirisk.data.sources import Grid
from empirisk.data.table import Data
from empirisk.data.words import Words
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.models.seq2seq import translator
from empirisk.recipe import Recipe
from empirisk.tasks import sentences as tasks


@experiment
def translation(
    data: Data, *, state: int = 128, dropout: float = 0.1, beam: int = 1, recipe: Recipe = Recipe(weight_decay=0.01, clip=1.0)
) -> Experiment:  # fmt: skip
    """Write one sentence for another, word by word, by cross-entropy -log p(w_t | w_1 .. w_{t-1}, x) of the true words.

    An encoder reads the column text in both directions, a decoder attends to it and writes the column impression, or caption.
    Example: empirisk train translation reports.csv --text findings --caption impression

    Parameters
    ----------
    state
        numbers of each word, of the states, and of what is remembered of a word.
    dropout
        share of what is read of words and of the last hidden units set to 0 at each step.
    beam
        beginnings of sentences that are kept at each word; 1: the likeliest word each.
    """
    tasks.refuse_sizes(state=state, beam=beam)
    if not 0 <= dropout < 1:
        raise Wrong(f"--dropout is {dropout}", remedy="give a share from 0 to below 1")
    data = dc.replace(data, reads="text")
    known = data.learn(tasks.Sentences, ("impression", "caption"))
    both = data.learn(Words, (known.column, "text"))
    data.card()
    return Experiment(
        data.as_pairs(both, source=Grid("text", words=both.of("text"))),
        translator(len(both.names), width=state, dropout=dropout),
        tasks.sentences(both, known, beam=beam, first="bleu4", rivals=tasks.copied),
        [Player(tasks.loss)],
        dc.replace(recipe, lr=recipe.lr or 5e-3),
    )
