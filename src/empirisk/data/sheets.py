"""Tables as people keep them: .csv and .tsv files, data frames, columns in memory. Every cell is text until it is asked for."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from empirisk.data import labels
from empirisk.data.columns import Sheet, samples
from empirisk.data.rows import Columns, Table
from empirisk.errors import Wrong, listed
from empirisk.files import guarded, read_bytes

MAX_BYTES, MAX_FIELD = 1 << 30, 1_000_000
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "TAB"}


def table(path: Path, columns: Columns, *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table of a .csv or .tsv file; see `columns.samples`."""
    text, notes = decoded(path)
    with guarded(str(path), remedy="save it anew as comma-separated UTF-8"):
        mark = separator(text, path)
        lines = parsed(text, mark, path)
    if not lines:
        raise Wrong(
            "the table is empty",
            where=str(path),
            remedy="its first row names the columns, each further row is a sample",
        )
    header = [h.strip() for h in lines[0][1]]
    twice = [h for h, n in Counter(header).items() if n > 1]
    if twice:
        raise Wrong(
            f"the table has columns that occur twice: {listed([h or '(no name)' for h in twice])}",
            where=str(path),
            remedy="rename one",
        )
    ragged = [i for i, cells in lines[1:] if len(cells) != len(header)]
    if ragged:
        raise Wrong(
            f"the table has {len(header)} columns, but other numbers of cells", where=f"{path} {labels.named(ragged)}"
        )
    named = {h: [cells[k] for _, cells in lines[1:]] for k, h in enumerate(header) if h}
    sheet = Sheet(
        path.stem, str(path), named, [i for i, _ in lines[1:]], path.parent, f"CSV table ({SEPARATORS[mark]})", notes
    )
    return samples(sheet, columns, skip_bad=skip_bad, bare=bare)


def frame(source: Any, columns: Columns, *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table of a pandas or polars data frame, or of a mapping of columns; paths are relative to the working directory."""
    names = list(source) if isinstance(source, Mapping) else list(source.columns)
    named = {str(n).strip(): [as_text(v) for v in source[n]] for n in names}
    sizes = {len(v) for v in named.values()}
    if len(named) < len(names) or len(sizes) > 1:
        raise Wrong(
            "the table has columns of unequal length" if len(sizes) > 1 else "the table has columns that occur twice",
            where=listed(names),
        )
    sheet = Sheet("table", "the table", named, range(sizes.pop() if sizes else 0), Path(), "data frame")
    return samples(sheet, columns, skip_bad=skip_bad, bare=bare)


def as_text(value: Any) -> str:
    """One value of a data frame: nothing, NaN and NA are empty; 7.0 stays "7.0"."""
    return "" if value is None or str(value) in {"nan", "NaT", "<NA>"} else str(value)


def decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file by its byte-order mark, else UTF-8, else Latin-1, which is then said.

    Raises
    ------
    Wrong
        exit 2: NUL characters, more than 1 GiB, what `files.read_bytes` refuses.
    """
    raw = read_bytes(path, limit=MAX_BYTES)
    notes: tuple[str, ...] = ()
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((e for mark, e in marks.items() if raw.startswith(mark)), "utf-8")
    if encoding == "utf-16":
        notes = ("read as UTF-16, by its byte-order mark",)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise Wrong(
                f"the table is no {encoding} text at byte {error.start}", where=str(path), remedy="save it as UTF-8"
            ) from None
        text, notes = raw.decode("latin-1"), (f"not UTF-8 (byte {error.start}); read as Latin-1",)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Wrong("the table holds NUL characters", where=f"{path} line {line}", remedy="save it anew as UTF-8 text")
    return text, notes


def separator(text: str, path: Path) -> str:
    """Comma, semicolon or TAB: the most frequent in the first line, outside of quotes."""
    first = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])
    order = "\t,;" if path.suffix.casefold() == ".tsv" else ",;\t"
    return max(order, key=first.count)


def parsed(text: str, delimiter: str, path: Path) -> list[tuple[int, list[str]]]:
    """Numbered rows, the header being row 1; empty rows are left out.

    Raises
    ------
    Wrong
        exit 2: a field of more than a million characters, quotes that do not match.
    """
    before = csv.field_size_limit(MAX_FIELD)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            lines.append((len(lines) + 1, cells))
    except csv.Error as error:
        where, remedy = f"{path} row {len(lines) + 1}", "look for a quotation mark without its partner"
        raise Wrong(f"this is no table: {error}", where=where, remedy=remedy) from None
    finally:
        csv.field_size_limit(before)
    return [(i, cells) for i, cells in lines if any(c.strip() for c in cells)]
