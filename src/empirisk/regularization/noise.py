"""Noise on the input and on the weights, from torch's generator, which `fit` seeds anew at every step."""

from typing import Any

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.losses import Batch, Loss
from empirisk.models.layers import Standardised


def pixels_of(x: Any, flag: str) -> Tensor:
    """x, where it is one tensor of real numbers.

    Raises
    ------
    Wrong
        exit 2: words, or several inputs, cannot be moved a little.
    """
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
        s = model.std.view(-1, *[1] * (x.ndim - 2)) if isinstance(model, Standardised) else 1.0  # (C, 1, ..)
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
        moved = {
            f"model.{name}": w + sigma * torch.randn_like(w)
            for name, w in model.named_parameters()
            if w.requires_grad and w.ndim > 1
        }
        out: Tensor = torch.func.functional_call(Bound(model, loss), moved, (batch,))
        return out

    return noisy
