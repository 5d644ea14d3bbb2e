"""`train` on the command line: an experiment's signature plus train's own flags, made when first asked for."""

import functools
import inspect
import json
import tomllib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from empirisk.errors import Wrong, listed, near
from empirisk.experiments import EXPERIMENTS, named
from empirisk.files import guarded, read_bytes, read_json
from empirisk.folder import RunFolder
from empirisk.verbs.place import usual
from empirisk.verbs.run import Run
from empirisk.verbs.say import Say
from empirisk.verbs.train import train

OWN = ("out", "device", "workers", "processes", "dry_run")


def finish(run: Run, say: Say, dry_run: bool) -> None:
    """The JSON document of a trained run, or of one that was only planned."""
    folder = run.folder
    record = folder.read() if folder.exists() and not dry_run else {"status": "planned"}
    say.document(
        {"run": str(run.path), **{k: record.get(k) for k in ("status", "kept", "seconds", "steps")}}
        | ({} if dry_run else {"metrics": folder.metrics()})
    )


def notes(function: Callable[..., Any]) -> dict[str, str]:
    """Parameter -> its words, from a numpy docstring's Parameters section."""
    found: dict[str, str] = {}
    lines = inspect.cleandoc(function.__doc__ or "").splitlines()
    if "Parameters" not in lines:
        return found
    name = ""
    for line in lines[lines.index("Parameters") + 2 :]:
        if line and not line.startswith(" "):
            if line.startswith(("Raises", "Returns", "---")):
                break
            name = line.strip()
        elif line.strip() and name:
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def fields(kind: type) -> dict[str, str]:
    """Field -> the string below it, of a dataclass."""
    import ast
    import textwrap

    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for a, b in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(a, ast.AnnAssign)
            and isinstance(a.target, ast.Name)
            and isinstance(b, ast.Expr)
            and isinstance(b.value, ast.Constant)
        ):
            found[a.target.id] = str(b.value.value)
    return found


@functools.cache
def command(name: str) -> Callable[..., None]:
    """`empirisk train NAME` as a function for the command line."""
    from empirisk.data.table import Data
    from empirisk.recipe import Recipe, Regularization

    f = named(name)
    signature = inspect.signature(f)
    words = notes(f) | notes(train)
    titles = ("Data", "Model and loss", "Recipe", "Regularisation", "Run")
    ordered = {title: Group.create_ordered(title, sort_key=i) for i, title in enumerate(titles)}
    groups: dict[str, Group] = {}
    for kind, title in ((Data, "Data"), (Recipe, "Recipe"), (Regularization, "Regularisation")):
        for field, text in fields(kind).items():
            words.setdefault(field, text)
            groups[field] = ordered[title]

    def flag(p: inspect.Parameter, kind: Any, group: Group, help_: str = "") -> inspect.Parameter:
        shown = Parameter(
            help=(help_ or words.get(p.name, "")).replace("None with", "if not given, with").replace("None:", "if not given:"),
            group=group, show_default=p.default is not None and p.default is not False,
        )  # fmt: skip
        return p.replace(annotation=Annotated[kind, shown])

    parameters = [
        flag(p, p.annotation, groups.get(p.name, ordered["Model and loss"])) for p in signature.parameters.values()
    ]
    own = ordered["Run"]
    for p in inspect.signature(train).parameters.values():
        if p.name in OWN:
            parameters.append(
                flag(p.replace(kind=p.KEYWORD_ONLY), str | None if p.name == "out" else p.annotation, own)
            )
    json_ = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False)
    parameters.append(flag(json_, bool, own, "one JSON document on stdout, words on stderr"))

    def call(*args: Any, json: bool = False, **kwargs: Any) -> None:
        say = Say(as_json=json)
        mine = {k: kwargs.pop(k) for k in OWN if k in kwargs}
        finish(train(f(*args, **kwargs), say=say, **mine), say, mine.get("dry_run", False))

    about = inspect.cleandoc(f.__doc__ or "").split("Parameters\n")[0].strip()
    call.__name__, call.__doc__ = name, f"{about}\n\nExample: empirisk train {name} FOLDER --epochs 20"
    call.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def read_config(file: Path) -> tuple[str, dict[str, Any], dict[str, int]]:
    """Experiment, arguments, fixed steps and threads of a run.json; or of flat JSON or TOML with a key `experiment`.

    Raises
    ------
    Wrong
        exit 2 for a file that cannot be read, an unknown experiment or key, a value of another type.
    """
    if file.suffix == ".toml":
        with guarded(str(file), remedy="it must be flat TOML"):
            value = tomllib.loads(read_bytes(file, limit=2**20).decode())
    else:
        value = read_json(file)
    if not isinstance(value, dict) or "experiment" not in value:
        raise Wrong(f"{file} names no experiment", remedy=f'add a key "experiment": one of {", ".join(EXPERIMENTS)}')
    name = value["experiment"]
    if "arguments" in value:
        arguments = value["arguments"]
        fixed = {k: value[k] for k in ("steps", "threads") if value.get(k) is not None}
    else:
        arguments, fixed = {k: v for k, v in value.items() if k != "experiment"}, {}
    if not isinstance(arguments, dict) or any(type(number) is not int for number in fixed.values()):
        raise Wrong(
            f"{file}: arguments, steps and threads are not as a run writes them",
            remedy="give a run.json as it was written",
        )
    known = inspect.signature(named(str(name))).parameters
    if "data" not in arguments:
        raise Wrong(f"{file} names no data", remedy='add a key "data": a path or a built-in name')
    for key, given in arguments.items():
        if key not in known:
            raise Wrong(
                f"{file} has an unknown key {key!r}", remedy=near(key, known) or f"known are {listed(list(known), 60)}"
            )
        wanted = known[key].annotation
        kinds = getattr(wanted, "__args__", (wanted,)) if isinstance(wanted, types.UnionType) else (wanted,)
        number = isinstance(given, int) and not isinstance(given, bool) and float in kinds
        if isinstance(wanted, (type, types.UnionType)) and not number and type(given) not in kinds:
            raise Wrong(
                f"{file}: {key} is {json.dumps(given)}",
                remedy=f"it must be {listed([getattr(k, '__name__', k) for k in kinds])}",
            )
    return str(name), arguments, fixed


def again(config: str, *, out: str | None = None, device: str = "auto", workers: int = 0, processes: int = 1,
          dry_run: bool = False, json: bool = False) -> None:  # fmt: skip
    """Train what a run.json or a flat file of arguments says; takes the next free folder.

    Parameters
    ----------
    config
        run.json of a run (its experiment, arguments and fixed steps), or flat JSON or TOML.
    out
        run folder; the next free name if not given.
    device
        auto, cpu, cuda or mps.
    workers
        processes that read images.
    processes
        that train together on this machine.
    dry_run
        say what was planned and stop there.
    json
        one JSON document on stdout.
    """
    name, arguments, fixed = read_config(Path(config))
    say = Say(as_json=json)
    if out is None:
        out = str(RunFolder.free_name(usual(name, arguments)))
    run = train(
        named(name)(**arguments), out, device=device, workers=workers, processes=processes, dry_run=dry_run, fixed=fixed,
        say=say,
    )  # fmt: skip
    finish(run, say, dry_run)


def __getattr__(name: str) -> Callable[..., None]:
    if name not in EXPERIMENTS:
        raise AttributeError(name)
    return command(name)
