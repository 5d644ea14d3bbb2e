"""Where a network begins: at the weights of a file or of another run; and which part of it may move."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from empirisk import files
from empirisk.errors import Wrong, listed, shown
from empirisk.folder import RunFolder
from empirisk.folder import tensors as codec
from empirisk.models.layers import Standardised

LIMIT = 4 << 30
"""Bytes that a file of weights may have."""


def begin(weights: str | Path | None, *, freeze: bool) -> Callable[[nn.Module], None] | None:
    """What is done to a model once, before it moves: it takes the weights, then all but its last layer is frozen.

    Of a model behind its standardising layer the net within is meant: mean and deviation stay those of the new training
    rows. A BatchNorm that is frozen keeps its statistics (`Standardised.train`). `Wrong` (exit 2), when called: weights that
    cannot be read, or of another architecture, whose layers are named.
    """
    if weights is None and not freeze:
        return None

    def start(model: nn.Module) -> None:
        net = model.net if isinstance(model, Standardised) else model
        if weights is not None:
            take(net, *read(Path(weights)))
        if freeze:
            net.requires_grad_(False)
            for name in last_layers(net):
                net.get_submodule(name).requires_grad_()

    return start


def parents(weights: str | Path | None) -> dict[str, str]:
    """The run that the weights are of -> their SHA-256; nothing of a file, or where the run is no longer there."""
    run = RunFolder(Path(weights)) if weights is not None else None
    return {str(run.path): files.sha256(run.weights)} if run and run.exists() and run.weights.exists() else {}


def read(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a safetensors file, or of a run's network, and where they came from.

    `Wrong` (exit 2): missing, damaged, of another format, not finite.
    """
    if path.is_dir():
        RunFolder(path).read()  # refuses what is no run
        path = RunFolder(path).weights
    elif path.exists() and path.suffix != ".safetensors":
        call = f'save_file(torch.load("{path.name}", weights_only=True), "{path.stem}.safetensors")'
        remedy = f"weights of other formats may run code; convert them: safetensors.torch.{call}"
        raise Wrong(f"{shown(path)} is no safetensors file", remedy=remedy)
    found = codec.load(files.read_bytes(path, limit=LIMIT, code=2), str(path), code=2)
    if bad := codec.not_finite(found):
        what = f"{shown(path)} holds numbers that are not finite"
        raise Wrong(what, where=listed(bad, 5), remedy="give other weights")
    within = {name.removeprefix("net."): t for name, t in found.items() if name.startswith("net.")}
    return within or found, str(path)


@torch.no_grad()
def take(net: nn.Module, given: Mapping[str, Tensor], case: str) -> None:
    """Put the weights into `net`: to other channels of the image the first kernels are adapted, for other classes the last is new.

    The first kernels are those of the first layer and of the net's `image_layers`, which see the image too.
    w'_c = 1/C' sum_c w_c: an image whose channels are equal gives the same maps, whatever their number. `Wrong` (exit 2): any
    other difference in names or shapes; the layers are named.
    """
    seeing = [name for name, _ in weighted_layers(net)[:1]] + list(getattr(net, "image_layers", ()))
    first = {f"{name}.weight" for name in seeing}
    here, new = net.state_dict(), {f"{name}.{part}" for name in last_layers(net) for part in ("weight", "bias")}
    differ = sorted(given.keys() - here.keys())
    for name, tensor in here.items():
        there = given.get(name)
        if there is None:
            if not name.endswith("num_batches_tracked"):  # older files lack this counter, which nothing reads
                differ.append(name)
        elif there.shape == tensor.shape:
            tensor.copy_(there)
        elif name in first and there.ndim == tensor.ndim > 2 and there[:, :1].shape == tensor[:, :1].shape:
            tensor.copy_((there.sum(1, keepdim=True) / tensor.shape[1]).expand_as(tensor))
        elif not (name in new and there.shape[1:] == tensor.shape[1:]):
            differ.append(name)
    if differ:
        shapes = [[list(t.shape) if t is not None else "nothing" for t in (given.get(k), here.get(k))] for k in differ]
        said = [f"{name}: {there}, not {needed}" for name, (there, needed) in zip(differ, shapes, strict=True)]
        what = f"{shown(case)} holds the weights of another architecture"
        remedy = "give the --model, --width, --depth, --norm and --stem that they were made with"
        raise Wrong(what, where=listed(said, 5), remedy=remedy)


def last_layers(net: nn.Module) -> tuple[str, ...]:
    """Names of the layers that give a number a class: the net's `class_layers`, or its last with weights."""
    named: tuple[str, ...] = getattr(net, "class_layers", ())
    return named or tuple(name for name, _ in weighted_layers(net)[-1:])


def weighted_layers(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of every layer with a matrix of weights or kernels, in order."""
    named = ((name, module, getattr(module, "weight", None)) for name, module in net.named_modules())
    return [(name, module) for name, module, w in named if isinstance(w, Tensor) and w.ndim > 1]


def first_kernels(net: nn.Module) -> Tensor | None:
    """A copy of the kernels (K, C, *size) of the first layer, if that is a convolution."""
    first = next((m for _, m in weighted_layers(net)), None)
    return first.weight.detach().float().cpu().clone() if isinstance(first, nn.Conv2d | nn.Conv3d) else None
