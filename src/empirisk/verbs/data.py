"""Before anything is trained: what was understood of some data, what is odd, the next command, and leaks between its splits."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from empirisk import report as pages
from empirisk.data import audit as audits
from empirisk.data import forms, readers, splits
from empirisk.data.card import Card
from empirisk.data.rows import Columns, Table
from empirisk.errors import USE, listed
from empirisk.files import make_folder, write
from empirisk.report import drawn
from empirisk.verbs.flags import Boxes, Caption, Image, Json, Label, Mask, Patient, Source, Split, Target, Text
from empirisk.verbs.say import Say
from empirisk.verbs.words import counts, understood

MOST = 40
"""Classes whose rows are told on the terminal."""
TASKS = {
    "target": "regression",
    "label": "classification",
    "mask": "segmentation",
    "boxes": "detection",
    "phases": "frames",
    "caption": "captioning",
}
OF_TEXTS = {"caption": "translation", "label": "sequences", "target": "sequences"}
"""What rows hold -> the experiment that learns it; the first that some row holds; of rows of text."""


def next_command(data: str, table: Table, columns: Columns) -> str:
    """The command that trains on this table, with the flags that were given; a number is learned where nothing else is there."""
    held = [k for k in TASKS if any(r.get(k) is not None for r in table.rows)]
    if not held and table.form == "DICOM tree":
        return f"empirisk data {data} --labels TABLE.csv --join StudyInstanceUID"
    named = [k for k in ("mask", "boxes", "caption") if getattr(columns, k) and k in held]
    wanted = next((k for k in [*named, *held] if k != "target" or columns.target), "target")
    flags = [f" --{k} {shlex.quote(v)}" for k, v in vars(columns).items() if v and isinstance(v, str)]
    learns = OF_TEXTS if isinstance(table.rows[0]["x"], readers.Text) else TASKS
    return f"empirisk train {learns[wanted]} {data}{''.join(flags)}"


def command_for(data: str) -> str:
    """`empirisk train DATA` without an experiment: what DATA holds decides the command to type."""
    return next_command(data, forms.table(data), Columns())


def data(
    data: Source, *, image: Image = None, label: Label = None, target: Target = None, patient: Patient = None, split: Split = None,
    mask: Mask = None, boxes: Boxes = None, text: Text = None, caption: Caption = None,
    series: Annotated[str | None, Parameter(help="of a DICOM tree: series number, modality, or words of the description")] = None,
    labels: Annotated[str | None, Parameter(help="table of the labels of a DICOM tree")] = None,
    join: Annotated[str | None, Parameter(help="DICOM tag by which that table is joined")] = None,
    skip_bad: Annotated[int, Parameter(help="unreadable pictures to leave out at most")] = 0,
    out: Annotated[str | None, Parameter(help="folder of the page; runs/NAME-data if not given")] = None, json: Json = False,
) -> None:  # fmt: skip
    """Say what a data set holds, what is odd, and the command to type next; writes a page of its images.

    Example: empirisk data photos/
    """
    say = Say(as_json=json)
    columns = Columns(
        image=image, label=label, target=target, patient=patient, split=split, mask=mask, boxes=boxes, text=text,
        caption=caption, series=series, labels=labels, join=join,
    )  # fmt: skip
    table = forms.table(data, columns, skip_bad=skip_bad)
    understood(say, "Understood", table, len(table.rows))
    rows = splits.split(table.rows)
    leaks = audits.examine(rows)
    n = counts(rows)
    say("Split", "given" if table.split_given else "drawn, by patient" if table.patients_known else "drawn", "--split")
    for part, some in n.items():
        classes = [f"{k} {v:,}" for k, v in some.items() if k != "rows"]
        more = [f"and {len(classes) - MOST:,} more classes"] if len(classes) > MOST else []
        say("", [f"{part} {sum(r['part'] == part for r in rows):,}{':' if classes else ''}", *classes[:MOST], *more])
    lines = {
        "identical images in two splits": [f"{p} {c}" for p, c in leaks.identical.items() if c],
        "near-twins in two splits": [f"{p} {c}" for p, c in leaks.twins.items() if c],
        "in two splits": [f"{who} ({where})" for who, where in leaks.shared],
    }
    odd = [*table.odd, *(f"{what}: {listed(some, 4)}" for what, some in lines.items() if some)]
    odd += [f"left out, cannot be read: {i} ({why})" for i, why in table.unreadable[:5]]
    for line in odd:
        say("Odd", line)
    about = {"name": table.name, "source": table.source, "licence": table.licence}
    page: Path | None = None
    if Card.learn([r for r in rows if r["part"] == "train"], about, None).dims:
        figures = drawn.of_data([r for r in rows if r["part"] != "test"], leaks.pairs, rows)
        folder = Path(out) if out else Path("runs") / f"{Path(data.partition(':')[0]).stem}-data"
        make_folder(folder, parents=True)
        page = folder / "report.html"
        write(page, pages.look(table.name, {"name": table.name, "form": table.form} | about, n, odd, figures))
        say("Look", str(page))
    command = next_command(data, table, columns)
    say("Next", command)
    say.document({"name": table.name, "form": table.form, "rows": len(table.rows), "n": n, "odd": odd, "audit": leaks.json(),
                  "page": str(page) if page else None, "next": command})  # fmt: skip


def audit(
    data: Source, *, image: Image = None, label: Label = None, target: Target = None, patient: Patient = None, split: Split = None,
    mask: Mask = None, boxes: Boxes = None, text: Text = None, caption: Caption = None,
    split_seed: Annotated[int, Parameter(help="of the split that is drawn where none is given")] = 0, json: Json = False,
) -> int:  # fmt: skip
    """Look for leaks: the same patient, the same pixels, or near-twins in two splits. Exit 2 if there are any.

    Example: empirisk audit pneumoniamnist.npz
    """
    say = Say(as_json=json)
    columns = Columns(
        image=image, label=label, target=target, patient=patient, split=split, mask=mask, boxes=boxes, text=text,
        caption=caption,
    )  # fmt: skip
    table = forms.table(data, columns)
    rows = splits.split(table.rows, seed=split_seed)
    found = audits.examine(rows, unreadable=[i for i, _ in table.unreadable])
    say("Compared", found.compared)
    every = (found.identical, found.twins, found.patients)
    identical, twins, patients = ("   ".join(f"{pair} {n}" for pair, n in counts.items()) for counts in every)
    say("Identical", identical)
    say("Near-twins", twins)
    say("Patients", patients if found.patients_known else "unknown", "--patient")
    for p in found.pairs[:8]:
        say("", f"{p.partner} ~ {p.held}   {'identical' if p.identical else f'correlation {p.correlation:.3f}'}")
    if found.shared:
        say("In two", listed([f"{who} in {places}" for who, places in found.shared]))
    say("Verdict", "leaks: see above" if found.leaks() else "no identical image and no patient in two splits")
    say.document(found.json())
    return USE if found.leaks() else 0
