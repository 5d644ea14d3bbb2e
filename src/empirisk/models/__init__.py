"""The hypothesis space F: architectures by name, one file each. Reading this list imports nothing heavy."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from empirisk.errors import Wrong

if TYPE_CHECKING:
    from torch import nn

    from empirisk.models.layers import Norm


class Known(NamedTuple):
    """A named architecture: where its function is, what it is in one line, its own learning rate."""

    where: str
    line: str
    lr: float


MODELS = {
    "linear": Known("empirisk.models.mlp:linear", "one weight an input and class, on the flattened image", 1e-2),
    "mlp": Known("empirisk.models.mlp:mlp", "hidden layers of units on the flattened image; depth 0 is a neuron", 3e-3),
    "lenet": Known("empirisk.models.lenet:lenet", "LeNet-5: two convolutions, two poolings, three full layers", 2e-3),
    "resnet18": Known("empirisk.models.resnet:resnet18", "residual network of 18 layers; the default", 2e-3),
    "resnet34": Known("empirisk.models.resnet:resnet34", "residual network of 34 layers", 2e-3),
}
"""Every named architecture. To add one: its file and one line here."""


def list_models() -> dict[str, str]:
    """Every name with its one line."""
    return {name: known.line for name, known in MODELS.items()}


def defaults(model: "str | Callable[..., nn.Module] | nn.Module") -> dict[str, float]:
    """What a model brings for a recipe that leaves it open: its learning rate; 1e-3 for a model of your own."""
    known = MODELS.get(model) if isinstance(model, str) else None
    return {"lr": known.lr if known else 1e-3}


def usual(dims: int) -> str:
    """What `auto` stands for: a residual network for images, an mlp for vectors."""
    return "resnet18" if dims else "mlp"


def build(
    model: "str | Callable[..., nn.Module] | nn.Module",
    *,
    channels: int,
    classes: int,
    dims: int,
    size: Sequence[int],
    width: int | None = None,
    depth: int | None = None,
    dropout: float | None = None,
    norm: "str | Norm | None" = None,
    stem: str | None = None,
) -> "nn.Module":
    """A network f: (n, channels, *size) -> (n, classes), from a name, package.module:function, a callable or a module.

    A function is called as function(channels, classes), with dims, size and the options given by name where its
    signature has them; None is its own default. A module is taken as it is. For vectors dims is 0, size ().

    Raises
    ------
    Wrong
        exit 2: an unknown name, an option that the model lacks, a size or option that cannot be meant.
    """
    from torch import nn

    options = {"width": width, "depth": depth, "dropout": dropout, "norm": norm, "stem": stem}
    given = {k: v for k, v in options.items() if v is not None}
    for flag, value, least in (("width", width, 1), ("depth", depth, 0)):
        if value is not None and value < least:
            raise Wrong(f"--{flag} is {value}", remedy=f"it must be {least} or above")
    if isinstance(model, nn.Module):
        _refuse(type(model).__name__, set(), given)
        return model
    name = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
    function = _function(model)
    try:
        signature = inspect.signature(function)
        takes = set(signature.parameters)
        _refuse(name, takes, given)
        named = {k: v for k, v in {"dims": dims, "size": tuple(size), **given}.items() if k in takes}
        signature.bind(channels, classes, **named)
    except (TypeError, ValueError) as error:
        form = "function(channels, classes) and, by name where it wants them, dims, size, " + ", ".join(options)
        raise Wrong(f"model {name} cannot be called: {error}", remedy=f"its form is {form}") from error
    net = function(channels, classes, **named)
    if not isinstance(net, nn.Module):
        raise Wrong(f"model {name} gave {type(net).__name__}", remedy="it must return a torch.nn.Module")
    return net


def _refuse(name: str, takes: set[str], given: dict[str, Any]) -> None:
    """Exit 2 for the first option given that the model lacks; a dropout of 0 is none."""
    for flag in sorted(set(given) - takes):
        if flag == "dropout" and not given[flag]:
            continue
        have = [other for other in MODELS if flag in inspect.signature(_function(other)).parameters]
        raise Wrong(f"--{flag}: model {name} has no {flag}", remedy=f"leave it out, or take one of {', '.join(have)}")


def _function(model: "str | Callable[..., nn.Module]") -> "Callable[..., nn.Module]":
    """The function of a name or package.module:function; a callable as it is."""
    from empirisk.optimization import named

    found: Callable[..., nn.Module] = named(MODELS[model].where if model in MODELS else model, MODELS, "model")
    return found
