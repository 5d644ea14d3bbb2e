"""Which rows teach, which choose, which judge: given splits are kept, others drawn by patient."""

import hashlib
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from empirisk.data.rows import Row, Rows
from empirisk.data.targets import Classes
from empirisk.data.unlabelled import classes_of
from empirisk.errors import RUN, Wrong, listed, near, shown

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
BINS = 5  # Quantile bins of a number, for stratifying.
FEW = 7
"A label with fewer patients than this has its first three in train, test and validation, so that no part lacks it."
APART = "kept apart, as what is made is compared with them"
"Why a training row teaches nothing where some are kept for a comparison."


def key(patient: str) -> str:
    """What makes two spellings of a patient one: case, outer and repeated spaces, and leading zeros of a number do not count.

    >>> key("  Pat 007") == key("PAT  7"), key("P10") == key("P1"), key("000")
    (True, False, '0')
    """
    text = " ".join(unicodedata.normalize("NFKC", patient).casefold().split())
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def group(row: Row) -> str:
    """The patient's key, or the row alone where no patient is known."""
    return f"patient {key(row['patient'])}" if row.get("patient") else f"row {row['id']}"


def split(rows: Rows, *, seed: int = 0, fold: str | None = None) -> Rows:
    """The rows, each with its part: "train", "val" or "test".

    Parts given for all rows are kept. Train and one held-out part: that part is the test set, and 15/85 of the training
    patients become validation. None given, or train alone: 70/15/15. Whole patients are placed, stratified by their rarest
    label (numbers: by fifths), in the order of a hash of seed and patient, so the order of the rows does not matter. With
    `fold` the parts are those of `folded`. Raises Wrong (exit 2): an id has two parts, some rows lack a part, no row teaches,
    or fewer patients than parts.
    """
    given: dict[str, str] = {}
    for row in rows:
        if row.get("part") in SHARES and given.setdefault(row["id"], row["part"]) != row["part"]:
            where = f"{row['id']} is in {given[row['id']]} and in {row['part']}"
            raise Wrong("the same id in two splits", where=where, remedy="give each row once")
    if fold is not None:
        return folded(rows, fold, seed=seed)
    found = set(given.values())
    lacking = [row["id"] for row in rows if row["id"] not in given]
    if found and lacking:
        what = f"{len(lacking)} rows have no split, the others have"
        raise Wrong(what, where=listed(lacking, 5), remedy="give each row train, val or test, or none")
    if found and "train" not in found:
        what = f"no training rows: all {len(rows)} are {listed(sorted(found))}"
        raise Wrong(what, remedy="give rows of a split named train, or no split at all")
    if found == set(SHARES):
        parts = given
    elif found <= {"train"}:
        parts = _drawn(rows, SHARES, seed)
    else:
        held = SHARES["val"] / (SHARES["train"] + SHARES["val"])
        teach = [row for row in rows if given[row["id"]] == "train"]
        parts = dict.fromkeys(given, "test") | _drawn(teach, {"train": 1 - held, "val": held}, seed)
    return [row | {"part": parts[row["id"]]} for row in rows]


def folded(rows: Rows, fold: str, *, seed: int = 0) -> Rows:
    """The rows in the parts of a fold "k/K": of K equal shares by patient the k-th is the test set, 15 % of the others validate.

    Stratified and hashed as `split` is, so all K folds divide the same patients. A given test set is in no fold: it stays shut.
    Raises Wrong (exit 2): not of that form, or fewer patients than folds.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", fold)
    k, K = (int(n) for n in found.groups()) if found else (0, 0)
    if not (2 <= K <= 100 and 1 <= k <= K):
        raise Wrong(f"--fold {fold} is no fold", remedy="give k/K, say 2/5: the second of five")
    known = [row for row in rows if row.get("part") != "test"]
    shares = _drawn(known, {str(i + 1): 1 / K for i in range(K)}, seed)
    held = SHARES["val"]
    teach = _drawn([row for row in known if shares[row["id"]] != str(k)], {"train": 1 - held, "val": held}, seed)
    shut = dict.fromkeys((row["id"] for row in rows if row.get("part") == "test"), "")
    parts = dict.fromkeys(shares, "test") | teach | shut
    return [row | {"part": parts[row["id"]]} for row in rows]


def of_one_class(rows: Rows, name: str, classes: Sequence[str]) -> Rows:
    """The rows, those of training that are of another class, or of none, left out with the reason why.

    `classes` are the names in their order where the form of the data fixes them; a class goes by name or by its number.
    Raises Wrong (exit 2): no row has a class, rows have several, no class is called so, no training row is of it.
    """
    known = tuple(classes) or classes_of(rows)
    if not known or any(isinstance(r.get("label"), tuple) for r in rows):
        raise Wrong(
            f"no class {shown(name)!r}: the rows have no class, or several each", remedy="name its column with --label"
        )
    number = Classes(known).index(name)
    if number is None:
        raise Wrong(
            f"no class is called {shown(name)!r}", remedy=near(name, known) or f"there are {listed(list(known))}"
        )
    wanted = known[number]
    if not any(r["part"] == "train" and r.get("label") == wanted for r in rows):
        raise Wrong(f"no training row is {shown(wanted)}", remedy="give rows of it, or another class")
    other = {"part": "", "why": f"not {wanted}"}
    return [r | other if r["part"] == "train" and r.get("label") != wanted else r for r in rows]


def kept_apart(rows: Rows, least: int) -> Rows:
    """The rows, of those of training a tenth by patient, or `least`, left out with the reason `APART`; which, is fixed.

    Raises Wrong (exit 2) where that would be more than half of them.
    """
    teach = [r for r in rows if r["part"] == "train"]
    if len(teach) < 2 * least:
        what = f"{len(teach)} training rows, of which {least} are to be kept apart"
        raise Wrong(what, remedy=f"give {2 * least} or more")
    share = max(0.1, least / len(teach))
    parts = _drawn(teach, {"train": 1 - share, "apart": share}, seed=0)
    away = {"part": "", "why": APART}
    return [r | away if r["part"] == "train" and parts[r["id"]] == "apart" else r for r in rows]


def as_saved(rows: Rows, saved: dict[str, dict[str, str]], hashes: dict[str, str]) -> tuple[Rows, list[str]]:
    """The rows of a run that goes on in their saved parts, and the ids that were added since, which are left out.

    Raises Wrong (exit 3) if a row was removed or its pixels changed.
    """
    here = {r["id"]: r for r in rows}
    gone = [i for i in saved if i not in here]
    changed = [i for i, s in saved.items() if i in here and s["sha256"] and s["sha256"] != hashes[i]]
    for some, what in (
        (gone, f"{len(gone)} rows of the saved split are no longer in the data"),
        (changed, f"the content of {len(changed)} rows has changed since the split was saved"),
    ):
        if some:
            remedy = "bring the old files back, or train a new run"
            raise Wrong(what, where=listed(some, 5), remedy=remedy, code=RUN, reason="split")
    kept = [here[i] | {"part": s["part"], "why": s.get("why", "")} for i, s in saved.items()]
    return kept, [i for i in here if i not in saved]


def _drawn(rows: Rows, shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Each group goes where its stratum, and the whole, lack most; a small stratum's first ones to each part in turn."""
    groups: dict[str, Rows] = defaultdict(list)
    for row in rows:
        groups[group(row)].append(row)
    if len(groups) < len(shares):
        what = f"{len(groups)} patients are too few for {listed(list(shares))}"
        raise Wrong(what, remedy="give more patients, or --split COLUMN")
    strata: dict[str, list[str]] = defaultdict(list)
    for name, stratum in _strata(groups).items():
        strata[stratum].append(name)
    parts, share, whole = list(shares), np.array(list(shares.values())), np.zeros(len(shares))
    first = [parts.index(p) for p in ("train", "test", "val") if p in shares]
    place: dict[str, str] = {}
    for stratum in sorted(strata, key=lambda s: (len(strata[s]), s)):  # the rare ones first, the common ones fill up
        own = np.zeros(len(parts))
        order = sorted(strata[stratum], key=lambda g: (_hash(seed, g), g))
        turns = first if len(order) < FEW else []
        order = sorted(order, key=lambda g: -len(groups[g])) if turns else order  # the largest teach
        for rank, name in enumerate(order):
            size = len(groups[name])
            lack = share * (own.sum() + size) - own + share * (whole.sum() + size) - whole
            to = turns[rank] if rank < len(turns) else int(lack.argmax())
            own[to] += size
            whole[to] += size
            place.update((row["id"], parts[to]) for row in groups[name])
    return place


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest()


def _strata(groups: Mapping[str, Rows]) -> dict[str, str]:
    """Group -> its rarest label, or the fifth that its mean number lies in."""
    rows = [row for group in groups.values() for row in group]
    if all(row.get("label") is None and row.get("target") is not None for row in rows):
        means = {name: statistics.fmean(row["target"] for row in some) for name, some in groups.items()}
        edges = np.quantile(list(means.values()), np.linspace(0, 1, BINS + 1)[1:-1])
        return {name: str(np.searchsorted(edges, mean, side="right")) for name, mean in means.items()}
    count = Counter(label for row in rows for label in _labels(row))
    rarest = {name: {label for row in some for label in _labels(row)} for name, some in groups.items()}
    return {name: min(some, key=lambda label: (count[label], label)) for name, some in rarest.items()}


def _labels(row: Row) -> tuple[str, ...]:
    label = row.get("label")
    return (label or ("",)) if isinstance(label, tuple) else (str(label),)
