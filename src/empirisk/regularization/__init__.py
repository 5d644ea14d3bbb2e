"""Every modification of the learning algorithm meant to lower the expected, not the empirical, risk; and where each lives.

=====================  =========================================  ===========================================================
regulariser            flag                                       place: from a part to a part of the same type
=====================  =========================================  ===========================================================
augmentation           ``--augment``                              ``data/augment.py``: a batch to a batch
dropout                ``--dropout``                              each model: before its last layer
dropout of channels    ``--spatial-dropout``                      ``dropping.py``: a model to a model
stochastic depth       ``--stochastic-depth``                     ``dropping.py``: a model to a model
l1 penalty             ``--l1``                                   ``optimization.py``: ``sparse``, an optimiser to an optimiser
l2 penalty             ``--l2``                                   ``terms.py``: a loss to a loss
decoupled decay        ``--weight-decay``                         ``optimization.py``: in the optimiser's step
input noise            ``--input-noise``                          ``terms.py``: a loss to a loss
weight noise           ``--weight-noise``                         ``terms.py``: a loss to a loss
adversarial training   ``--adversarial``                          ``adversarial.py``: a loss to a loss
mixup                  ``--mixup``                                ``terms.py``: a loss to a loss
label smoothing        ``--label-smoothing``                      ``tasks/classification.py``: ``training_loss``
averaged weights       ``--ema``                                  ``optimization.py``: ``Average``
early stopping         ``--patience`` (the kept epoch: always)    ``erm/run.py``: ``EarlyStopping``
ensemble               ``train ensemble RUN RUN``                 ``experiments/ensemble.py``: runs to a run
=====================  =========================================  ===========================================================
"""

from torch import nn

from empirisk.losses import Loss
from empirisk.recipe import Regularization
from empirisk.regularization.adversarial import adversarial
from empirisk.regularization.dropping import spatial_dropout, stochastic_depth
from empirisk.regularization.terms import input_noise, l2_penalty, weight_noise


def regularised(loss: Loss, regularization: Regularization) -> Loss:
    """The loss with what `regularization` asks of losses; the very same loss where that is nothing.

    Noise moves x first, then the adversary moves it within its box, all at weights that carry their own noise.
    """
    r = regularization
    loss = adversarial(loss, r.adversarial, r.adversarial_steps)
    return l2_penalty(weight_noise(input_noise(loss, r.input_noise), r.weight_noise), r.l2)


def dropped(model: nn.Module, regularization: Regularization) -> nn.Module:
    """The model with what `regularization` asks of models, beside the dropout that it was built with."""
    return stochastic_depth(spatial_dropout(model, regularization.spatial_dropout), regularization.stochastic_depth)
