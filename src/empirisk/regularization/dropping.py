"""Dropout of channels and of residual branches: hooks on a copy of a model, which change neither weights nor their names."""

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong


def drop(x: Tensor, share: float, axes: int) -> Tensor:
    """b x / (1 - share), b = 0 with probability `share`, else 1: E[drop(x)] = x.

    b is drawn anew along the first `axes` axes of x (n, C, *size): 1 drops a sample's whole branch, 2 whole channels, x.ndim
    single elements (Srivastava et al. 2014, as nn.Dropout before the last layer does).
    """
    b = torch.rand(x.shape[:axes], device=x.device) >= share
    return x * (b.to(x.dtype) / (1 - share)).view(*b.shape, *[1] * (x.ndim - axes))


def before(share: float, layer: nn.Module, inputs: Any) -> Any:
    """A hook: whole channels of what goes into a layer that trains are dropped."""
    return (drop(inputs[0], share, axes=2), *inputs[1:]) if layer.training else inputs


def after(share: float, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """A hook: whole samples of what comes out of a layer that trains are dropped."""
    return drop(output, share, axes=1) if layer.training else output


def spatial_dropout(model: nn.Module, share: float) -> nn.Module:
    """The model with whole channels dropped before each of its convolutions but the first. Tompson et al. (2015).

    `Wrong` (exit 2): there is no second convolution.
    """
    if not share:
        return model
    model = copy.deepcopy(model)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    if len(layers) < 2:
        what = f"--spatial-dropout: {type(model).__name__} has no second convolution"
        raise Wrong(what, remedy="give --dropout, or another --model")
    for layer in layers[1:]:
        layer.register_forward_pre_hook(partial(before, share))
    return model


def stochastic_depth(model: nn.Module, share: float) -> nn.Module:
    """The model whose residual branch l of L is left out for a sample with probability p_l = share l/L.

    y = phi(b F(x) / (1 - p_l) + x). Huang et al. (2016), equations 2 and 4; they scale F when testing instead.
    `Wrong` (exit 2): there is no residual branch.
    """
    if not share:
        return model
    model = copy.deepcopy(model)
    ends = [end for m in model.modules() if (end := branch_end(m)) is not None]
    if not ends:
        what = f"--stochastic-depth: {type(model).__name__} has no residual branches"
        raise Wrong(what, remedy="give --dropout, or --model resnet18")
    for l, end in enumerate(ends, 1):
        end.register_forward_hook(partial(after, share * l / len(ends)))
    return model


def branch_end(block: nn.Module) -> nn.Module | None:
    """The last layer of a residual block's branch, by the names that torchvision gives: bn3 or bn2 of a block with `downsample`."""
    if not hasattr(block, "downsample"):
        return None
    end = getattr(block, "bn3", None) or getattr(block, "bn2", None)
    return end if isinstance(end, nn.Module) else None
