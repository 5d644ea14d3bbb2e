"""A loss to a loss: noise on the input and on the weights, the L2 penalty, mixtures of two samples.

What is drawn comes from torch's generator, which `fit` seeds anew at every step.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.losses import Batch, Loss
from empirisk.models.layers import Standardised, over


def pixels_of(x: Any, flag: str) -> Tensor:
    """x, where it is one tensor of real numbers; `Wrong` (exit 2): words, or several inputs, cannot be moved a little."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise Wrong(f"--{flag} needs one image or vector a sample", remedy="leave it out")
    return x


def input_noise(loss: Loss, sigma: float) -> Loss:
    """L(y, f(x + sigma s eps)), eps from N(0, 1), s the deviation of each channel on the training pixels.

    s is that of the model's first layer; 1 where it has none. Bishop (1995), "Training with noise is equivalent to Tikhonov
    regularization".
    """
    if not sigma:
        return loss

    def noisy(model: nn.Module, batch: Batch) -> Tensor:
        x = pixels_of(batch[0], "input-noise")  # (n, C, *size)
        first = next((m for m in model.modules() if isinstance(m, Standardised)), None)
        s = over(first.std, x) if first is not None else 1.0  # (C, 1, ..)
        return loss(model, (x + sigma * s * torch.randn_like(x), batch[1]))

    return noisy


class Bound(nn.Module):
    """A loss tied to its model, as one module whose parameters can be replaced for a call, whatever the loss calls."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Batch) -> Tensor:
        """The loss's terms."""
        return self.loss(self.model, batch)


def weight_noise(loss: Loss, sigma: float) -> Loss:
    """L(y, f(x; w + sigma eps)), eps from N(0, 1) anew for each batch, on every weight that moves and has more than one axis.

    Graves (2011), "Practical variational inference for neural networks", with one fixed deviation; Goodfellow, Bengio and
    Courville (2016), equation 7.31.
    """
    if not sigma:
        return loss

    def noisy(model: nn.Module, batch: Batch) -> Tensor:
        weights = {f"model.{k}": w for k, w in model.named_parameters() if w.requires_grad and w.ndim > 1}
        moved = {k: w + sigma * torch.randn_like(w) for k, w in weights.items()}
        out: Tensor = torch.func.functional_call(Bound(model, loss), moved, (batch,))
        return out

    return noisy


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
        for w in (p for p in model.parameters() if p.requires_grad and p.ndim > 1):
            penalty = penalty + l2 / 2 * w.square().sum()
        return terms + penalty

    return penalised


def mixup(loss: Loss, alpha: float, *, classes: int = 0) -> Loss:
    """L(y', f(x')) with x' = l x_i + (1 - l) x_j, y' = l y_i + (1 - l) y_j, l from Beta(alpha, alpha) for each sample i.

    j is a permutation of the batch. Class numbers (n,) become one-hot over `classes`, so the loss must take shares (n, K); as
    cross-entropy is linear in y', it is then l L(y_i, f(x')) + (1 - l) L(y_j, f(x')). `Wrong` (exit 2) for an alpha below 0.
    Zhang et al. (2018).
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
