"""Where a model looked: heat maps of one output over the image."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def grad_cam(model: nn.Module, x: Tensor, index: int | Sequence[int] | Tensor) -> Tensor:
    """Grad-CAM of output `index` (one, or one an image): (n, C, *size) -> (n, *size) in [0, 1], on the image's grid.

    alpha_k = mean over places of dy / dA^k, L = ReLU(sum_k alpha_k A^k), resampled linearly, divided by its maximum.
    A is the last map with more than one place that a layer of the model gives; without one, `input_gradient`.
    Selvaraju et al. (2017), equations 1 and 2.
    """
    maps: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == x.ndim > 2 and output[0, 0].numel() > 1:
            maps[:] = [output]

    hooks = [module.register_forward_hook(keep) for module in model.modules() if module is not model]
    try:
        y, _ = _output(model, x, index)
    finally:
        for hook in hooks:
            hook.remove()
    if not maps:
        return input_gradient(model, x, index)
    A = maps[0]
    (gradient,) = torch.autograd.grad(y, A)
    places = tuple(range(2, A.ndim))
    alpha = gradient.mean(places, keepdim=True)  # (n, K, 1, 1)
    L = F.relu((alpha * A.detach()).sum(1, keepdim=True))  # (n, 1, *places)
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    return _scaled(F.interpolate(L, x.shape[2:], mode=mode, align_corners=False)[:, 0])


def input_gradient(model: nn.Module, x: Tensor, index: int | Sequence[int] | Tensor) -> Tensor:
    """max over channels of |dy / dx|, divided by its maximum: (n, C, *size) -> (n, *size); vectors (n, D) -> (n, D).

    Simonyan et al. (2014), section 3.1.
    """
    y, leaf = _output(model, x, index)
    (gradient,) = torch.autograd.grad(y, leaf)
    return _scaled(gradient.abs() if x.ndim == 2 else gradient.abs().amax(1))


def _output(model: nn.Module, x: Tensor, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
    """(sum over the batch of y_index, the leaf x that it came from), in evaluation mode; the mode is put back."""
    wanted = torch.as_tensor(index, device=x.device).expand(len(x))
    training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            y: Tensor = model(leaf)
            return y.gather(1, wanted[:, None]).sum(), leaf
    finally:
        model.train(training)


def _scaled(heat: Tensor) -> Tensor:
    """Each image's map divided by its maximum; a map of zeros stays."""
    highest = heat.flatten(1).amax(1).view(-1, *[1] * (heat.ndim - 1))
    return heat / torch.where(highest > 0, highest, 1)
