"""Tables as people keep them: .csv, .tsv and .json files, data frames, columns in memory. Every cell is text until it is asked for."""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empirisk.data import labels
from empirisk.data.labels import Sheet
from empirisk.data.rows import refused
from empirisk.errors import Wrong, listed
from empirisk.files import guarded, read_bytes, read_json

MAX_BYTES, MAX_FIELD = 1 << 30, 1_000_000
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "TAB"}


def sheet(path: Path) -> Sheet:
    """The columns of a .csv or .tsv file, their cells without outer spaces.

    Raises Wrong (exit 2): no table, columns of one name, rows of unequal length.
    """
    where = str(path)
    text, notes = decoded(path)
    first = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])  # the header outside of quotes
    mark = max("\t,;" if path.suffix.casefold() == ".tsv" else ",;\t", key=first.count)
    lines = parsed(text, mark, where)
    if not lines:
        raise refused(where, "the table is empty", "its first row names the columns, each further row is a sample")
    header = _checked([h.strip() for h in lines[0][1]], where)
    if ragged := [i for i, cells in lines[1:] if len(cells) != len(header)]:
        what = f"the table has {len(header)} columns, but other numbers of cells"
        raise refused(f"{where} {labels.named(ragged)}", what, "correct the file")
    named = {h: [cells[k].strip() for _, cells in lines[1:]] for k, h in enumerate(header) if h}
    form = f"CSV table ({SEPARATORS[mark]})"
    return Sheet(path.stem, where, named, [i for i, _ in lines[1:]], path.parent, form, notes)


def objects(path: Path) -> Sheet:
    """The columns of a .json file that is a list of objects, one a row; a key that an object lacks is an empty cell.

    Raises Wrong (exit 2): anything else in the list, two keys that differ by spaces only.
    """
    where, rows = str(path), read_json(path)
    if bad := [i for i, row in enumerate(rows, 1) if not isinstance(row, dict)]:
        raise refused(f"{where} {labels.named(bad)}", "the list holds something else than objects", "correct the file")
    names = list(dict.fromkeys(name for row in rows for name in row))
    header = _checked([n.strip() for n in names], where)
    named = {h: [_cell(row.get(n)) for row in rows] for h, n in zip(header, names, strict=True)}
    return Sheet(path.stem, where, named, range(1, len(rows) + 1), path.parent, "JSON table")


def lines(path: Path) -> Sheet:
    """A .txt file as one column, each line a text."""
    text, notes = decoded(path)
    cells = [line.strip() for line in text.rstrip().splitlines()]
    return Sheet(path.stem, str(path), {"text": cells}, range(1, len(cells) + 1), path.parent, "lines of text", notes)


def _cell(value: Any) -> str:
    """A JSON value as a table would hold it: words as they are, nothing for null."""
    return "" if value is None else value.strip() if isinstance(value, str) else json.dumps(value)


def frame(source: Any) -> Sheet:
    """The columns of a pandas or polars data frame, or of a mapping; paths are relative to the working directory."""
    names = list(source) if isinstance(source, Mapping) else list(source.columns)
    header, none = _checked([str(n).strip() for n in names], "the table"), {"nan", "NaT", "<NA>"}

    def cell(value: Any) -> str:
        if isinstance(value, (list, tuple)):  # boxes
            return json.dumps(value, default=float)
        return "" if value is None or str(value) in none else str(value).strip()

    cells = [[cell(v) for v in source[n]] for n in names]
    n = max(map(len, cells), default=0)
    if any(len(c) < n for c in cells):
        raise Wrong("the table has columns of unequal length", where=listed(names))
    return Sheet("table", "the table", dict(zip(header, cells, strict=True)), range(n), Path(), "data frame")


def _checked(header: Sequence[str], where: str) -> Sequence[str]:
    if twice := [h or "(no name)" for h, n in Counter(header).items() if n > 1]:
        raise refused(where, f"the table has columns that occur twice: {listed(twice)}", "rename one")
    return header


def decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file by its byte-order mark, else UTF-8, else Latin-1, which is then said.

    Raises Wrong (exit 2): NUL characters, half a UTF-16 character, more than 1 GiB, what `files.read_bytes` refuses.
    """
    raw = read_bytes(path, limit=MAX_BYTES).removeprefix(codecs.BOM_UTF8)
    notes: tuple[str, ...] = ()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        with guarded(str(path), remedy="save it as UTF-8"):
            text, notes = raw.decode("utf-16"), ("read as UTF-16, by its byte-order mark",)
    else:
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            text, notes = raw.decode("latin-1"), (f"not UTF-8 (byte {error.start}); read as Latin-1",)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise refused(f"{path} line {line}", "the table holds NUL characters", "save it anew as UTF-8 text")
    return text, notes


def parsed(text: str, mark: str, where: str) -> list[tuple[int, list[str]]]:
    """Numbered rows, the header being row 1; empty rows are left out.

    Raises Wrong (exit 2): a field of more than a million characters, quotes that do not match.
    """
    before = csv.field_size_limit(MAX_FIELD)
    lines: list[list[str]] = []
    try:
        lines.extend(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        what, at = f"this is no table: {error}", f"{where} row {len(lines) + 1}"
        raise refused(at, what, "look for a quotation mark without its partner") from None
    finally:
        csv.field_size_limit(before)
    return [(i, cells) for i, cells in enumerate(lines, 1) if any(c.strip() for c in cells)]
