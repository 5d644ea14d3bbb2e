"""Archives (.npz) of images and labels, and what the eighteen published ones of MedMNIST do not say themselves.

That stands in medmnist.csv. Names of classes are the publisher's, without commas and brackets, which lists of names need. Every
number of an archive's headers is checked in Python's integers before memory is asked for.
"""

import csv
import math
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from empirisk.data import pictures
from empirisk.data.pictures import UNKNOWN, described
from empirisk.data.readers import Look, Stored
from empirisk.data.rows import Columns, Row, Rows, Table, refused
from empirisk.errors import Wrong, listed
from empirisk.files import guarded

MEMBER = re.compile(r"(?:(train|val|test)_)?(images|labels)\.npy")
MAX_RATIO, RATIO_FROM = 100, 256 * 2**20
"An archive that grows more than so many times, to more than so many bytes, is refused as a bomb."
_HEADERS = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0, 3: npy.read_array_header_2_0}


class Known(NamedTuple):
    """One published set: title, what it shows, names of the classes in the order of the stored numbers."""

    title: str
    shows: str
    licence: str
    classes: tuple[str, ...]
    source: str = "MedMNIST v2 (Yang et al., Scientific Data 2023)"


_ROWS = csv.reader(Path(__file__).with_suffix(".csv").read_text("utf-8").splitlines()[1:])
_SETS = {title.casefold(): Known(title, what, free, tuple(names.split("|"))) for title, what, free, names in _ROWS}


def known(stem: str) -> Known | None:
    """The published set of that file name without .npz, at any of its sizes; None where it is none.

    >>> known("breastmnist_64").classes, known("ours")
    (('malignant', 'normal or benign'), None)
    """
    return _SETS.get(re.sub(r"_(28|64|128|224)$", "", stem.casefold()))


def table(path: Path, columns: Columns) -> Table:
    """The table of an archive with `{train,val,test}_{images,labels}`, or `images` and `labels`; ids are "train/17".

    Images (n, H, W), (n, D, H, W), with a last or second axis of 1 to 4 as channels, or (n, D): vectors. Labels (n,) or
    (n, 1): whole numbers are classes (and numbers), others numbers; (n, K) of 0 and 1: several labels. Raises Wrong (exit 2):
    what `arrays` and `pixels` refuse, images and labels of unequal number, parts of unequal shape, no images.
    """
    found, set_, where = arrays(path), known(path.stem), str(path)
    parts = [p for p in ("train", "val", "test") if f"{p}_images" in found] or [""]
    images = {p: a for p in parts if len(a := found[f"{p}_images".lstrip("_")])}
    if not images:
        raise refused(where, "the archive holds no image", "save images and labels")
    kind = compact(next(iter(images.values())))
    images = {p: pixels(a, kind, f"{where} {p}".rstrip()) for p, a in images.items()}
    shape, *others = sorted({a.shape[1:] for a in images.values()})
    if others:
        what = f"the archive has parts of unequal shape: {listed([shape, *others])}"
        raise refused(where, what, "save all parts in one shape")
    truth = {p: y for p in images if (y := found.get(f"{p}_labels".lstrip("_"))) is not None}
    for p, y in truth.items():
        if len(y) != len(images[p]):
            raise refused(f"{where} {p}".rstrip(), f"{len(images[p])} images, but {len(y)} labels", "save as many")
    classes, answers, odd = labels_of(truth, set_, columns, where)
    given = parts != [""] and columns.split != "none"
    rows: Rows = [
        {"id": f"{p}/{i}".lstrip("/"), "x": Stored(a, i), "patient": None, "part": p if given else "new"} | answer
        for p, a in images.items()
        for i, answer in enumerate(answers.get(p, [{}] * len(a)))
    ]
    vectors = f"{len(rows):,} vectors of {shape[0]} numbers"
    what = described([Look(shape, str(kind))] * len(rows)) if len(shape) > 1 else vectors
    named = f"{len(classes)} classes: {listed(classes)}" if classes else "numbers" if truth else "none"
    return pictures.table(
        pictures.Seen(rows, [], ("images", what, "--size")), columns, name=path.stem, form="archive (.npz)", odd=odd,
        words=f"{set_.title}: {set_.shows}" if set_ else "archive of images and labels", lines=[("labels", named, "--classes")],
        classes=classes, patients=UNKNOWN, licence=set_.licence if set_ else "", source=set_.source if set_ else "",
    )  # fmt: skip


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays `{train,val,test}_{images,labels}` or `images`, `labels` of an .npz; other members are not opened.

    Raises Wrong (exit 2): no archive, cut short, members twice or with a path in their names, Python objects, shapes that
    the bytes do not hold, compression beyond all measure.
    """
    if not path.is_file():
        raise Wrong(f"{path} is no regular file" if path.exists() else f"{path} is not there")
    remedy = "the archive is broken: copy or download it again"
    with guarded(str(path), remedy=remedy), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        strange = [n for n in names if not re.fullmatch(r"[A-Za-z0-9_. -]+", n) or ".." in n]
        twice = [n for n, k in Counter(names).items() if k > 1]
        for some, what in ((strange, "names that no .npz has"), (twice, "names that occur more than once")):
            if some:
                raise refused(path, f"the archive has member {what}: {listed(some, 3)}", "save it anew")
        members = {n.removesuffix(".npy"): archive.getinfo(n) for n in names if MEMBER.fullmatch(n)}
        size, packed = (sum(getattr(m, k) for m in members.values()) for k in ("file_size", "compress_size"))
        if size > RATIO_FROM and size > MAX_RATIO * packed:
            what = f"the archive has {packed:,} bytes that grow to {size:,}: refused as a decompression bomb"
            raise refused(path, what, "if it is meant, save it with numpy.savez, uncompressed")
        if not any(n.endswith("images") for n in members):
            what = f"the archive has no train_images, val_images or test_images among {listed(names) or 'no members'}"
            raise refused(path, what, "save images and labels under these names")
        return {name: _array(archive, member, f"{path}: {name}.npy") for name, member in members.items()}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> np.ndarray:
    """One member, its header read by numpy (no code, no object can be in it) and compared with the bytes that are there first."""
    with archive.open(member) as stream:
        shape, _, dtype = _HEADERS[npy.read_magic(stream)[0]](stream)
        if dtype.kind not in "buif":
            what = "Python objects, which could run code" if dtype.hasobject else f"values of type {dtype}"
            raise refused(where, f"the array holds {what}", "save images and labels as numbers")
        size, there = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()  # exact: no overflow
        if size != there:
            what = f"the array's header promises {size:,} bytes of shape {shape}, the archive holds {there:,}"
            raise refused(where, what, "copy or download it again")
    with archive.open(member) as stream:
        a: np.ndarray = npy.read_array(stream, allow_pickle=False)
        stream.read(1)  # at its end, where the CRC is compared
    return a.astype(a.dtype.newbyteorder("="), copy=False)


def compact(a: np.ndarray) -> np.dtype[Any]:
    """uint8, uint16 or float32: the smallest that holds the images of the first part, which is train where there is one."""
    kind = a.dtype
    if kind not in (np.uint8, np.uint16) and a.size:
        kind = np.promote_types(np.min_scalar_type(a.min()), np.min_scalar_type(a.max()))
    kind = np.promote_types(kind, np.uint8)  # bool -> uint8
    return kind if kind in (np.uint8, np.uint16) and a.ndim != 2 else np.dtype(np.float32)


def pixels(a: np.ndarray, kind: np.dtype[Any], where: str) -> np.ndarray:
    """(n, C, *size) or (n, D) of that type; black-and-white becomes 0 and 255.

    Raises Wrong (exit 2): axes that are no image's, an empty axis, values that are not finite or do not fit.
    """
    if not 2 <= a.ndim <= 5 or 0 in a.shape[1:] or (a.ndim == 5 and min(a.shape[1], a.shape[-1]) > 4):
        hint = "save (n, H, W), (n, H, W, 3), (n, D, H, W) or (n, D, H, W, 3)"
        raise refused(where, f"shape {a.shape} is not that of images", hint)
    if a.ndim >= 4 and a.shape[-1] <= 4:
        a = np.moveaxis(a, -1, 1)
    elif a.ndim == 3 or (a.ndim == 4 and a.shape[1] > 4):
        a = a[:, None]
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        bad = np.flatnonzero(~np.isfinite(a.reshape(len(a), -1)).all(1))
        what = f"{len(bad)} images hold values that are not finite: {listed(bad.tolist())}"
        raise refused(where, what, "set them to a number, such as 0")
    if kind.kind == "u" and a.dtype not in (kind, bool) and (a.min() < 0 or a.max() > np.iinfo(kind).max):
        raise refused(where, f"values beyond the {kind} of the first part", "save all parts in one type")
    return (a * np.uint8(255) if a.dtype == bool and a.ndim > 2 else a).astype(kind, copy=False)


def labels_of(
    truth: dict[str, np.ndarray], set_: Known | None, columns: Columns, where: str
) -> tuple[tuple[str, ...], dict[str, Rows], list[str]]:
    """Names of the classes, label and target of each row by part, and what is odd."""
    if not truth:
        return (), {}, []
    found = {p: (y[:, None] if y.ndim == 1 else y).astype(np.float64) for p, y in truth.items()}  # (n, K)
    if any(y.ndim != 2 for y in found.values()) or len({y.shape[1] for y in found.values()} | {0}) != 2:
        what = f"the archive has labels of shape {listed([y.shape for y in truth.values()])}"
        raise refused(where, what, "save (n,), (n, 1), or (n, K) of 0 and 1")
    flat = np.concatenate(list(found.values()))  # (N, K)
    values, width = flat[~np.isnan(flat)], flat.shape[1]
    if np.isinf(flat).any() or (width > 1 and not np.isin(flat, (0, 1)).all()):
        kind = "0 or 1" if width > 1 else "finite"
        raise refused(where, f"the archive has labels that are not {kind}", "correct them")
    odd = [f"{flat.size - values.size:,} rows have no label"] if flat.size > values.size else []
    if not values.size or (values % 1).any():
        return (), {p: [{} if np.isnan(t) else {"target": float(t)} for t in y[:, 0]] for p, y in found.items()}, odd
    taught = found.get("train", flat)  # the classes are those that training rows show, whatever is held out
    numbers = list(range(width)) if width > 1 else np.unique(taught[~np.isnan(taught)]).astype(int).tolist()
    names = [str(i) for i in numbers]
    if set_ and (width == len(set_.classes) if width > 1 else 0 <= values.min() <= values.max() < len(set_.classes)):
        names, numbers = list(set_.classes), list(range(len(set_.classes)))
    elif set_:
        odd.append(f"the labels are not those of {set_.title}; they are called by their numbers")
    names, order = _called(names, numbers, columns, where)
    name = dict(zip(numbers, names, strict=True))

    def answer(y: np.ndarray) -> Row:  # (K,)
        if width > 1:
            there = {name[k] for k in np.flatnonzero(y)}
            return {"label": tuple(n for n in order if n in there)}
        return {} if np.isnan(y[0]) else {"label": name.get(int(y[0]), str(int(y[0]))), "target": float(y[0])}

    return order, {p: [answer(y) for y in ys] for p, ys in found.items()}, odd


def _called(names: list[str], numbers: list[int], columns: Columns, where: str) -> tuple[list[str], tuple[str, ...]]:
    """What --rename and --classes make of the names, and their order; a stored number works as well as its name."""
    given, stored = columns.class_names(), [str(i) for i in numbers]
    rename = columns.renamed([*names, *stored], where)
    names = [rename.get(n, rename.get(i, n)) for n, i in zip(names, stored, strict=True)]
    if len(given) == len(names) and not {*given} & {*names, *stored}:
        names = list(given)
    elif {*names} != {*given} == {*stored}:
        given = tuple(dict.fromkeys(names[stored.index(i)] for i in given))
    if given and {*given} != {*names}:
        what = f"--classes {columns.classes} are not the labels {listed(list(dict.fromkeys(names)))}"
        raise refused(where, what, "name each, in any order")
    return names, given or tuple(dict.fromkeys(names))
