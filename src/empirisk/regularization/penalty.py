"""Penalties on the size of the weights."""

import torch
from torch import Tensor, nn

from empirisk.losses import Batch, Loss
from empirisk.recipe import Regularization


def regularised(loss: Loss, regularization: Regularization) -> Loss:
    """The loss with a penalty on the weights W that move.

    L(y, f(x)) + l1 sum |w| + l2/2 sum w^2, summed over every parameter that moves and has more than one axis (biases and
    the scales of norms are free). Where the loss returns its terms [n], each carries the penalty, so that the mean is the
    risk plus the penalty over any micro-batches; a scalar stays a scalar. Goodfellow, Bengio and Courville (2016), eq. 7.1.
    """
    l1, l2 = regularization.l1, regularization.l2
    if l1 == 0 and l2 == 0:
        return loss

    def penalised(model: nn.Module, batch: Batch) -> Tensor:
        terms = loss(model, batch)  # [n] or []
        penalty = torch.zeros((), dtype=terms.dtype, device=terms.device)
        for w in model.parameters():
            if w.requires_grad and w.ndim > 1:
                if l1:
                    penalty = penalty + l1 * w.abs().sum()
                if l2:
                    penalty = penalty + l2 / 2 * w.square().sum()
        return terms + penalty

    return penalised
