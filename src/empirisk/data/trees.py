"""Folders of DICOM objects, whatever their names: series by position, labels joined from a table, patients as keyed hashes.

No name of a file or folder below DATA, no tag and no value of one goes further than this file, but for the modality and the series
number; ids are hashes of the UIDs, patients of their ids, keyed by random bytes in runs/.key, which only its owner may read.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from empirisk.data import dicom, pictures, sheets
from empirisk.data.columns import answers
from empirisk.data.geometry import Slice
from empirisk.data.readers import Series, head
from empirisk.data.rows import Columns, Line, Row, Rows, Table, refused
from empirisk.data.splits import key as spelled
from empirisk.errors import Wrong, listed, near
from empirisk.files import make_folder, read_bytes, write

CHOOSE = "choose some with --series: a number, a modality, or words of the description"
KEY = Path("runs") / ".key"  # Below the working directory; without it the same data get other ids.
TAGS = [*dicom.PLACE, "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "PatientID", "Modality", "SeriesNumber",
        "SeriesDescription", "ProtocolName", "ImagesInAcquisition", "NumberOfSlices"]  # fmt: skip
"What is read of each object; the descriptions to be chosen by, nothing else."


class Object(NamedTuple):
    """What is kept of a header until the table stands."""

    path: str
    tags: dict[str, str]
    place: Slice | None
    frames: int
    size: tuple[int, int]

    @property
    def direction(self) -> tuple[float, ...]:
        """Of its rows and columns; () where nobody says."""
        return tuple(round(v, 2) + 0.0 for v in self.place.orientation) if self.place else ()


Group = Sequence[Object]  # What becomes one row.


class Joined(NamedTuple):
    """Rows with what a table says of them."""

    rows: Rows
    classes: tuple[str, ...] = ()
    odd: Sequence[str] = ()
    line: Line = ("labels", "none", "--labels, --join")


def found(folder: Path) -> list[Path]:
    """The DICOM files anywhere below, by their first bytes; pictures by their endings are not opened."""
    pictured = pictures.ENDINGS - {".dcm"}
    some = [p for p in pictures.files(folder) if p.suffix.casefold() not in pictured]
    return [p for p in some if dicom.is_dicom(head(p, 132))]


def table(folder: Path, paths: Sequence[Path], columns: Columns) -> Table:
    """A row a series whose slices have positions, and a row each other object with pixels.

    Raises Wrong (exit 2): objects that cannot be read; series with gaps, doubles or a tilt; volumes beside pictures
    (choose by --series); --labels without --join, or of which no row matches; two files of one object.
    """
    secret = secret_key()
    objects, broken, others = _objects(folder, paths, columns, secret)
    groups = _groups(objects)
    if len({volume(group) for group in groups}) > 1:
        raise Wrong("the folder holds volumes beside pictures", where=_kinds(groups), remedy=CHOOSE)
    rows = [_row(group, secret) for group in groups]
    count = Counter(r["id"] for r in rows)
    if twice := [r["x"].folder for r in rows if count[r["id"]] > 1]:
        raise Wrong("two files hold one DICOM object", where=listed(twice, 2), remedy="take one of them out")
    many = Counter(o.tags["SeriesInstanceUID"] for o in objects)
    faults = [_incomplete(group, many) for group in groups]
    rows, short = pictures.sorted_out(rows, faults, folder, columns.skip_bad - len(broken), be="used")
    groups = [group for group, fault in zip(groups, faults, strict=True) if not fault]
    joined = Joined(rows)
    if columns.labels and (not columns.bare or Path(columns.labels).is_file()):
        joined = _labelled(rows, groups, columns)
    left = columns.skip_bad - len(broken) - len(short)
    seen = pictures.seen(joined.rows, folder, replace(columns, skip_bad=left))
    patients = len({r["patient"] for r in seen.rows} - {None})
    odd = [f"{others} DICOM objects have no pixels and are left out"] if others else []
    return pictures.table(
        seen._replace(unreadable=[*broken, *short, *seen.unreadable]), columns, name=folder.resolve().name, form="DICOM tree",
        words=f"DICOM tree, {len(objects):,} objects", classes=joined.classes, odd=[*odd, *joined.odd],
        lines=[("series", _kinds(groups), "--series"), joined.line],
        patients=("patients", f"{patients:,}, as keyed hashes" if patients else "unknown", ""),
    )  # fmt: skip


def secret_key() -> bytes:
    """32 random bytes of this working directory, made at first need, readable by their owner alone (mode 600).

    Raises Wrong (exit 2) if a link was planted there; exit 3 if it cannot be written.
    """
    if not KEY.exists() and not KEY.is_symlink():
        make_folder(KEY.parent)
        mine = KEY.with_name(f".key.{secrets.token_hex(4)}.tmp")
        write(mine, secrets.token_bytes(32))
        try:
            os.link(mine, KEY)
        except FileExistsError:
            pass  # another process was first
        except OSError:  # a file system without such links
            os.replace(mine, KEY)
        mine.unlink(missing_ok=True)
    if KEY.is_symlink():
        raise Wrong(f"{KEY} is a link, not a file", remedy="remove it; a new key gives the data new ids")
    return read_bytes(KEY, limit=1024)


def hashed(secret: bytes, text: str) -> str:
    """Twelve hexadecimal digits that only the key's owner can connect with the text."""
    return hmac.new(secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:12]


def _objects(
    folder: Path, paths: Sequence[Path], columns: Columns, secret: bytes
) -> tuple[list[Object], list[tuple[str, str]], int]:
    """Every image object that --series leaves, (id, why) of unreadable ones, and how many have no pixels."""
    tags = [*TAGS, *([_tag(columns.join)] if columns.join else [])]
    rows: Rows = [{"id": hashed(secret, str(p)), "x": Series((str(p),))} for p in paths]
    faults = [""] * len(rows)
    for k, row in enumerate(rows):
        try:
            row["object"] = _object(paths[k], tags)
        except Wrong as wrong:
            faults[k] = wrong.what
    read, broken = pictures.sorted_out(rows, faults, folder, columns.skip_bad)
    objects: list[Object] = [r["object"] for r in read if r["object"].size[0]]
    if not objects:
        raise Wrong(f"no DICOM object of {folder} has pixels", where=f"{len(paths)} objects")
    chosen = [o for o in objects if not columns.series or _asked(o, columns.series)]
    if not chosen:
        raise Wrong(f"no series is {columns.series!r}", where=_kinds(_groups(objects)), remedy=CHOOSE)
    return chosen, broken, len(read) - len(objects)


def _object(path: Path, tags: Sequence[str]) -> Object:
    o = dicom.header(path, tags)
    with dicom.guarded(path):
        text = {t: str(o.get(t) or "").strip() for t in tags if t not in dicom.PLACE}
        text["SOPInstanceUID"] = text["SOPInstanceUID"] or str(path)
        for code in ("Modality", "SeriesNumber"):  # these two are shown
            text[code] = text[code] if re.fullmatch(r"[A-Z]{2,4}|\d{1,9}", text[code]) else "unknown"
        kind = o.get("SOPClassUID") or o.file_meta.get("MediaStorageSOPClassUID")
        if not o.get("Rows") and (kind is None or kind.name.endswith("Image Storage")):
            raise refused(path, "the DICOM object has no pixels: it is cut short")
        frames = int(o.get("NumberOfFrames") or 1)
        place = dicom.placed(o, 0, False) if frames == 1 else None
        return Object(str(path), text, place, frames, (int(o.get("Rows") or 0), int(o.get("Columns") or 0)))


def _asked(o: Object, wanted: str) -> bool:
    exact = {o.tags["SeriesInstanceUID"], o.tags["SeriesNumber"], o.tags["Modality"].casefold()}
    words = f"{o.tags['SeriesDescription']} {o.tags['ProtocolName']}".casefold()
    return wanted in exact or wanted.casefold() in exact or (len(wanted) > 1 and wanted.casefold() in words)


def _groups(objects: Sequence[Object]) -> list[Group]:
    """Slices of one series, direction and size together; every other object alone."""
    together: dict[object, list[Object]] = defaultdict(list)
    for o in objects:
        uid = o.tags["SeriesInstanceUID"]
        together[(uid, o.direction, o.size) if uid and o.place else o.path].append(o)
    return list(together.values())


def _row(group: Group, secret: bytes) -> Row:
    """id, x, patient and modality of a series or of an object."""
    first, tags = group[0], group[0].tags
    name = f"{tags['SeriesInstanceUID']} {first.direction} {first.size}" if len(group) > 1 else tags["SOPInstanceUID"]
    who = hashed(secret, f"patient {spelled(tags['PatientID'])}") if tags["PatientID"] else None
    x = Series(tuple(o.path for o in group))
    return {"id": hashed(secret, name), "x": x, "patient": who, "part": "new", "modality": tags["Modality"]}


def volume(group: Group) -> bool:
    """Several slices, or frames."""
    return len(group) > 1 or group[0].frames > 1


def _incomplete(group: Group, many: Counter[str]) -> str:
    """Fewer objects than the series itself tells of: a slice is missing at an end, where no gap shows it."""
    tags = group[0].tags
    told = max((int(t) for t in (tags["NumberOfSlices"], tags["ImagesInAcquisition"]) if t.isdigit()), default=0)
    here = many[tags["SeriesInstanceUID"]]
    return f"{here} of {told} slices are there: bring the missing ones" if len(group) > 1 and here < told else ""


def _kinds(groups: Sequence[Group]) -> str:
    """What there is to choose from, in words."""
    numbers: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        kind = f"{group[0].tags['Modality']} {'volumes' if volume(group) else 'pictures'}"
        numbers[kind].append(group[0].tags["SeriesNumber"])
    most = sorted(numbers.items(), key=lambda kind: -len(kind[1]))
    return listed([f"{len(some):,} {kind} (number {listed(sorted({*some}), 3)})" for kind, some in most], 6)


def _tag(name: str) -> str:
    """A keyword of the standard; raises Wrong (exit 2) with a near one."""
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(name) is None:
        usual = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "AccessionNumber"]
        raise Wrong(f"--join {name} is no DICOM tag", remedy=near(name, usual) or f"usual are {listed(usual)}")
    return name


def _labelled(rows: Rows, groups: Sequence[Group], columns: Columns) -> Joined:
    """The rows with what the table says of them; how many match; what is odd. The table's own patients do not count."""
    if not columns.join or not columns.labels:
        hint = "name the DICOM tag that the table repeats, such as --join StudyInstanceUID"
        raise Wrong("--labels needs --join", remedy=hint)
    sheet = sheets.sheet(Path(columns.labels))
    mine = [group[0].tags[columns.join] for group in groups]
    matches = {name: len({*mine} - {""} & {c.strip() for c in cells}) for name, cells in sheet.columns.items()}
    plain = {re.sub(r"[\W_]+", "", name.casefold()): name for name in sheet.columns}
    best = max(matches, key=lambda name: matches[name])
    name = plain.get(columns.join.casefold(), best)
    better = f'column "{best}" would match {matches[best]}' if matches[best] > matches[name] else ""
    if not matches[name] and not columns.bare:
        hint = better or "give another --join, or rename the column to the tag's name"
        raise refused(columns.labels, f'no row of the table matches {columns.join} by column "{name}"', hint)
    said = answers(sheet, columns)
    theirs: dict[str, Row] = {}
    for cell, answer in zip(sheet.columns[name], said.rows, strict=True):
        new = {k: v for k, v in answer.items() if k not in {name, "patient"}}
        if cell.strip() and theirs.setdefault(cell.strip(), new) != new:
            what = f"the table says two things of one {columns.join}"
            raise refused(f'{columns.labels}, column "{name}"', what, "correct it")
    without = sum(value not in theirs for value in mine)
    loose = len(set(theirs) - set(mine))
    odd = [*said.odd, *([f'{better}, column "{name}" matches {matches[name]}'] if better else [])]
    odd += [f"{without} of {len(rows)} images have no row in the table"] if without else []
    odd += [f"{loose} of {len(theirs)} rows of the table have no image"] if loose else []
    words = f"{len(rows) - without:,} of {len(rows):,} by {columns.join}, column {said.role['label'] or said.role['target']}"
    there = [(row, value) for row, value in zip(rows, mine, strict=True) if value in theirs or not said.role["split"]]
    joined = [row | theirs.get(value, {}) for row, value in there]
    return Joined(joined, said.classes, odd, ("labels", words, "--labels, --join"))
