"""Can it be trusted? What speaks for and against the numbers, from the run's own record."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from empirisk.figures import number
from empirisk.metrics import LESS_IS_BETTER
from empirisk.report import evidence as ev
from empirisk.report.evidence import Context

CALIBRATED = 0.05
"""Calibration error up to which probabilities are said to be readable as such."""


class Fact(NamedTuple):
    """One line of "Can it be trusted?": good, caution, bad or unknown; what; why; the section with the evidence."""

    state: str
    what: str
    why: str
    anchor: str


def facts(c: Context) -> list[Fact]:
    """What speaks for and against the numbers, each with where to look."""
    seed = (c.run.get("arguments") or {}).get("seed")
    why = f"seed {seed}; how much another seed would change is not in the intervals"
    seeds = None if seed is None else Fact("unknown", "One training, one seed", why, "repeat")
    found = [_leaks(c), _twins(c), _patients(c), _opened(c), _better(c), _calibrated(c), _subgroups(c), seeds]
    return [f for f in found if f is not None]


def warnings(c: Context, found: Sequence[Fact]) -> list[tuple[str, str]]:
    """At most three lines for the head, gravest first, each with its section: those given, then the facts against."""
    grave = [(f.what, f.anchor) for state in ("bad", "caution") for f in found if f.state == state]
    return [*c.warnings, *grave][:3]


def opening(stamp: Any) -> str:
    """When the test set was opened, from a stamp or a mapping with "time"."""
    text = stamp if isinstance(stamp, str) else str(stamp.get("time", ""))
    return text.replace("T", " ")[:16] or "an unknown day"


def _leaks(c: Context) -> Fact:
    people, same = c.audit.get("patients") or {}, c.audit.get("identical") or {}
    held_out = {pair: n for pair, n in same.items() if not pair.startswith("train/")}
    if not c.audit:
        return Fact("unknown", "Leaks were not looked for", "no audit came with this run", "data")
    if c.audit.get("waived"):
        return Fact("bad", "Leaks were waived", f"because: {c.audit['waived']}", "data")
    if any(people.values()):
        return Fact("bad", "A patient is in two parts", _pairs(people), "data")
    if any(held_out.values()):
        return Fact("caution", "Identical images in two parts", _pairs(held_out), "data")
    if (compared := str(c.audit.get("compared", ""))).startswith("nothing"):
        return Fact("unknown", "Copies in two parts were not looked for", compared.partition(": ")[2], "data")
    why = "no identical image in two parts"
    if left := c.audit.get("left_out", 0):
        why = f"{ev.counted(left)} with an identical copy in a held-out part left out of training"
    return Fact("good", "No leak between the parts", why, "data")


def _twins(c: Context) -> Fact | None:
    same = c.audit.get("identical") or {}  # of those whose partner taught, the partner was left out
    twins = {k: n - (same.get(k, 0) if k.startswith("train/") else 0) for k, n in (c.audit.get("twins") or {}).items()}
    if not any(twins.values()):
        return None
    clean, every, why = c.metrics.get("without_twins", {}).get(c.headline), c.scores.get(c.headline), _pairs(twins)
    if clean and every:
        why += f"; {ev.metric_name(c.headline)} without them {ev.estimate(clean)}, with them {ev.estimate(every)}"
    return Fact("caution", "Nearly identical images in two parts", why, "data")


def _patients(c: Context) -> Fact:
    if not c.audit.get("patients_known", bool(c.patients)):
        why = "images of one patient may lie in two parts, and intervals may be too narrow"
        return Fact("caution", "Patients are unknown", why, "data")
    if any((c.audit.get("patients") or {}).values()):
        return Fact("caution", "Patients are known", "intervals draw whole patients", "data")
    why = "each is in one part only, and intervals draw whole patients"
    return Fact("good", "Patients are kept whole", why, "data")


def _opened(c: Context) -> Fact:
    times = [opening(o) for o in c.run.get("opened") or []]
    if not times:
        why = "these are numbers of validation, which also chose the epoch that was kept, and so they flatter"
        return Fact("unknown", "The test set is still closed", why, "numbers")
    if len(times) == 1:
        return Fact("good", "The test set was opened once", f"on {times[0]}", "repeat")
    why = f"first on {times[0]}, last on {times[-1]}; what was changed in between was chosen by looking"
    return Fact("caution", f"The test set was opened {len(times)} times", why, "repeat")


def _better(c: Context) -> Fact:
    how, who, by = ev.against(c)
    state, what, why = {
        "": ("unknown", "No baseline was scored", "it is unknown how much of the result is easy"),
        "better": ("good", "Better than its baselines", f"{by} ahead of {who}"),
        "tie": ("caution", "Not shown to be better than a baseline", f"a tie with {who}: the difference is {by}"),
        "worse": ("bad", "Worse than a baseline", f"{by} behind {who}"),
    }[how]
    return Fact(state, what, f"{why} in {ev.metric_name(c.headline)}, on the same rows" if how else why, "numbers")


def _calibrated(c: Context) -> Fact | None:
    e = c.scores.get("ece", {})
    if e.get("value") is None:
        return None
    right = e["value"] <= CALIBRATED
    state, what = (
        ("good", "Its probabilities can be read as such") if right else ("caution", "Its probabilities are off")
    )
    return Fact(state, what, f"they miss the share that comes true by {ev.estimate(e)} on average", "calibration")


def _subgroups(c: Context) -> Fact:
    known = {g: m.get(c.headline, {}) for g, m in (c.metrics.get("subgroups") or {}).items()}
    known = {g: e for g, e in known.items() if e.get("value") is not None}
    if not known:
        why = "how it does by age, sex or scanner is not known"
        return Fact("unknown", "Subgroups were not compared", why, "numbers")
    worst = (max if c.headline in LESS_IS_BETTER else min)(known, key=lambda g: known[g]["value"])
    why = f"worst: {worst}, {ev.metric_name(c.headline)} {ev.estimate(known[worst])}"
    return Fact("good", f"{len(known)} subgroups compared", why, "numbers")


def _pairs(counts: Mapping[str, int]) -> str:
    """Counts by pair of parts in words."""
    places = {pair: [ev.PARTS.get(part, part) for part in pair.split("/")] for pair, n in counts.items() if n}
    return ", ".join(f"{number(counts[k])} images of {b} with a partner in {a}" for k, (a, b) in places.items())
