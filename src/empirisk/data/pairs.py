"""Images beside their label maps: images/ and labels/ (or masks/) with equal names, in folders of a split or not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from empirisk.data import folders, pictures
from empirisk.data.geometry import TOLERANCE, apart
from empirisk.data.readers import File, Labels, Look
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong, listed

IMAGES, LABELS = ("images", "imgs"), ("labels", "masks")
"What the two folders are called, in any case."


class Paired(NamedTuple):
    """What a look at every image and its label map found."""

    rows: Rows
    voxels: dict[str, dict[int, int]]
    "id -> label -> voxels, the background left out"
    unreadable: list[tuple[str, str]]
    found: str
    "what the images are, in words"


def beside(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files in folders called `images` and in folders called `labels`, each by its path without that folder and its ending.

    Raises Wrong (exit 2): two files of one name.
    """
    found: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for path in sorted(folders.files(folder)):
        inside = path.relative_to(folder).parts
        for names, there in zip((IMAGES, LABELS), found, strict=True):
            at = next((k for k, part in enumerate(inside[:-1]) if part.casefold() in names), None)
            if at is None or path.name.startswith("."):
                continue
            key = pictures.stem("/".join(inside[:at] + inside[at + 1 :]))
            if there.setdefault(key, path) != path:
                both = listed([str(p.relative_to(folder)) for p in (there[key], path)])
                raise Wrong(f"two files of one name: {both}", where=str(folder), remedy="keep one, or rename it")
    return found


def table(folder: Path, columns: Columns, *, skip_bad: int = 0, bare: bool = False) -> Table:
    """The table of images and label maps; ids are paths without `images/` and ending.

    Raises Wrong (exit 2): no image, no image with a map, files of one name, images or maps that cannot be read, a
    map of another size or place than its image.
    """
    images, maps = beside(folder)
    images = {k: p for k, p in images.items() if pictures.is_picture(p)}
    maps = {k: p for k, p in maps.items() if pictures.is_picture(p)}
    if not set(images) & set(maps) and not (bare and images):
        raise Wrong(
            f"no image of {folder} has a label map of its name", where=f"{len(images)} images, {len(maps)} maps",
            remedy="call images/A.png and labels/A.png alike",
        )  # fmt: skip
    rows: Rows = []
    for key, path in images.items():
        part = folders.PARTS.get(key.split("/")[0].casefold(), "new") if columns.split != "none" else "new"
        row: Row = {"id": key, "x": File(str(path)), "patient": None, "part": part}
        rows.append(row | ({"mask": Labels(str(maps[key]))} if key in maps else {}))
    seen = paired(rows, str(folder), skip_bad=skip_bad)
    rows, patients, odd = pictures.with_patients(seen.rows, columns)
    loose = [k for k in maps if k not in images]
    odd += [f"{len(loose)} label maps have no image: {listed(loose, 3)}"] if loose else []
    without = [r["id"] for r in rows if "mask" not in r]
    odd += [f"{len(without)} images have no label map: {listed(without, 3)}"] if without else []
    empty = [i for i, v in seen.voxels.items() if not v]
    odd += [f"{len(empty)} label maps are empty: {listed(empty, 3)}"] if empty else []
    split = any(r["part"] != "new" for r in rows)
    values = sorted({v for counts in seen.voxels.values() for v in counts})
    classes = columns.class_names()
    about = [
        ("form", "images and label maps", ""), ("images", seen.found, "--size"),
        ("masks", f"{len(seen.voxels):,} label maps, of {listed(classes) or f'numbers {listed(values, 6)}'}", "--classes"),
        patients, ("split", folders.counts(rows) if split else "none given", "--split none"),
    ]  # fmt: skip
    return Table(
        name=folder.resolve().name, rows=rows, form="images and label maps", understood=about, odd=odd + pictures.name_twins(rows),
        classes=classes, split_given=split, unreadable=seen.unreadable, patients_known=any(r["patient"] for r in rows),
    )  # fmt: skip


def paired(rows: Rows, where: str, *, skip_bad: int) -> Paired:
    """Read every image and its label map once; a fault of either, or a map that does not fit its image, is one of the row.

    Raises Wrong (exit 2): more than `skip_bad` rows have a fault; they are listed.
    """
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(_look, rows))
    good, bad = pictures.sorted_out(rows, [look.fault for look, _ in seen], where, skip_bad=skip_bad, be="used")
    voxels = {r["id"]: v for r, (look, v) in zip(rows, seen, strict=True) if v is not None and not look.fault}
    return Paired(good, voxels, bad, pictures.described([look for look, _ in seen if not look.fault]))


def _look(row: Row) -> tuple[Look, dict[int, int] | None]:
    """The image's shape and type, and the voxels of each label; no map: None."""
    try:
        image = row["x"].read()
    except Wrong as wrong:
        return Look(fault=said(wrong, row["x"].path)), None
    look = Look(image.shape, str(image.dtype))
    if "mask" not in row:
        return look, None
    try:
        labels = row["mask"].read()
        fault = misfit(row, image.shape[1:], labels.shape)
    except Wrong as wrong:
        return Look(fault=f"its label map: {said(wrong, row['mask'].path)}"), None
    if fault:
        return Look(fault=fault), None
    counts = np.bincount(labels.ravel())
    return look, {int(v): int(counts[v]) for v in np.flatnonzero(counts) if v}


def said(wrong: Wrong, path: str) -> str:
    """The fault of a file without its path, which stands beside it."""
    return wrong.where if path in wrong.what and wrong.where else wrong.what


def misfit(row: Row, size: tuple[int, ...], other: tuple[int, ...]) -> str:
    """Why a row's label map, of size `other`, does not lie on its image of this size; "" where it does."""
    remedy = "resample it onto the image's grid"
    if size != other:
        sizes = [" x ".join(map(str, s)) for s in (other, size)]
        return f"its label map has {sizes[0]} points, the image {sizes[1]}: {remedy}"
    here, there = row["x"].geometry(), row["mask"].geometry()
    away = apart(here, there, size) if here and there else 0.0
    return (
        f"its label map lies elsewhere than the image, by up to {away:.2g} voxels: {remedy}" if away > TOLERANCE else ""
    )
