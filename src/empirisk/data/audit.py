"""Leaks between splits: the same patient, the same pixels, near-twins. Reads pixels and ids of all splits, never labels."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from empirisk.data.rows import Row, Rows
from empirisk.data.splits import key
from empirisk.errors import Wrong, listed

PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))
TWIN = 0.98
"Centred correlation of two thumbnails from which on they are near-twins."
THUMB = {2: (28, 28), 3: (16, 16, 16)}
"Area-mean grid of a thumbnail by the number of dimensions."
SHOWN = 48
"Pairs of near-twins kept for the report, the closest first."


class Prints(NamedTuple):
    """What an audit needs of the pixels, each image read once: hash and thumbnail by id."""

    hashes: dict[str, str]
    thumbs: dict[str, np.ndarray]


class Pair(NamedTuple):
    """A held-out image and its nearest partner; `splits` names the partner's split first, as in "train/test"."""

    splits: str
    partner: str
    held: str
    correlation: float
    identical: bool


def _counts() -> dict[str, int]:
    return {f"{a}/{b}": 0 for a, b in PAIRS}


@dataclass(frozen=True)
class Audit:
    """Counts are the images of the second-named split that have a partner in the first; twins include the identical."""

    identical: dict[str, int] = field(default_factory=_counts)
    twins: dict[str, int] = field(default_factory=_counts)
    patients: dict[str, int] = field(default_factory=_counts)
    unreadable: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    "id of each training row that has a copy in a held-out split -> why it is left out"
    pairs: list[Pair] = field(default_factory=list)
    "all near-twins, each held-out image with its nearest partner"
    shared: list[tuple[str, str]] = field(default_factory=list)
    "patients (or ids) in two splits -> where, in words"
    patients_known: bool = True
    compared: str = "pixels"
    "what was compared, in words"
    waived: str = ""

    def leaks(self) -> bool:
        """Identical pixels, patients or ids in two splits."""
        return any(self.identical.values()) or bool(self.shared)

    def json(self) -> dict[str, Any]:
        """What `audit --json` prints."""
        return {
            "identical": self.identical,
            "twins": self.twins,
            "patients": self.patients,
            "unreadable": self.unreadable,
        }

    def record(self) -> dict[str, Any]:
        """What run.json keeps: the counts, the test images with a twin in train, the closest pairs, what was waived."""
        closest = sorted(self.pairs, key=lambda p: (-p.correlation, p.held))[:SHOWN]
        twins = [p.held for p in self.pairs if p.splits == "train/test"]
        return self.json() | {
            "left_out": self.left_out, "test_twins": twins, "pairs": [list(p) for p in closest], "shared": [list(s) for s in self.shared],
            "patients_known": self.patients_known, "compared": self.compared, "waived": self.waived,
        }  # fmt: skip


def audit(
    rows: Rows,
    *,
    hashes: Mapping[str, str] | None = None,
    thumbs: Mapping[str, np.ndarray] | None = None,
    unreadable: Sequence[str] = (),
    waive: str | None = None,
) -> Audit:
    """Examine rows that have their parts; a patient or an id in two splits is refused unless waived in writing.

    Raises
    ------
    Wrong
        exit 2, naming the patients and where they are.
    """
    found = examine(rows, hashes=hashes, thumbs=thumbs, unreadable=unreadable, waive=waive)
    if found.shared and not found.waived:
        images = sum(found.patients.values())
        raise Wrong(
            f"{len(found.shared)} patient{'s are' if len(found.shared) > 1 else ' is'} in two splits ({images} images)",
            where=listed([f"{who} in {places}" for who, places in found.shared], 5),
            remedy='correct the split or the patient column (--patient), or give --waive "the reason"',
            reason="leak",
        )
    return found


def examine(
    rows: Rows,
    *,
    hashes: Mapping[str, str] | None = None,
    thumbs: Mapping[str, np.ndarray] | None = None,
    unreadable: Sequence[str] = (),
    waive: str | None = None,
) -> Audit:
    """The audit, without a refusal; pixels are read where hashes or thumbnails are not given."""
    if hashes is None or thumbs is None:
        hashes, thumbs = prints(rows)
    parts = {part: [r for r in rows if r.get("part") == part] for part in ("train", "val", "test")}
    patients, shared = _patients(parts)
    telling = _telling([hashes[r["id"]] for r in parts["train"]], images=any(len(t) for t in thumbs.values()))
    identical, twins, left_out, pairs = _counts(), _counts(), {}, []
    for first, second in PAIRS:
        name = f"{first}/{second}"
        nearest = _identical(parts[first], parts[second], hashes) if telling else {}
        identical[name] = len(nearest)
        near = _nearest(parts[first], parts[second], thumbs) | {
            held: (partner, 1.0) for held, partner in nearest.items()
        }
        twins[name] = len(near)
        pairs += [
            Pair(name, partner, held, round(r, 4), held in nearest) for held, (partner, r) in sorted(near.items())
        ]
    for second in ("val", "test") if telling else ():
        for copy, held in _identical(parts[second], parts["train"], hashes).items():
            left_out[copy] = f"identical to {held} in {second}"
    return Audit(
        identical=identical, twins=twins, patients=patients, unreadable=list(unreadable), left_out=left_out, pairs=pairs, shared=shared,
        patients_known=any(r.get("patient") for r in rows), waived=(waive or "").strip(),
        compared="pixels" if telling else "nothing: most vectors repeat within the training split, so a repeat is no copy",
    )  # fmt: skip


def _patients(parts: Mapping[str, Rows]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Images of the second split whose patient or id is also in the first, and those patients as they are written."""
    counts, shared = _counts(), {}
    for first, second in PAIRS:
        there = {name: row for row in parts[first] for name in _names(row)}
        for row in parts[second]:
            partner = next((there[name] for name in _names(row) if name in there), None)
            if partner is not None:
                counts[f"{first}/{second}"] += 1
                a, b = (r.get("patient") or r["id"] for r in (partner, row))
                shared[f"{a} / {b}" if a != b else a] = f"{first} and {second}"
    return counts, sorted(shared.items())


def _names(row: Row) -> list[str]:
    """What may not be in two splits."""
    return [f"id {row['id']}"] + ([f"patient {key(row['patient'])}"] if row.get("patient") else [])


def _telling(train: Sequence[str], *, images: bool) -> bool:
    """Whether equal content means a copy: always for images; for vectors only where under a tenth of them repeat in train."""
    repeats = sum(n for n in Counter(train).values() if n > 1)
    return images or repeats < 0.1 * max(len(train), 1)


def _identical(first: Rows, second: Rows, hashes: Mapping[str, str]) -> dict[str, str]:
    """Id of each row of the second that equals one of the first -> that one's id."""
    there: dict[str, str] = {}
    for row in first:
        there.setdefault(hashes[row["id"]], row["id"])
    return {row["id"]: there[hashes[row["id"]]] for row in second if hashes[row["id"]] in there}


def _nearest(first: Rows, second: Rows, thumbs: Mapping[str, np.ndarray]) -> dict[str, tuple[str, float]]:
    """Id of each row of the second with a twin in the first -> (that one's id, their correlation); one chunked matrix product."""
    best: dict[str, tuple[str, float]] = {}
    lengths = {len(thumbs[r["id"]]) for r in second} & {len(thumbs[r["id"]]) for r in first}
    for length in lengths - {0}:
        theirs = [r["id"] for r in first if len(thumbs[r["id"]]) == length]
        ours = [r["id"] for r in second if len(thumbs[r["id"]]) == length]
        for low in range(0, len(theirs), 8192):
            names = theirs[low : low + 8192]
            B = np.stack([thumbs[i] for i in names]).T  # (D, <= 8192)
            for start in range(0, len(ours), 1024):
                held = ours[start : start + 1024]
                r = np.stack([thumbs[i] for i in held]) @ B  # (<= 1024, <= 8192)
                for i in np.flatnonzero(r.max(1) >= TWIN):
                    j = int(r[i].argmax())
                    if r[i, j] > best.get(held[i], ("", 0.0))[1]:
                        best[held[i]] = names[j], min(float(r[i, j]), 1.0)
    return best


def hashes(rows: Rows) -> dict[str, str]:
    """First 16 hex digits of sha256 over type, shape and values, by id; grey saved as colour counts as grey."""
    return {row["id"]: content(_grey(row["x"].read())) for row in rows}


def prints(rows: Rows) -> Prints:
    """Hash and thumbnail of each row, each image read once; a vector's thumbnail is empty."""
    found: dict[str, str] = {}
    thumbs: dict[str, np.ndarray] = {}
    waiting: dict[tuple[int, ...], list[tuple[str, np.ndarray]]] = defaultdict(list)
    held = 0
    for row in rows:
        x = _grey(row["x"].read())
        found[row["id"]] = content(x)
        if x.ndim == 1:
            thumbs[row["id"]] = np.empty(0, np.float32)
            continue
        waiting[x.shape].append((row["id"], x))
        held += x.size
        if held >= 1 << 22:
            thumbs.update(pair for some in waiting.values() for pair in _thumbs(some))
            waiting.clear()
            held = 0
    thumbs.update(pair for some in waiting.values() for pair in _thumbs(some))
    return Prints(found, thumbs)


def content(x: np.ndarray) -> str:
    """Hash of an array's type, shape and values."""
    digest = hashlib.sha256(f"{x.dtype.str}{x.shape}".encode())
    digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()[:16]


def _grey(x: np.ndarray) -> np.ndarray:
    """(3, *size) with three equal channels -> (1, *size)."""
    return x[:1] if x.ndim > 2 and len(x) == 3 and (x[0] == x[1]).all() and (x[0] == x[2]).all() else x


def _thumbs(some: Sequence[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Images of one shape -> area-mean thumbnails over the mean channel, centred, of norm 1 (constant images: 0)."""
    x = np.stack([image for _, image in some]).mean(1, dtype=np.float32)  # (n, *size)
    with np.errstate(invalid="ignore", over="ignore"):  # an image that holds NaN or Inf has no twin
        for axis, (size, to) in enumerate(zip(x.shape[1:], THUMB[x.ndim - 1], strict=True), 1):
            x = np.moveaxis(np.tensordot(x, _area(size, to), (axis, 1)), -1, axis)
        flat = x.reshape(len(x), -1)  # (n, D)
        centred = flat - flat.mean(1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        least = 1e-5 * np.linalg.norm(flat, axis=1, keepdims=True)
        thumbs = np.where(norm > least, centred / np.maximum(norm, 1e-30), 0).astype(np.float32)
    return [(name, thumb) for (name, _), thumb in zip(some, thumbs, strict=True)]


@lru_cache(64)
def _area(size: int, to: int) -> np.ndarray:
    """Matrix (to, size) of area means: row i averages the pixels that lie in [i, i + 1) size / to, edges by their share."""
    edges = np.linspace(0, size, to + 1)
    pixel = np.arange(size)
    share = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: np.ndarray = (np.clip(share, 0, None) * to / size).astype(np.float32)
    return weights
