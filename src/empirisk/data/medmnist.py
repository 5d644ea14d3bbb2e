"""MedMNIST archives and others of their form, with what the eighteen published files do not say themselves.

Names of classes are the publisher's, without commas and brackets, which lists of names need for themselves.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from empirisk.data.archive import arrays
from empirisk.data.labels import check_renames
from empirisk.data.readers import Stored
from empirisk.data.rows import Columns, Row, Rows, Table
from empirisk.errors import Wrong, listed

_ORGANS = "bladder|femur-left|femur-right|heart|kidney-left|kidney-right|liver|lung-left|lung-right|pancreas|spleen"
_ORGANS_3D = "liver|kidney-right|kidney-left|femur-right|femur-left|bladder|heart|lung-right|lung-left|spleen|pancreas"
_SETS = {  # file stem: title, what it shows, names of the classes in the order of the stored numbers
    "pathmnist": ("PathMNIST", "colon tissue", "adipose|background|debris|lymphocytes|mucus|smooth muscle"
                  "|normal colon mucosa|cancer-associated stroma|colorectal adenocarcinoma epithelium"),
    "chestmnist": ("ChestMNIST", "chest X-rays", "atelectasis|cardiomegaly|effusion|infiltration|mass|nodule|pneumonia"
                   "|pneumothorax|consolidation|edema|emphysema|fibrosis|pleural|hernia"),
    "dermamnist": ("DermaMNIST", "dermatoscopy", "actinic keratoses and intraepithelial carcinoma|basal cell carcinoma"
                   "|benign keratosis-like lesions|dermatofibroma|melanoma|melanocytic nevi|vascular lesions"),
    "octmnist": ("OCTMNIST", "retinal OCT", "choroidal neovascularization|diabetic macular edema|drusen|normal"),
    "pneumoniamnist": ("PneumoniaMNIST", "chest X-rays of children", "normal|pneumonia"),
    "retinamnist": ("RetinaMNIST", "fundus, grade of retinopathy", "0|1|2|3|4"),
    "breastmnist": ("BreastMNIST", "breast ultrasound", "malignant|normal or benign"),
    "bloodmnist": ("BloodMNIST", "blood cells", "basophil|eosinophil|erythroblast|immature granulocytes|lymphocyte"
                   "|monocyte|neutrophil|platelet"),
    "tissuemnist": ("TissueMNIST", "kidney cortex cells", "collecting duct or connecting tubule"
                    "|distal convoluted tubule|glomerular endothelial cells|interstitial endothelial cells|leukocytes"
                    "|podocytes|proximal tubule segments|thick ascending limb"),
    "organamnist": ("OrganAMNIST", "abdominal CT, axial", _ORGANS),
    "organcmnist": ("OrganCMNIST", "abdominal CT, coronal", _ORGANS),
    "organsmnist": ("OrganSMNIST", "abdominal CT, sagittal", _ORGANS),
    "organmnist3d": ("OrganMNIST3D", "abdominal CT", _ORGANS_3D),
    "nodulemnist3d": ("NoduleMNIST3D", "chest CT", "benign|malignant"),
    "adrenalmnist3d": ("AdrenalMNIST3D", "shapes of adrenal glands", "normal|hyperplasia"),
    "fracturemnist3d": ("FractureMNIST3D", "chest CT", "buckle rib fracture|nondisplaced rib fracture"
                        "|displaced rib fracture"),
    "vesselmnist3d": ("VesselMNIST3D", "shapes of brain vessels", "vessel|aneurysm"),
    "synapsemnist3d": ("SynapseMNIST3D", "electron microscopy", "inhibitory synapse|excitatory synapse"),
}  # fmt: skip


class Known(NamedTuple):
    """One published set: title, what it shows, names of the classes in the order of the stored numbers."""

    title: str
    shows: str
    classes: tuple[str, ...]
    licence: str
    source: str = "MedMNIST v2 (Yang et al., Scientific Data 2023)"


def known(stem: str) -> Known | None:
    """The published set of that file name without .npz, at any of its sizes; None where it is none.

    >>> known("breastmnist_64").classes
    ('malignant', 'normal or benign')
    >>> known("ours")
    """
    key = re.sub(r"_(28|64|128|224)$", "", stem.casefold())
    if key not in _SETS:
        return None
    title, shows, names = _SETS[key]
    return Known(title, shows, tuple(names.split("|")), "CC BY-NC 4.0" if key == "dermamnist" else "CC BY 4.0")


def table(path: Path, columns: Columns) -> Table:
    """The table of an archive with `{train,val,test}_{images,labels}`, or `images` and `labels`; ids are "train/17".

    Images (n, H, W), (n, D, H, W), with a last or second axis of 1 to 4 as channels, or (n, D): vectors. Labels (n,) or
    (n, 1): whole numbers are classes (and numbers), others numbers; (n, K) of 0 and 1: several labels.

    Raises
    ------
    Wrong
        exit 2: what `archive.arrays` refuses, images and labels of unequal number, parts of unequal shape, no images.
    """
    found, set_ = arrays(path), known(path.stem)
    parts = [p for p in ("train", "val", "test") if f"{p}_images" in found] or [""]
    keys = {p: f"{p}_images".lstrip("_") for p in parts}
    keys = {p: k for p, k in keys.items() if len(found[k])}
    if not keys:
        raise Wrong("the archive holds no image", where=str(path))
    kind = compact(found[next(iter(keys.values()))])
    images = {p: pixels(found[k], kind, f"{path}: {k}") for p, k in keys.items()}
    shapes = {a.shape[1:] for a in images.values()}
    if len(shapes) > 1:
        raise Wrong(f"the archive has parts of unequal shape: {listed(sorted(shapes))}", where=str(path))
    truth = {p: found[k] for p in images if (k := f"{p}_labels".lstrip("_")) in found}
    for p, y in truth.items():
        if len(y) != len(images[p]):
            raise Wrong(f"{len(images[p])} images, but {len(y)} labels", where=f"{path} {p}".rstrip())
    classes, answers, odd = labels_of(truth, set_, columns, path)
    rows: Rows = []
    for p, a in images.items():
        for i in range(len(a)):
            row = {"id": f"{p}/{i}" if p else str(i), "x": Stored(a, i), "patient": None, "part": p or "new"}
            rows.append(row | (answers[p][i] if p in answers else {}))
    ignored = columns.split == "none"
    counts = ", ".join(f"{p} {len(a):,}" for p, a in images.items())
    shape = shapes.pop()
    about = [
        ("form", f"{set_.title}: {set_.shows}" if set_ else "archive of images and labels", ""),
        ("images", f"{len(rows):,} {described(shape, str(next(iter(images.values())).dtype))}", "--size"),
        (
            "labels",
            f"{len(classes)} classes: {listed(classes)}" if classes else "numbers" if truth else "none",
            "--classes",
        ),
        ("patients", "unknown", ""),
        ("split", f"given: {counts}" if parts != [""] and not ignored else "none given", "--split none"),
    ]
    return Table(
        name=path.stem, rows=[r | {"part": "new"} for r in rows] if ignored else rows, form="archive (.npz)",
        understood=about, odd=odd, classes=classes, split_given=parts != [""] and not ignored,
        licence=set_.licence if set_ else "", source=set_.source if set_ else "",
    )  # fmt: skip


def described(shape: tuple[int, ...], dtype: str) -> str:
    """Size, depth and colour in words.

    >>> described((1, 28, 28), "uint8")
    'of 28x28, 8-bit grey'
    """
    bits = {"uint8": "8-bit", "uint16": "16-bit"}.get(dtype, "float")
    if len(shape) == 1:
        return f"vectors of {shape[0]} numbers"
    colour = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]} channels")
    return f"of {'x'.join(map(str, shape[1:]))}, {bits} {colour}"


def compact(a: np.ndarray) -> np.dtype[Any]:
    """uint8, uint16 or float32: the smallest that holds the images of the first part, which is train where there is one."""
    if a.ndim == 2 or a.dtype.kind == "f" or a.dtype in (np.uint8, np.uint16):
        return a.dtype if a.dtype.kind == "u" and a.ndim > 2 else np.dtype(np.float32)
    if a.dtype == bool or (a.min() >= 0 and a.max() <= 255):
        return np.dtype(np.uint8)
    return np.dtype(np.uint16 if a.min() >= 0 and a.max() <= 65535 else np.float32)


def pixels(a: np.ndarray, kind: np.dtype[Any], where: str) -> np.ndarray:
    """(n, C, *size) or (n, D) of that type; black-and-white becomes 0 and 255.

    Raises
    ------
    Wrong
        exit 2: axes that are no image's, an empty axis, values that are not finite or do not fit.
    """
    if not 2 <= a.ndim <= 5 or 0 in a.shape[1:]:
        raise Wrong(
            f"shape {a.shape} is not that of images", where=where, remedy="save (n, H, W), (n, H, W, 3), (n, D, H, W)"
        )
    if a.ndim >= 4 and a.shape[-1] <= 4:
        a = np.moveaxis(a, -1, 1)
    elif a.ndim == 3 or (a.ndim == 4 and a.shape[1] > 4):
        a = a[:, None]
    elif a.ndim == 5 and a.shape[1] > 4:
        raise Wrong(f"shape {a.shape} has no axis of 1 to 4 channels", where=where)
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        bad = np.flatnonzero(~np.isfinite(a.reshape(len(a), -1)).all(1))
        raise Wrong(f"{len(bad)} images hold values that are not finite: {listed(bad.tolist())}", where=where)
    if kind.kind == "u" and a.dtype not in (kind, bool) and (a.min() < 0 or a.max() > np.iinfo(kind).max):
        raise Wrong(f"values beyond the {kind} of the first part", where=where, remedy="save all parts in one type")
    return a.astype(np.uint8) * 255 if a.dtype == bool and a.ndim > 2 else a.astype(kind, copy=False)


def labels_of(
    truth: dict[str, np.ndarray], set_: Known | None, columns: Columns, path: Path
) -> tuple[tuple[str, ...], dict[str, list[Row]], list[str]]:
    """Names of the classes, label and target of each row by part, and what is odd."""
    if not truth:
        return (), {}, []
    flat = {p: y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for p, y in truth.items()}
    if any(y.ndim == 2 for y in flat.values()):
        return _several(flat, set_, columns, path)
    if any(y.ndim != 1 for y in flat.values()):
        raise Wrong(
            f"the archive has labels of shape {next(iter(truth.values())).shape}",
            where=str(path),
            remedy="(n,), (n, 1), or (n, K) of 0 and 1",
        )
    values = {p: y.astype(np.float64) for p, y in flat.items()}
    if any(np.isinf(v).any() for v in values.values()):
        raise Wrong("the archive has labels that are not finite", where=str(path))
    known_values = np.unique(np.concatenate([v[~np.isnan(v)] for v in values.values()]))
    gone = sum(int(np.isnan(v).sum()) for v in values.values())
    odd = [f"{gone:,} rows have no label"] if gone else []
    if not known_values.size or (known_values % 1).any():
        return (), {p: [{} if np.isnan(t) else {"target": float(t)} for t in v] for p, v in values.items()}, odd
    taught = values.get("train", known_values)  # the classes are those that training rows show, whatever is held out
    numbers = np.unique(taught[~np.isnan(taught)]).astype(int).tolist()
    names = {i: str(i) for i in known_values.astype(int).tolist()}
    if set_ and min(names) >= 0 and max(names) < len(set_.classes):
        names, numbers = dict(enumerate(set_.classes)), list(range(len(set_.classes)))
    elif set_:
        odd.append(f"the labels are not those of {set_.title}; they are called by their numbers")
    called, order = _called([names[i] for i in numbers], numbers, columns, path)
    names |= dict(zip(numbers, called, strict=True))
    rows = {
        p: [{} if np.isnan(t) else {"label": names[int(t)], "target": float(t)} for t in v] for p, v in values.items()
    }
    return order, rows, odd


def _called(names: list[str], numbers: list[int], columns: Columns, path: Path) -> tuple[list[str], tuple[str, ...]]:
    """What --rename and --classes make of the names; a class goes by its name, its stored number works too."""
    rename, given = columns.renamed(), columns.class_names()
    stored = [str(i) for i in numbers]
    check_renames(rename, [*names, *stored], str(path))
    names = [rename.get(n, rename.get(i, n)) for n, i in zip(names, stored, strict=True)]
    order = tuple(dict.fromkeys(names))
    if not given:
        return names, order
    if set(given) == set(order):
        return names, given
    if set(given) == set(stored):
        return names, tuple(dict.fromkeys(names[stored.index(i)] for i in given))
    if len(given) == len(names) and not set(given) & {*names, *stored}:
        return list(given), given
    raise Wrong(
        f"--classes {columns.classes} are not the labels {listed(order)}",
        where=str(path),
        remedy="name each, in any order",
    )


def _several(
    truth: dict[str, np.ndarray], set_: Known | None, columns: Columns, path: Path
) -> tuple[tuple[str, ...], dict[str, list[Row]], list[str]]:
    """Labels (n, K) of 0 and 1: each row has a tuple of names."""
    widths = {y.shape[1] for y in truth.values()}
    if len(widths) > 1 or any(not np.isin(y, (0, 1)).all() for y in truth.values()):
        raise Wrong("labels of several columns must be 0 or 1, and of one width", where=str(path))
    width = widths.pop()
    fits = set_ is not None and len(set_.classes) == width
    names = list(set_.classes) if set_ and fits else [str(i) for i in range(width)]
    called, order = _called(names, list(range(width)), columns, path)
    rows = {
        p: [{"label": tuple(n for n in order if n in {called[k] for k in np.flatnonzero(y)})} for y in ys]
        for p, ys in truth.items()
    }
    return order, rows, [] if fits or not set_ else [f"the labels are not those of {set_.title}"]
