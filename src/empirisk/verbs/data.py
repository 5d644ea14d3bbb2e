"""What was understood of some data, what is odd, and the next command."""

import shlex
from pathlib import Path

from empirisk import report as pages
from empirisk.data import audit as audits
from empirisk.data import splits
from empirisk.data.card import Card
from empirisk.data.rows import Columns, Table
from empirisk.data.table import read_table
from empirisk.errors import listed
from empirisk.files import make_folder, write
from empirisk.report import drawn
from empirisk.verbs.say import Say
from empirisk.verbs.words import counts

MOST = 40
"""Classes whose rows are told on the terminal."""
TASKS = {"target": "regression", "label": "classification", "mask": "segmentation", "boxes": "detection"}
"""What rows hold -> the experiment that learns it; the first that some row holds."""


def next_command(data: str, table: Table, columns: Columns = Columns()) -> str:
    """The command that trains on this table, with the flags that were given; a number is learned where nothing else is there."""
    held = [k for k in TASKS if any(r.get(k) is not None for r in table.rows)]
    if not held and table.form == "DICOM tree":
        return f"empirisk data {data} --labels TABLE.csv --join StudyInstanceUID"
    wanted = next((k for k in held if k != "target" or columns.target), "target")
    flags = [f" --{k} {shlex.quote(v)}" for k, v in vars(columns).items() if v and isinstance(v, str)]
    return f"empirisk train {TASKS[wanted]} {data}{''.join(flags)}"


def data(
    data: str, *, image: str | None = None, label: str | None = None, target: str | None = None, patient: str | None = None,
    split: str | None = None, series: str | None = None, labels: str | None = None, join: str | None = None, skip_bad: int = 0,
    out: str | None = None, json: bool = False,
) -> None:  # fmt: skip
    """Say what a data set holds, what is odd, and the command to type next; writes a page of its images.

    Example: empirisk data photos/

    Parameters
    ----------
    data
        a path or a built-in name.
    image
        column of the image paths.
    label
        column of the class.
    target
        column of the number.
    patient
        column of the patient, or for folders a pattern; none: no grouping.
    split
        column of train, val or test.
    series
        of a DICOM tree: series number, modality, or words of the description.
    labels
        table of the labels of a DICOM tree.
    join
        DICOM tag by which that table is joined.
    skip_bad
        unreadable pictures to leave out at most.
    out
        folder of the page; runs/NAME-data if not given.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    columns = Columns(
        image=image, label=label, target=target, patient=patient, split=split, series=series, labels=labels, join=join
    )
    table = read_table(data, columns, skip_bad=skip_bad)
    say("Understood", f"{table.name}: {table.form}, {len(table.rows):,} rows")
    for what, found, flag in table.understood:
        if what not in {"form", "split"}:
            say("", f"{what} {found}", flag)
    odd = list(table.odd)
    rows = splits.split(table.rows)
    prints = audits.prints(rows)
    leaks = audits.examine(rows, hashes=prints.hashes, thumbs=prints.thumbs)
    n = counts(rows)
    say("Split", "given" if table.split_given else "drawn, by patient" if table.patients_known else "drawn", "--split")
    for part, some in n.items():
        classes = [f"{k} {v:,}" for k, v in some.items() if k != "rows"]
        more = [f"and {len(classes) - MOST:,} more classes"] if len(classes) > MOST else []
        say("", [f"{part} {sum(r['part'] == part for r in rows):,}{':' if classes else ''}", *classes[:MOST], *more])
    if any(leaks.identical.values()):
        odd.append(f"identical images in two splits: {listed([f'{p} {c}' for p, c in leaks.identical.items() if c])}")
    if any(leaks.twins.values()):
        odd.append(f"near-twins in two splits: {listed([f'{p} {c}' for p, c in leaks.twins.items() if c])}")
    if leaks.shared:
        odd.append(f"in two splits: {listed([f'{who} ({where})' for who, where in leaks.shared], 4)}")
    odd += [f"left out, cannot be read: {i} ({why})" for i, why in table.unreadable[:5]]
    for line in odd:
        say("Odd", line)
    page = None
    about = {
        k: v
        for k, v in {"name": table.name, "form": table.form, "source": table.source, "licence": table.licence}.items()
        if v
    }
    card = Card.learn(
        [r for r in rows if r["part"] == "train"], {k: about.get(k, "") for k in ("name", "source", "licence")}, None
    )
    if card.dims:
        wanted = {i for p in leaks.pairs[: drawn.PAIRS] for i in (p.partner, p.held)}
        images = {r["id"]: r["x"].read() for r in rows if r["id"] in wanted}
        figures = [*drawn.contact_sheet([r for r in rows if r["part"] != "test"]), *drawn.twins(leaks.pairs, images)]
        folder = Path(out) if out else Path("runs") / f"{Path(data.partition(':')[0]).stem}-data"
        make_folder(folder, parents=True)
        page = folder / "report.html"
        write(page, pages.look(table.name, about, n, odd, figures))
        say("Look", str(page))
    say("Next", next_command(data, table, columns))
    say.document({"name": table.name, "form": table.form, "rows": len(table.rows), "n": n, "odd": odd, "audit": leaks.json(),
                  "page": str(page) if page else None, "next": next_command(data, table, columns)})  # fmt: skip
