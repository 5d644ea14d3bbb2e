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
from pathlib import Path
from typing import NamedTuple

from empirisk.data import dicom, folders, pictures, sheets
from empirisk.data.columns import answers
from empirisk.data.readers import Series, head
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.data.splits import key as spelled
from empirisk.data.stack import Slice
from empirisk.errors import Wrong, listed, near
from empirisk.files import make_folder, read_bytes, write

CHOOSE = "choose some with --series: a number, a modality, or words of the description"
KEY = Path("runs") / ".key"
"Below the working directory; without it the same data get other ids."
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


def found(folder: Path) -> list[Path]:
    """The DICOM files anywhere below, by their first bytes; pictures by their endings are not opened."""
    pictured = pictures.ENDINGS - {".dcm"}
    some = [p for p in sorted(folders.files(folder)) if p.suffix.casefold() not in pictured]
    return [p for p in some if dicom.is_dicom(head(p, 132))]


def table(folder: Path, paths: Sequence[Path], columns: Columns, *, skip_bad: int = 0, bare: bool = False) -> Table:
    """A row a series whose slices have positions, and a row each other object with pixels.

    Raises Wrong (exit 2): objects that cannot be read; series with gaps, doubles or a tilt; volumes beside pictures
    (choose by --series); --labels without --join, or of which no row matches; two files of one object.
    """
    secret = secret_key()
    objects, broken, others = _objects(folder, paths, columns, secret, skip_bad)
    groups = _groups(objects)
    if len({volume(group) for group in groups}) > 1:
        raise Wrong("the folder holds volumes beside pictures", where=_kinds(groups), remedy=CHOOSE)
    rows = [_row(group, secret) for group in groups]
    _once(rows)
    many = Counter(o.tags["SeriesInstanceUID"] for o in objects)
    faults = [_incomplete(group, many) for group in groups]
    rows, short = pictures.sorted_out(rows, faults, str(folder), skip_bad=skip_bad - len(broken), be="used")
    groups = [group for group, fault in zip(groups, faults, strict=True) if not fault]
    odd = [f"{others} DICOM objects have no pixels and are left out"] if others else []
    classes: tuple[str, ...] = ()
    joined, split = ("none", "--labels, --join"), False
    if columns.labels and (not bare or Path(columns.labels).is_file()):
        rows, classes, split, joined, more = _labelled(rows, groups, columns, bare=bare)
        odd += more
    rows, unreadable, seen = pictures.readable(rows, str(folder), skip_bad=skip_bad - len(broken) - len(short))
    patients = len({r["patient"] for r in rows} - {None})
    about = [
        ("form", f"DICOM tree, {len(objects):,} objects", ""), ("images", seen, "--size"), ("series", _kinds(groups), "--series"),
        ("labels", *joined), ("patients", f"{patients:,}, as keyed hashes" if patients else "unknown", ""),
        ("split", folders.counts(rows) if split else "none given", "--split"),
    ]  # fmt: skip
    return Table(
        name=folder.resolve().name, rows=rows, form="DICOM tree", understood=about, odd=odd, classes=classes, split_given=split,
        patients_known=bool(patients), unreadable=[*broken, *short, *unreadable],
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
    folder: Path, paths: Sequence[Path], columns: Columns, secret: bytes, skip_bad: int
) -> tuple[list[Object], list[tuple[str, str]], int]:
    """Every image object that --series leaves, (id, why) of unreadable ones, and how many have no pixels."""
    tags = [*TAGS, *([_tag(columns.join)] if columns.join else [])]
    read: list[Object | None] = []
    faults = []
    for path in paths:
        try:
            read.append(_object(path, tags))
            faults.append("")
        except Wrong as wrong:
            read.append(None)
            faults.append(wrong.what)
    rows: Rows = [{"id": hashed(secret, str(p)), "x": Series((str(p),))} for p in paths]
    _, broken = pictures.sorted_out(rows, faults, str(folder), skip_bad=skip_bad)
    every = [o for o in read if o is not None]
    objects = [o for o in every if o.size[0]]
    if not objects:
        raise Wrong(f"no DICOM object of {folder} has pixels", where=f"{len(paths)} objects")
    chosen = [o for o in objects if not columns.series or _asked(o, columns.series)]
    if not chosen:
        raise Wrong(f"no series is {columns.series!r}", where=_kinds(_groups(objects)), remedy=CHOOSE)
    return chosen, broken, len(every) - len(objects)


def _object(path: Path, tags: Sequence[str]) -> Object:
    o = dicom.header(path, tags)
    with dicom.guarded(path):
        text = {t: str(o.get(t) or "").strip() for t in tags if t not in dicom.PLACE}
        text["SOPInstanceUID"] = text["SOPInstanceUID"] or str(path)
        for code in ("Modality", "SeriesNumber"):  # these two are shown
            text[code] = text[code] if re.fullmatch(r"[A-Z]{2,4}|\d{1,9}", text[code]) else "unknown"
        kind = o.get("SOPClassUID") or o.file_meta.get("MediaStorageSOPClassUID")
        if not o.get("Rows") and (kind is None or kind.name.endswith("Image Storage")):
            raise Wrong("the DICOM object has no pixels: it is cut short", where=str(path))
        frames = int(o.get("NumberOfFrames") or 1)
        place = dicom.placed(o, 0, False) if frames == 1 else None
        return Object(str(path), text, place, frames, (int(o.get("Rows") or 0), int(o.get("Columns") or 0)))


def _asked(o: Object, wanted: str) -> bool:
    exact = {o.tags["SeriesInstanceUID"], o.tags["SeriesNumber"], o.tags["Modality"].casefold()}
    words = f"{o.tags['SeriesDescription']} {o.tags['ProtocolName']}".casefold()
    return wanted in exact or wanted.casefold() in exact or (len(wanted) > 1 and wanted.casefold() in words)


def _groups(objects: Sequence[Object]) -> list[list[Object]]:
    """Slices of one series, direction and size together; every other object alone."""
    together: dict[object, list[Object]] = defaultdict(list)
    for o in objects:
        uid = o.tags["SeriesInstanceUID"]
        together[(uid, _direction(o), o.size) if uid and o.place else o.path].append(o)
    return list(together.values())


def _row(group: Sequence[Object], secret: bytes) -> Row:
    """id, x, patient and modality of a series or of an object."""
    first, tags = group[0], group[0].tags
    name = f"{tags['SeriesInstanceUID']} {_direction(first)} {first.size}" if len(group) > 1 else tags["SOPInstanceUID"]
    who = hashed(secret, f"patient {spelled(tags['PatientID'])}") if tags["PatientID"] else None
    x = Series(tuple(o.path for o in group))
    return {"id": hashed(secret, name), "x": x, "patient": who, "part": "new", "modality": tags["Modality"]}


def volume(group: Sequence[Object]) -> bool:
    """Several slices, or frames."""
    return len(group) > 1 or group[0].frames > 1


def _direction(o: Object) -> tuple[float, ...]:
    return tuple(round(v, 2) + 0.0 for v in o.place.orientation) if o.place else ()


def _incomplete(group: Sequence[Object], many: Counter[str]) -> str:
    """Fewer objects than the series itself tells of: a slice is missing at an end, where no gap shows it."""
    tags = group[0].tags
    told = max((int(t) for t in (tags["NumberOfSlices"], tags["ImagesInAcquisition"]) if t.isdigit()), default=0)
    here = many[tags["SeriesInstanceUID"]]
    return f"{here} of {told} slices are there: bring the missing ones" if len(group) > 1 and here < told else ""


def _kinds(groups: Sequence[Sequence[Object]]) -> str:
    """What there is to choose from, in words."""
    count: Counter[str] = Counter()
    numbers: dict[str, set[str]] = defaultdict(set)
    for group in groups:
        tags = group[0].tags
        kind = f"{tags['Modality']} {'volumes' if volume(group) else 'pictures'}"
        count[kind] += 1
        numbers[kind].add(tags["SeriesNumber"])
    return listed([f"{n:,} {kind} (number {listed(sorted(numbers[kind]), 3)})" for kind, n in count.most_common()], 6)


def _once(rows: Rows) -> None:
    """No object twice."""
    count = Counter(r["id"] for r in rows)
    twice = [r["x"].folder for r in rows if count[r["id"]] > 1]
    if twice:
        raise Wrong("two files hold one DICOM object", where=listed(twice, 2), remedy="take one of them out")


def _tag(name: str) -> str:
    """A keyword of the standard; raises Wrong (exit 2) with a near one."""
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(name) is None:
        usual = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "AccessionNumber"]
        raise Wrong(f"--join {name} is no DICOM tag", remedy=near(name, usual) or f"usual are {listed(usual)}")
    return name


def _labelled(
    rows: Rows, groups: Sequence[Sequence[Object]], columns: Columns, *, bare: bool
) -> tuple[Rows, tuple[str, ...], bool, tuple[str, str], list[str]]:
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
    if not matches[name] and not bare:
        what = f'no row of the table matches {columns.join} by column "{name}"'
        hint = better or "give another --join, or rename the column to the tag's name"
        raise Wrong(what, where=columns.labels, remedy=hint)
    said = answers(sheet, columns, bare=bare)
    theirs: dict[str, Row] = {}
    for cell, answer in zip(sheet.columns[name], said.rows, strict=True):
        new = {k: v for k, v in answer.items() if k not in {name, "patient"}}
        if cell.strip() and theirs.setdefault(cell.strip(), new) != new:
            what = f"the table says two things of one {columns.join}"
            raise Wrong(what, where=f'{columns.labels}, column "{name}"', remedy="correct it")
    joined = [row | theirs.get(value, {}) for row, value in zip(rows, mine, strict=True)]
    without = sum(value not in theirs for value in mine)
    loose = len(set(theirs) - set(mine))
    odd = [*said.odd, *([f'{better}, column "{name}" matches {matches[name]}'] if better else [])]
    odd += [f"{without} of {len(rows)} images have no row in the table"] if without else []
    odd += [f"{loose} of {len(theirs)} rows of the table have no image"] if loose else []
    words = f"{len(rows) - without:,} of {len(rows):,} by {columns.join}, column {said.role['label'] or said.role['target']}"
    if said.split and without:
        joined = [r for r, value in zip(joined, mine, strict=True) if value in theirs]
    return joined, said.classes, said.split, (words, "--labels, --join"), odd
