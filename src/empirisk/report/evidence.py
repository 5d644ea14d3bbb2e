"""What the report says in words: the verdict, whether it can be trusted, and the numbers; for the page, report.md and the card alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from empirisk.errors import listed
from empirisk.figures import Figure, digits, number
from empirisk.metrics import LESS_IS_BETTER

NAMES = {
    "auc": "AUC", "f1": "F1", "r2": "R²", "mae": "mean absolute error", "rmse": "root mean squared error", "ece": "calibration error (ECE)",
    "brier": "Brier score", "spearman": "Spearman correlation",
}  # fmt: skip
"""Metrics whose name is not their words."""
PARTS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Context:
    """All that a report is made from, as plain values; nothing in it tells which task it is.

    `run` is run.json, `history` the rows of history.csv, `metrics` metrics.json. `card` describes the data in words, `counts` gives
    images by part and class, `patients` patients by part (empty: unknown). `audit` is what run.json keeps of the audit: counts by
    pair of parts under "identical", "twins", "patients", "left_out" training rows, and why it was "waived". `odd` are lines on odd files. `warnings` are (text, section's anchor), gravest first.
    """

    name: str
    run: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    card: Mapping[str, object] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    patients: Mapping[str, int] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    odd: Sequence[str] = ()
    warnings: Sequence[tuple[str, str]] = ()
    command: str = ""

    @property
    def part(self) -> str:
        """The newest part that was scored: "test", else "val", else ""."""
        return next((p for p in ("test", "val") if self.metrics.get(p)), "")

    @property
    def headline(self) -> str:
        """The first metric of that part, or ""."""
        return next(iter(self.metrics.get(self.part, {})), "")


def metric_name(name: str) -> str:
    """A metric in words.

    >>> metric_name("auc/benign"), metric_name("balanced_accuracy")
    ('AUC of benign', 'balanced accuracy')
    """
    base, _, one = name.partition("/")
    words = NAMES.get(base, base.replace("_", " "))
    return f"{words} of {one}" if one else words


def estimate(e: Mapping[str, Any]) -> str:
    """Value and interval, in as many digits as each other.

    >>> estimate({"value": 0.9618, "low": 0.934, "high": 0.983})
    '.962 [.934, .983]'
    """
    if e.get("value") is None:
        return "undefined"
    places = digits(*(e[k] for k in ("value", "low", "high") if e.get(k) is not None))
    if e.get("low") is None or e.get("high") is None:
        return number(e["value"], places)
    return f"{number(e['value'], places)} [{number(e['low'], places)}, {number(e['high'], places)}]"


def counted(n: int, unit: str = "image") -> str:
    """A number of things.

    >>> counted(1), counted(1200)
    ('1 image', '1,200 images')
    """
    return f"{number(int(n))} {unit}{'' if n == 1 else 's'}"


def rows_of(c: Context, part: str) -> str:
    """The rows of a part, in words: "180 test images of 60 patients"."""
    n = next((e.get("n") for e in c.metrics.get(part, {}).values() if e.get("n")), 0)
    n = n or sum(c.counts.get(part, {}).values())
    patients = f" of {counted(c.patients[part], 'patient')}" if c.patients.get(part) else ""
    return f"{number(int(n))} {PARTS.get(part, part)} {_unit(c, part)}{'' if n == 1 else 's'}{patients}"


def verdict(c: Context) -> str:
    """One sentence: the first metric with its interval, on what, and against the best baseline."""
    status = c.run.get("status", "")
    if not c.headline:
        return {
            "failed": "The run failed before anything was scored.",
            "stopped": "The run was stopped before anything was scored.",
        }.get(status, "Nothing has been scored yet.")
    e = c.metrics[c.part][c.headline]
    name = metric_name(c.headline)
    if e.get("value") is None:
        return f"On {rows_of(c, c.part)}, the {name} is undefined: {e.get('reason') or 'no reason was recorded'}."
    said = f"On {rows_of(c, c.part)}, the {name} is {estimate(e)}"
    found = against(c)
    if found is None:
        return f"{said}."
    how, who, by = found
    return (
        f"{said}, not shown to be better than {who}: a tie, the difference is {by}."
        if how == "tie"
        else f"{said}, {how} than {who} by {by}."
    )


def against(c: Context) -> tuple[str, str, str] | None:
    """(better | tie | worse, the best baseline in words, by how much) by the first metric; None where none was scored."""
    found = {
        b: m[c.headline]
        for b, m in c.metrics.get("difference", {}).items()
        if m.get(c.headline, {}).get("value") is not None
    }
    if not found:
        return None
    sign = -1 if c.headline in LESS_IS_BETTER else 1
    name, d = min(
        found.items(), key=lambda item: sign * item[1]["value"]
    )  # the smallest lead is over the best baseline
    who = f"the best baseline ({name})" if len(found) > 1 else f"the baseline ({name})"
    low, high = d.get("low"), d.get("high")
    if low is None or high is None:
        return "tie", who, f"{number(abs(d['value']))}, without an interval"
    if low <= 0 <= high:
        return "tie", who, estimate(d)
    size = d if d["value"] > 0 else {"value": -d["value"], "low": -high, "high": -low}
    return "better" if sign * d["value"] > 0 else "worse", who, estimate(size)


def status(c: Context) -> str:
    """How the run ended and which epoch was kept, in words; epochs count from 1."""
    kept, how = c.run.get("kept") or {}, c.run.get("status", "")
    words = {"finished": "Finished", "stopped": "Stopped by hand", "failed": "Failed", "running": "Not finished"}
    said = words.get(how, "Status unknown")
    if how in {"stopped", "failed", "running"} and c.history:
        said += f" at epoch {int(float(c.history[-1].get('epoch', len(c.history) - 1))) + 1}"
    if how == "finished" and kept.get("why"):
        said += f": {kept['why']}"
    return f"{said}; epoch {kept['epoch'] + 1} was kept" if kept.get("epoch") is not None else said


def _unit(c: Context, part: str) -> str:
    return next((e["unit"] for e in c.metrics.get(part, {}).values() if e.get("unit")), "image")


def limits(c: Context) -> list[str]:
    """What the numbers do not say."""
    seen = (
        listed([f"{counted(sum(n.values()))} of {PARTS.get(p, p)}" for p, n in c.counts.items()]) or "the images given"
    )
    return [
        "It is not a medical device: it has not been assessed for use on patients, and no answer of it may decide on one alone.",
        f"It knows {c.card.get('name', 'its data')} and nothing else ({seen}). Another scanner, hospital, age group or way of choosing "
        "patients can make it worse without a sign; test it on your own data first.",
        "An interval tells of the luck of the draw of test patients, not of other seeds, other hospitals or wrong labels.",
        "A picture of where the model looked shows what moved its answer, not why, and is no localisation.",
    ]
