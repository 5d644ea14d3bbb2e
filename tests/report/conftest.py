"""A run as plain values, made up, with everything that a report can hold."""

import dataclasses

import numpy as np
import pytest

from empirisk import figures
from empirisk.figures import Curve, Figure, Tile
from empirisk.report import drawn
from empirisk.report.evidence import Context


class Stored:
    def __init__(self, image):
        self.image = image

    def read(self):
        return self.image


def estimate(value, half=0.02, n=180, **more):
    ends = {"value": value, "low": value - half, "high": value + half}
    return ends | {"n": n, "unit": "image", "method": "bootstrap by patient, 60 patients"} | more


UNDEFINED = {
    "value": None,
    "low": None,
    "high": None,
    "n": 3,
    "unit": "image",
    "method": "",
    "reason": "one class only",
}


def history(n=6):
    return [
        {"epoch": str(i), "step": str(10 * i + 10), "loss": str(0.7 / (i + 1)), "train": str(0.6 / (i + 1)), "val": str(0.65 / (i + 1)),
         "auc": "0.9", "lr": str(0.001 * i), "images_per_second": "500", "memory_gib": "1.5", "seconds": str(2.0 * i)}
        for i in range(n)
    ]  # fmt: skip


def example(names=("benign", "malignant"), name="runs/demo"):
    images = np.random.default_rng(0).integers(0, 255, (8, 1, 16, 16), np.uint8)
    rows = [{"id": f"{names[i % 2]}/{i}.png", "x": Stored(images[i]), "label": names[i % 2]} for i in range(8)]
    table = [(t / 10, 1 - t / 20, 0.9, 1, t / 10, 0.1, 0.9) for t in range(11)]
    uri = figures.picture(images[0])
    shown = [
        Figure("threshold", "Threshold", figures.operating(table, 5, 0.2, names[1]), "set your own", "operating", ("threshold", "sensitivity", "low", "high", "specificity", "low", "high"), tuple(table), wide=True),
        Figure("roc", "ROC curve", figures.chart([Curve(n, [0, 0.5, 1], [0, 0.8, 1], [0, 0.7, 1], [0, 0.9, 1]) for n in names], label="ROC", x="1 − specificity", y="sensitivity"), "upper left is perfect", "pictures", ("x", "y"), ((0, 0), (0.5, 0.8), (1, 1))),
        Figure("matrix", "Truth and answer", figures.matrix(names, [[50, 3], [4, 60]], label="counts", rows="truth", columns="answer"), "110 of 117", "pictures"),
        Figure("worst", "The surest mistakes", figures.tiles([Tile(((uri, "image"), (uri, "heat")), (f"said {n}", rows[i]["id"]), n) for i, n in enumerate(names)], kind="pairs"), "two", "mistakes", wide=True),
    ]  # fmt: skip
    shown += drawn.contact_sheet(rows) + drawn.twins(
        [("train/test", rows[0]["id"], rows[1]["id"], 0.99, False)], {r["id"]: r["x"].read() for r in rows}
    )
    test = {
        "auc": estimate(0.962),
        "accuracy": estimate(0.9),
        "ece": estimate(0.03),
        f"auc/{names[0]}": estimate(0.95),
        f"auc/{names[1]}": estimate(0.97),
        "f1": UNDEFINED,
    }
    return Context(
        name=name,
        run={
            "experiment": "classification", "arguments": {"data": "phantom", "model": "resnet18", "width": 16, "seed": 4}, "status": "finished",
            "kept": {"epoch": 3, "why": "all its steps were done"}, "opened": [{"time": "2026-11-24T10:00:00+00:00", "at": None}],
            "versions": {"empirisk": "0.1.0"}, "machine": {"device": "cpu"}, "data": {"sha256": "ab" * 32}, "seconds": 90.0,
            "steps": 60, "recipe": {"lr": 0.002, "batch": 32},
        },
        history=history(), figures=[*shown, *drawn.training(history(), 3, [{"step": 30}])],
        metrics={
            "val": {"auc": estimate(0.97)}, "test": test, "without_twins": {"auc": estimate(0.955)},
            "subgroups": {"sex=F": {"auc": estimate(0.94)}, "sex=M": {"auc": estimate(0.97)}}, "other": {"clinic": {"auc": estimate(0.8)}},
            "baseline": {"prior": {"auc": estimate(0.5)}, "linear": {"auc": estimate(0.71)}},
            "difference": {"prior": {"auc": estimate(0.46)}, "linear": {"auc": estimate(0.25), "accuracy": estimate(0.01, tie=True)}},
        },
        card={"name": "phantom", "licence": "CC0"}, counts={"train": {names[0]: 400, names[1]: 437}, "test": {names[0]: 90, names[1]: 90}},
        patients={"train": 279, "test": 60}, odd=[f"{names[0]}/x.png is empty: left out"], command="empirisk train classification phantom --seed 4",
        audit={"identical": {"train/test": 1}, "twins": {"train/test": 6}, "patients": {"train/test": 0}, "left_out": 1, "patients_known": True},
    )  # fmt: skip


@pytest.fixture
def context():
    return example()


@pytest.fixture
def changed(context):
    """The example with other parts."""
    return lambda **parts: dataclasses.replace(context, **parts)


@pytest.fixture
def make():
    return example
