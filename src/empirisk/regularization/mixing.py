"""Training on mixtures of two samples."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.losses import Batch, Loss
from empirisk.regularization.noise import pixels_of


def mixup(loss: Loss, alpha: float, *, classes: int = 0) -> Loss:
    """L(y', f(x')) with x' = l x_i + (1 - l) x_j, y' = l y_i + (1 - l) y_j, l from Beta(alpha, alpha) for each sample i.

    j is a permutation of the batch. Class numbers (n,) become one-hot over `classes`, so the loss must take shares (n, K); as
    cross-entropy is linear in y', it is then l L(y_i, f(x')) + (1 - l) L(y_j, f(x')). Zhang et al. (2018).

    Raises
    ------
    Wrong
        exit 2 for an alpha below 0.
    """
    if not (alpha >= 0 and math.isfinite(alpha)):
        raise Wrong(f"--mixup is {alpha}", remedy="it must be 0 or above, say .2")
    if not alpha:
        return loss
    beta = torch.distributions.Beta(alpha, alpha, validate_args=False)

    def mixed(model: nn.Module, batch: Batch) -> Tensor:
        x, y = pixels_of(batch[0], "mixup"), batch[1]
        q = y if y.is_floating_point() else F.one_hot(y.reshape(-1), classes).to(x.dtype)
        share = beta.sample((len(x),)).to(x)  # (n,)
        other = torch.randperm(len(x)).to(x.device)
        return loss(model, (blend(x, x[other], share), blend(q, q[other], share)))

    return mixed


def blend(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """l a + (1 - l) b, a and b (n, ..), l (n,)."""
    return torch.lerp(b, a, share.to(a).view(-1, *[1] * (a.ndim - 1)))
