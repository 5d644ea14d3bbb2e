"""Penalties on the size of the weights."""

import torch
from torch import Tensor, nn

from empirisk.losses import Batch, Loss


def l2_penalty(loss: Loss, l2: float) -> Loss:
    """L(y, f(x)) + l2/2 sum w^2, over every parameter that moves and has more than one axis (biases and norms are free).

    Where the loss returns its terms [n], each carries the penalty, so that the mean is the risk plus the penalty over any
    micro-batches; a scalar stays a scalar. Goodfellow, Bengio and Courville (2016), equation 7.2.
    """
    if not l2:
        return loss

    def penalised(model: nn.Module, batch: Batch) -> Tensor:
        terms = loss(model, batch)  # [n] or []
        penalty = torch.zeros((), dtype=terms.dtype, device=terms.device)
        for w in model.parameters():
            if w.requires_grad and w.ndim > 1:
                penalty = penalty + l2 / 2 * w.square().sum()
        return terms + penalty

    return penalised
