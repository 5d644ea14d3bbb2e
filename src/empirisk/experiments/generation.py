"""Noise -> new images."""

import dataclasses as dc
from collections.abc import Callable
from inspect import signature

from empirisk.data.reconstructed import Images
from empirisk.data.table import Data
from empirisk.data.unlabelled import Count, Score
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.generative.diffusion import ddpm
from empirisk.generative.family import Family
from empirisk.generative.gan import gan
from empirisk.generative.judge import APART, Judge, Protocol
from empirisk.generative.vae import vae
from empirisk.recipe import Recipe, refuse_flags
from empirisk.tasks import generation as tasks

FAMILIES: dict[str, Callable[..., Family]] = {"vae": vae, "gan": gan, "ddpm": ddpm}
"""Name -> (card, range and classes of the images, number of training rows, its flags) -> the family."""


@experiment
def generation(
    data: Data, *, model: str = "vae", patch: int | None = None, codes: int | None = None, width: int | None = None,
    adversary: str | None = None, noise: str | None = None, predict: str | None = None, guidance: float | None = None,
    recipe: Recipe = Recipe(optimizer="auto"),
) -> Experiment:  # fmt: skip
    """Learn to make images like those of the training rows; judged by an encoder and by training rows that teach nothing.

    Parameters
    ----------
    model
        vae: a code drawn from a density, decoded; gan: noise through a generator that an adversary teaches; ddpm: noise, taken out step by step.
    patch
        side in pixels of patches, at most 8 an image at its own resolution, that are learned in place of it; None: whole images.
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
    flags = {"codes": codes, "width": width, "adversary": adversary, "noise": noise, "predict": predict, "guidance": guidance}  # fmt: skip
    refuse_flags(model, {name: signature(build).parameters for name, build in FAMILIES.items()}, **flags)
    data = dc.replace(data, truthless=True, apart=APART, patch=patch, size=data.size or patch)
    card = data.card(measured=True)
    if not card.dims:
        raise Wrong("generation is for images, these rows are vectors", remedy="empirisk train density DATA")
    images, rows, protocol = data.learn(Images, card), data.learn(Count).rows, data.learn(Protocol, data)
    pairs, given = data.as_pairs(Score(images.names)), {k: v for k, v in flags.items() if v is not None}
    family, judge = FAMILIES[model](card, images, rows, **given), Judge(card, len(images.names), protocol)
    family.model.add_module("judge", judge)  # so that it lies in the weights file
    optimizer = family.optimizer if recipe.optimizer == "auto" else recipe.optimizer
    recipe = dc.replace(recipe, lr=recipe.lr or family.lr, batch=recipe.batch or family.batch, optimizer=optimizer)
    return Experiment(
        pairs, family.model, tasks.generation(family, card, images, judge, protocol.each), family.players, recipe,
        begin=lambda net: judge.teach(pairs), solve=family.solve,
    )  # fmt: skip
