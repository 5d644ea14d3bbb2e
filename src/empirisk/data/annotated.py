"""Pictures with boxes, whatever form they came in: every box is looked at before anything is trained on it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from empirisk.data import folders, labels, pictures, readers
from empirisk.data.readers import File
from empirisk.data.rows import Box, Columns, Rows, Table
from empirisk.errors import Wrong, listed, near, shown

EDGE = 1.0
"Pixels that a box may reach over the edge of its picture, by rounding; it is cut there, and counted."


class Marked(NamedTuple):
    """One picture of an annotated set."""

    id: str
    path: Path
    part: str
    "train, val, test, or new where no split is given"
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None = None
    "(H, W) of which the annotation speaks, where it does"
    shares: bool = False
    "corners are shares of the picture's sides, not pixels"


def table(
    folder: Path, form: str, marked: Sequence[Marked], columns: Columns, *, skip_bad: int, odd: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Table:  # fmt: skip
    """The table of annotated pictures; `classes` are names in the order that the form gives, else by name.

    A box without area is left out; one that reaches a pixel over the edge is cut; both are counted in `odd`.

    Raises Wrong (exit 2): no picture, pictures that cannot be read, are of another size than the annotation says,
    or have a box outside of them; a label that is not among --classes; --rename of what does not occur.
    """
    if not marked:
        raise Wrong("the set has no annotated picture", where=str(folder))
    rename = columns.renamed()
    names = list(dict.fromkeys([*classes, *(b.label for m in marked for b in m.boxes)]))
    labels.check_renames(rename, names, str(folder))
    order = columns.class_names() or tuple(
        dict.fromkeys(rename.get(n, n) for n in (names if classes else sorted(names, key=labels.natural)))
    )
    _known(marked, rename, order, folder)
    rows: Rows = [
        {"id": m.id, "x": File(str(m.path)), "patient": None, "part": "new" if columns.split == "none" else m.part}
        for m in marked
    ]
    looks = readers.scan([r["x"] for r in rows])
    count: Counter[str] = Counter()
    faults = []
    for row, m, look in zip(rows, marked, looks, strict=True):
        fault = look.fault or _other_size(m, look.shape)
        if not fault:
            row["extent"] = look.shape[1:]
            sides = (*reversed(look.shape[1:]),) * 2 if m.shares else (1,) * 4
            boxes = [
                Box(rename.get(b.label, b.label), tuple(c * s for c, s in zip(b.corners, sides, strict=True)))
                for b in m.boxes
            ]
            kept, fault = _fitted(boxes, look.shape[1:], count)
            row["boxes"] = tuple(kept)
        faults.append(fault)
    rows, unreadable = pictures.sorted_out(rows, faults, str(folder), skip_bad=skip_bad, be="used")
    rows, patients, more = pictures.with_patients(rows, columns)
    notes = [*odd, *more, *_odd(rows, count), *pictures.name_twins(rows)]
    split = any(r["part"] != "new" for r in rows)
    of = Counter(b.label for r in rows for b in r["boxes"])
    about = [
        ("form", form, ""), ("images", pictures.described([k for k, f in zip(looks, faults, strict=True) if not f]), "--size"),
        ("boxes", f"{of.total():,}: {listed([f'{c} {of[c]:,}' for c in order])}", "--classes"),
        patients, ("split", folders.counts(rows) if split else "none given", "--split none"),
    ]  # fmt: skip
    return Table(
        name=folder.resolve().name, rows=rows, form=form, understood=about, odd=notes, classes=order, split_given=split,
        unreadable=unreadable, patients_known=any(r["patient"] for r in rows),
    )  # fmt: skip


def _known(marked: Sequence[Marked], rename: dict[str, str], order: Sequence[str], folder: Path) -> None:
    for m in marked:
        for b in m.boxes:
            if (name := rename.get(b.label, b.label)) not in order:
                hint = near(name, order)
                raise Wrong(
                    f'label "{shown(name, 60)}" is not among {listed(order)}', where=f"{folder}: {shown(m.id)}",
                    remedy=f"{hint} Correct it or add --rename {name}={order[0]}".strip(),
                )  # fmt: skip


def _other_size(m: Marked, shape: tuple[int, ...]) -> str:
    if len(shape) != 3:
        return "boxes are for pictures, this is a volume"
    if m.size is None or m.size == shape[1:]:
        return ""
    return f"the annotation is of a picture of {m.size[1]} x {m.size[0]}, this one is {shape[2]} x {shape[1]}"


def _fitted(boxes: Sequence[Box], extent: Sequence[int], count: Counter[str]) -> tuple[list[Box], str]:
    """The boxes inside the picture, and what is wrong with the first that is not."""
    kept = []
    ends = tuple(reversed(extent))  # (W, H)
    for number, box in enumerate(boxes, 1):
        low, high = box.corners[:2], box.corners[2:]
        if not all(a >= -EDGE and b <= e + EDGE for a, b, e in zip(low, high, ends, strict=True)):  # NaN too
            corners = " ".join(f"{c:g}" for c in box.corners)
            return (
                [],
                f"box {number} ({shown(box.label, 40)}) reaches outside of the picture, {ends[0]} x {ends[1]}: {corners}",
            )
        if not all(a < b for a, b in zip(low, high, strict=True)):
            count["no area"] += 1
            continue
        cut = (*(max(a, 0.0) for a in low), *(min(b, float(e)) for b, e in zip(high, ends, strict=True)))
        count["cut"] += cut != box.corners
        kept.append(Box(box.label, cut))
    return kept, ""


def _odd(rows: Rows, count: Counter[str]) -> list[str]:
    odd = [f"{count['no area']} boxes have no area and are left out"] if count["no area"] else []
    odd += [f"{count['cut']} boxes reach up to a pixel over the edge and are cut there"] if count["cut"] else []
    bare = [r["id"] for r in rows if not r["boxes"]]
    odd += [f"{len(bare)} pictures have no box: {listed(bare, 3)}"] if bare else []
    if {r["part"] for r in rows} == {"train", "val"}:
        odd.append("a split of train and val alone: val is the test set here, validation is carved out of train")
    return odd
