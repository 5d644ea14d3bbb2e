"""The contract. An experiment is a function from data and plain values to an `Experiment`; nothing is trained in it."""

import dataclasses as dc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from empirisk.data.table import Data, Row, Rows
from empirisk.erm import Player
from empirisk.errors import Wrong, listed, near
from empirisk.estimate import Statistic
from empirisk.figures import Figure
from empirisk.losses import Batch, Loss
from empirisk.recipe import Recipe

__all__ = ["Answer", "Batch", "Experiment", "Loss", "Row", "Rows", "Task", "experiment", "nothing", "plain"]

Answer = Any
"""One a sample: probabilities, a number, a mask, boxes, words, an image."""


def nothing(experiment: "Experiment", rows: Rows, answers: list[Answer]) -> list[Figure]:
    """No pictures."""
    return []


@dc.dataclass(frozen=True)
class Task:
    """What counts as an answer, and as a good one. Holds no data and no weights."""

    loss: Loss | None
    "the risk that is watched; None: a game has none, and its last epoch is kept"
    predict: Callable[[nn.Module, Any], list[Answer]]
    "x alone, never y"
    score: Callable[[Rows, list[Answer]], dict[str, Statistic]]
    "rows bring truth, geometry, names"
    baseline: Callable[[Rows], dict[str, Callable[[Rows], list[Answer]]]]
    "from training rows, by name, scored alike; the first must be beaten"
    show: Callable[["Experiment", Rows, list[Answer]], list[Figure]] = nothing
    "the report's pictures of this task"
    calibrate: Callable[[nn.Module, Iterable[Batch]], None] | None = None
    "temperature, threshold: from validation into the model's buffers"
    live: bool = True
    "False: too dear for each epoch; scored once, at the end"
    follow: Callable[[nn.Module, Iterable[Batch]], dict[str, float]] | None = None
    "numbers of each epoch, from validation batches"
    join: Callable[[list[Answer]], Answer] | None = None
    "answers to the pieces of one sample -> its answer, where it can be answered as it arrives"


@dc.dataclass(frozen=True)
class Experiment:
    """All that a run is made of, before anything has moved. It trains nothing and writes nothing."""

    data: Data
    model: nn.Module
    task: Task
    players: list[Player]
    "one: empirical risk minimisation; two: a game; none: a closed form"
    recipe: Recipe
    begin: Callable[[nn.Module], None] | None = None
    "once, before the players: weights of a parent or a file"
    solve: Callable[[nn.Module, Iterable[Batch]], None] | None = None
    "once, after them, on the kept weights and training batches: k-means, memory bank, BatchNorm of an EMA"
    name: str = ""
    arguments: dict[str, Any] = dc.field(default_factory=dict)
    "as run.json holds them"
    objects: dict[str, Any] = dc.field(default_factory=dict, repr=False)
    "the arguments that run.json cannot hold: a table in memory, a module, a function without a name"
    parents: dict[str, str] = dc.field(default_factory=dict)
    "other runs that it is made of: their folder -> sha256 of their weights"


def flags(kind: type) -> list[dc.Field[Any]]:
    """The fields of a dataclass that are flags."""
    return [f for f in dc.fields(kind) if f.metadata.get("flag", True)]


def _shown_type(hint: Any) -> Any:
    """What the command line takes: a name where Python also takes a callable or an object."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kept = [a for a in typing.get_args(hint) if a in (str, int, float, bool, type(None))]
        return functools.reduce(lambda a, b: a | b, kept) if kept else str
    return str if hint is Any else hint


def flatten(f: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, tuple[type, list[str]]]]:
    """The signature of f with its dataclass parameters spread into plain keywords; defaults come from the default *instance*."""
    hints = typing.get_type_hints(f)
    flat: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for p in inspect.signature(f).parameters.values():
        kind = hints[p.name]
        if not dc.is_dataclass(kind):
            flat.append(p.replace(annotation=_shown_type(kind)))
            continue
        assert isinstance(kind, type)
        groups[p.name] = kind, [q.name for q in flags(kind)]
        types_ = typing.get_type_hints(kind)
        for q in flags(kind):
            default = q.default if p.default is p.empty else getattr(p.default, q.name)
            way, default = (p.POSITIONAL_OR_KEYWORD, p.empty) if default is dc.MISSING else (p.KEYWORD_ONLY, default)
            flat.append(inspect.Parameter(q.name, way, default=default, annotation=_shown_type(types_[q.name])))
    return inspect.Signature(sorted(flat, key=lambda p: p.kind)), groups


def plain(value: Any) -> Any:
    """To what JSON can hold; a function becomes "module:name", any other object says only what it was."""
    if dc.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dc.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    if callable(value) and hasattr(value, "__qualname__") and "<" not in value.__qualname__:
        return f"{value.__module__}:{value.__qualname__}"
    return f"<{type(value).__name__}>"


def lost(argument: Any) -> bool:
    """Whether JSON could not hold the value, and only says what it was."""
    return isinstance(argument, str) and argument.startswith("<") and argument.endswith(">")


def experiment(f: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """The signature is the command line, the Python call and run.json, so the three cannot differ.

    f(data: Data, *, width=64, recipe=Recipe(lr=1e-2)) becomes f(data, *, label=None, ..., width=64, optimizer=..., lr=1e-2, ...).
    Torch is seeded before the model is built: initial weights are a function of the arguments. `Wrong` (exit 2) for an argument
    that the experiment does not have.
    """
    signature, groups = flatten(f)

    @functools.wraps(f)
    def call(*args: Any, known: dict[str, Any] | None = None, **kwargs: Any) -> Experiment:
        unknown = [k for k in kwargs if k not in signature.parameters]
        if unknown:
            remedy = near(unknown[0], signature.parameters) or f"empirisk train {f.__name__} --help lists them"
            raise Wrong(f"{f.__name__} has no argument {listed(unknown)}", remedy=remedy)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        left = dict(bound.arguments)
        whole = {name: kind(**{k: left.pop(k) for k in names}) for name, (kind, names) in groups.items()}
        if known and "data" in whole:
            whole["data"] = dc.replace(whole["data"], **known)  # what an earlier run learned, and its split
        torch.manual_seed(bound.arguments.get("seed", 0))
        arguments = plain(dict(bound.arguments))
        objects = {k: v for k, v in bound.arguments.items() if lost(arguments[k])}
        made = f(**left, **whole)
        if known and "data" not in whole:  # its data are those of another run
            made = dc.replace(made, data=dc.replace(made.data, **known))
        arguments |= made.arguments  # what it keeps by value, such as another run
        return dc.replace(made, name=f.__name__, arguments=arguments, objects=objects)

    del call.__wrapped__
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return call
