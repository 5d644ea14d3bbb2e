"""From what a person wrote in a column to classes and numbers; nothing is guessed where two readings are possible."""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence

from empirisk.data.rows import Columns
from empirisk.errors import Wrong, listed, near, shown

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "<na>", "null", "?"})
"The marks of a missing value, in any case; nothing else is one."
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def missing(text: str) -> bool:
    """Is it one of the closed list of marks?"""
    return text.strip().casefold() in MISSING


def number(text: str) -> float | None:
    """The number that a text is, possibly infinite; None for any other text.

    >>> number(" 1.50"), number("nan"), number("P7"), number("1e309")
    (1.5, None, None, inf)
    """
    return float(text) if _NUMBER.fullmatch(text := text.strip()) else None


def read(
    texts: Sequence[str], at: Sequence[object], columns: Columns, where: str, *, words: bool = False
) -> tuple[list[str | None], list[float | None] | None, list[str]]:
    """A column of answers: names of classes and, where all of it is numbers, the numbers, None where missing; what is odd.

    `at` are row numbers or file names for messages, `where` is the source; `words`: names of folders, never numbers. Raises
    Wrong (exit 2), with the rows: numbers mixed with words, one whole number written in two ways, a number that is not
    finite, a label that is not among --classes, a --rename that renames nothing.
    """
    rename, given = columns.renamed(), columns.class_names()
    raw = [None if (not t if words else missing(t)) else t.strip() for t in texts]
    check_renames(rename, {t for t in raw if t is not None}, where)
    labels = [None if t is None else rename.get(t, t) for t in raw]
    places: dict[str, list[object]] = defaultdict(list)
    for label, i in zip(labels, at, strict=True):
        if label is not None:
            places[label].append(i)
    values = {label: None if words else number(label) for label in places}

    def refused(some: Sequence[str], what: str, remedy: str) -> Wrong:
        return Wrong(what, where=f"{where} {named([i for label in some for i in places[label]])}", remedy=remedy)

    if endless := [label for label, v in values.items() if v is not None and math.isinf(v)]:
        raise refused(endless, "a number too large to be one", "correct the file")
    if unknown := [label for label in places if given and label not in given]:
        hint, n = near(unknown[0], given), len(places[unknown[0]])
        like = hint.split('"')[1] if hint else given[0]
        what = f'label "{shown(unknown[0], 60)}" ({n} row{"s" * (n > 1)}) is not among {listed(given)}'
        remedy = f"{hint} Correct the file or add --rename {unknown[0]}={like}"
        raise refused(unknown[:1], what, remedy.strip())
    spelled: dict[float | None, list[str]] = defaultdict(list)
    for label, v in values.items():
        spelled[v].append(label)
    others = spelled.pop(None, [])
    if others and spelled and not given:
        few = min(others, [label for label in values if label not in others], key=len)
        what = f"labels are numbers in some rows and words in others: {listed(few, 4)}"
        raise refused(few, what, "correct the file, use --rename old=new, or name them all with --classes")
    if not given and all(v is not None and v.is_integer() for v in spelled):  # else numbers, not classes
        for same in (s for s in spelled.values() if len(s) > 1):
            *few, most = sorted(same, key=lambda label: len(places[label]))
            what = f"one class written in {len(same)} ways: {listed(same)}"
            raise refused(few, what, f"write one, or add --rename {few[0]}={most}")
    numeric = bool(spelled) and not others
    odd = [] if given or numeric else _alike({label: len(rows) for label, rows in places.items()})
    return labels, [None if x is None else values[x] for x in labels] if numeric else None, odd


def numbers(texts: Sequence[str], at: Sequence[object], where: str) -> list[float | None]:
    """A column of numbers, None where missing; raises Wrong (exit 2) with the rows of anything else."""
    values = [None if missing(t) else number(t) for t in texts]
    fine = [v is not None and math.isfinite(v) for v in values]
    bad = [k for k, t in enumerate(texts) if not fine[k] and not missing(t)]
    if bad:
        what, rows = f'"{shown(texts[bad[0]], 40)}" is no finite number', named([at[k] for k in bad])
        raise Wrong(what, where=f"{where} {rows}", remedy="correct the file; decimals are written with a point")
    return values


def named(rows: Sequence[object]) -> str:
    """Row numbers, or names of files, for a message.

    >>> named([88, 90]), named(["a.png"])
    ('rows 88, 90', 'a.png')
    """
    word = f"row{'s' if len(rows) > 1 else ''} " if isinstance(rows[0], int) else ""
    return f"{word}{listed(rows, 12)}"


def natural(label: str) -> tuple[float, str, str]:
    """Order of classes where nobody gave one: numbers by value, then words without regard to case.

    >>> sorted(["10", "9", "b", "A"], key=natural)
    ['9', '10', 'A', 'b']
    """
    value = number(label)
    return (math.inf if value is None else value, label.casefold(), label)


def check_renames(rename: dict[str, str], found: Collection[str], where: str) -> None:
    """Refuse a renaming of what does not occur; raises Wrong (exit 2) with a near name."""
    for old, new in rename.items():
        if old not in found:
            raise Wrong(f'--rename {old}={new}: no label is "{old}"', where=where, remedy=near(old, found))


def _alike(counts: dict[str, int]) -> list[str]:
    """Classes that differ by case, spaces or accents' encoding only, and rare ones that look like a slip of a common one."""
    same: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        same["".join(unicodedata.normalize("NFKC", label).casefold().split())].append(label)
    odd = [f"classes {listed(some)} differ little: --rename joins them" for some in same.values() if len(some) > 1]
    for label, n in counts.items() if len(counts) <= 50 else ():
        if n <= 5 and (hint := near(label, [c for c, m in counts.items() if m >= 20 * n])):
            odd.append(f'label "{shown(label)}" has {n} rows. {hint} --rename joins them')
    return odd
