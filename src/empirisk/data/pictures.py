"""Rows of picture files: which files are pictures, whose they are, and whether they can be read."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from empirisk.data import readers
from empirisk.data.rows import Columns, Rows, Table
from empirisk.errors import Wrong, listed, shown

ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".nii", ".dcm"}
PATIENT = r"(?i)((?:p|pt|pat|patient|person|subj|subject|sub|case)[-_ ]?[0-9]+)(?![0-9A-Za-z])"
"At the beginning of a file name: a word for a patient, digits, then no letter: P017_2.png, person12_bacteria_3.jpeg."


def is_picture(path: Path) -> bool:
    """By its ending or, without a usual one, by its first bytes; hidden files and whatever is no regular file are not."""
    if path.name.startswith(".") or not path.is_file():
        return False
    return ending(path.name).casefold() in {*ENDINGS, ".nii.gz"} or bool(readers.form(path))


def ending(name: str) -> str:
    """The last suffix, with the one before .gz.

    >>> ending("case.1.nii.gz"), ending("a.png")
    ('.nii.gz', '.png')
    """
    packed = name.casefold().endswith(".gz")
    return Path(name[:-3]).suffix + name[-3:] if packed else Path(name).suffix


def stem(name: str) -> str:
    """A file name, or a path inside a folder, without its ending.

    >>> stem("a/case.1.nii.gz")
    'a/case.1'
    """
    return name.removesuffix(ending(name))


def single(paths: Sequence[Path], *, skip_bad: int) -> Table:
    """A table of pictures without labels, called as they were named."""
    if not paths:
        raise Wrong("no picture is given")
    rows: Rows = [
        {"id": i, "x": readers.File(i), "patient": None, "part": "new"} for i in dict.fromkeys(map(str, paths))
    ]
    name = paths[0].stem if len(rows) == 1 else paths[0].parent.name or "pictures"
    rows, unreadable, found = readable(rows, name, skip_bad=skip_bad)
    return Table(name=name, rows=rows, form="pictures", understood=[("images", found, "--size")], unreadable=unreadable)


def readable(rows: Rows, where: str, *, skip_bad: int) -> tuple[Rows, list[tuple[str, str]], str]:
    """The rows whose x can be read, (id, why) of the others, and what the pictures are, in words.

    Raises Wrong (exit 2): more than `skip_bad` cannot be read (the first 50 are listed), or none can.
    """
    looks = readers.scan([r["x"] for r in rows])
    good, bad = sorted_out(rows, [look.fault for look in looks], where, skip_bad=skip_bad)
    return good, bad, described([look for look in looks if not look.fault])


def sorted_out(
    rows: Rows, faults: Sequence[str], where: str, *, skip_bad: int, be: str = "read"
) -> tuple[Rows, list[tuple[str, str]]]:
    """The rows without a fault, and (id, why) of the others, which cannot `be` read or used; raises Wrong as `readable` does."""
    bad = [(r, fault) for r, fault in zip(rows, faults, strict=True) if fault]
    if len(bad) > skip_bad or len(bad) == len(rows):
        lines = [f"{shown(getattr(r['x'], 'folder', r['id']), 120)}: {why}" for r, why in bad[:50]]
        more = [f"and {len(bad) - 50} more"] if len(bad) > 50 else []
        what = f"{len(bad)} of {len(rows)} pictures of {shown(where)} cannot be {be}"
        wrong = Wrong(what, remedy=f"mend them, or go on without them: --skip-bad {len(bad)}")
        wrong.args = ("\n  ".join([wrong.what, *lines, *more, wrong.remedy]),)  # the one message that is a list
        raise wrong
    return [r for r, fault in zip(rows, faults, strict=True) if not fault], [(str(r["id"]), why) for r, why in bad]


def described(looks: Sequence[readers.Look]) -> str:
    """How many, of which kinds and sizes, in words."""
    sizes = Counter("x".join(map(str, k.shape[1:])) for k in looks)
    kinds = Counter((k.dtype, k.shape[0]) for k in looks)
    bits, colours = {"uint8": "8-bit", "uint16": "16-bit"}, {1: "grey", 3: "colour"}
    words = [f"{bits.get(d, 'float')} {colours.get(c, f'{c} channels')}" for (d, c), _ in kinds.most_common()]
    found = listed([f"{s} ({n:,})" for s, n in sizes.most_common()], 3) if len(sizes) > 1 else next(iter(sizes))
    return f"{len(looks):,} {'volumes' if len(looks[0].shape) == 4 else 'pictures'}, {' and '.join(words)}, {found}"


def with_patients(rows: Rows, columns: Columns, *, bare: bool = False) -> tuple[Rows, tuple[str, str, str], list[str]]:
    """Patients read from file names: a pattern that is given, else the written rule where all names follow it.

    With `bare`, what training named may be a column that is not here; a pattern has a bracket.
    Raises Wrong (exit 2): a given pattern that is none, or that some names do not follow.
    """
    flag, given = "--patient", columns.patient
    given = None if bare and given != "none" and "(" not in (given or "") else given
    if given == "none":
        return rows, ("patients", "not used", flag), []
    try:
        pattern = re.compile(given or PATIENT)
    except re.error as error:
        hint = "give for example '(P[0-9]+)', or none"
        raise Wrong(f"--patient {given} is no pattern: {error}", remedy=hint) from None
    names = [Path(r["id"]).name for r in rows]
    found = [pattern.search(r["id"]) if given else pattern.match(n) for r, n in zip(rows, names, strict=True)]
    others = [n for n, m in zip(names, found, strict=True) if not m]
    if given and others:
        what = f"--patient {given}: {len(others)} names do not follow it"
        raise Wrong(what, where=listed(others, 5), remedy="or give none")
    if others:
        some = f"{len(names) - len(others):,} of {len(names):,} file names"
        odd = [f"{some} seem to begin with a patient; not used (--patient)"] if 2 * len(others) < len(names) else []
        return rows, ("patients", "unknown", flag), odd
    who = [str(m[m.re.groups and 1]) for m in found if m]
    filled: Rows = [r | {"patient": p} for r, p in zip(rows, who, strict=True)]
    return filled, ("patients", f"{len(set(who)):,}, from names like {shown(names[0], 40)}", flag), []


def name_twins(rows: Rows) -> list[str]:
    """Names that a person cannot tell apart: equal but for the encoding of accents."""
    same = Counter(unicodedata.normalize("NFC", i) for i in {r["id"] for r in rows})
    twins = sorted(i for i, n in same.items() if n > 1)
    return [f"{len(twins)} names occur in two encodings of one text: {listed(twins, 3)}"] if twins else []
