"""From what a person wrote in a column to classes and numbers; nothing is guessed where two readings are possible."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from empirisk.data.rows import Columns
from empirisk.errors import Wrong, listed, near, shown

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "<na>", "null", "?"})
"The marks of a missing value, in any case; nothing else is one."
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Read(NamedTuple):
    """One column of answers: names of classes and, where all of it is numbers, the numbers; None where missing."""

    labels: list[str | None]
    numbers: list[float | None] | None
    odd: list[str]


def missing(text: str) -> bool:
    """Is it one of the closed list of marks?"""
    return text.strip().casefold() in MISSING


def number(text: str) -> float | None:
    """The number that a text is, possibly infinite; None for any other text.

    >>> number(" 1.50"), number("nan"), number("P7"), number("1e309")
    (1.5, None, None, inf)
    """
    return float(text) if _NUMBER.fullmatch(text := text.strip()) else None


def read(texts: Sequence[str], at: Sequence[object], columns: Columns, where: str, *, words: bool = False) -> Read:
    """One answer a row. `at` are row numbers or file names for messages, `where` is the source; `words`: none is a number.

    Raises
    ------
    Wrong
        exit 2, with the rows: numbers mixed with words, one number written in two ways, a number that is not finite,
        a label that is not among --classes, a --rename that renames nothing.
    """
    rename, given = columns.renamed(), columns.class_names()
    raw = [None if not words and missing(t) else t.strip() for t in texts]
    check_renames(rename, [label for label in dict.fromkeys(raw) if label is not None], where)
    labels = [None if label is None else rename.get(label, label) for label in raw]
    rows: dict[str, list[object]] = defaultdict(list)
    for label, i in zip(labels, at, strict=True):
        if label is not None:
            rows[label].append(i)
    values = dict.fromkeys(rows) if words else {label: number(label) for label in rows}
    endless = [i for label, v in values.items() if v is not None and math.isinf(v) for i in rows[label]]
    if endless:
        raise Wrong("a number too large to be one", where=f"{where} {named(endless)}", remedy="correct the file")
    if given:
        _check_known(rows, given, where)
    elif any(v is not None for v in values.values()):
        _check_one_kind(rows, values, where)
    numeric = bool(values) and all(v is not None for v in values.values())
    numbers = [None if label is None else values[label] for label in labels] if numeric else None
    return Read(labels, numbers, [] if given or numeric else _alike(Counter(x for x in labels if x is not None)))


def numbers(texts: Sequence[str], at: Sequence[object], where: str) -> list[float | None]:
    """A column of numbers, None where missing; raises Wrong (exit 2) with the rows of anything else."""
    values = [None if missing(t) else number(t) for t in texts]
    bad = [i for v, t, i in zip(values, texts, at, strict=True) if not missing(t) and (v is None or math.isinf(v))]
    if bad:
        first = texts[list(at).index(bad[0])]
        remedy = "correct the file; decimals are written with a point"
        raise Wrong(f'"{shown(first, 40)}" is no finite number', where=f"{where} {named(bad)}", remedy=remedy)
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


def check_renames(rename: dict[str, str], found: Sequence[str], where: str) -> None:
    """Refuse a renaming of what does not occur; raises Wrong (exit 2) with a near name."""
    for old, new in rename.items():
        if old not in found:
            raise Wrong(f'--rename {old}={new}: no label is "{old}"', where=where, remedy=near(old, found))


def _check_known(rows: dict[str, list[object]], given: tuple[str, ...], where: str) -> None:
    for label, places in rows.items():
        if label not in given:
            hint = near(label, given)
            like = hint.split('"')[1] if hint else given[0]
            raise Wrong(
                f'label "{shown(label, 60)}" ({len(places)} row{"s" * (len(places) > 1)}) is not among {listed(given)}',
                where=f"{where} {named(places)}", remedy=f"{hint} Correct the file or add --rename {label}={like}".strip(),
            )  # fmt: skip


def _check_one_kind(rows: dict[str, list[object]], values: dict[str, float | None], where: str) -> None:
    words = [label for label, v in values.items() if v is None]
    if words:
        few = words if 2 * len(words) <= len(values) else [label for label in values if label not in words]
        raise Wrong(
            f"labels are numbers in some rows and words in others: {listed(few, 4)}",
            where=f"{where} {named([i for label in few for i in rows[label]])}",
            remedy="correct the file, use --rename old=new, or name them all with --classes",
        )
    spelled = defaultdict(list)
    for label, v in values.items():
        spelled[v].append(label)
    if all(v is not None and v.is_integer() for v in spelled):  # else it is a column of numbers, not of classes
        for labels in spelled.values():
            if len(labels) > 1:
                few = sorted(labels, key=lambda label: len(rows[label]))[:-1]
                raise Wrong(
                    f"one class written in {len(labels)} ways: {listed(labels)}",
                    where=f"{where} {named([i for label in few for i in rows[label]])}",
                    remedy=f"write one, or add --rename {few[0]}={next(x for x in labels if x not in few)}",
                )


def _alike(counts: Counter[str]) -> list[str]:
    """Classes that differ by case, spaces or accents' encoding only, and rare ones that look like a slip of a common one."""
    odd = []
    same = defaultdict(list)
    for label in counts:
        same["".join(unicodedata.normalize("NFKC", label).casefold().split())].append(label)
    for labels in same.values():
        if len(labels) > 1:
            odd.append(f"classes {listed([shown(x) for x in labels])} differ little: --rename joins them")
    for label, n in counts.items() if len(counts) <= 50 else ():
        common = [c for c, m in counts.items() if m >= 20 * n]
        if n <= 5 and (hint := near(label, common)):
            odd.append(f'label "{shown(label)}" has {n} rows. {hint} --rename joins them')
    return odd
