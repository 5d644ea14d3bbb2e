"""Leaks between splits, before anything is trained."""

from typing import Any

from empirisk.data import audit as audits
from empirisk.data import splits
from empirisk.data.rows import Columns
from empirisk.data.table import read_table
from empirisk.errors import USE, listed
from empirisk.verbs.say import Say


def audited(data: Any, columns: Columns, split_seed: int = 0) -> audits.Audit:
    """The audit of a set with its given or drawn split; nothing is refused."""
    table = read_table(data, columns)
    rows = splits.split(table.rows, seed=split_seed)
    return audits.examine(rows, unreadable=[i for i, _ in table.unreadable])


def audit(
    data: str, *, image: str | None = None, label: str | None = None, target: str | None = None, patient: str | None = None,
    split: str | None = None, split_seed: int = 0, json: bool = False,
) -> int:  # fmt: skip
    """Look for leaks: the same patient, the same pixels, or near-twins in two splits. Exit 2 if there are any.

    Example: empirisk audit pneumoniamnist.npz

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
        column of the patient.
    split
        column of train, val or test.
    split_seed
        of the split that is drawn where none is given.
    json
        one JSON document on stdout.
    """
    say = Say(as_json=json)
    columns = Columns(image=image, label=label, target=target, patient=patient, split=split)
    found = audited(data, columns, split_seed)
    say("Compared", found.compared)
    for what, counts in (("identical", found.identical), ("near-twins", found.twins), ("patients", found.patients)):
        of_patients = what == "patients"
        some = "   ".join(f"{pair} {n}" for pair, n in counts.items())
        some = "unknown" if of_patients and not found.patients_known else some
        say(what.capitalize(), some, "--patient" if of_patients else "")
    for pair in found.pairs[:8]:
        say(
            "",
            f"{pair.partner} ~ {pair.held}   {'identical' if pair.identical else f'correlation {pair.correlation:.3f}'}",
        )
    if found.shared:
        say("In two", listed([f"{who} in {places}" for who, places in found.shared]))
    say("Verdict", "leaks: see above" if found.leaks() else "no identical image and no patient in two splits")
    say.document(found.json())
    return USE if found.leaks() else 0
