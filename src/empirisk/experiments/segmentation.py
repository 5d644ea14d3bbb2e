"""Image -> mask."""

import dataclasses as dc
from typing import Any

from empirisk import models
from empirisk.data.augment import augmentation
from empirisk.data.masks import Masks
from empirisk.data.patches import moved
from empirisk.data.plan import Plan
from empirisk.data.sources import Windows
from empirisk.data.table import Data
from empirisk.data.tones import Invert
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.models.layers import Standardised
from empirisk.models.transfer import begin, parents
from empirisk.recipe import Recipe, Regularization
from empirisk.regularization import dropped, regularised
from empirisk.tasks import segmentation as tasks

CHANGES = "flip,affine,intensity,gamma,noise"
"What `--augment auto` stands for: a cut-out would hide a structure that the mask still has."


@experiment
def segmentation(
    data: Data, *, model: Any = "unet", encoder: str | None = None, width: int | None = None, depth: int | None = None,
    norm: str | None = None, activation: str | None = None, classes: str | None = None, instances: bool | None = None,
    memory: float = 0.3, weights: str | None = None, freeze: bool = False, recipe: Recipe = Recipe(),
    regularization: Regularization = Regularization(),
) -> Experiment:  # fmt: skip
    """Mark structures in images and volumes by cross-entropy and soft Dice; things of one class are told apart by a distance map.

    Measured: hippocampus dice .878 [.867, .890], one seed, 15 minutes.

    Parameters
    ----------
    model
        unet, or package.module:function (channels, outputs) -> a network that answers for each pixel.
    encoder
        architecture by name (`empirisk list models`) whose maps the U-Net goes back from; None: its own.
    width
        channels of the first level; None: 16.
    depth
        levels of the U-Net's own encoder at most.
    norm
        instance, batch, group, layer or none.
    activation
        relu, leaky_relu, elu, gelu, silu and others.
    classes
        names of the structures numbered 1, 2, .. in the masks, a,b,c.
    instances
        the numbers of a mask count things of one class; None: where a mask holds more than 20 of them.
    memory
        GiB that the activations of a step may take: patch and batch follow from it.
    """
    data = dc.replace(data, classes=classes)
    card = data.card()
    if not card.dims:
        raise Wrong("segmentation needs images, these rows are vectors", remedy="empirisk train classification DATA")
    kind = data.learn(Masks, data.class_names, instances)
    plan = data.learn(Plan, card, memory, width or 16, data.size, recipe.batch, depth)
    net = models.build(
        model, channels=card.channels, classes=len(kind.names) + 1 + kind.instances, dims=card.dims, size=plan.patch,
        width=width, dropout=regularization.dropout or None, norm=norm, activation=activation, strides=plan.strides, maps=True,
        encoder=models.build(
            encoder, channels=card.channels, classes=1, dims=card.dims, size=plan.patch, width=width
        ) if encoder else None,
    )  # fmt: skip
    task = tasks.segmentation(kind, plan)
    assert task.loss is not None
    mean, std = ([0.0] * card.channels, [1.0] * card.channels) if plan.alone else (card.mean, card.std)
    spec = CHANGES if regularization.augment == "auto" else regularization.augment
    change = augmentation(spec, card.dims)
    if change:
        change = change.limited(chance=1.0).limited(Invert, about=0.0 if plan.alone else None)
    return Experiment(
        data.as_pairs(kind, change=change, along=moved, source=Windows(plan)),
        Standardised(dropped(net, regularization), mean, std),
        task,
        [Player(regularised(task.loss, regularization))],
        dc.replace(recipe, batch=plan.batch, lr=recipe.lr or models.defaults(model)["lr"]),
        begin(weights, freeze=freeze),
        parents=parents(weights),
    )
