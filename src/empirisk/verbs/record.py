"""What run.json and split.csv say of a run before anything moves."""

import hashlib
import platform
from collections.abc import Iterator
from typing import Any

import torch

import empirisk
from empirisk import runtime
from empirisk.experiment import Experiment
from empirisk.verbs.words import counts, odd_of


def split_of(e: Experiment) -> Iterator[dict[str, Any]]:
    """The rows of split.csv."""
    loaded = e.data.prepared()
    for r in loaded.rows:
        yield {k: r.get(k, "") for k in ("id", "patient", "part", "why")} | {"sha256": loaded.hashes[r["id"]]}


def made_of(e: Experiment, *, batch: int, precision: str, device: torch.device) -> dict[str, Any]:
    """Experiment, arguments, what was learned, the data, versions, machine, and what was chosen for the user."""
    loaded = e.data.prepared()
    table = loaded.table
    assert table is not None
    return {
        "experiment": e.name,
        "arguments": e.arguments,
        "learned": e.data.facts,
        "parents": e.parents,
        "data": {
            "name": table.name, "form": table.form, "source": table.source, "licence": table.licence,
            "patients_known": table.patients_known, "sha256": fingerprint(loaded.hashes), "n": counts(loaded.rows),
            "odd": [*table.odd, *odd_of(e)],
        },
        "added": loaded.added,
        "versions": {"empirisk": empirisk.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": runtime.machine(device),
        "recipe": {
            "batch": batch, "lr": e.recipe.lr, "precision": precision,
            "parameters": sum(p.numel() for p in e.model.parameters()),
        },
    }  # fmt: skip


def fingerprint(hashes: dict[str, str]) -> str:
    """One sha256 of all rows' ids and contents."""
    text = "\n".join(f"{i} {h}" for i, h in sorted(hashes.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
