"""Image -> class."""

import dataclasses as dc

from empirisk import models
from empirisk.data.augment import augmentation
from empirisk.data.table import Data
from empirisk.data.targets import Classes
from empirisk.erm import Player
from empirisk.experiment import Experiment, experiment
from empirisk.models.cumulative import Cumulative
from empirisk.models.layers import Standardised
from empirisk.models.transfer import begin, parents
from empirisk.recipe import Architecture, Recipe, Regularization
from empirisk.regularization import dropped, regularised, terms
from empirisk.tasks import classification as tasks


@experiment
def classification(
    data: Data,
    *,
    architecture: Architecture = Architecture(),
    classes: str | None = None,
    balance: bool = False,
    label_smoothing: float = 0.0,
    focal: float = 0.0,
    mixup: float = 0.0,
    ordinal: bool = False,
    at: str | None = None,
    recipe: Recipe = Recipe(),
    regularization: Regularization = Regularization(),
) -> Experiment:
    """Classify images: binary, multi-class or multi-label, by cross-entropy -sum_k y_k log f_k(x) or focal loss.

    Measured: pneumoniamnist auc .982 [.969, .992], 3 seeds of 10 minutes.

    Parameters
    ----------
    classes
        class names in order, a,b,c; the last is the positive one of two.
    balance
        weigh classes by the inverse of their frequency in the training rows.
    label_smoothing
        share of each label that is spread over all classes.
    focal
        gamma of the focal loss -(1 - f)^gamma log f, say 2: easy samples count less; 0: cross-entropy.
    mixup
        alpha of Beta(alpha, alpha), say .2: trains on mixtures of two samples and of their labels; 0: off.
    ordinal
        the classes are grades in their order: P(y > k) = sigmoid(f(x) - theta_k), thresholds theta_1 < .. < theta_{K-1}.
    at
        operating point of two classes: sensitivity=.95 or specificity=.9, its threshold from validation.
    """
    data = dc.replace(data, classes=classes)
    card, kind = data.card(), data.learn(Classes, data.class_names())
    model = models.usual(card.dims) if architecture.model == "auto" else architecture.model
    net = models.build(
        model, channels=card.channels, classes=1 if ordinal else len(kind.names), dims=card.dims, size=card.size,
        dropout=regularization.dropout or None, **architecture.options(),
    )  # fmt: skip
    net = dropped(net, regularization)
    net = Cumulative(net, len(kind.names)) if ordinal else net
    weights = data.learn(tasks.ClassWeights, kind).values if balance else None
    loss = tasks.training_loss(kind, class_weights=weights, label_smoothing=label_smoothing, focal=focal)
    loss = terms.mixup(regularised(loss, regularization), mixup, classes=len(kind.names))
    pairs = data.as_pairs(kind, change=augmentation(regularization.augment, card.dims))
    return Experiment(
        pairs,
        Standardised(net, card.mean, card.std),
        tasks.ordinal(kind, at=at) if ordinal else tasks.classification(kind, at=at),
        [Player(loss)],
        dc.replace(recipe, lr=recipe.lr or models.defaults(model)["lr"]),
        begin(architecture.weights, freeze=architecture.freeze),
        parents=parents(architecture.weights),
    )
