"""Adversarial examples, and training against them. Epsilon is in image units: 2/255 of an image whose values lie in [0, 1]."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from empirisk.losses import Batch, Loss
from empirisk.regularization.terms import pixels_of


@contextlib.contextmanager
def still_statistics(model: nn.Module) -> Iterator[None]:
    """While this holds, a call of the model leaves the running statistics of its batch norms as they are."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def slope(model: nn.Module, loss: Loss, batch: Batch) -> Tensor:
    """The gradient of the sum of the loss's terms by x (n, C, *size); no gradient of a parameter is touched."""
    x = pixels_of(batch[0], "adversarial").detach().requires_grad_()
    with torch.enable_grad(), still_statistics(model):
        (g,) = torch.autograd.grad(loss(model, (x, batch[1])).sum(), x)
    return g


def within(moved: Tensor, x: Tensor) -> Tensor:
    """Values that an image may have: from 0 to 1, or the batch's own range where that is wider."""
    return moved.clamp(x.amin().clamp(max=0), x.amax().clamp(min=1))


def fgsm(model: nn.Module, loss: Loss, batch: Batch, *, epsilon: float) -> Tensor:
    """x' = x + epsilon sign(grad_x L), one step to the edge of the box |x' - x| <= epsilon.

    Goodfellow, Shlens and Szegedy (2015), section 4.
    """
    x: Tensor = batch[0]
    return within(x + epsilon * slope(model, loss, batch).sign(), x).detach()


def pgd(
    model: nn.Module, loss: Loss, batch: Batch, *, epsilon: float, steps: int = 10, step_size: float | None = None
) -> Tensor:
    """x_0 uniform in the box |x' - x| <= epsilon; x_(t+1) = clip(x_t + a sign(grad_x L)), clipped to the box.

    The step a is `step_size`, 2.5 epsilon / steps if not given. Madry et al. (2018), section 2.1.
    """
    x, y = batch
    a = 2.5 * epsilon / steps if step_size is None else step_size
    moved = within(x + epsilon * (2 * torch.rand_like(pixels_of(x, "adversarial")) - 1), x)
    for _ in range(steps):
        moved = moved + a * slope(model, loss, (moved, y)).sign()
        moved = within(moved.clamp(x - epsilon, x + epsilon), x)
    return moved.detach()


def adversarial(loss: Loss, epsilon: float, steps: int = 1) -> Loss:
    """max over |d| <= epsilon of L(y, f(x + d)), approached by one step of `fgsm`, or by `steps` of `pgd`.

    The gradient is taken at the found x + d (Danskin). Madry et al. (2018), equation 2.1.
    """
    if not epsilon:
        return loss

    def robust(model: nn.Module, batch: Batch) -> Tensor:
        if steps == 1:
            x = fgsm(model, loss, batch, epsilon=epsilon)
        else:
            x = pgd(model, loss, batch, epsilon=epsilon, steps=steps)
        return loss(model, (x, batch[1]))

    return robust
