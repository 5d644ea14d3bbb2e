"""Noise -> new images."""

import dataclasses as dc
from collections.abc import Callable

from torch import nn

from empirisk.data.reconstructed import Images
from empirisk.data.table import Data
from empirisk.data.unlabelled import Count, Score
from empirisk.errors import Wrong, near
from empirisk.experiment import Experiment, experiment
from empirisk.generative.diffusion import ddpm
from empirisk.generative.family import Family
from empirisk.generative.gan import gan
from empirisk.generative.judge import APART, Judge, Protocol
from empirisk.generative.vae import vae
from empirisk.recipe import Recipe, dashed
from empirisk.tasks import generation as tasks

FAMILIES: dict[str, tuple[Callable[..., Family], set[str]]] = {
    "vae": (vae, {"codes", "width"}),
    "gan": (gan, {"codes", "width", "adversary"}),
    "ddpm": (ddpm, {"width", "noise", "predict", "guidance"}),
}
"""Name -> (card, range and classes of the images, number of training rows, its flags) -> the family; and the flags that it has."""


@experiment
def generation(
    data: Data, *, model: str = "vae", codes: int | None = None, width: int | None = None, adversary: str | None = None,
    noise: str | None = None, predict: str | None = None, guidance: float | None = None, recipe: Recipe = Recipe(optimizer="auto"),
) -> Experiment:  # fmt: skip
    """Learn to make images like those of the training rows; judged by an encoder and by training rows that teach nothing.

    Parameters
    ----------
    model
        vae: a code drawn from a density, decoded; gan: noise through a generator that an adversary teaches; ddpm: noise, taken out step by step.
    codes
        numbers that an image is made of; None: the model's own.
    width
        channels of the level at the image's resolution; None: the model's own.
    adversary
        of a gan: minimax, nonsaturating or wgan-gp; None: nonsaturating.
    noise
        how it grows in a ddpm: linear or cosine; None: cosine.
    predict
        what a ddpm names of a noisy image: eps, x0 or v; None: v.
    guidance
        how far samples of a class that is asked for go beyond it; None: 1.
    """
    if model not in FAMILIES:
        raise Wrong(f"--model {model} is unknown", remedy=near(model, FAMILIES) or f"give {', '.join(FAMILIES)}")
    build, known = FAMILIES[model]
    flags = {
        "codes": codes, "width": width, "adversary": adversary, "noise": noise, "predict": predict, "guidance": guidance,
    }  # fmt: skip
    given = {k: v for k, v in flags.items() if v is not None}
    for flag, value in given.items():
        if flag not in known:
            raise Wrong(f"--{dashed(flag)}: model {model} has no {flag}", remedy="leave it out")
        if isinstance(value, int) and value < 1:
            raise Wrong(f"--{dashed(flag)} is {value}", remedy="it must be 1 or above")
    data = dc.replace(data, truthless=True, apart=APART)
    card = data.card()
    if not card.dims:
        raise Wrong("generation is for images, these rows are vectors", remedy="empirisk train density DATA")
    images, rows, protocol = data.learn(Images, card), data.learn(Count).rows, data.learn(Protocol, data)
    pairs, family = data.as_pairs(Score(images.names)), build(card, images, rows, **given)
    judge = Judge(card, len(images.names), protocol)
    family.model.add_module("judge", judge)  # so that it lies in the weights file

    def begin(net: nn.Module) -> None:
        judge.teach(pairs)

    return Experiment(
        pairs,
        family.model,
        tasks.generation(family, card, images, judge, protocol.each),
        family.players,
        dc.replace(
            recipe,
            lr=recipe.lr or family.lr,
            batch=recipe.batch or family.batch,
            optimizer=family.optimizer if recipe.optimizer == "auto" else recipe.optimizer,
        ),
        begin=begin,
        solve=family.solve,
    )
