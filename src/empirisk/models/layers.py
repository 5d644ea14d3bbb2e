"""What the architectures share: layers by name and number of dimensions, dry passes, and the standardising layer."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong, near
from empirisk.models.activations import ACTIVATIONS

Norm = Callable[[int], nn.Module]
"""channels -> a layer that normalises them."""
Activation = Callable[[], nn.Module]
"""() -> a layer that acts on each number by itself."""
Pool = Callable[..., nn.Module]
"""(kernel, stride=, padding=, ceil_mode=) -> a layer that pools."""
T = TypeVar("T")


def chosen(flag: str, name: str | T, known: Mapping[str, T]) -> T:
    """What a name stands for, anything else as it is; `Wrong` (exit 2) for an unknown name."""
    if not isinstance(name, str):
        return name
    if name not in known:
        raise Wrong(f"--{flag} {name} is unknown", remedy=near(name, known) or f"give {', '.join(known)}")
    return known[name]


def need_images(name: str, size: Sequence[int], *, least: int = 1, remedy: str = "--model mlp") -> None:
    """Refuse vectors, and images with a side below `least` pixels: `Wrong` (exit 2)."""
    if not size:
        raise Wrong(f"model {name} needs images, these rows are vectors", remedy="give --model linear or --model mlp")
    if min(size) < least:
        what = f"model {name} needs at least {least} pixels a side, these images have {' x '.join(map(str, size))}"
        raise Wrong(what, remedy=f"give --size {least} or above, or {remedy}")


def convolution(dims: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    """The cross-correlation layer in 2 or 3 dimensions."""
    return nn.Conv2d if dims == 2 else nn.Conv3d


def max_pool(dims: int) -> type[nn.MaxPool2d] | type[nn.MaxPool3d]:
    """The max-pooling layer in 2 or 3 dimensions."""
    return nn.MaxPool2d if dims == 2 else nn.MaxPool3d


def mean_pool(x: Tensor) -> Tensor:
    """(n, C, *size) -> (n, C): the mean over all places."""
    return x.mean(tuple(range(2, x.ndim)))


class L2Pool(nn.Module):
    """y = (sum of x^2 over the window)^(1/2); the gradient at 0 is 0, where that of `nn.LPPool2d` is not a number."""

    def __init__(self, kernel: int, stride: int, *, padding: int = 0, ceil_mode: bool = False) -> None:
        super().__init__()
        self.window = kernel, stride, padding, ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, C, *places)."""
        mean = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
        total = mean(x.square(), *self.window, count_include_pad=True, divisor_override=1)
        return total.clamp_min(1e-12).sqrt()


def pooling(pool: str | Pool, dims: int) -> Pool:
    """The pooling of a name: max, average (of the places inside) or l2; a callable is taken as it is."""
    mean = partial(nn.AvgPool2d if dims == 2 else nn.AvgPool3d, count_include_pad=False)
    named: dict[str, Pool] = {"max": max_pool(dims), "average": mean, "l2": L2Pool}
    return chosen("pool", pool, named)


def nonlinearity(activation: str | Activation, *, inplace: bool = True) -> Activation:
    """The activation of a name, which may write over its input unless told not to; a callable is taken as it is."""
    named: dict[str, Activation] = {name: getattr(nn, phi.layer) for name, phi in ACTIVATIONS.items()}
    return chosen("activation", activation, named | {"relu": partial(nn.ReLU, inplace=inplace)})


class InstanceNorm(nn.Module):
    """gamma (x - mean) / sd + beta, mean and sd those of each channel of each sample. Ulyanov et al. (2016).

    On a CPU it is the batch norm of one sample at a time, which works channels last, where `nn.InstanceNorm2d` copies to and fro.
    """

    channels_last = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) as it is."""
        if x.device.type != "cpu":
            return F.instance_norm(x, weight=self.weight, bias=self.bias)
        return torch.cat(
            [F.batch_norm(one, None, None, self.weight, self.bias, training=True) for one in torch.split(x, 1)]
        )


def normalisation(norm: str | Norm, dims: int) -> Norm:
    """The norm of a name, over samples (batch), 8 groups of channels, all of them (layer), each (instance); or none.

    Ioffe & Szegedy (2015); Wu & He (2018), figure 2. A callable is taken as it is.
    """
    named: dict[str, Norm] = {
        "batch": nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d,
        "group": lambda channels: nn.GroupNorm(math.gcd(8, channels), channels),
        "layer": lambda channels: nn.GroupNorm(1, channels),
        "instance": InstanceNorm,
        "none": lambda channels: nn.Identity(),
    }
    return chosen("norm", norm, named)


class Layers:
    """The layers that one network is made of: `conv`, `norm`, `phi` and `pool`, by number of dimensions and name or callable.

    `inplace`: an activation may write over its input. `Wrong` (exit 2) for an unknown name.
    """

    def __init__(
        self, dims: int, *, norm: str | Norm = "none", activation: str | Activation = "relu", pool: str | Pool = "max",
        inplace: bool = True,
    ) -> None:  # fmt: skip
        self.dims, self.conv = dims, convolution(dims)
        self.norm, self.pool = normalisation(norm, dims), pooling(pool, dims)
        self.phi = nonlinearity(activation, inplace=inplace)


@torch.no_grad()
def shapes_of(net: nn.Module, channels: int, size: Sequence[int]) -> list[tuple[int, int | tuple[int, ...]]]:
    """(channels, stride) of each map of `net.features` on images (channels, *size); a tuple where the axes differ.

    A dry pass in evaluation mode on a copy that holds no numbers. The stride is how far the image must move for its map to
    move by one place: 64 pixels more are 64 / stride places more.
    """
    dry = copy.deepcopy(net).to("meta").eval()
    images = (torch.zeros(1, channels, *(s + more for s in size), device="meta") for more in (0, 64))
    few, many = (dry.features(x) for x in images)  # type: ignore[operator]
    found: list[tuple[int, int | tuple[int, ...]]] = []
    for a, b in zip(few, many, strict=True):
        strides = tuple(64 // (q - p) for p, q in zip(a.shape[2:], b.shape[2:], strict=True))
        found.append((a.shape[1], strides[0] if len(set(strides)) == 1 else strides))
    return found


@torch.no_grad()
def beheaded(net: nn.Module, channels: int, size: Sequence[int]) -> nn.Module:
    """The net with nothing in the place of each child that `features` of images (channels, *size) does not call."""
    dry = copy.deepcopy(net).to("meta").eval()
    called: set[nn.Module] = set()
    for module in dry.modules():
        module.register_forward_hook(lambda module, inputs, output: called.add(module))
    dry.features(torch.zeros(1, channels, *size, device="meta"))  # type: ignore[operator]
    for name, child in list(dry.named_children()):
        if called.isdisjoint(child.modules()):
            setattr(net, name, nn.Identity())
    return net


@torch.no_grad()
def counted(net: nn.Module, channels: int, size: Sequence[int]) -> tuple[int, int]:
    """Parameters that an answer needs, and multiply-adds of one image: each weight times each place where it acts.

    Biases, norms and activations are not counted among the multiply-adds, as in the papers.
    """
    dry = copy.deepcopy(net).to("meta").eval()
    parameters, products = dict[nn.Module, int](), list[int]()

    def add(module: nn.Module, inputs: object, output: Tensor) -> None:
        parameters[module] = sum(p.numel() for p in module.parameters(recurse=False))
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            products.append(output.numel() * module.weight[0].numel())

    for module in dry.modules():
        module.register_forward_hook(add)
    dry(torch.zeros(1, channels, *size, device="meta"))
    return sum(parameters.values()), sum(products)


def over_heads(model: nn.Module, x: Tensor, terms: Callable[[Tensor], Tensor]) -> Tensor:
    """The loss's terms of f(x), at least in float32; in training the sum over the model's `heads`, each times its weight."""
    heads = getattr(model, "heads", None) if model.training else None
    outputs = [(1.0, model(x))] if heads is None else heads(x)
    found = [weight * terms(out.to(torch.promote_types(out.dtype, torch.float32))) for weight, out in outputs]
    return torch.stack(found).sum(0)


def over(values: Tensor, x: Tensor) -> Tensor:
    """(C,) -> (C, 1, 1) beside x (n, C, H, W): a number a channel."""
    return values.view(-1, *[1] * (x.ndim - 2))


def standardised(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(x - mean) / std per channel of x (n, C, *size)."""
    return (x - over(mean, x)) / over(std, x)


class Standardised(nn.Module):
    """A network behind its first layer, x -> net((x - mean) / std) per channel, x in image units.

    The buffers `mean`, `std` (C,), `temperature` (1 before calibration) and `threshold` (.5) are saved with the weights.
    The output is the net's own: what reads it divides by the temperature. A channel without deviation is only centred.
    """

    mean: Tensor
    std: Tensor
    temperature: Tensor
    threshold: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor([s if s > 0 else 1.0 for s in std], dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("threshold", torch.tensor(0.5))

    def train(self, mode: bool = True) -> Self:
        """As ever; but a BatchNorm that may not move keeps the statistics it has."""
        super().train(mode)
        for module in self.modules():
            moves = [p.requires_grad for p in module.parameters(recurse=False)]
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and moves and not any(moves):
                module.eval()
        return self

    def standardise(self, x: Tensor) -> Tensor:
        """(x - mean) / std per channel."""
        return standardised(x, self.mean, self.std)

    def restore(self, z: Tensor) -> Tensor:
        """std z + mean per channel: back in image units."""
        return z * over(self.std, z) + over(self.mean, z)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, classes)."""
        out: Tensor = self.net(self.standardise(x))
        return out

    def features(self, x: Tensor) -> list[Tensor]:
        """The net's maps at its strides; none where it has none."""
        maps = self.net.features(self.standardise(x)) if hasattr(self.net, "features") else []  # type: ignore[operator]
        return [maps] if isinstance(maps, Tensor) else list(maps)

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): what the net's last layer sees; `Wrong` (exit 2) for a net of one's own without `embed`."""
        if not hasattr(self.net, "embed"):
            raise Wrong(f"model {type(self.net).__name__} has no embed", remedy="give it a method embed(x) -> (n, D)")
        out: Tensor = self.net.embed(self.standardise(x))  # type: ignore[operator]
        return out

    def heads(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """Weighted outputs whose losses add up; the output alone, with weight 1, where the net has one head."""
        heads = getattr(self.net, "heads", None)
        return [(1.0, self(x))] if heads is None else list(heads(self.standardise(x)))
