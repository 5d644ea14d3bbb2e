"""Rows of image files: which files are images, whose they are, whether they can be read, whether masks and boxes lie on them."""

import functools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from empirisk.data import labels, readers
from empirisk.data.geometry import TOLERANCE, apart
from empirisk.data.readers import Look
from empirisk.data.rows import Box, Columns, Line, Row, Rows, Table
from empirisk.errors import Wrong, listed, near, shown

ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".nii", ".dcm"}
PATIENT = r"(?i)((?:p|pt|pat|patient|person|subj|subject|sub|case)[-_ ]?[0-9]+)(?![0-9A-Za-z])"
"At the beginning of a file name: a word for a patient, digits, then no letter: P017_2.png, person12_bacteria_3.jpeg."
PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
PARTS |= {"test": "test", "testing": "test"}
"What the parts of a given split are called, in any case."
EDGE = 1.0  # Pixels that a box may reach over the edge of its picture, by rounding; it is cut there, and counted.
UNKNOWN: Line = ("patients", "unknown", "--patient")


class Seen(NamedTuple):
    """What a look at every row found."""

    rows: Rows  # those that can be used
    unreadable: list[tuple[str, str]]  # (id, why) of the others
    images: Line
    voxels: Mapping[str, Mapping[int, int]] = {}  # id -> label -> voxels of its map, the background left out
    odd: Sequence[str] = ()


def files(folder: Path) -> list[Path]:
    """All files below, hidden folders left out; links to folders are not followed, so that no circle is."""
    found: list[Path] = []
    for here, below, names in os.walk(folder):
        below[:] = [b for b in below if not b.startswith(".") and b != "__MACOSX"]
        found += [Path(here, n) for n in names]
    return sorted(found)


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


def single(paths: Sequence[Path], columns: Columns) -> Table:
    """A table of pictures without labels, called as they were named."""
    if not paths:
        raise Wrong("no picture is given")
    ids = dict.fromkeys(map(str, paths))
    name = paths[0].stem if len(ids) == 1 else paths[0].parent.name or "pictures"
    rows: Rows = [{"id": i, "x": readers.File(i), "patient": None, "part": "new"} for i in ids]
    return table(seen(rows, name, columns), columns, name=name, form="pictures", patients=UNKNOWN)


def seen(rows: Rows, where: object, columns: Columns, *, at: Sequence[str] = (), shares: bool = False) -> Seen:
    """Read every image and its label map once, and lay its boxes on it; what is wrong with one is a fault of its row.

    A map has the size and the place of its image. Boxes, with `shares` as shares of the image's sides, become pixels; one without
    area is left out, one that reaches up to EDGE over the edge is cut; both are counted in `odd`. `at` names rows in messages,
    else their ids do. Raises Wrong (exit 2): more than `skip_bad` rows have a fault, or all (the first 50 are listed).
    """
    with ThreadPoolExecutor() as pool:
        looked = list(pool.map(functools.partial(_looked, shares=shares), rows))
    masked, boxed = (any(column in r for r in rows) for column in ("mask", "boxes"))
    faults, be = [look.fault for look, *_ in looked], "used" if masked or boxed else "read"
    good, bad = sorted_out(rows, faults, where, columns.skip_bad, at=at, be=be)
    count = sum((counts for *_, counts in looked), Counter[str]())
    odd = [f"{count['no area']} boxes have no area and are left out"] if count["no area"] else []
    odd += [f"{count['cut']} boxes reach up to a pixel over the edge and are cut there"] if count["cut"] else []
    fine = [(r, *what) for r, what in zip(rows, looked, strict=True) if not what[0].fault]
    maps = {r["id"]: voxels for r, _, voxels, _ in fine if "mask" in r}
    for some, what in (
        ([r["id"] for r in good if masked and "mask" not in r], "images have no label map"),
        ([i for i, v in maps.items() if not v], "label maps are empty"),
        ([r["id"] for r in good if "boxes" in r and not r["boxes"]], "pictures have no box"),
    ):
        odd += [f"{len(some)} {what}: {listed(some, 3)}"] if some else []
    if {r["part"] for r in good} == {"train", "val"}:
        odd.append("a split of train and val alone: val is the test set here, validation is carved out of train")
    return Seen(good, bad, ("images", described([look for _, look, *_ in fine]), "--size"), maps, odd)


def _looked(row: Row, shares: bool) -> tuple[Look, dict[int, int], Counter[str]]:
    """The image's shape and type, the voxels of each label, how many boxes were left out or cut; the row gets its boxes in pixels."""
    look, voxels, count = readers.look(row["x"]), dict[int, int](), Counter[str]()
    fault = look.fault
    if "mask" in row and not fault:
        fault, voxels = _mapped(row, look.shape[1:])
    if "boxes" in row and not fault:
        fault = _boxed(row, look.shape[1:], shares, count)
    return look._replace(fault=fault), voxels, count


def _mapped(row: Row, size: tuple[int, ...]) -> tuple[str, dict[int, int]]:
    """Why a row's label map does not lie on its image of this size, "" where it does; voxels of each label."""
    remedy = "resample it onto the image's grid"
    try:
        found = row["mask"].read()
        if found.shape != size:
            sizes = [" x ".join(map(str, s)) for s in (found.shape, size)]
            return f"its label map has {sizes[0]} points, the image {sizes[1]}: {remedy}", {}
        here, there = row["x"].geometry(), row["mask"].geometry()
    except Wrong as wrong:
        return f"its label map: {readers.said(wrong, row['mask'].path)}", {}
    away = apart(here, there, size) if here and there else 0.0
    if away > TOLERANCE:
        return f"its label map lies elsewhere than the image, by up to {away:.2g} voxels: {remedy}", {}
    counts = np.bincount(found.ravel())
    return "", {int(v): int(counts[v]) for v in np.flatnonzero(counts) if v}


def _boxed(row: Row, size: tuple[int, ...], shares: bool, count: Counter[str]) -> str:
    """What is wrong with the first box that does not lie on the row's image of this size; `extent` is what its file says of that."""
    dims, ends, told = len(size), size[::-1], row.get("extent")
    kept: list[Box] = []
    if told and told != size:
        sizes = [" x ".join(map(str, s[::-1])) for s in (told, size)]
        return f"the annotation is of a picture of {sizes[0]}, this one is {sizes[1]}"
    for number, (label, corners) in enumerate(row["boxes"], 1):
        which = f"box {number} ({shown(label, 40)})"
        if len(corners) != 2 * dims:
            return f"{which} has {len(corners)} numbers, on an image of {dims} axes it needs {2 * dims}"
        placed = tuple(c * e for c, e in zip(corners, ends * 2, strict=True)) if shares else corners
        low, high = placed[:dims], placed[dims:]
        if not all(a >= -EDGE and b <= e + EDGE for a, b, e in zip(low, high, ends, strict=True)):  # NaN too
            text = " ".join(f"{c:g}" for c in placed)
            return f"{which} reaches outside of the picture, {' x '.join(map(str, ends))}: {text}"
        if not all(a < b for a, b in zip(low, high, strict=True)):
            count["no area"] += 1
            continue
        cut = (*(max(a, 0.0) for a in low), *(min(b, float(e)) for b, e in zip(high, ends, strict=True)))
        count["cut"] += cut != placed
        kept.append(Box(label, cut))
    row |= {"extent": size, "boxes": tuple(kept)}
    return ""


def sorted_out(
    rows: Rows, faults: Sequence[str], where: object, skip_bad: int, *, be: str = "read", at: Sequence[str] = ()
) -> tuple[Rows, list[tuple[str, str]]]:
    """The rows without a fault, and (id, why) of the others, which cannot `be` read or used; raises Wrong as `seen` does."""
    bad = [(k, str(rows[k]["id"]), fault) for k, fault in enumerate(faults) if fault]
    if len(bad) > skip_bad or len(bad) == len(rows):
        names: Sequence[object] = at or [getattr(r["x"], "folder", r["id"]) for r in rows]
        lines = [f"{shown(names[k], 120)}: {fault}" for k, _, fault in bad[:50]]
        more = [f"and {len(bad) - 50} more"] if len(bad) > 50 else []
        what = f"{len(bad)} of {len(rows)} pictures of {shown(where)} cannot be {be}"
        wrong = Wrong(what, remedy=f"mend them, or go on without them: --skip-bad {len(bad)}")
        wrong.args = ("\n  ".join([wrong.what, *lines, *more, wrong.remedy]),)  # the one message that is a list
        raise wrong
    return [r for r, fault in zip(rows, faults, strict=True) if not fault], [(name, fault) for _, name, fault in bad]


def called(
    rows: Rows, columns: Columns, where: object, names: Sequence[str] = (), at: Sequence[str] = ()
) -> tuple[str, ...]:
    """Rename the labels of the rows' boxes; the classes in order: --classes, else `names` as the form gives them, else by name.

    Raises Wrong (exit 2): a label that is not among --classes, with its row; --rename of what does not occur.
    """
    found = list(dict.fromkeys([*names, *(b.label for r in rows for b in r.get("boxes", ()))]))
    rename = columns.renamed(found, where)
    found = found if names else sorted(found, key=labels.natural)
    order = columns.class_names() or tuple(dict.fromkeys(rename.get(n, n) for n in found))
    for k, row in enumerate(rows):
        if "boxes" not in row:
            continue
        row["boxes"] = tuple(Box(rename.get(b.label, b.label), b.corners) for b in row["boxes"])
        if strange := next((b.label for b in row["boxes"] if b.label not in order), None):
            remedy = f"{near(strange, order)} Correct it or add --rename {strange}={order[0]}".strip()
            what = f'label "{shown(strange, 60)}" is not among {listed(order)}'
            raise Wrong(what, where=f"{where}: {at[k] if at else shown(row['id'])}", remedy=remedy)
    return order


def table(
    found: Seen, columns: Columns, *, name: str, form: str, words: str = "", classes: Sequence[str] = (), odd: Sequence[str] = (),
    lines: Sequence[Line] = (), patients: Line | None = None, licence: str = "", source: str = "",
) -> Table:  # fmt: skip
    """The table of what was seen; `words` and `lines` say more of what was understood; patients not given: from file names."""
    rows, more = found.rows, list[str]()
    if patients is None:
        rows, patients, more = with_patients(rows, columns)
    answers: list[Line] = []
    if found.voxels:
        names = () if any("label" in r for r in rows) else columns.class_names() or classes  # else they name the images
        values = sorted({v for counts in found.voxels.values() for v in counts})
        of_what = listed(names) or f"numbers {listed(values, 6)}"
        answers.append(("masks", f"{len(found.voxels):,} label maps, of {of_what}", "--classes"))
    if any("boxes" in r for r in rows):
        of = Counter(b.label for r in rows for b in r.get("boxes", ()))
        order = classes if set(classes) >= set(of) else sorted(of, key=labels.natural)
        answers.append(("boxes", f"{of.total():,}: {listed([f'{c} {of[c]:,}' for c in order])}", "--classes"))
    of_part = Counter(r["part"] for r in rows)
    parts = ", ".join(f"{part} {of_part[part]:,}" for part in ("train", "val", "test") if of_part[part])
    split = ("split", f"given: {parts}" if parts else "none given", "--split")
    about = [("form", words or form, ""), found.images, *lines, *answers, patients, split]
    same = Counter(unicodedata.normalize("NFC", i) for i in {r["id"] for r in rows})
    if twins := sorted(i for i, n in same.items() if n > 1):  # equal but for the encoding of accents
        more.append(f"{len(twins)} names occur in two encodings of one text: {listed(twins, 3)}")
    return Table(
        name=name, rows=rows, form=form, understood=about, odd=[*odd, *found.odd, *more], classes=tuple(classes),
        split_given=bool(parts), patients_known=any(r["patient"] for r in rows), licence=licence, source=source,
        unreadable=found.unreadable,
    )  # fmt: skip


def described(looks: Sequence[Look]) -> str:
    """How many, of which kinds and sizes, in words."""
    sizes = Counter("x".join(map(str, k.shape[1:])) for k in looks)
    kinds = Counter((k.dtype, k.shape[0]) for k in looks)
    bits, colours = {"uint8": "8-bit", "uint16": "16-bit"}, {1: "grey", 3: "colour"}
    words = [f"{bits.get(d, 'float')} {colours.get(c, f'{c} channels')}" for (d, c), _ in kinds.most_common()]
    found = listed([f"{s} ({n:,})" for s, n in sizes.most_common()], 3) if len(sizes) > 1 else next(iter(sizes))
    return f"{len(looks):,} {'volumes' if len(looks[0].shape) == 4 else 'pictures'}, {' and '.join(words)}, {found}"


def with_patients(rows: Rows, columns: Columns) -> tuple[Rows, Line, list[str]]:
    """Patients read from file names: a pattern that is given, else the written rule where all names follow it.

    Of `bare` rows, what training named may be a column that is not here; a pattern has a bracket.
    Raises Wrong (exit 2): a given pattern that is none, or that some names do not follow.
    """
    given = columns.patient
    given = None if columns.bare and given != "none" and "(" not in (given or "") else given
    if given == "none":
        return rows, ("patients", "not used", "--patient"), []
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
        return rows, UNKNOWN, odd
    who = [str(m[m.re.groups and 1]) for m in found if m]
    filled: Rows = [r | {"patient": p} for r, p in zip(rows, who, strict=True)]
    return filled, ("patients", f"{len(set(who)):,}, from names like {shown(names[0], 40)}", "--patient"), []
