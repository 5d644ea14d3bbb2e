"""Leaks between splits, before anything is trained."""

from empirisk.data import audit as audits
from empirisk.data import splits
from empirisk.data.rows import Columns
from empirisk.data.table import read_table
from empirisk.errors import USE, listed
from empirisk.verbs.flags import Json, Source
from empirisk.verbs.say import Say


def audit(
    data: Source, *, image: str | None = None, label: str | None = None, target: str | None = None, patient: str | None = None,
    split: str | None = None, split_seed: int = 0, json: Json = False,
) -> int:  # fmt: skip
    """Look for leaks: the same patient, the same pixels, or near-twins in two splits. Exit 2 if there are any.

    Example: empirisk audit pneumoniamnist.npz

    Parameters
    ----------
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
    """
    say = Say(as_json=json)
    table = read_table(data, Columns(image=image, label=label, target=target, patient=patient, split=split))
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
