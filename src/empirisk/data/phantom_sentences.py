"""Seeded sentences of reports whose truth hangs on which finding a "no" belongs to: words alone cannot tell it.

A sentence speaks of effusion and of another finding, in any order; each is there, or is denied, with equal chance, by itself.
The label says whether effusion is there. Who counts words knows how many findings are denied, not which: right with both or none
(half of the sentences), at a loss with one, so in all right in 3 of 4. Who reads in order is always right.
"""

from functools import lru_cache

import numpy as np

from empirisk.data.readers import Text
from empirisk.data.rows import Row, Table
from empirisk.errors import Wrong

CLASSES = ("no effusion", "effusion")
OTHERS = ("pneumothorax", "consolidation", "nodule", "fracture", "oedema")
SIZES, SIDES = ("small", "large", "new", "moderate"), ("on the left", "on the right", "on both sides")
THERE = ("there is a {size} {finding} {side}", "a {size} {finding} is seen {side}", "{size} {finding} {side}")
DENIED = ("there is no {finding}", "no {finding} {side}", "{finding} is not seen")
JOINTS = (", ", " and ", "; ", ". ")
LIMITS = {"sentences": (40, 100_000), "seed": (0, 2**31)}
BAG = 0.75
"""Share of right answers that no count of words exceeds."""


def table(*, sentences: int = 1200, seed: int = 0) -> Table:
    """The set: text, label; each sentence of a patient of its own. Raises Wrong (exit 2): a value outside its limits."""
    for name, value in {"sentences": sentences, "seed": seed}.items():
        low, high = LIMITS[name]
        if not low <= value <= high:
            raise Wrong(f"phantom-text: {name}={value} is not between {low} and {high}")
    words = f"{sentences:,} sentences, each of two findings that are there or denied"
    return Table(
        name="phantom-text", rows=list(_rows(sentences, seed)), form=f"{sentences} seeded sentences",
        understood=[("texts", words, "phantom-text:sentences=1200,seed=0")], classes=CLASSES, patients_known=True,
        licence="CC0", source=f"made by empirisk, seed {seed}",
    )  # fmt: skip


@lru_cache(4)
def _rows(sentences: int, seed: int) -> tuple[Row, ...]:
    rng = np.random.default_rng([seed, 0])
    rows = []
    for i in range(sentences):
        there = rng.random(2) < 0.5  # effusion, the other
        clauses = []
        for finding, yes in zip(("effusion", rng.choice(OTHERS)), there, strict=True):
            form = str(rng.choice(THERE if yes else DENIED))
            clauses.append(form.format(size=rng.choice(SIZES), finding=finding, side=rng.choice(SIDES)))
        text = str(rng.choice(JOINTS)).join(clauses if rng.random() < 0.5 else clauses[::-1]).capitalize() + "."
        row = {"id": f"S{i:04d}", "x": Text(text), "text": text, "patient": f"S{i:04d}", "part": ""}
        rows.append(row | {"label": CLASSES[int(there[0])]})
    return tuple(rows)
