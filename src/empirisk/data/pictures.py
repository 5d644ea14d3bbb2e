"""Rows of picture files: which files are pictures, whose they are, and whether they can be read."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from empirisk.data import readers
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong, listed, shown

ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff"}
PATIENT = r"(?i)((?:p|pt|pat|patient|person|subj|subject|sub|case)[-_ ]?[0-9]+)(?![0-9A-Za-z])"
"At the beginning of a file name: a word for a patient, digits, then no letter: P017_2.png, person12_bacteria_3.jpeg."


def is_picture(path: Path) -> bool:
    """By its ending or, without a usual one, by its first bytes; hidden files and whatever is no regular file are not."""
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix.casefold() in ENDINGS:
        return True
    with path.open("rb") as f:
        return bool(readers.sniff(f.read(16)))


def single(paths: Sequence[Path], *, skip_bad: int) -> Table:
    """A table of pictures without labels, called as they were named."""
    rows: Rows = [
        {"id": str(p), "x": readers.File(str(p)), "patient": None, "part": "new"} for p in dict.fromkeys(paths)
    ]
    name = paths[0].stem if len(rows) == 1 else paths[0].parent.name or "pictures" if rows else ""
    if not rows:
        raise Wrong("no picture is given")
    rows, unreadable, found = readable(rows, name, skip_bad=skip_bad)
    return Table(name=name, rows=rows, form="pictures", understood=[("images", found, "--size")], unreadable=unreadable)


def readable(rows: Rows, where: str, *, skip_bad: int) -> tuple[Rows, list[tuple[str, str]], str]:
    """The rows whose x can be read, (id, why) of the others, and what the pictures are, in words.

    Raises
    ------
    Wrong
        exit 2: more than `skip_bad` cannot be read (the first 50 are listed), or none can.
    """
    looks = readers.scan([r["x"] for r in rows])
    bad = [(str(r["id"]), look.fault) for r, look in zip(rows, looks, strict=True) if look.fault]
    if len(bad) > skip_bad or len(bad) == len(rows):
        lines = [f"{shown(i, 120)}: {why}" for i, why in bad[:50]]
        more = [f"and {len(bad) - 50} more"] if len(bad) > 50 else []
        wrong = Wrong(
            f"{len(bad)} of {len(rows)} pictures of {shown(where)} cannot be read",
            remedy=f"mend them, or go on without them: --skip-bad {len(bad)}",
        )  # fmt: skip
        wrong.args = ("\n  ".join([wrong.what, *lines, *more, wrong.remedy]),)  # the one message that is a list
        raise wrong
    sizes = Counter("x".join(map(str, k.shape[1:])) for k in looks if not k.fault)
    kinds = Counter((k.dtype, k.shape[0]) for k in looks if not k.fault)
    bits = {"uint8": "8-bit", "uint16": "16-bit"}
    words = [f"{bits.get(d, 'float')} {'grey' if c == 1 else 'colour'}" for (d, c), _ in kinds.most_common()]
    found = listed([f"{s} ({n:,})" for s, n in sizes.most_common()], 3) if len(sizes) > 1 else next(iter(sizes))
    return (
        [r for r, look in zip(rows, looks, strict=True) if not look.fault], bad,
        f"{len(rows) - len(bad):,} pictures, {' and '.join(words)}, {found}",
    )  # fmt: skip


def with_patients(rows: Rows, columns: Columns) -> tuple[Rows, tuple[str, str, str], list[str]]:
    """Patients read from file names: a pattern that is given, else the written rule where all names follow it.

    Raises
    ------
    Wrong
        exit 2: a given pattern that is none, or that some names do not follow.
    """
    flag, given = "--patient", columns.patient
    if given == "none":
        return rows, ("patients", "not used", flag), []
    try:
        pattern = re.compile(given or PATIENT)
    except re.error as error:
        raise Wrong(
            f"--patient {given} is no pattern: {error}", remedy="give for example '(P[0-9]+)', or none"
        ) from None
    names = [Path(r["id"]).name for r in rows]
    found = [pattern.search(r["id"]) if given else pattern.match(n) for r, n in zip(rows, names, strict=True)]
    if all(found):
        who = [str(m[m.re.groups and 1]) for m in found if m]
        filled: Rows = [r | {"patient": p} for r, p in zip(rows, who, strict=True)]
        return filled, ("patients", f"{len(set(who)):,}, from names like {shown(names[0], 40)}", flag), []
    others = [n for n, m in zip(names, found, strict=True) if not m]
    if given:
        raise Wrong(
            f"--patient {given}: {len(others)} names do not follow it", where=listed(others, 5), remedy="or give none"
        )
    some = len(others) < len(names) / 2
    odd = [
        f"{len(names) - len(others):,} of {len(names):,} file names seem to begin with a patient; not used (--patient)"
    ]
    return rows, ("patients", "unknown", flag), odd if some else []


def name_twins(rows: Rows) -> list[str]:
    """Names that a person cannot tell apart: equal but for the encoding of accents."""
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        same[unicodedata.normalize("NFC", row["id"])].append(row)
    twins = [k for k, v in same.items() if len({r["id"] for r in v}) > 1]
    return [f"{len(twins)} names occur in two encodings of one text: {listed(twins, 3)}"] if twins else []
