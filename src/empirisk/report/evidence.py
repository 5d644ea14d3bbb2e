"""What a report is made from, and its sentences: for the page, report.md and the card alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from empirisk.errors import listed
from empirisk.figures import Figure, interval, number
from empirisk.metrics import LESS_IS_BETTER

NAMES = {
    "auc": "AUC", "f1": "F1", "r2": "R²", "mae": "mean absolute error", "rmse": "root mean squared error", "ece": "calibration error (ECE)",
    "brier": "Brier score", "spearman": "Spearman correlation", "dice": "Dice", "surface_dice": "surface Dice", "hd95": "95 % Hausdorff distance",
    "ap50": "AP50", "ap": "AP", "froc": "FROC score", "sensitivity_at_1": "sensitivity at one false alarm", "count_mae": "mean error of the count",
    "ari": "adjusted Rand index", "nmi": "normalised mutual information", "log_likelihood": "log-likelihood",
    "mse": "mean squared error", "psnr": "PSNR", "knn_auc": "5-NN AUC", "probe_auc": "linear probe AUC", "matched": "views that find each other",
}  # fmt: skip
"""Metrics whose name is not their words."""
PARTS = {"train": "training", "val": "validation", "test": "test"}
ENDS = {"finished": "Finished", "stopped": "Stopped by hand", "failed": "Failed", "running": "Not finished"}
LIMITS = (
    "It is not a medical device: it has not been assessed for use on patients, and no answer of it may decide on one alone.",
    "It knows {data} and nothing else ({seen}). Another scanner, hospital, age group or way of choosing "
    "patients can make it worse without a sign; test it on your own data first.",
    "An interval tells of the luck of the draw of test patients, not of other seeds, other hospitals or wrong labels.",
    "A picture of where the model looked shows what moved its answer, not why, and is no localisation.",
)


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
    def scores(self) -> Mapping[str, Mapping[str, Any]]:
        """The numbers of that part."""
        found: Mapping[str, Mapping[str, Any]] = self.metrics.get(self.part, {})
        return found

    @property
    def headline(self) -> str:
        """The first metric of that part, or ""."""
        return next(iter(self.scores), "")


def metric_name(name: str) -> str:
    """A metric in words.

    >>> metric_name("auc/benign"), metric_name("balanced_accuracy")
    ('AUC of benign', 'balanced accuracy')
    """
    base, _, one = name.partition("/")
    return NAMES.get(base, base.replace("_", " ")) + (f" of {one}" if one else "")


def estimate(e: Mapping[str, Any]) -> str:
    """Value and interval of an entry of metrics.json."""
    return interval(e.get("value"), e.get("low"), e.get("high"))


def counted(n: int, unit: str = "image") -> str:
    """A number of things.

    >>> counted(1), counted(1200)
    ('1 image', '1,200 images')
    """
    return f"{number(int(n))} {unit}{'' if n == 1 else 's'}"


def rows_of(c: Context, part: str) -> str:
    """The rows of a part, in words: "180 test images of 60 patients"."""
    first: Mapping[str, Any] = next((e for e in c.metrics.get(part, {}).values() if e.get("n")), {})
    n, unit = first.get("n") or sum(c.counts.get(part, {}).values()), first.get("unit", "image")
    rows = counted(n, f"{PARTS.get(part, part)} {unit}")
    return f"{rows} of {counted(c.patients[part], 'patient')}" if c.patients.get(part) else rows


def verdict(c: Context) -> str:
    """One sentence: the first metric with its interval, on what, and against the best baseline."""
    if not c.headline:
        ended = {"failed": "The run failed", "stopped": "The run was stopped"}.get(c.run.get("status", ""))
        return f"{ended} before anything was scored." if ended else "Nothing has been scored yet."
    e, said = c.scores[c.headline], f"On {rows_of(c, c.part)}, the {metric_name(c.headline)} is"
    if e.get("value") is None:
        return f"{said} undefined: {e.get('reason') or 'no reason was recorded'}."
    how, who, by = against(c)
    if how == "tie":
        return f"{said} {estimate(e)}, not shown to be better than {who}: a tie, the difference is {by}."
    return f"{said} {estimate(e)}, {how} than {who} by {by}." if how else f"{said} {estimate(e)}."


def against(c: Context) -> tuple[str, str, str]:
    """(better | tie | worse, the best baseline in words, by how much) by the first metric; all empty where none was scored."""
    found = {name: m.get(c.headline, {}) for name, m in c.metrics.get("difference", {}).items()}
    found = {name: d for name, d in found.items() if d.get("value") is not None}
    if not found:
        return "", "", ""
    sign = -1 if c.headline in LESS_IS_BETTER else 1
    name = min(found, key=lambda name: sign * found[name]["value"])  # the smallest lead is over the best baseline
    how, by = lead(c.headline, found[name])
    return how, f"the best baseline ({name})" if len(found) > 1 else f"the baseline ({name})", by


def lead(metric: str, d: Mapping[str, Any]) -> tuple[str, str]:
    """(better | tie | worse, by how much) of a paired difference; a tie where the interval holds 0, or there is none.

    >>> lead("auc", {"value": 0.1, "low": 0.05, "high": 0.15}), lead("mae", {"value": 0.1, "low": -0.05, "high": 0.15})
    (('better', '.100 [.050, .150]'), ('tie', '.100 [−.050, .150]'))
    """
    value, low, high = d["value"], d.get("low"), d.get("high")
    if low is None or high is None:
        return "tie", f"{number(abs(value))}, without an interval"
    if low <= 0 <= high:
        return "tie", interval(value, low, high)
    better = (value > 0) != (metric in LESS_IS_BETTER)
    return "better" if better else "worse", interval(value, low, high) if value > 0 else interval(-value, -high, -low)


def status(c: Context) -> str:
    """How the run ended and which epoch was kept, in words; epochs count from 1."""
    kept, how = c.run.get("kept") or {}, c.run.get("status", "")
    said = ENDS.get(how, "Status unknown")
    if how == "finished" and kept.get("why"):
        said += f": {kept['why']}"
    elif how in ENDS and how != "finished" and c.history:
        said += f" at epoch {int(float(c.history[-1].get('epoch', len(c.history) - 1))) + 1}"
    return f"{said}; epoch {kept['epoch'] + 1} was kept" if kept.get("epoch") is not None else said


def limits(c: Context) -> list[str]:
    """What the numbers do not say."""
    seen = listed([f"{counted(sum(n.values()))} of {PARTS.get(p, p)}" for p, n in c.counts.items()])
    return [line.format(data=c.card.get("name", "its data"), seen=seen or "the images given") for line in LIMITS]
