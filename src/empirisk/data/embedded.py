"""Sets that need no file: the phantom, a curve, scikit-learn's breast-cancer records; options follow the name."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from empirisk.data import phantom, phantom_sentences, phantom_video
from empirisk.data.readers import Vector
from empirisk.data.rows import Rows, Table
from empirisk.data.targets import Classes, Number
from empirisk.errors import Wrong, listed, near

NAMES = {
    "phantom": "seeded images of one lesion each, label and diameter, truth known (phantom:dims=3,images=300,size=32,seed=1)",
    "phantom-video": "seeded videos whose phase only the past tells, truth known (phantom-video:videos=60,size=32,seed=1)",
    "phantom-text": "seeded sentences in which a finding is there or denied, truth known (phantom-text:sentences=1200,seed=1)",
    "curve": "a noisy sine, one number to one number, truth known (curve:train=40,noise=0.2,seed=0)",
    "breast-cancer": "569 fine-needle aspirates, 30 measurements of their nuclei, benign or malignant (breast-cancer:inputs=mean_area|mean_texture)",
}
"Name -> one line."


def knows(name: str) -> bool:
    """Whether this is the name of a built-in set, with or without options.

    >>> knows("phantom:dims=3"), knows("photos/")
    (True, False)
    """
    return name.partition(":")[0] in NAMES


def table(name: str) -> Table:
    """A built-in set by its name and options, "name" or "name:option=value,option=value"; raises Wrong as `made_by` does."""
    maker, options = made_by(name)
    return maker(**options)


def made_by(name: str) -> tuple[Callable[..., Table], dict[str, Any]]:
    """The function that makes a built-in set, and the options that its name gives.

    Raises Wrong (exit 2): unknown name or option, or a value of the wrong kind.
    """
    stem, _, text = name.partition(":")
    makers: dict[str, Callable[..., Table]] = {
        "phantom": phantom.table, "phantom-video": phantom_video.table,
        "phantom-text": phantom_sentences.table, "curve": curve, "breast-cancer": breast_cancer,
    }  # fmt: skip
    if stem not in makers:
        raise Wrong(f"{stem} is no built-in set", remedy=near(stem, makers) or f"built in are {', '.join(makers)}")
    known = inspect.signature(makers[stem]).parameters
    options: dict[str, Any] = {}
    for item in text.split(",") if text else []:
        option, _, value = (part.strip() for part in item.partition("="))
        if option not in known:
            hint = near(option, known) or f"it has {', '.join(known) or 'none'}"
            raise Wrong(f"{stem} has no option {option!r}", where=name, remedy=hint)
        kind = type(known[option].default)
        try:
            options[option] = kind(value)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise Wrong(f"{stem}: {option}={value!r} is not {what}", where=name) from None
    return makers[stem], options


def fresh(name: str, n: int = 1000) -> Rows:
    """n rows more from the same generator, under another seed, to tell the expected risk; none where nature is the generator."""
    if name.partition(":")[0] not in {"phantom", "curve"}:
        return []
    maker, options = made_by(name)
    kept = {k: v for k, v in options.items() if k in {"noise", "dims", "size", "cnr"}}
    number = "train" if maker is curve else "images"
    return maker(**kept, **{number: n}, seed=options.get("seed", 0) + 1_000_003).rows[:n]


def least_risk(name: str, kind: object) -> float | None:
    """The Bayes risk E L(y, f*(x)) of a generator, which no f goes below; None where nature is the generator.

    Of a `Number` the squared loss in its deviations, of `Classes` the log loss in nats.
    """
    if name.partition(":")[0] not in {"phantom", "curve"}:
        return None
    maker, options = made_by(name)
    if maker is phantom.table and isinstance(kind, Classes):
        return phantom.entropy()
    if isinstance(kind, Number):
        noise = options.get("noise", 0.2) if maker is curve else phantom.least_rmse()
        return float((noise / kind.std) ** 2)
    return None


def curve(*, train: int = 40, noise: float = 0.2, seed: int = 0) -> Table:
    """x uniform on [0, 1], target sin(2 pi x) + e, e ~ N(0, noise^2), so that `noise` is the least root mean square error.

    100 rows validate and 1,000 test, whatever `train` is; the column truth holds the curve without noise.
    """
    if not (2 <= train <= 100_000 and 0 <= noise <= 100 and seed >= 0):
        hint = "train from 2 to 100,000, noise from 0 to 100, seed from 0"
        raise Wrong(f"curve: train={train}, noise={noise}, seed={seed} is outside its limits", remedy=hint)
    rows: Rows = []
    for number, (part, n) in enumerate({"train": train, "val": 100, "test": 1000}.items()):
        rng = np.random.default_rng([seed, number])
        x = rng.random(n).astype(np.float32)
        truth = np.sin(2 * np.pi * x.astype(np.float64))
        target = truth + rng.normal(0, noise, n)
        for i in range(n):
            row = {"id": f"{part}/{i}", "x": Vector(x[i : i + 1], ("x",)), "patient": None, "part": part}
            rows.append(row | {"target": float(target[i]), "truth": f"{truth[i]:.6f}"})
    words = f"curve: {train} + 100 + 1,000 points, noise {noise:g}"
    return Table(
        name="curve", rows=rows, form="curve", understood=[("form", words, "curve:train=N,noise=S,seed=N")],
        split_given=True, licence="CC0", source=f"made by empirisk, seed {seed}",
    )  # fmt: skip


def breast_cancer(*, inputs: str = "") -> Table:
    """Mean, error and worst of ten measurements of the nuclei in each aspirate (Street et al. 1993), no patients, no split.

    `inputs` are the measurements to keep, "mean_area|mean_texture"; not given: all. Raises Wrong (exit 2) for any other.
    """
    from sklearn.datasets import load_breast_cancer

    loaded = load_breast_cancer()
    names = tuple(str(n) for n in loaded.feature_names)
    wanted = tuple(n.strip().replace("_", " ") for n in inputs.split("|")) if inputs else names
    if unknown := [n for n in wanted if n not in names]:
        hint = near(unknown[0], names) or f"measured are {listed(names, 30)}"
        raise Wrong(f"breast-cancer has no input {unknown[0]!r}", remedy=hint)
    values = loaded.data[:, [names.index(n) for n in wanted]].astype(np.float32)  # (569, D)
    labels = [str(loaded.target_names[y]) for y in loaded.target]
    rows: Rows = [
        {"id": f"{i:03d}", "x": Vector(values[i], wanted), "patient": None, "part": "", "label": label}
        for i, label in enumerate(labels)
    ]
    understood = [("form", f"569 records of {len(wanted)} numbers", "breast-cancer:inputs=A|B")]
    return Table(
        name="breast-cancer", rows=rows, form="records", understood=understood, classes=("benign", "malignant"),
        licence="CC BY 4.0", source="Breast Cancer Wisconsin (Diagnostic), UCI, in scikit-learn",
    )  # fmt: skip
