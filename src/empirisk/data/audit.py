"""Leaks between splits: the same patient, the same pixels, near-twins. Reads pixels and ids of all splits, never labels."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from empirisk.data.raster import grey
from empirisk.data.rows import Row, Rows
from empirisk.data.splits import key
from empirisk.errors import Wrong, listed

PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))
TWIN = 0.98  # Centred correlation of two thumbnails from which on they are near-twins.
THUMB = {2: (28, 28), 3: (16, 16, 16)}  # Area-mean grid of a thumbnail by the number of dimensions.
SHOWN = 48  # Pairs of near-twins kept for the report, the closest first.


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
    pairs: list[Pair] = field(default_factory=list)  # all near-twins, each held-out image with its nearest partner
    shared: list[tuple[str, str]] = field(default_factory=list)  # patients (or ids) in two splits -> where, in words
    patients_known: bool = True
    compared: str = "pixels"  # what was compared, in words
    waived: str = ""

    def leaks(self) -> bool:
        """Identical pixels, patients or ids in two splits."""
        return any(self.identical.values()) or bool(self.shared)

    def json(self) -> dict[str, Any]:
        """What `audit --json` prints."""
        return {k: getattr(self, k) for k in ("identical", "twins", "patients", "unreadable")}

    def record(self) -> dict[str, Any]:
        """What run.json keeps: all of it, but only the closest pairs, and the test images with a twin in train."""
        closest = sorted(self.pairs, key=lambda p: (-p.correlation, p.held))[:SHOWN]
        twins = [p.held for p in self.pairs if p.splits == "train/test"]
        short = {"pairs": [list(p) for p in closest], "shared": [list(s) for s in self.shared]}
        return vars(self) | short | {"test_twins": twins}


def audit(rows: Rows, seen: Prints | None = None, *, waive: str | None = None) -> Audit:
    """Examine rows that have their parts; a patient or an id in two splits is refused (Wrong, exit 2) unless waived in writing."""
    found = examine(rows, seen, waive=waive)
    if found.shared and not found.waived:
        are, images = "s are" if len(found.shared) > 1 else " is", sum(found.patients.values())
        what = f"{len(found.shared)} patient{are} in two splits ({images} images)"
        where = listed([f"{who} in {places}" for who, places in found.shared], 5)
        remedy = 'correct the split or the patient column (--patient), or give --waive "the reason"'
        raise Wrong(what, where=where, remedy=remedy, reason="leak")
    return found


def examine(
    rows: Rows, seen: Prints | None = None, *, unreadable: Sequence[str] = (), waive: str | None = None
) -> Audit:
    """The audit, without a refusal; pixels are read where their prints are not given.

    Equal images are copies; equal vectors and texts only where under a tenth of the training ones repeat among themselves.
    """
    hashes, thumbs = seen or prints(rows)
    parts = {part: [r for r in rows if r.get("part") == part] for part in ("train", "val", "test")}
    repeats = sum(n for n in Counter(hashes[r["id"]] for r in parts["train"]).values() if n > 1)
    telling = any(map(len, thumbs.values())) or repeats < 0.1 * max(len(parts["train"]), 1)
    patients, shared = _patients(parts)
    compared = (
        "pixels" if telling else "nothing: vectors or texts repeat within the training split, so a repeat is no copy"
    )
    found = Audit(
        patients=patients, shared=shared, unreadable=list(unreadable), waived=(waive or "").strip(), compared=compared,
        patients_known=any(r.get("patient") for r in rows),
    )  # fmt: skip
    for first, second in PAIRS:
        name, one, other = f"{first}/{second}", parts[first], parts[second]
        same = _identical(one, other, hashes) if telling else {}
        twins = _nearest(one, other, thumbs) | {held: (partner, 1.0) for held, partner in same.items()}
        found.identical[name], found.twins[name] = len(same), len(twins)
        found.pairs.extend(Pair(name, p, held, round(r, 4), held in same) for held, (p, r) in sorted(twins.items()))
        if telling and first == "train":
            copies = _identical(other, one, hashes).items()
            found.left_out.update((copy, f"identical to {held} in {second}") for copy, held in copies)
    return found


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


def _identical(first: Rows, second: Rows, hashes: Mapping[str, str]) -> dict[str, str]:
    """Id of each row of the second that equals one of the first -> that one's id."""
    there = {hashes[row["id"]]: row["id"] for row in reversed(first)}  # the first of equal ones
    return {row["id"]: there[hashes[row["id"]]] for row in second if hashes[row["id"]] in there}


def _nearest(first: Rows, second: Rows, thumbs: Mapping[str, np.ndarray]) -> dict[str, tuple[str, float]]:
    """Id of each row of the second with a twin in the first -> (that one's id, their correlation); one chunked matrix product."""
    best: dict[str, tuple[str, float]] = {}
    for length in {len(thumbs[r["id"]]) for r in first} - {0}:
        theirs, ours = ([r["id"] for r in rows if len(thumbs[r["id"]]) == length] for rows in (first, second))
        A = np.stack([thumbs[i] for i in theirs])  # (n, D)
        for low in range(0, len(ours), 256):
            held = ours[low : low + 256]
            r = np.stack([thumbs[i] for i in held]) @ A.T  # (<= 256, n)
            for i, j in enumerate(r.argmax(1)):
                if r[i, j] >= TWIN:
                    best[held[i]] = theirs[j], min(float(r[i, j]), 1.0)
    return best


def hashes(rows: Rows) -> dict[str, str]:
    """`content` of each image by id; grey saved as colour counts as grey; a video tells its own, frame by frame."""
    return {row["id"]: told(row) or content(grey(row["x"].read())) for row in rows}


def told(row: Row) -> str:
    """The hash of a video, which is not held as a whole; nothing for what is."""
    return str(row["x"].content()) if hasattr(row["x"], "content") else ""


def prints(rows: Rows) -> Prints:
    """Hash and thumbnail of each row, each image read once; a video has no thumbnail."""
    found = Prints({}, {})
    for row in rows:
        if known := told(row):
            found.hashes[row["id"]], found.thumbs[row["id"]] = known, np.empty(0, np.float32)
            continue
        x = grey(row["x"].read())
        found.hashes[row["id"]], found.thumbs[row["id"]] = content(x), _thumb(x)
    return found


def content(x: np.ndarray) -> str:
    """First 16 hexadecimal digits of SHA-256 over an array's type, shape and values."""
    digest = hashlib.sha256(f"{x.dtype.str}{x.shape}".encode())
    digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()[:16]


def _thumb(x: np.ndarray) -> np.ndarray:
    """(C, *size) -> area means of the mean channel, centred, of norm 1 (constant image: 0), flat; a vector has none."""
    if x.ndim == 1:
        return np.empty(0, np.float32)
    mean = torch.from_numpy(x.mean(0, dtype=np.float32))[None, None]  # (1, 1, *size)
    small = F.interpolate(mean, THUMB[x.ndim - 1], mode="area").ravel()
    centred = small - small.mean()
    norm = centred.norm()  # NaN where the image holds NaN or Inf: it has no twin
    return torch.where(norm > 1e-5 * small.norm(), centred / norm, 0).numpy()
