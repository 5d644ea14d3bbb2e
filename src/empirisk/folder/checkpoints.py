"""Everything the next step depends on, in generations of which two stay."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from empirisk import files
from empirisk.errors import RUN, Wrong, shown
from empirisk.folder import tensors as codec

FORMAT, _VERSION = 1, version("empirisk")
_STATE, _TENSORS, _MANIFEST, _POINTER = "state.json", "tensors.safetensors", "manifest.json", "newest.json"
_STEP = re.compile(r"step-(\d{6,})(?:-(\d+))?")
_KEPT = re.compile(r"kept-[0-9a-f]{12}-[ab]\.safetensors")


@dataclass(frozen=True)
class Checkpoints:
    """The folder RUN/checkpoint.

    A generation is written to step-000012.partial/ with its manifest (size and SHA-256 of each file) last, read back,
    renamed; the pointer follows, then the oldest is removed. Killed at any moment, the old or the new one loads.
    """

    path: Path

    def save(
        self, step: int, state: dict[str, Any], *, shared: Mapping[str, dict[str, Tensor]] | None = None, world: int = 1
    ) -> None:
        """Write the state after `step`: nested dicts, lists and tuples of tensors, numbers, text, None.

        `shared` holds parts that seldom change (the kept weights), each written only when its content changes, once for
        each of the two generations; `load` gives them back inside the state under the same key. `Wrong` (exit 3) where a
        tensor holds NaN or an infinity, or the disk refuses; the checkpoint before is kept and named.
        """
        found: dict[str, Tensor] = {}
        tree = codec.flatten({"step": step, "world": world, "state": state}, found)
        known, parts = self._pointed(), dict(shared or {})
        kept = f"the checkpoint {known[0]} is good" if known else "no checkpoint was written yet"
        everything = found | {f"{part}/{name}": t for part, group in parts.items() for name, t in group.items()}
        codec.refuse_not_finite(everything, f"the checkpoint of step {step}", kept=kept)
        partial = self.path / f"step-{step:06d}.partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            files.make_folder(self.path)
            files.make_folder(partial)
            self._fill(partial, tree, found, parts)
            self._contents(partial)  # read back before the pointer moves
            final = files.free_name(self.path / f"step-{step:06d}")
            with files.writing(final):
                partial.rename(final)
                files.flush_folder(self.path)
            stay = [final.name, *known[:1]]
            files.write_json(self.path / _POINTER, stay)
        except Wrong as e:
            shutil.rmtree(partial, ignore_errors=True)
            raise Wrong(e.what, where=e.where, kept=kept, remedy=e.remedy, code=RUN, reason=e.reason) from e
        self._prune(stay)

    def load(
        self, device: torch.device | str = "cpu", *, say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)
    ) -> tuple[int, dict[str, Any]] | None:  # fmt: skip
        """The newest (step, state) that verifies, or None where nothing was saved; says when it has to walk back.

        `Wrong` (exit 3) where files are there and none verifies, or another version of the package wrote them.
        """
        known, damage = self._pointed(), ""
        names = list(dict.fromkeys(known + self._generations()))
        for name in names:
            try:
                step, state = self._decoded(self.path / name, device)
            except Wrong as error:
                if error.reason == "version":
                    raise
                damage = damage or f"{error.what}: {error.where}"
                continue
            if damage:
                say(f"the newest checkpoint is damaged ({damage}); going on from step {step}")
            if damage or not known:
                files.write_json(self.path / _POINTER, [name])
            return step, state
        if not names:
            return None
        what, remedy = f"no checkpoint in {shown(self.path)} is whole", "start again with another --out"
        raise Wrong(what, where=damage, remedy=remedy, code=RUN, reason="damaged")

    def _fill(
        self, folder: Path, tree: Any, found: dict[str, Tensor], shared: Mapping[str, Mapping[str, Tensor]]
    ) -> None:
        """Write the files of a generation, the manifest last."""

        def stored(path: Path, content: list[bytes | memoryview]) -> dict[str, object]:
            return {"sha256": files.write(path, content), "size": sum(map(len, content))}

        own = {
            _TENSORS: stored(folder / _TENSORS, codec.dump(found)),
            _STATE: stored(folder / _STATE, [json.dumps(tree, allow_nan=False).encode()]),
        }
        taken, parts = set[str](), dict[str, Any]()
        with contextlib.suppress(Wrong, KeyError, TypeError, AttributeError):  # a damaged one shares nothing
            taken = self._referenced(self._pointed()[:1])
        for part, group in shared.items():
            content = codec.dump(group)
            sha = _sha256(*content)
            names = [f"kept-{sha[:12]}-{copy}.safetensors" for copy in "ab"]  # a damaged copy must not take both down
            path = self.path / next(name for name in names if name not in taken)
            whole = path.is_file() and files.sha256(path) == sha
            entry = {"sha256": sha, "size": sum(map(len, content))} if whole else stored(path, content)
            parts[part] = {"file": path.name, **entry}
        manifest = {"format": FORMAT, "package": _VERSION, "files": own, "shared": parts}
        files.write_json(folder / _MANIFEST, manifest | {"sha256": _seal(manifest)})

    def _contents(self, folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The verified bytes of a generation: its own files, and the shared parts."""
        manifest = files.read_json(folder / _MANIFEST, code=RUN)
        where, reason = f"{_MANIFEST} is damaged", "damaged"
        try:
            own, shared = {name: manifest["files"][name] for name in (_STATE, _TENSORS)}, manifest["shared"]
            if manifest["format"] != FORMAT or not all(_KEPT.fullmatch(entry["file"]) for entry in shared.values()):
                raise ValueError
            if manifest.get("sha256") == _seal(manifest):
                return (
                    {name: self._verified(folder / name, entry) for name, entry in own.items()},
                    {part: self._verified(self.path / entry["file"], entry) for part, entry in shared.items()},
                )
        except (KeyError, TypeError, ValueError, AttributeError):
            there = manifest.get("package") if isinstance(manifest, dict) else None
            if isinstance(there, str) and there != _VERSION:
                where, reason = f"written by {there}, this is {_VERSION}", "version"
        raise Wrong(f"the checkpoint {shown(folder.name)} cannot be read", where=where, code=RUN, reason=reason)

    @staticmethod
    def _verified(path: Path, entry: Mapping[str, Any]) -> bytes:
        content = files.read_bytes(path, limit=int(entry["size"]), code=RUN)
        if len(content) != entry["size"] or _sha256(content) != entry["sha256"]:
            where = "its content is not what was written"
            raise Wrong(f"{shown(path.parent.name)}/{shown(path.name)}", where=where, code=RUN, reason="damaged")
        return content

    def _decoded(self, folder: Path, device: torch.device | str) -> tuple[int, dict[str, Any]]:
        own, parts = self._contents(folder)
        with files.guarded(str(folder), code=RUN):
            found = codec.load(own[_TENSORS], str(folder / _TENSORS))
            tree = codec.unflatten(json.loads(own[_STATE]), found, device)
            shared = {p: {name: t.to(device) for name, t in codec.load(raw, p).items()} for p, raw in parts.items()}
            return int(tree["step"]), {**tree["state"], **shared}

    def _generations(self) -> list[str]:
        """Folders with a final name, newest first."""
        found = [m for m in map(_STEP.fullmatch, os.listdir(self.path) if self.path.is_dir() else []) if m]
        return [m[0] for m in sorted(found, key=lambda m: (int(m[1]), int(m[2] or 1)), reverse=True)]

    def _pointed(self) -> list[str]:
        """Generations that the pointer names, newest first; a lost or damaged pointer names none."""
        with contextlib.suppress(Wrong):
            names = files.read_json(self.path / _POINTER, code=RUN)
            if isinstance(names, list):
                return [name for name in names if isinstance(name, str) and _STEP.fullmatch(name)]
        return []

    def _referenced(self, names: list[str]) -> set[str]:
        """Shared files that these generations name."""
        manifests = [files.read_json(self.path / name / _MANIFEST, code=RUN) for name in names]
        return {str(entry["file"]) for manifest in manifests for entry in manifest["shared"].values()}

    def _prune(self, names: list[str]) -> None:
        """Remove all but these generations and what they share; what cannot be removed now goes another time."""
        files.sweep(self.path)
        with contextlib.suppress(Wrong, OSError, KeyError, TypeError, AttributeError):
            for entry in self.path.glob("step-*"):
                if entry.name not in names:
                    shutil.rmtree(entry, ignore_errors=True)
            wanted = self._referenced(names)  # where it cannot be read, nothing shared is removed
            for entry in self.path.glob("kept-*"):
                if entry.name not in wanted:
                    entry.unlink()


def _sha256(*pieces: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's own content."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return _sha256(json.dumps(content, sort_keys=True).encode())
