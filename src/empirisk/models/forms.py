"""What the architectures for images share: the form for small images, chains that give their maps, first weights, named sizes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn

from empirisk.models.layers import chosen, need_images

P = ParamSpec("P")
T = TypeVar("T")


def small_form(name: str, stem: str, size: Sequence[int], *, least: int = 1) -> bool:
    """Whether the form for small images is meant: asked for, or `auto` and a side below 64 pixels.

    Its first convolution keeps the resolution, its stem does not pool, and a later pooling is left out where a side would
    fall under 4. `Wrong` (exit 2): vectors, an unknown stem, fewer than `least` pixels a side for the imagenet form.
    """
    need_images(name, size)
    small: bool = chosen("stem", stem, {"auto": min(size) < 64, "small": True, "imagenet": False})
    if not small:
        need_images(f"{name} in its imagenet form", size, least=least, remedy="--stem small")
    return small


def named_size(family: Callable[P, T], name: str, layers: int) -> Callable[P, T]:
    """The family at one number of layers, known by its own name."""
    sized = partial(cast(Callable[..., T], family), layers=layers)
    vars(sized).update(__name__=name, __qualname__=name, __module__=family.__module__, __doc__=family.__doc__)
    return cast(Callable[P, T], sized)


def mean_grid(dims: int, places: Sequence[int]) -> nn.Module:
    """(n, C, *size) -> (n, C, *places): means over a grid, whatever the size."""
    return nn.AdaptiveAvgPool2d(tuple(places)) if dims == 2 else nn.AdaptiveAvgPool3d(tuple(places))


def halving(pool: nn.Module, sides: Sequence[int], *, small: bool) -> tuple[nn.Module, tuple[int, ...]]:
    """A pooling and the sides after it; in the small form nothing where a side would fall under 4."""
    after = tuple(sides) if small and min(sides) < 4 else tuple(pool(torch.zeros(1, 1, *sides)).shape[2:])
    return (nn.Identity(), tuple(sides)) if small and min(after) < 4 else (pool, after)


def he_normal(net: nn.Module) -> None:
    """w ~ N(0, 2/n) in every convolution, n = outputs times places of a kernel. He et al. (2015), equation 14."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Maps(nn.Sequential):
    """A chain of layers whose call gives its maps: the last of each resolution, from the first layer's on."""

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, C, *size) -> maps of falling size."""
        maps: list[Tensor] = []
        for i, layer in enumerate(self):
            y = layer(x)
            if i and y.shape[2:] != x.shape[2:]:
                maps.append(x)
            x = y
        return [*maps, x]
