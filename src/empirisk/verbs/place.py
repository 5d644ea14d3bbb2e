"""Where a run goes, and whether it is there already."""

from pathlib import Path
from typing import Any

from empirisk.errors import Wrong, listed
from empirisk.folder import RunFolder


def usual(name: str, arguments: dict[str, Any]) -> Path:
    """runs/<stem of the data>; of a table in memory runs/<experiment>."""
    data = str(arguments.get("data", name))
    if data.startswith("<"):
        return Path("runs") / name
    return Path("runs") / (Path(Path(data.split(":", 1)[0]).resolve().name.removesuffix(".gz")).stem or name)


def place(name: str, arguments: dict[str, Any], out: str | Path | None) -> tuple[RunFolder, bool]:
    """The run's folder, and whether this very run is in it.

    Without `out`: runs/<stem of data>, or the next free name if other arguments were used there.

    Raises
    ------
    Wrong
        exit 2 if `out` holds a run of other arguments; names them.
    """
    if out is not None:
        folder = RunFolder(Path(out))
        if not folder.exists():
            if folder.path.exists() and (
                not folder.path.is_dir() or any(not p.name.startswith(".") for p in folder.path.iterdir())
            ):
                raise Wrong(f"{folder.path} is there and is no run", remedy="give another --out")
            return folder, False
        differing = differs(folder, name, arguments)
        if differing:
            raise Wrong(
                f"{folder.path} holds a run of other arguments", where=listed(differing, 5),
                remedy="give another --out, or the same arguments to go on",
            )  # fmt: skip
        return folder, True
    first = usual(name, arguments)
    folder, number = RunFolder(first), 1
    while folder.exists() and differs(folder, name, arguments):
        number += 1
        folder = RunFolder(first.with_name(f"{first.name}-{number}"))
    return folder, folder.exists()


def finished(folder: RunFolder) -> bool:
    """Whether all of a run was done; the model card is written last."""
    return folder.read().get("status") == "finished" and folder.model_card.exists()


def differs(folder: RunFolder, name: str, arguments: dict[str, Any]) -> list[str]:
    """The arguments in which a folder's run is another."""
    run = folder.read()
    there = {"experiment": run.get("experiment")} | run.get("arguments", {})
    here = {"experiment": name} | arguments
    return [f"{k}: {there.get(k)!r} there, {here.get(k)!r} now" for k in here | there if there.get(k) != here.get(k)]
