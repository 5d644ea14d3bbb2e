"""Videos as a table: a line of the sheet is a frame (video, second, phase, numbers seen in it), a row of the set a video."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from empirisk.data import labels, pictures
from empirisk.data.columns import column, of_column
from empirisk.data.labels import Sheet
from empirisk.data.pictures import PARTS
from empirisk.data.readers import Vector
from empirisk.data.rows import Columns, Line, Row, Rows, Table, refused
from empirisk.data.video import ENDINGS, Film, length, step_of
from empirisk.errors import listed, near, shown

USUAL = {
    "video": "video operation film clip",
    "second": "second seconds time time_stamp timestamp",
    "phase": "phase",
}
"The usual names of the columns; case, spaces and hyphens do not count."
_OURS = {"id", "x", "label", "target", "mask", "boxes", "text", "caption", "patient", "part", "phases"}
SAMPLE = 250  # Frames of a video that are looked at for mean and deviation.
GAP = 1.5  # Of the usual step between two frames: from here on one is missing.


@dataclass(frozen=True, eq=False, slots=True)
class Readings:
    """Numbers seen in each frame of a video, such as the tools that are there; the x of one row."""

    values: np.ndarray
    "(T, F), float32"
    seconds: np.ndarray
    "(T,) time stamps, rising"
    names: tuple[str, ...]
    "of the F columns"

    def read(self) -> np.ndarray:
        """(T, F)."""
        return self.values

    def part(self, low: int, high: int) -> Iterator[np.ndarray]:
        """Frames low to high, each (F,)."""
        return iter(self.values[low:high])

    def content(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over numbers and time stamps."""
        digest = hashlib.sha256(np.ascontiguousarray(self.seconds, np.float64).tobytes())
        digest.update(np.ascontiguousarray(self.values).data)
        return digest.hexdigest()[:16]

    def sample(self) -> list[Vector]:
        """An even sample of its frames."""
        some = self.values[:: -(-len(self.values) // SAMPLE)]
        return [Vector(v, self.names) for v in some]

    def geometry(self) -> None:
        """Numbers lie nowhere."""


def named(sheet: Sheet) -> dict[str, str]:
    """Role -> column, of those that are there by their usual names."""
    plain = {re.sub(r"[\s_-]+", "_", n.strip().casefold()): n for n in sheet.columns}
    found = {role: next((plain[n] for n in names.split() if n in plain), None) for role, names in USUAL.items()}
    return {role: name for role, name in found.items() if name}


def are_frames(sheet: Sheet) -> bool:
    """Whether the lines of a sheet are frames: it has a column of videos and one of seconds."""
    return {"video", "second"} <= named(sheet).keys()


def videos(sheet: Sheet, columns: Columns) -> Table:
    """The table of a sheet whose lines are frames, in any order; x of a video are its numbers, or the pictures of the file it names.

    Raises Wrong (exit 2), with the lines: no video or second in one, a time stamp repeated or missing, frames with a phase and
    frames without in one video, phases not among --classes, no such file, neither files nor numbers, two patients or parts.
    """
    role = named(sheet)
    who = sheet.columns[role["video"]]
    sheet.check([labels.missing(v) for v in who], f'no video in column "{shown(role["video"])}"', "fill it in")
    seconds = _numbers(sheet, role["second"])
    groups: dict[str, list[int]] = {}
    for k, name in enumerate(who):
        groups.setdefault(name, []).append(k)
    lines = {name: _ordered(sheet, name, np.array(some), seconds) for name, some in groups.items()}
    shared = {r: column(sheet, r, getattr(columns, r), bare=columns.bare) for r in ("patient", "split")}
    used = {*role.values(), *(c for c in shared.values() if c)}
    rows: Rows = [{"id": name, "patient": None, "part": "new"} for name in sorted(lines, key=labels.natural)]
    _whole(sheet, rows, lines, shared, used)
    told = _phases(sheet, rows, lines, role.get("phase"), columns)
    seen, odd = _x(sheet, rows, lines, seconds, used, columns)
    if (unknown := [r["id"] for r in rows if "phases" not in r]) and not columns.bare:
        odd.append(f"{len(unknown)} videos have no phases: {listed(unknown, 3)}")
    return pictures.table(
        pictures.Seen(rows, [], seen), columns, name=sheet.name, form=f"{sheet.form} of videos", odd=[*sheet.notes, *odd],
        lines=[told], patients=of_column(rows, shared["patient"]),
    )  # fmt: skip


def _ordered(sheet: Sheet, name: str, lines: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The lines of one video in the order of time; refuses (Wrong, exit 2) time stamps that are repeated or missing."""
    lines = lines[np.argsort(seconds[lines], kind="stable")]
    steps, where = np.diff(seconds[lines]), f"{sheet.where}, video {shown(name)}"
    if len(again := np.flatnonzero(steps <= 0)):
        at = [sheet.at[int(lines[k + 1])] for k in again]
        what = f"second {seconds[lines[again[0]]]:g} is there more than once"
        raise refused(f"{where}, {labels.named(at)}", what, "a frame has one line: take the others out")
    if len(steps) and len(gaps := np.flatnonzero(steps > GAP * np.median(steps))):
        a, b = seconds[lines[gaps[0]]], seconds[lines[gaps[0] + 1]]
        more = f", and {len(gaps) - 1} more gaps" if len(gaps) > 1 else ""
        raise refused(
            where,
            f"no frame between second {a:g} and {b:g}{more}",
            "add the missing frames, or name what is after a gap as a video of its own",
        )
    return lines


def _whole(
    sheet: Sheet, rows: Rows, lines: dict[str, np.ndarray], shared: dict[str, str | None], used: set[str]
) -> None:
    """What holds for a whole video goes into its row: patient, part, and columns of words that do not change in any video."""
    words = [n for n in sheet.columns if n not in used and not labels.numeric(set(sheet.columns[n]))]
    for name in [c for c in shared.values() if c] + words:
        cells = sheet.columns[name]
        values = {row["id"]: {cells[k] for k in lines[row["id"]]} for row in rows}
        role = next((r for r, c in shared.items() if c == name), "")
        if two := [i for i, some in values.items() if len(some) > 1]:
            if not role:
                continue
            what = f'column "{shown(name)}" says {listed(sorted(values[two[0]]), 3)} of one video'
            raise refused(f"{sheet.where}, video {shown(two[0])}", what, f"correct the table, or add --{role} none")
        for row in rows:
            cell = next(iter(values[row["id"]]))
            if role == "patient":
                row["patient"] = None if labels.missing(cell) else cell
            elif role == "split":
                row["part"] = PARTS.get(cell.strip().casefold(), "")
                if not row["part"]:
                    what = f'"{shown(cell, 40)}" in column "{shown(name)}" is not train, val or test'
                    raise refused(f"{sheet.where}, video {shown(row['id'])}", what, "correct it, or add --split none")
            elif name not in _OURS:
                row[name] = cell


def _numbers(sheet: Sheet, name: str) -> np.ndarray:
    """A column of numbers (N,), each distinct cell read once; refuses (Wrong, exit 2) any other cell."""
    values = {t: labels.number(t) for t in set(sheet.columns[name])}
    bad = {t for t, v in values.items() if v is None or not np.isfinite(v)}
    what = f'in column "{shown(name)}" is no finite number'
    sheet.check([t in bad for t in sheet.columns[name]], what, "fill it in; decimals have a point", sheet.columns[name])
    return np.array([values[t] for t in sheet.columns[name]], np.float64)


def _phases(sheet: Sheet, rows: Rows, lines: dict[str, np.ndarray], name: str | None, columns: Columns) -> Line:
    """The phases of each video go into its row, under the names that --rename gives; what is said of them."""
    cells = sheet.columns[name] if name else [""] * len(sheet.at)
    rename, given = columns.renamed(set(cells), sheet.where), columns.class_names()
    cells = [rename.get(c, c) for c in cells]
    found = Counter(c for c in cells if not labels.missing(c))
    if unknown := next((c for c in found if given and c not in given), None):
        what, hint = f'phase "{shown(unknown, 60)}" is not among {listed(given)}', near(unknown, given)
        like = hint.split('"')[1] if hint else given[0]
        sheet.check([c == unknown for c in cells], what, f"{hint} Correct it or add --rename {unknown}={like}".strip())
    for row in rows:
        own = [cells[k] for k in lines[row["id"]]]
        lacking = [sheet.at[int(k)] for k, c in zip(lines[row["id"]], own, strict=True) if labels.missing(c)]
        if 0 < len(lacking) < len(own):
            what = f"video {shown(row['id'])} has {len(own) - len(lacking)} frames with a phase, {len(lacking)} without"
            raise refused(f"{sheet.where} {labels.named(lacking)}", what, "fill in the phase of each frame, or of none")
        if not lacking:
            row["phases"] = tuple(own)
    said = listed([f"{n} {c:,}" for n, c in found.most_common()], 8)
    return ("phases", f"{len(found)}: {said}" if found else "none", "--classes, --rename")


def _x(
    sheet: Sheet, rows: Rows, lines: dict[str, np.ndarray], seconds: np.ndarray, used: set[str], columns: Columns
) -> tuple[Line, list[str]]:
    """The x of each row; what is said of them, and what is odd."""
    stamps = {row["id"]: seconds[lines[row["id"]]] for row in rows}
    step = float(np.median([step_of(s) for s in stamps.values()]))
    about = f"{len(rows):,} videos, {len(sheet.at):,} frames, one each {step:g} s"
    free = [n for n in sheet.columns if n not in used]
    numeric = [
        n for n in free if labels.numeric(texts := set(sheet.columns[n])) and not all(map(labels.missing, texts))
    ]
    files = {row["id"]: os.path.normpath(sheet.folder / row["id"]) for row in rows}
    if any(Path(p).suffix.casefold() in ENDINGS for p in files.values()):
        absent = [i for i, p in files.items() if not os.path.isfile(p)]
        if absent:
            where = f"{sheet.where}, video {listed(absent, 5)}"
            raise refused(where, "there is no such file", "give paths relative to the table")
        for row in rows:
            row["x"] = Film(files[row["id"]], stamps[row["id"]], str(row["id"]))
        odd = [f"numbers beside pictures are not used: {listed(numeric)}"] if numeric else []
        return ("frames", f"{about}, pictures", ""), odd
    names = tuple(columns.inputs) or tuple(numeric)
    if lacking := [n for n in names if n not in sheet.columns]:
        raise refused(sheet.where, f"no column {listed(lacking)}", near(lacking[0], free))
    if not names:
        what = "the videos are no files, and there is no column of numbers"
        hint = "name files such as op1.mp4 in the column of the videos, or add what is seen in each frame"
        raise refused(sheet.where, what, hint)
    values = np.stack([_numbers(sheet, n) for n in names], 1).astype(np.float32)  # (N, F)
    for row in rows:
        row["x"] = Readings(values[lines[row["id"]]], stamps[row["id"]], names)
    words = [n for n in free if n not in numeric and n not in rows[0]]
    odd = [f"columns of words that change within a video are not used: {listed(words)}"] if words else []
    return ("frames", f"{about}, {len(names)} numbers: {listed(names, 4)}", ""), odd


def film(path: Path) -> Table:
    """A video without a table: the pictures at each whole second, to be answered."""
    seconds = np.arange(int(length(str(path), str(path))) + 1, dtype=np.float64)
    row: Row = {"id": str(path), "x": Film(str(path), seconds, str(path)), "patient": None, "part": "new"}
    seen: Any = ("frames", f"{len(seconds):,}, one each second", "")
    return Table(name=path.stem, rows=[row], form="a video", understood=[seen])
