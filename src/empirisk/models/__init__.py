"""The hypothesis space F: architectures by name, one file each. Reading this list imports nothing heavy."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from empirisk.errors import Wrong

if TYPE_CHECKING:
    from torch import nn

    from empirisk.models.layers import Activation, Norm, Pool


class Known(NamedTuple):
    """A named architecture: its file and what is called there, what it is in one line, its own learning rate, the form of its paper."""

    where: str
    line: str
    lr: float
    width: int | None = 64
    "of the paper; None: it has no such dial"
    form: tuple[int, int, int] | None = (3, 224, 1000)
    "channels, side and classes of the paper; None: it does not tell images apart"
    maps: bool = False
    "it answers for each pixel"


MODELS = {
    "linear": Known("mlp:linear", "one weight an input and class, on the flattened image", 1e-2, None),
    "mlp": Known("mlp:Mlp", "hidden layers of units on the flattened image; depth 0 is a neuron", 3e-3),
    "polynomial": Known("polynomial:Polynomial", "powers of numbers, by least squares", 1e-2, None, None),
    "lenet": Known("lenet:LeNet", "LeNet-5: two convolutions, three full layers", 2e-3, 6, (1, 32, 10)),
    "alexnet": Known("alexnet:AlexNet", "five convolutions, three full layers", 5e-4),
    "vgg11": Known("vgg:vgg11", "8 convolutions of 3x3, three full layers", 5e-4),
    "vgg13": Known("vgg:vgg13", "10 convolutions of 3x3, three full layers", 5e-4),
    "vgg16": Known("vgg:vgg16", "13 convolutions of 3x3, three full layers", 5e-4),
    "vgg19": Known("vgg:vgg19", "16 convolutions of 3x3, three full layers", 5e-4),
    "googlenet": Known("googlenet:GoogLeNet", "nine inception blocks and two auxiliary classifiers", 2e-3),
    "resnet18": Known("resnet:resnet18", "residual network of 18 layers; the default", 2e-3),
    "resnet34": Known("resnet:resnet34", "residual network of 34 layers", 2e-3),
    "resnet50": Known("resnet:resnet50", "residual network of 50 layers, bottlenecks", 2e-3),
    "resnet101": Known("resnet:resnet101", "residual network of 101 layers, bottlenecks", 2e-3),
    "densenet121": Known("densenet:densenet121", "densely connected network of 121 layers", 2e-3),
    "densenet169": Known("densenet:densenet169", "densely connected network of 169 layers", 2e-3),
    "unet": Known("unet:UNet", "down and up again: an answer for each pixel", 2e-3, 16, None, True),
}
"""Every named architecture. To add one: its file and one line here."""


def list_models() -> dict[str, str]:
    """Every name with its one line."""
    return {name: known.line for name, known in MODELS.items()}


def sizes() -> dict[str, dict[str, Any]]:
    """Every name in the form of its paper: parameters, and multiply-adds of one image; counted on a copy without numbers."""
    import torch

    from empirisk.models.layers import counted

    found: dict[str, dict[str, Any]] = {name: {"line": known.line} for name, known in MODELS.items()}
    for name, known in MODELS.items():
        if known.form is not None:
            channels, side, classes = known.form
            form = {"channels": channels, "size": (side, side), "classes": classes, "width": known.width}
            with torch.device("meta"):
                net = build(name, dims=2, **form)  # type: ignore[arg-type]
            parameters, products = counted(net, channels, (side, side))
            found[name] |= form | {"parameters": parameters, "multiply_adds": products}
    return found


def defaults(model: "str | Callable[..., nn.Module] | nn.Module") -> dict[str, float]:
    """What a model brings for a recipe that leaves it open: its learning rate; 1e-3 for a model of your own."""
    known = MODELS.get(model) if isinstance(model, str) else None
    return {"lr": known.lr if known else 1e-3}


def usual(dims: int) -> str:
    """What `auto` stands for: a residual network for images, an mlp for vectors."""
    return "resnet18" if dims else "mlp"


def build(
    model: "str | Callable[..., nn.Module] | nn.Module", *, channels: int, classes: int, dims: int, size: Sequence[int],
    width: int | None = None, depth: int | None = None, degree: int | None = None, dropout: float | None = None,
    norm: "str | Norm | None" = None, activation: "str | Activation | None" = None, pool: "str | Pool | None" = None,
    stem: str | None = None, residual: bool | None = None, encoder: "nn.Module | None" = None,
    strides: Sequence[Sequence[int]] | None = None, maps: bool = False,
) -> "nn.Module":  # fmt: skip
    """A network f: (n, channels, *size) -> (n, classes), with `maps` (n, classes, *size), from a name, package.module:function, a callable or a module.

    A function is called as function(channels, classes), with dims, size, strides and the options given by name where its
    signature has them; None is its own default. A module is taken as it is. For vectors dims is 0, size (). `Wrong` (exit 2):
    an unknown name, an option that the model lacks, a size or option that cannot be meant.
    """
    from torch import nn

    options = {
        "width": width, "depth": depth, "degree": degree, "dropout": dropout, "norm": norm, "activation": activation, "pool": pool,
        "stem": stem, "residual": residual, "encoder": encoder,
    }  # fmt: skip
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    for flag, value, least in (("width", width, 1), ("depth", depth, 0)):
        if value is not None and value < least:
            raise Wrong(f"--{flag} is {value}", remedy=f"it must be {least} or above")
    if isinstance(model, nn.Module):
        _refuse(type(model).__name__, set(), given)
        return model
    name = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
    if isinstance(model, str) and name in MODELS and MODELS[name].maps != maps:
        said = "does not answer for each pixel" if maps else "answers for each pixel, not for the image"
        others = ", ".join(other for other, known in MODELS.items() if known.maps == maps)
        raise Wrong(f"model {name} {said}", remedy=f"take one of {others}")
    function = _function(model)
    try:
        signature = inspect.signature(function)
        _refuse(name, set(signature.parameters), given)
        given |= {"dims": dims, "size": tuple(size), "strides": strides}
        named = {k: v for k, v in given.items() if k in signature.parameters}
        signature.bind(channels, classes, **named)
    except (TypeError, ValueError) as error:
        wants = ", ".join(("dims", "size", "strides", *options))
        form = f"function(channels, classes) and, by name where it wants them, {wants}"
        raise Wrong(f"model {name} cannot be called: {error}", remedy=f"its form is {form}") from error
    net = function(channels, classes, **named)
    if not isinstance(net, nn.Module):
        raise Wrong(f"model {name} gave {type(net).__name__}", remedy="it must return a torch.nn.Module")
    return net


def _refuse(name: str, takes: set[str], given: dict[str, Any]) -> None:
    """Exit 2 for the first option given that the model lacks; a dropout of 0 is none."""
    for flag in sorted(set(given) - takes):
        if flag != "dropout" or given[flag]:
            have = [other for other in MODELS if flag in inspect.signature(_function(other)).parameters]
            remedy = f"leave it out, or take one of {', '.join(have)}"
            raise Wrong(f"--{flag}: model {name} has no {flag}", remedy=remedy)


def _function(model: "str | Callable[..., nn.Module]") -> "Callable[..., nn.Module]":
    """The function of a name or package.module:function; a callable as it is."""
    from empirisk.optimization import named

    where = f"{__name__}.{MODELS[model].where}" if model in MODELS else model
    found: Callable[..., nn.Module] = named(where, MODELS, "model")
    return found
