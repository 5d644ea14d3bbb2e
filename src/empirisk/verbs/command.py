"""`train` on the command line: an experiment's signature plus train's own flags, made when first asked for."""

import functools
import inspect
import json
import tomllib
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import docstring_parser
from cyclopts import Group, Parameter

from empirisk.data.table import Data
from empirisk.errors import Wrong, listed, near
from empirisk.experiments import EXPERIMENTS, named
from empirisk.files import free_name, guarded, read_bytes, read_json
from empirisk.recipe import Architecture, Recipe, Regularization
from empirisk.verbs.place import usual
from empirisk.verbs.say import Say
from empirisk.verbs.train import train

OWN = ("out", "folds", "device", "workers", "processes", "dry_run")
MOST_USED = {"classes", "model", "width", "epochs", "minutes", "seed", "device", "out", "dry_run"}
"Shown first, with whatever must be given: with the example they are one screen."
FIRST = "Most used"
TITLES = ("Data", "Model and loss", "Recipe", "Regularisation", "Run")
GROUPS = {title: Group.create_ordered(title, sort_key=i) for i, title in enumerate((FIRST, *TITLES))}


def notes(thing: Any) -> dict[str, str]:
    """The words of a function's parameters, from its docstring; of a dataclass's fields, from the strings below them."""
    parsed = docstring_parser.parse_from_object(thing, docstring_parser.DocstringStyle.NUMPYDOC)
    return {p.arg_name: " ".join((p.description or "").split()) for p in parsed.params}


def flag(p: inspect.Parameter, title: str, words: str) -> inspect.Parameter:
    """A parameter with its help, in its group or among the most used."""
    title = FIRST if p.name in MOST_USED or p.default is p.empty else title
    help_ = words.replace("None with", "if not given, with").replace("None:", "if not given:")
    default = p.default is not None and p.default is not False
    no = f"--no-{p.name}" if p.annotation == bool | None or p.default is True else ""  # what is on, or the model's own
    shown = Parameter(help=help_, group=GROUPS[title], show_default=default, negative=no)
    return p.replace(annotation=Annotated[p.annotation, shown])


def verb(name: str, about: str, asked: Sequence[inspect.Parameter], make: Callable[..., Any]) -> Callable[..., None]:
    """A command that trains what `make` makes of the asked parameters: an experiment, and options of `train`."""
    words = notes(train) | {"json": "one JSON document on stdout, words on stderr"}
    own = {
        name: p.replace(kind=p.KEYWORD_ONLY) for name, p in inspect.signature(train).parameters.items() if name in OWN
    }
    own["out"] = own["out"].replace(annotation=str | None)
    own["json"] = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
    every = [*asked, *(flag(p, "Run", words[p.name]) for p in own.values())]

    def call(*args: Any, json: bool = False, **kwargs: Any) -> None:
        say = Say(as_json=json)
        mine = {k: v for k in OWN if (v := kwargs.pop(k, None)) is not None}
        e, options = make(*args, **kwargs)
        run, planned = train(e, **(options | mine), say=say), mine.get("dry_run", False)
        record = run.folder.read() if run.folder.exists() and not planned else {"status": "planned"}
        said = {"run": str(run.path), **{k: record.get(k) for k in ("status", "kept", "seconds", "steps")}}
        say.document(said if planned else said | {"metrics": run.folder.metrics()})

    call.__name__, call.__doc__ = name, about
    call.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in every}
    return call


@functools.cache
def command(name: str) -> Callable[..., None]:
    """`empirisk train NAME` as a function for the command line."""
    f = named(name)
    kinds = zip((Data, Architecture, Recipe, Regularization), TITLES, strict=False)
    told = {field: (title, words) for kind, title in kinds for field, words in notes(kind).items()}
    own, asked = notes(f), []
    for p in inspect.signature(f).parameters.values():
        title, words = told.get(p.name, ("Data" if p.default is p.empty else "Model and loss", ""))
        asked.append(flag(p, title, own.get(p.name, words)))
    about = inspect.cleandoc(f.__doc__ or "").split("Parameters\n")[0].strip()
    example = "" if "Example: " in about else f"\n\nExample: empirisk train {name} FOLDER --epochs 20"
    return verb(name, about + example, asked, lambda *args, **kwargs: (f(*args, **kwargs), {}))


def read_config(file: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Experiment, arguments, fixed steps, threads and rate of a run.json; or of flat JSON or TOML with a key `experiment`.

    `Wrong` (exit 2) for a file that cannot be read, an unknown experiment or key, a value of another type.
    """
    if file.suffix == ".toml":
        with guarded(str(file), remedy="it must be flat TOML"):
            value = tomllib.loads(read_bytes(file, limit=2**20).decode())
    else:
        value = read_json(file)
    if not isinstance(value, dict) or "experiment" not in value:
        raise Wrong(f"{file} names no experiment", remedy=f'add a key "experiment": one of {", ".join(EXPERIMENTS)}')
    name, whole = str(value.pop("experiment")), "arguments" in value
    arguments = value["arguments"] if whole else value
    fixed = {k: value[k] for k in ("steps", "threads", "lr") if whole and value.get(k) is not None}
    kinds: dict[str, tuple[Any, ...]] = {"steps": (int,), "threads": (int,), "lr": (int, float)}
    if not isinstance(arguments, dict) or any(type(number) not in kinds[k] for k, number in fixed.items()):
        remedy = "give a run.json as it was written"
        raise Wrong(f"{file}: arguments, steps, threads and lr are not as a run writes them", remedy=remedy)
    known = inspect.signature(named(name)).parameters
    if "data" in known and "data" not in arguments:
        raise Wrong(f"{file} names no data", remedy='add a key "data": a path or a built-in name')
    for key, given in arguments.items():
        if key not in known:
            remedy = near(key, known) or f"known are {listed(list(known), 60)}"
            raise Wrong(f"{file} has an unknown key {key!r}", remedy=remedy)
        wanted = known[key].annotation
        taken = wanted.__args__ if isinstance(wanted, types.UnionType) else (wanted,)
        number = type(given) is int and float in taken
        if isinstance(wanted, (type, types.UnionType)) and not number and type(given) not in taken:
            remedy = f"it must be {listed([getattr(k, '__name__', k) for k in taken])}"
            raise Wrong(f"{file}: {key} is {json.dumps(given)}", remedy=remedy)
    return name, arguments, fixed


def repeated(config: str) -> tuple[Any, dict[str, Any]]:
    """The experiment of a file, with its fixed steps and the next free folder."""
    name, arguments, fixed = read_config(Path(config))
    return named(name)(**arguments), {"fixed": fixed, "out": str(free_name(usual(name, arguments)))}


CONFIG = inspect.Parameter("config", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str)
TAKEN = "run.json of a run (its experiment, arguments and fixed steps), or flat JSON or TOML"
AGAIN = "Train what a run.json or a flat file of arguments says; takes the next free folder."
again = verb("again", AGAIN, [flag(CONFIG, "Data", TAKEN)], repeated)


def __getattr__(name: str) -> Callable[..., None]:
    if name not in EXPERIMENTS:
        raise AttributeError(name)
    return command(name)
