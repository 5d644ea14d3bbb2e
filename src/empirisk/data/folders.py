"""Folders of images: class folders, images beside their label maps, and those of the Medical Segmentation Decathlon."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from empirisk.data import pictures
from empirisk.data.columns import samples
from empirisk.data.labels import Sheet
from empirisk.data.pictures import PARTS
from empirisk.data.readers import File, Labels
from empirisk.data.rows import Columns, Row, Rows, Table, refused
from empirisk.errors import Wrong, listed, near, shown
from empirisk.files import guarded, read_json

IMAGES, LABELS = ("images", "imgs"), ("labels", "masks")
"What the folders of images and of label maps are called, in any case."
VOLUME = "volume"  # Column of all structures of a Decathlon case together, mm3; of one structure it is volume/NAME.


def table(folder: Path, columns: Columns) -> Table:
    """The table of class folders: FOLDER/class/picture, or FOLDER/{train,val,test}/class/picture; deeper ones belong to the class.

    It is that of a sheet of their names; ids are paths relative to the folder. With `bare` (what is to be predicted) or
    `truthless` a folder of pictures without class folders has rows without labels. Raises Wrong (exit 2): no picture, pictures without class folders, a
    single class, what `columns.samples` refuses.
    """
    there = pictures.files(folder)
    paths = [p for p in there if pictures.is_picture(p)]
    others = [str(p.relative_to(folder)) for p in sorted({*there} - {*paths}) if not p.name.startswith(".")]
    if not paths:
        hint = "give a folder of class folders with PNG, JPEG, TIFF or NIfTI images, a .csv or an .npz"
        raise Wrong(f"{folder} holds no picture", where=listed(others, 3), remedy=hint)
    inside = [p.relative_to(folder).parts for p in paths]
    first = {parts[0].strip().casefold() for parts in inside if len(parts) > 1}
    split = first <= {*PARTS} and "train" in {PARTS[f] for f in first} and any(len(parts) > 2 for parts in inside)
    names = ["/".join(parts) for parts in inside]
    classes = [parts[split] if len(parts) > 1 + split else "" for parts in inside]
    loose = [name for name, label in zip(names, classes, strict=True) if not label]
    if not (columns.bare or columns.truthless) and (loose or (len({*classes}) < 2 and not columns.classes)):
        what = f"pictures outside of class folders: {listed(loose, 3)}" if loose else f"a single class, {classes[0]}"
        raise refused(folder, what, "put each class into a folder of its own name, or give a .csv with image and label")
    cells = {"image": names} | ({} if loose else {"label": classes})
    if split and not loose and columns.split != "none":
        cells["split"] = [parts[0] for parts in inside]
    notes = (f"{len(others)} files are no pictures: {listed(others, 3)}",) if others else ()
    form = "pictures" if loose else "class folders"
    sheet = Sheet(folder.resolve().name, str(folder), cells, names, folder, form, notes, words=True)
    found = samples(sheet, replace(columns, image=None, mask=None, boxes=None))
    seen: dict[str, set[Any]] = defaultdict(set)
    for row in found.rows:
        seen[row["part"]].add(row.get("label"))
    every = set.union(*seen.values()) - {None}
    odd = [f"class {c} has no picture. {near(c, every)}".strip() for c in found.classes if c not in every]
    for part, here in sorted(seen.items()) if found.split_given else ():
        absent = [c for c in found.classes if c in every - here]
        odd += [f"{part} has no picture of {listed(absent)}"] if absent else []
    return replace(found, odd=[*found.odd, *odd])


def beside(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files in folders called `images` and in folders called `labels`, each by its path without that folder and its ending.

    Raises Wrong (exit 2): two files of one name.
    """
    found: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for path in pictures.files(folder):
        inside = path.relative_to(folder).parts
        for names, there in zip((IMAGES, LABELS), found, strict=True):
            at = next((k for k, part in enumerate(inside[:-1]) if part.casefold() in names), None)
            if at is None or path.name.startswith("."):
                continue
            key = pictures.stem("/".join(inside[:at] + inside[at + 1 :]))
            if there.setdefault(key, path) != path:
                both = listed([str(p.relative_to(folder)) for p in (there[key], path)])
                raise refused(folder, f"two files of one name: {both}", "keep one, or rename it")
    return found


def pairs(folder: Path, images: Mapping[str, Path], maps: Mapping[str, Path], columns: Columns) -> Table:
    """The table of the images and label maps that `beside` found; ids are paths without `images/` and ending.

    Raises Wrong (exit 2): no image, no image with a map, images or maps that cannot be read, a map of another size or
    place than its image.
    """
    images, maps = ({k: p for k, p in some.items() if pictures.is_picture(p)} for some in (images, maps))
    if not set(images) & set(maps) and not ((columns.bare or columns.truthless) and images):
        what, where = f"no image of {folder} has a label map of its name", f"{len(images)} images, {len(maps)} maps"
        raise Wrong(what, where=where, remedy="call images/A.png and labels/A.png alike")
    rows: Rows = []
    for key, path in images.items():
        part = PARTS.get(key.split("/")[0].casefold(), "new") if columns.split != "none" else "new"
        row: Row = {"id": key, "x": File(str(path)), "patient": None, "part": part}
        rows.append(row | ({"mask": Labels(str(maps[key]))} if key in maps else {}))
    loose = [k for k in maps if k not in images]
    odd = [f"{len(loose)} label maps have no image: {listed(loose, 3)}"] if loose else []
    found = pictures.seen(rows, folder, columns)
    name, form = folder.resolve().name, "images and label maps"
    return pictures.table(found, columns, name=name, form=form, classes=columns.class_names(), odd=odd)


def decathlon(folder: Path, columns: Columns) -> Table:
    """One row a training case of dataset.json: mask, and as text the volumes in mm3; each case is a patient.

    Test images, which have no map, are left out. With --target volume, or volume/NAME, that number is the target.

    Raises Wrong (exit 2): a dataset.json that is none, paths that leave the folder, classes that are not 0, 1, 2,
    ..., no column --target, whatever `pictures.seen` refuses, labels that no class has.
    """
    file = folder / "dataset.json"
    about = read_json(file)
    with guarded(str(file), remedy="it must hold labels, and training: a list of image and label"):
        names = {int(k): str(v).strip() for k, v in about["labels"].items()}
        cases = [(str(c["image"]), str(c["label"])) for c in about["training"]]
    classes = tuple(names[k] for k in sorted(names) if k)
    if sorted(names) != list(range(len(names))) or not classes or len(set(classes)) < len(classes):
        raise refused(file, f"labels {listed(sorted(names))} are not 0, 1, 2, ... with a name each", "renumber them")
    if outside := [n for case in cases for n in case if Path(n).is_absolute() or ".." in Path(n).parts]:
        what = f"dataset.json names a file outside of its folder: {shown(outside[0])}"
        raise refused(folder, what, "give paths inside it")
    rows: Rows = []
    for image, label in cases:
        name = pictures.stem(Path(image).name)
        row: Row = {"id": name, "x": File(str(folder / image)), "patient": name, "part": "new"}
        rows.append(row | {"mask": Labels(str(folder / label))})
    if len({r["id"] for r in rows}) < len(rows) or not rows:
        what = "a case occurs twice in the list of training" if rows else "the list of training is empty"
        raise refused(file, what, "correct the list")
    found = pictures.seen(rows, folder, columns)
    for row in found.rows:
        row |= _volumes(row, found.voxels[row["id"]], classes)
    numbers = [VOLUME, *(f"{VOLUME}/{c}" for c in classes)]
    if columns.target and columns.target not in numbers:
        remedy = near(columns.target, numbers) or f"--target is one of {listed(numbers)}"
        raise refused(file, f'no column is called "{shown(columns.target)}"', remedy)
    for row in found.rows:
        row |= {"target": float(row[columns.target])} if columns.target else {}
    absent = [c for k, c in enumerate(classes, 1) if not any(k in v for v in found.voxels.values())]
    test, modality = len(about.get("test") or ()), about.get("modality") or about.get("channel_names") or {}
    odd = [f"no case has {listed(absent)}"] if absent else []
    odd += [f"{test} test images have no label map and are left out"] if test else []
    if isinstance(modality, dict) and modality:
        what, images, flag = found.images
        found = found._replace(images=(what, f"{images}, {listed(list(modality.values()))}", flag))
    return pictures.table(
        found, columns, name=str(about.get("name") or folder.resolve().name), form="Decathlon folder", classes=classes, odd=odd,
        lines=[("numbers", f"{listed(numbers)}, mm3", "--target")], patients=("patients", f"{len(found.rows):,}, each case one", ""),
        licence=str(about.get("licence") or about.get("license") or ""), source=str(about.get("reference") or ""),
    )  # fmt: skip


def _volumes(row: Row, voxels: Mapping[int, int], classes: tuple[str, ...]) -> dict[str, str]:
    """mm3 as text: voxels times the volume of one; raises Wrong (exit 2) for a label that no class has."""
    if strange := [v for v in voxels if v > len(classes)]:
        what = f"the label map has the value {strange[0]}, the classes are 1 to {len(classes)}"
        raise refused(row["id"], what, "correct the map, or name the class in dataset.json")
    here = row["mask"].geometry()
    mm3 = here.volume if here else 1.0
    found = {f"{VOLUME}/{c}": voxels.get(k, 0) * mm3 for k, c in enumerate(classes, 1)}
    return {k: f"{v:.9g}" for k, v in {VOLUME: sum(found.values()), **found}.items()}
