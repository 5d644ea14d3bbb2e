"""Columns as a person wrote them, to classes and numbers; nothing is guessed where two readings are possible."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from empirisk.data.rows import Columns, refused
from empirisk.errors import listed, near, shown

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "<na>", "null", "?"})
"The marks of a missing value, in any case; nothing else is one."
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Sheet:
    """Columns of text with unique names, and where they came from."""

    name: str
    where: str
    columns: dict[str, list[str]]
    at: Sequence[object]  # for messages: numbers of the rows as a person counts them, or names of files
    folder: Path  # what paths of pictures are relative to
    form: str
    notes: tuple[str, ...] = ()
    words: bool = False  # labels are names of folders: none is a number, and all are classes

    def check(self, bad: Sequence[bool], what: str, remedy: str = "correct it", texts: Sequence[str] = ()) -> None:
        """Refuse the table (Wrong, exit 2) with the numbers of its bad rows, if there are any, and the first of `texts`."""
        if some := [k for k, wrong in enumerate(bad) if wrong]:
            what = f'"{shown(texts[some[0]], 40)}" {what}' if texts else what
            raise refused(f"{self.where} {named([self.at[k] for k in some])}", what, remedy)


def missing(text: str) -> bool:
    """Is it one of the closed list of marks?"""
    return text.strip().casefold() in MISSING


def number(text: str) -> float | None:
    """The number that a text is, possibly infinite; None for any other text.

    >>> number(" 1.50"), number("nan"), number("P7"), number("1e309")
    (1.5, None, None, inf)
    """
    return float(text) if _NUMBER.fullmatch(text := text.strip()) else None


def numeric(texts: Iterable[str]) -> bool:
    """Whether all of these cells are numbers, or missing."""
    return all(missing(t) or number(t) is not None for t in texts)


def read(sheet: Sheet, name: str, columns: Columns) -> tuple[list[str | None], list[float | None] | None, list[str]]:
    """A column of answers: names of classes and, where all of it is numbers, the numbers, None where missing; what is odd.

    Raises Wrong (exit 2), with the rows: numbers mixed with words, one whole number written in two ways, a number that is not
    finite, a label that is not among --classes, a --rename that renames nothing.
    """
    raw = [None if (not t if sheet.words else missing(t)) else t.strip() for t in sheet.columns[name]]
    rename, given = columns.renamed({t for t in raw if t is not None}, sheet.where), columns.class_names()
    labels = [None if t is None else rename.get(t, t) for t in raw]
    counts = Counter(t for t in labels if t is not None)
    values = {label: None if sheet.words else number(label) for label in counts}

    def refuse(some: Collection[str], what: str, remedy: str) -> None:
        sheet.check([t in some for t in labels], what, remedy)

    endless = {label for label, v in values.items() if v is not None and math.isinf(v)}
    refuse(endless, "a number too large to be one", "correct the file")
    if unknown := next((label for label in counts if given and label not in given), None):
        hint, n = near(unknown, given), counts[unknown]
        like = hint.split('"')[1] if hint else given[0]
        what = f'label "{shown(unknown, 60)}" ({n} row{"s" * (n > 1)}) is not among {listed(given)}'
        refuse({unknown}, what, f"{hint} Correct the file or add --rename {unknown}={like}".strip())
    spelled: dict[float | None, list[str]] = defaultdict(list)
    for label, v in values.items():
        spelled[v].append(label)
    others = spelled.pop(None, [])
    if others and spelled and not given:
        few = min(others, [label for label in values if label not in others], key=len)
        what = f"labels are numbers in some rows and words in others: {listed(few, 4)}"
        refuse(few, what, "correct the file, use --rename old=new, or name them all with --classes")
    if not given and all(v is not None and v.is_integer() for v in spelled):  # else numbers, not classes
        for same in (s for s in spelled.values() if len(s) > 1):
            *few, most = sorted(same, key=lambda label: counts[label])
            what = f"one class written in {len(same)} ways: {listed(same)}"
            refuse(few, what, f"write one, or add --rename {few[0]}={most}")
    numeric = bool(spelled) and not others
    odd = [] if given or numeric else _alike(counts)
    return labels, [None if x is None else values[x] for x in labels] if numeric else None, odd


def numbers(sheet: Sheet, name: str) -> list[float | None]:
    """A column of numbers, None where missing; refuses (Wrong, exit 2) anything else, with the rows."""
    texts = sheet.columns[name]
    values = [None if missing(t) else number(t) for t in texts]
    bad = [not missing(t) and (v is None or math.isinf(v)) for t, v in zip(texts, values, strict=True)]
    remedy = f'correct column "{shown(name)}"; decimals are written with a point'
    sheet.check(bad, "is no finite number", remedy, texts)
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


def _alike(counts: Mapping[str, int]) -> list[str]:
    """Classes that differ by case, spaces or accents' encoding only, and rare ones that look like a slip of a common one."""
    same: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        same["".join(unicodedata.normalize("NFKC", label).casefold().split())].append(label)
    odd = [f"classes {listed(some)} differ little: --rename joins them" for some in same.values() if len(some) > 1]
    for label, n in counts.items() if len(counts) <= 50 else ():
        if n <= 5 and (hint := near(label, [c for c, m in counts.items() if m >= 20 * n])):
            odd.append(f'label "{shown(label)}" has {n} rows. {hint} --rename joins them')
    return odd
