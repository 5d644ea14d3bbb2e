"""Folders of the Medical Segmentation Decathlon: dataset.json names images, label maps, classes and licence."""

from pathlib import Path
from typing import Any

from empirisk.data import pairs, pictures
from empirisk.data.readers import File, Labels
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong, listed, near, shown
from empirisk.files import guarded, read_json

VOLUME = "volume"
"Column of all structures together, mm3; of one structure it is volume/NAME."


def holds(folder: Path) -> bool:
    """Is it such a folder?"""
    return (folder / "dataset.json").is_file()


def table(folder: Path, columns: Columns, *, skip_bad: int = 0) -> Table:
    """One row a training case: mask, and as text the volumes in mm3; each case is a patient. Test images, which have no map, are left out.

    With --target volume, or volume/NAME, that number is the target.

    Raises Wrong (exit 2): a dataset.json that is none, paths that leave the folder, classes that are not 0, 1, 2,
    ..., no column --target, whatever `pairs.paired` refuses, labels that no class has.
    """
    file = folder / "dataset.json"
    about = read_json(file)
    with guarded(str(file), remedy="it must hold labels, and training: a list of image and label"):
        names = {int(k): str(v).strip() for k, v in about["labels"].items()}
        cases = [(str(c["image"]), str(c["label"])) for c in about["training"]]
    classes = tuple(names[k] for k in sorted(names) if k)
    if sorted(names) != list(range(len(names))) or not classes or len(set(classes)) < len(classes):
        raise Wrong(
            f"labels {listed(sorted(names))} are not 0, 1, 2, ... with a name each",
            where=str(file),
            remedy="renumber them",
        )
    rows: Rows = []
    for image, label in cases:
        name = pictures.stem(Path(image).name)
        row: Row = {"id": name, "x": File(_inside(folder, image)), "patient": name, "part": "new"}
        rows.append(row | {"mask": Labels(_inside(folder, label))})
    if len({r["id"] for r in rows}) < len(rows) or not rows:
        raise Wrong(
            "a case occurs twice in the list of training" if rows else "the list of training is empty", where=str(file)
        )
    seen = pairs.paired(rows, str(folder), skip_bad=skip_bad)
    for row in seen.rows:
        row.update(_volumes(row, seen.voxels[row["id"]], classes))
    _target(seen.rows, columns, str(file))
    absent = [c for k, c in enumerate(classes, 1) if not any(k in v for v in seen.voxels.values())]
    test = len(about.get("test") or ())
    odd = [f"no case has {listed(absent)}"] if absent else []
    odd += [f"{test} test images have no label map and are left out"] if test else []
    return Table(
        name=str(about.get("name") or folder.resolve().name), rows=seen.rows, form="Decathlon folder", classes=classes, odd=odd,
        understood=[
            ("form", "Decathlon folder", ""), ("images", f"{seen.found}{_modality(about)}", "--size"),
            ("masks", f"{len(seen.voxels):,}: {listed(classes)}", ""),
            ("numbers", listed([VOLUME, *(f"{VOLUME}/{c}" for c in classes)]) + ", mm3", "--target"),
            ("patients", f"{len(seen.rows):,}, each case one", ""), ("split", "none given", ""),
        ],
        patients_known=True, licence=str(about.get("licence") or about.get("license") or ""),
        source=str(about.get("reference") or ""), unreadable=seen.unreadable,
    )  # fmt: skip


def _inside(folder: Path, name: str) -> str:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise Wrong(
            f"dataset.json names a file outside of its folder: {shown(name)}",
            where=str(folder),
            remedy="give paths inside it",
        )
    return str(folder / path)


def _modality(about: dict[str, Any]) -> str:
    names = about.get("modality") or about.get("channel_names") or {}
    return f", {listed(list(names.values()))}" if isinstance(names, dict) and names else ""


def _volumes(row: Row, voxels: dict[int, int], classes: tuple[str, ...]) -> dict[str, str]:
    """mm3 as text: voxels times the volume of one; raises Wrong (exit 2) for a label that no class has."""
    strange = [v for v in voxels if v > len(classes)]
    if strange:
        raise Wrong(
            f"the label map has the value {strange[0]}, the classes are 1 to {len(classes)}", where=str(row["id"]),
            remedy="correct the map, or name the class in dataset.json",
        )  # fmt: skip
    here = row["mask"].geometry()
    mm3 = here.volume if here else 1.0
    found = {f"{VOLUME}/{c}": voxels.get(k, 0) * mm3 for k, c in enumerate(classes, 1)}
    return {k: f"{v:.9g}" for k, v in {VOLUME: sum(found.values()), **found}.items()}


def _target(rows: Rows, columns: Columns, where: str) -> None:
    """The number of the column --target."""
    if not columns.target:
        return
    numbers = [k for k in rows[0] if k.split("/")[0] == VOLUME]
    if columns.target not in numbers:
        raise Wrong(
            f'no column is called "{shown(columns.target)}"', where=where,
            remedy=near(columns.target, numbers) or f"--target is one of {listed(numbers)}",
        )  # fmt: skip
    for row in rows:
        row["target"] = float(row[columns.target])
