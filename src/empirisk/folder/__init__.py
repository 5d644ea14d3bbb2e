"""The run folder: the only place that knows its file names, its lock, its checkpoints."""

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirisk import files
from empirisk.errors import RUN, Wrong, listed, shown

if TYPE_CHECKING:  # a list of runs needs no torch
    from torch import Tensor, nn

    from empirisk.folder.checkpoints import Checkpoints

_SPLIT = ("id", "patient", "part", "why", "sha256")
_HELD: set[int] = set()  # descriptors of locks, which a forked child lets go


def _let_go() -> None:
    while _HELD:
        with contextlib.suppress(OSError):
            os.close(_HELD.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


class RunFolder:
    """One run on the disk; every file is written whole or left as it was, and paths inside are relative.

    A file that is broken is `Wrong` (exit 3).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = path / "weights.safetensors"  # of the kept epoch
        self.report, self.report_md, self.model_card = (path / n for n in ("report.html", "report.md", "model_card.md"))

    @property
    def checkpoints(self) -> "Checkpoints":
        """What the next step depends on."""
        from empirisk.folder.checkpoints import Checkpoints

        return Checkpoints(self.path / "checkpoint")

    def exists(self) -> bool:
        """Whether a run began here."""
        return (self.path / "run.json").is_file()

    def read(self) -> dict[str, Any]:
        """What run.json says; `Wrong` (exit 2) where there is no run."""
        if not self.exists():
            what = f"{shown(self.path)} is no run: it has no run.json"
            raise Wrong(what, remedy="`empirisk list` shows the runs", reason="no-run")
        return self._object("run.json")

    def write(self, **changes: object) -> None:
        """Put these entries into run.json and leave the others."""
        files.write_json(self.path / "run.json", {**(self.read() if self.exists() else {}), **changes})

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for one process, and sweep what a killed one left; the folder is made where it is missing.

        The kernel keeps the lock and drops it when the process ends, however it ends; age never breaks it. Where another
        process holds it, `Wrong` (exit 3) names it.
        """
        import fcntl

        path = self.path / ".lock"
        files.make_folder(self.path, parents=True)
        with files.writing(path):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        _HELD.add(file)
        try:
            with files.writing(path):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    holder = os.pread(file, 500, 0).decode("utf-8", "replace").strip() or "another process"
                    what = f"{shown(self.path)} is in use by {holder}"
                    raise Wrong(what, remedy="wait for it, or give another --out", code=RUN, reason="locked") from error
                os.ftruncate(file, 0)
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                os.pwrite(file, f"pid {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0)
            for folder in (self.path, *(p for p in self.path.iterdir() if p.is_dir())):
                files.sweep(folder)
            yield
        finally:
            if file in _HELD:
                _HELD.discard(file)
                os.close(file)

    def history(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write history.csv whole, a row an epoch; its columns are all that any row has."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        files.write_csv(self.path / "history.csv", columns, rows)

    def read_history(self) -> list[dict[str, float]]:
        """The rows of history.csv without their empty cells; none where there is none."""
        path = self.path / "history.csv"
        with files.guarded(str(path), code=RUN):
            rows = files.read_csv(path) if path.exists() else []
            return [{name: float(cell) for name, cell in row.items() if cell} for row in rows]

    def split(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write split.csv: id, patient, part or `why` it is left out, and the hash of the content."""
        files.write_csv(self.path / "split.csv", _SPLIT, rows)

    def read_split(self) -> dict[str, dict[str, str]]:
        """The rows of split.csv by id; what is not known is empty."""
        path = self.path / "split.csv"
        rows = files.read_csv(path)
        with files.guarded(str(path), code=RUN):
            return {row["id"]: {name: row[name] for name in _SPLIT[1:]} for row in rows}

    def metrics(self) -> dict[str, Any]:
        """What metrics.json says; nothing where there is none."""
        return self._object("metrics.json") if (self.path / "metrics.json").exists() else {}

    def write_metrics(self, **parts: object) -> None:
        """Put these parts (val, test, ...) into metrics.json and leave the others."""
        files.write_json(self.path / "metrics.json", {**self.metrics(), **parts})

    def prediction_file(self, stem: str) -> Path:
        """Where the predictions on `stem` are."""
        return self.path / "predictions" / f"{stem}.csv"

    def write_predictions(self, stem: str, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Path:
        """Write predictions/<stem>.csv and return its path."""
        path = self.prediction_file(stem)
        files.make_folder(path.parent)
        files.write_csv(path, columns, rows)
        return path

    def embed_file(self, name: str) -> Path:
        """embed/<name>, whose folder is made."""
        path = self.path / "embed" / name
        files.make_folder(path.parent)
        return path

    def samples(self) -> Path:
        """samples/, which is made."""
        files.make_folder(self.path / "samples")
        return self.path / "samples"

    def write_figures(self, name: str, figures: Sequence[Mapping[str, object]]) -> None:
        """Write figures/<name>.json."""
        files.make_folder(self.path / "figures")
        files.write_json(self.path / "figures" / f"{name}.json", list(figures))

    def read_figures(self, name: str) -> list[dict[str, Any]]:
        """The figures of figures/<name>.json; none where there is none."""
        path = self.path / "figures" / f"{name}.json"
        figures: list[dict[str, Any]] = files.read_json(path, code=RUN) if path.exists() else []
        return figures

    def save_weights(self, state: Mapping[str, "Tensor"]) -> None:
        """Write weights.safetensors; `Wrong` (exit 3) where a weight is NaN or infinite, and the file before is kept."""
        from empirisk.folder import tensors as codec

        codec.refuse_not_finite(state, "weights.safetensors", kept="the weights before are as they were")
        files.write(self.weights, codec.dump(state))

    def load_weights(self, model: "nn.Module") -> None:
        """Put the saved weights into `model`.

        `Wrong` (exit 2) where there are none yet; (exit 3) where they are of another model, naming the first five that differ.
        """
        from empirisk.folder import tensors as codec

        if not self.weights.exists():
            remedy = "train it to its end first: the same train command goes on"
            raise Wrong(f"{shown(self.path)} has no weights yet", remedy=remedy, reason="untrained")
        here = model.state_dict()
        limit = codec.HEADER_LIMIT + 2 * sum(t.numel() * t.element_size() for t in here.values())
        saved = codec.load(files.read_bytes(self.weights, limit=limit, code=RUN), str(self.weights))
        kinds = [(name, _kind(saved.get(name)), _kind(here.get(name))) for name in {**here, **saved}]
        differ = [f"{name}: {there}, not {wanted}" for name, there, wanted in kinds if there != wanted]
        if differ:
            what = f"{shown(self.weights)} belongs to another model"
            raise Wrong(what, where=listed(differ, 5), code=RUN, reason="other-model")
        codec.refuse_not_finite(saved, str(self.weights))
        model.load_state_dict(saved)

    def _object(self, name: str) -> dict[str, Any]:
        value = files.read_json(self.path / name, code=RUN)
        if not isinstance(value, dict):
            raise Wrong(f"{shown(self.path / name)} is no JSON object", code=RUN, reason="damaged")
        return value


def _kind(t: "Tensor | None") -> str:
    return "nothing" if t is None else f"{str(t.dtype).removeprefix('torch.')} {list(t.shape)}"
