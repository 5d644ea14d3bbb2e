"""Rows -> how likely they are."""

import dataclasses as dc
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from empirisk.data.table import Data
from empirisk.data.unlabelled import Count, Score
from empirisk.erm import Player
from empirisk.experiment import Experiment, experiment
from empirisk.experiments.encoder import encoded
from empirisk.recipe import Recipe, refuse_flags, refuse_steps
from empirisk.tasks import density as tasks
from empirisk.unsupervised.codes import Coded, Coding, solve
from empirisk.unsupervised.flow import Flow
from empirisk.unsupervised.kernel import Kernel
from empirisk.unsupervised.mixture import Components, Mixture

MODELS = {"mixture": {"components"}, "kernel": set[str](), "flow": set[str]()}
"""And the flags that each has of its own."""


@experiment
def density(
    data: Data, *, model: str = "mixture", components: int | None = None, encoder: str | dict[str, Any] | None = None, codes: int | None = None,
    standardise: bool | None = None, recipe: Recipe = Recipe(),
) -> Experiment:  # fmt: skip
    """Fit a density p(x) to images or rows, and say of new ones log p(x), nats; what is unlikely is worth a look.

    Parameters
    ----------
    model
        mixture: sum_k pi_k N(x; mu_k, Sigma_k); kernel: a Gaussian on every row; flow: log N(f(x); 0, I) + log |det df/dx|.
    components
        of a mixture; None: as many as make held-out training rows likeliest.
    encoder
        run whose net embeds the images; None: principal components of small pixels, of vectors the columns.
    codes
        numbers whose density it is; None: 20 at most, of vectors all columns.
    standardise
        bring each image to mean 0 and deviation 1 first; None: grey images, not those in colour, whose stain would go.
    """
    refuse_flags(model, MODELS, components=components)
    if model != "flow":
        refuse_steps(f"a {model}", recipe)
    data = dc.replace(data, truthless=True)
    kind = data.learn(Score)
    pairs, run = data.as_pairs(kind), encoded(encoder, data.card())
    coding = Coding(pairs, run.net, run.load, given=codes, standardise=standardise)
    k, rows = coding.codes.length, data.learn(Count).rows
    learned = data.learn(Components, coding.early, components) if model == "mixture" else None
    heads: dict[str, Callable[[], nn.Module]] = {
        "mixture": partial(Mixture, k, learned.number if learned else 1, seed=recipe.seed),
        "kernel": partial(Kernel, k, rows=rows),
        "flow": partial(Flow, k),
    }

    def begin(net: nn.Module) -> None:
        coding.begin(net)
        if model == "flow":  # it moves from the Gaussian of the codes on
            solve(net, pairs.batches("train", 256, coding.codes.mu.device))

    players, after = ([Player(tasks.loss)], None) if model == "flow" else ([], solve)
    return Experiment(
        pairs, Coded(coding.codes, heads[model]()), tasks.density(learned, coding), players, dc.replace(recipe, lr=recipe.lr or 1e-3),
        begin=begin, solve=after, arguments=run.arguments, parents=run.parents,
    )  # fmt: skip
