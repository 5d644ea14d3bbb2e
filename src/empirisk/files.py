"""The one atomic writer, and the guarded opener of bytes that somebody else wrote."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import math
import numbers
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from empirisk.errors import RUN, USE, Wrong, shown

JSON_LIMIT, JSON_DEPTH, CSV_LIMIT = 64 << 20, 64, 4 << 30
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNDECODED = re.compile(r"\\udc([89a-f][0-9a-f])")


def write(path: Path, content: bytes | str | Iterable[bytes | memoryview]) -> str:
    """Make the file hold `content`, whole and on the disk, or leave it as it was; returns its SHA-256 in hexadecimal.

    A new file beside it is written, flushed, renamed over it, and the folder flushed; only then is it told. What the system
    refuses is `Wrong` (exit 3) with the needed and the free space; the temporary file is gone.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    chunks = [content] if isinstance(content, bytes) else list(content)
    with writing(path, needed=sum(len(chunk) for chunk in chunks)):
        try:
            return _replaced(path, chunks)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return _replaced(path, chunks)  # a failed fsync may have dropped the pages: write anew, never fsync again


def _replaced(path: Path, chunks: Iterable[bytes | memoryview]) -> str:
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.tmp")
    digest = hashlib.sha256()
    file = os.open(temporary, _NEW | getattr(os, "O_BINARY", 0), 0o600)
    try:
        try:
            for chunk in chunks:
                digest.update(chunk)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    flush_folder(path.parent)
    return digest.hexdigest()


def flush_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        file = os.open(folder, _READ | os.O_DIRECTORY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


@contextlib.contextmanager
def writing(path: Path, *, needed: int = 0) -> Iterator[None]:
    """Turn what the system says against a write of `needed` bytes into one message (exit 3)."""
    try:
        yield
    except OSError as error:
        where = error.strerror or str(error)
        if not path.parent.exists():
            where = f"its folder {shown(path.parent)} is gone"
        elif error.errno == errno.ENOSPC and hasattr(os, "statvfs") and os.statvfs(path.parent).f_favail == 0:
            where = "the file system has no free inodes: it can hold no more files"
        elif error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            where += f": needs {amount(needed)}, {amount(shutil.disk_usage(path.parent).free)} free"
        raise Wrong(
            f"cannot write {shown(path)}", where=where, kept="what was there before is whole",
            remedy="make room or mend the folder, then type the same command again", code=RUN, reason="disk",
        ) from error  # fmt: skip


def make_folder(folder: Path, *, parents: bool = False) -> None:
    """Make a folder that only its owner may read, where it is not there yet; the message of `writing` (exit 3)."""
    with writing(folder):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
            flush_folder(folder.parent)


def free_name(path: Path) -> Path:
    """`path`, or the next of path-2, path-3, ... that does not exist."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def amount(size: int) -> str:
    """A number of bytes to read.

    >>> amount(412_000_000), amount(3_100), amount(7)
    ('412 MB', '3.1 kB', '7 bytes')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.{0 if size >= 100 * unit else 1}f} {name}"
    return f"{size} bytes"


def sweep(folder: Path) -> None:
    """Remove what a killed writer left in this folder (`.*.tmp`)."""
    for leftover in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def write_json(path: Path, value: object) -> str:
    """Write a JSON document as `write` does; NaN and infinity are refused (ValueError)."""
    return write(path, json.dumps(value, allow_nan=False, indent=1) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Write a table as `write` does; a text that a spreadsheet would compute gets a leading ', numbers are untouched.

    Numbers keep nine digits; None, NaN and infinity are empty cells; undecodable bytes of a file name become `\\udcff`.
    `read_csv` is the inverse.
    """
    lines = [columns, *([row.get(name) for name in columns] for row in rows)]
    return write(path, "".join(",".join(map(csv_cell, line)) + "\n" for line in lines))


def csv_cell(value: object) -> str:
    """One cell as text, quoted where it must be; the one guard against what a spreadsheet would compute."""
    if value is None:
        return ""
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return f"{float(value):.9g}" if math.isfinite(value) else ""
    text = f"'{value}" if _computes(str(value)) else str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _computes(text: str) -> bool:
    core = text.lstrip("'")  # a text that begins with ' itself stays apart from a guarded one
    return core[:1] in {"=", "+", "-", "@", "\t", "\r"} and not _NUMBER.fullmatch(core)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table that `write_csv` wrote, as text; a row that has not the cells of the header is refused (exit 3)."""

    def text(cell: str) -> str:
        bare = cell[1:] if cell.startswith("'") and _computes(cell) else cell
        return _UNDECODED.sub(lambda m: chr(0xDC00 + int(m[1], 16)), bare)

    raw = read_bytes(path, limit=CSV_LIMIT, code=RUN)
    with guarded(str(path), code=RUN):
        lines = [[text(cell) for cell in line] for line in csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))]
    header = lines[0] if lines else []
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            where = f"line {number}: {len(line)} cells, not {len(header)}"
            raise Wrong(f"{shown(path)} is not whole", where=where, code=RUN)
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def read_bytes(path: Path, *, limit: int, code: int = USE) -> bytes:
    """The content of a file of at most `limit` bytes; `Wrong` (exit `code`) where it is larger, or what `_opened` refuses."""
    with _opened(path, code) as file, guarded(str(path), code=code):
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(limit, size) + 1)
        if max(len(content), size) > limit:
            raise Wrong(f"{shown(path)} has {amount(size)}, more than the {amount(limit)} it may have", code=code)
    return content


def sha256(path: Path) -> str:
    """SHA-256 of a regular file's content, in hexadecimal; refuses (exit 2) what `_opened` refuses."""
    with _opened(path, USE) as file, guarded(str(path)):
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path, code: int) -> io.BufferedReader:
    """A regular file to read; not one that is missing or unreadable, a dangling link, a folder, FIFO or device."""
    try:
        file = os.open(path, _READ | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileNotFoundError):
            why = "a link to a file that is not there" if os.path.islink(path) else "there is no such file"
        raise Wrong(f"cannot open {shown(path)}", where=why, code=code) from error
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        return open(file, "rb")
    os.close(file)
    what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
    raise Wrong(f"{shown(path)} is {what}, not a file", code=code)


@contextlib.contextmanager
def guarded(case: str, *, remedy: str = "", code: int = USE) -> Iterator[None]:
    """Turn every exception of a library, whatever its class, into one `Wrong` that names the case; `Wrong` passes."""
    try:
        yield
    except Wrong:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {shown(error)}" if str(error) else type(error).__name__
        raise Wrong(f"{shown(case)} cannot be read", where=why, remedy=remedy, code=code, reason="damaged") from error


def read_json(path: Path, *, code: int = USE) -> Any:
    """A JSON document of at most 64 MB and 64 levels, each key once; anything else is refused (exit `code`)."""

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON number")

    def depth(part: Any) -> int:
        parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else None
        return 0 if parts is None else 1 + max(map(depth, parts), default=0)

    raw = read_bytes(path, limit=JSON_LIMIT, code=code)
    with guarded(str(path), code=code):
        value = json.loads(raw, object_pairs_hook=once, parse_constant=constant)
        if depth(value) > JSON_DEPTH:
            raise ValueError(f"nested deeper than {JSON_DEPTH} levels")
    return value


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which each key stands once (ValueError)."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found
