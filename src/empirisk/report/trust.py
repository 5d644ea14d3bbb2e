"""Can it be trusted? What speaks for and against the numbers, from the run's own record."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from empirisk.figures import number
from empirisk.metrics import LESS_IS_BETTER
from empirisk.report import evidence as ev
from empirisk.report.evidence import Context


class Fact(NamedTuple):
    """One line of "Can it be trusted?": good, caution, bad or unknown; what; why; the section with the evidence."""

    state: str
    what: str
    why: str
    anchor: str


def facts(c: Context) -> list[Fact]:
    """What speaks for and against the numbers, each with where to look."""
    return [*_leaks(c), _opened(c), _better(c), *_calibrated(c), _subgroups(c), _seeds(c)]


def warnings(c: Context, found: Sequence[Fact]) -> list[tuple[str, str]]:
    """At most three lines for the head, gravest first, each with its section's anchor: those given, then the facts ev.against."""
    against_ = [(f.what, f.anchor) for state in ("bad", "caution") for f in found if f.state == state]
    return [*c.warnings, *against_][:3]


def _leaks(c: Context) -> list[Fact]:
    if not c.audit:
        return [Fact("unknown", "Leaks were not looked for", "no audit came with this run", "data")]
    same, twins, people = (c.audit.get(k) or {} for k in ("identical", "twins", "patients"))
    out = []
    if c.audit.get("waived"):
        out.append(Fact("bad", "Leaks were waived", f"because: {c.audit['waived']}", "data"))
    elif any(people.values()):
        out.append(Fact("bad", "A patient is in two parts", _pairs(people, "patients"), "data"))
    else:
        left = c.audit.get("left_out", 0)
        why = (
            f"{ev.counted(left)} with an identical copy in a held-out part left out of training"
            if left
            else "no identical image in two parts"
        )
        out.append(Fact("good", "No leak between the parts", f"{why}", "data"))
        if any(same.values()) and not left:
            out.append(Fact("caution", "Identical images in two parts", _pairs(same, "images"), "data"))
    if any(twins.values()):
        out.append(
            Fact("caution", "Nearly identical images in two parts", f"{_pairs(twins, 'images')}{_without(c)}", "data")
        )
    if not c.patients:
        out.append(
            Fact(
                "caution",
                "Patients are unknown",
                "images of one patient may lie in two parts, and intervals may be too narrow",
                "data",
            )
        )
    else:
        out.append(
            Fact(
                "good", "Patients are kept whole", "each is in one part only, and intervals draw whole patients", "data"
            )
        )
    return out


def _without(c: Context) -> str:
    clean, all_ = c.metrics.get("without_twins", {}).get(c.headline), c.metrics.get(c.part, {}).get(c.headline)
    return (
        f"; {ev.metric_name(c.headline)} without them {ev.estimate(clean)}, with them {ev.estimate(all_)}"
        if clean and all_
        else ""
    )


def _pairs(counts: Mapping[str, int], unit: str) -> str:
    return ", ".join(
        f"{number(n)} {unit} of {_part(k, 1)} with a partner in {_part(k, 0)}" for k, n in counts.items() if n
    )


def _part(pair: str, which: int) -> str:
    name = pair.split("/")[which] if "/" in pair else pair
    return ev.PARTS.get(name, name)


def _opened(c: Context) -> Fact:
    times = [opening(o) for o in c.run.get("opened") or []]
    if not times:
        return Fact(
            "unknown",
            "The test set is still closed",
            "these are validation numbers, which chose the epoch kept and so flatter",
            "numbers",
        )
    if len(times) == 1:
        return Fact("good", "The test set was opened once", f"on {times[0]}", "repeat")
    return Fact("caution", f"The test set was opened {len(times)} times", f"first on {times[0]}, last on {times[-1]}; "
                "what was changed in between was chosen by looking", "repeat")  # fmt: skip


def _better(c: Context) -> Fact:
    found = ev.against(c)
    if found is None:
        return Fact("unknown", "No baseline was scored", "it is unknown how much of the result is easy", "numbers")
    how, who, by = found
    state, what, why = {
        "better": ("good", "Better than its baselines", f"{by} ahead of {who}"),
        "tie": ("caution", "Not shown to be better than a baseline", f"a tie with {who}: the difference is {by}"),
        "worse": ("bad", "Worse than a baseline", f"{by} behind {who}"),
    }[how]
    return Fact(state, what, f"{why} in {ev.metric_name(c.headline)}, on the same rows", "numbers")


def _calibrated(c: Context) -> list[Fact]:
    e = c.metrics.get(c.part, {}).get("ece")
    if not e or e.get("value") is None:
        return []
    good = e["value"] <= 0.05
    title = "Its probabilities can be read as such" if good else "Its probabilities are off"
    return [
        Fact(
            "good" if good else "caution",
            title,
            f"they miss the share that comes true by {ev.estimate(e)} on average",
            "pictures",
        )
    ]


def _subgroups(c: Context) -> Fact:
    groups = c.metrics.get("subgroups") or {}
    known = {g: m[c.headline] for g, m in groups.items() if m.get(c.headline, {}).get("value") is not None}
    if not known:
        return Fact(
            "unknown", "Subgroups were not compared", "how it does by age, sex or scanner is not known", "numbers"
        )
    pick = max if c.headline in LESS_IS_BETTER else min
    worst = pick(known, key=lambda g: known[g]["value"])
    return Fact(
        "good",
        f"{len(known)} subgroups compared",
        f"lowest: {worst}, {ev.metric_name(c.headline)} {ev.estimate(known[worst])}",
        "numbers",
    )


def _seeds(c: Context) -> Fact:
    seed = (c.run.get("arguments") or {}).get("seed", 0)
    return Fact(
        "unknown",
        "One training, one seed",
        f"seed {seed}; how much another seed would change is not in the intervals",
        "repeat",
    )


def opening(stamp: Any) -> str:
    """When the test set was opened, from a stamp or a mapping with "time"."""
    text = stamp if isinstance(stamp, str) else str(stamp.get("time", ""))
    return text.replace("T", " ")[:16] or "an unknown day"
