"""Where a run goes, whether it is there already, and what its files say of it before anything moves."""

import hashlib
import itertools
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import empirisk
from empirisk import runtime
from empirisk.errors import Wrong, listed
from empirisk.experiment import Experiment
from empirisk.folder import RunFolder
from empirisk.verbs.words import counts, odd_of


def usual(name: str, arguments: dict[str, Any]) -> Path:
    """runs/<stem of the data>; of a table in memory runs/<experiment>."""
    data = str(arguments.get("data", name))
    if data.startswith("<"):
        return Path("runs") / name
    return Path("runs") / (Path(Path(data.split(":", 1)[0]).resolve().name.removesuffix(".gz")).stem or name)


def place(name: str, arguments: dict[str, Any], out: str | Path | None) -> tuple[RunFolder, bool]:
    """The run's folder, and whether this very run is in it.

    Without `out`: runs/<stem of data>, or the next free name if other arguments were used there; an `out` that holds a run of
    other arguments, or what is no run, is `Wrong` (exit 2).
    """
    if out is None:
        first = usual(name, arguments)
        names = itertools.chain([first.name], (f"{first.name}-{n}" for n in itertools.count(2)))
        folder = next(f for f in (RunFolder(first.with_name(n)) for n in names) if not differs(f, name, arguments))
        return folder, folder.exists()
    folder = RunFolder(Path(out))
    here = folder.path
    if differing := differs(folder, name, arguments):
        remedy = "give another --out, or the same arguments to go on"
        raise Wrong(f"{here} holds a run of other arguments", where=listed(differing, 5), remedy=remedy)
    taken = any(not p.name.startswith(".") for p in here.iterdir()) if here.is_dir() else here.exists()
    if taken and not folder.exists():
        raise Wrong(f"{here} is there and is no run", remedy="give another --out")
    return folder, folder.exists()


def differs(folder: RunFolder, name: str, arguments: dict[str, Any]) -> list[str]:
    """The arguments in which a folder's run is another; none where no run is."""
    if not folder.exists():
        return []
    run = folder.read()
    there = {"experiment": run.get("experiment")} | run.get("arguments", {})
    here = {"experiment": name} | arguments
    return [f"{k}: {there.get(k)!r} there, {here.get(k)!r} now" for k in here | there if there.get(k) != here.get(k)]


def finished(folder: RunFolder) -> bool:
    """Whether all of a run was done; the model card is written last."""
    return folder.read().get("status") == "finished" and folder.model_card.exists()


def split_of(e: Experiment) -> Iterator[dict[str, Any]]:
    """The rows of split.csv."""
    loaded = e.data.prepared()
    for r in loaded.rows:
        yield {k: r.get(k, "") for k in ("id", "patient", "part", "why")} | {"sha256": loaded.hashes[r["id"]]}


def made_of(e: Experiment, *, batch: int, precision: str, device: torch.device) -> dict[str, Any]:
    """For run.json: experiment, arguments, what was learned, the data, versions, machine, and what was chosen for the user.

    The data's sha256 is one of all rows' ids and contents.
    """
    loaded = e.data.prepared()
    table = loaded.table
    assert table is not None
    hashes = "\n".join(f"{i} {h}" for i, h in sorted(loaded.hashes.items())).encode("utf-8", "surrogateescape")
    return {
        "experiment": e.name, "arguments": e.arguments, "learned": e.data.facts, "parents": e.parents,
        "data": {
            "name": table.name, "form": table.form, "source": table.source, "licence": table.licence,
            "patients_known": table.patients_known, "sha256": hashlib.sha256(hashes).hexdigest(),
            "n": counts(loaded.rows), "odd": odd_of(e),
        },
        "added": loaded.added,
        "versions": {"empirisk": empirisk.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": runtime.machine(device),
        "recipe": {
            "batch": batch, "lr": e.recipe.lr, "precision": precision,
            "parameters": sum(p.numel() for p in e.model.parameters()),
        },
    }  # fmt: skip
