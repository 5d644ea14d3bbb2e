"""The pictures of classes and numbers: what they show is what was answered, for images, volumes and vectors."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from empirisk.data.targets import Classes, Number, Verdict
from empirisk.metrics import ranking
from empirisk.tasks import pictures

SHAPES = {"grey": (1, 12, 12), "colour": (3, 12, 12), "volume": (1, 6, 8, 8), "vector": (5,)}


class Stored:
    def __init__(self, image):
        self.image = image

    def read(self):
        return self.image


def net(shape, outputs):
    if len(shape) == 1:
        return nn.Linear(shape[0], outputs)
    conv, pool = (nn.Conv2d, nn.AdaptiveAvgPool2d) if len(shape) == 3 else (nn.Conv3d, nn.AdaptiveAvgPool3d)
    return nn.Sequential(conv(shape[0], 4, 3, padding=1), nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(4, outputs))


def experiment(shape, outputs):
    torch.manual_seed(0)
    x = lambda rows: torch.from_numpy(np.stack([r["x"].read() for r in rows])).float() / 255
    card = SimpleNamespace(dims=len(shape) - 1)
    return SimpleNamespace(data=SimpleNamespace(x=x, card=lambda: card), model=net(shape, outputs))


def rows(n, shape, **columns):
    images = np.random.default_rng(0).integers(0, 255, (n, *shape), np.uint8)
    if len(shape) == 1:
        images = images.astype(np.float32)
    return [
        {"id": f"r/{i}", "x": Stored(images[i]), "patient": f"P{i // 2}"} | {k: v[i] for k, v in columns.items()}
        for i in range(n)
    ]


def classified(names, n=60, shape=SHAPES["grey"], multi=False, seed=0):
    rng = np.random.default_rng(seed)
    K = len(names)
    if multi:
        y = rng.random((n, K)) < 0.4
        p = np.clip(0.5 * y + 0.5 * rng.random((n, K)), 0, 1)
        answers = [Verdict(v, tuple(int(k) for k in np.flatnonzero(v >= 0.5)), 0.5) for v in p]
        labels = [tuple(np.array(names)[t]) for t in y]
    else:
        y = rng.integers(0, K, n)
        z = rng.normal(0, 1, (n, K))
        z[np.arange(n), y] += 1.5
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        answers = [Verdict(v, int(v.argmax()), 0.4) for v in p]
        labels = [names[k] for k in y]
    found = pictures.classification(
        experiment(shape, K), rows(n, shape, label=labels), answers, Classes(tuple(names), multi)
    )
    return {f.key: f for f in found}, y, p


def test_two_classes_have_an_operating_point_curves_calibration_matrix_and_mistakes():
    found, y, p = classified(["benign", "malignant"])
    assert list(found) == ["threshold", "roc", "precision-recall", "calibration", "matrix", "worst"]
    at = next(r for r in found["threshold"].rows if r[0] == 0.4)
    assert at[1] == pytest.approx((p[y == 1, 1] >= 0.4).mean())  # sensitivity
    assert at[4] == pytest.approx((p[y == 0, 1] < 0.4).mean())  # specificity
    assert all(r[2] <= r[1] <= r[3] and r[5] <= r[4] <= r[6] for r in found["threshold"].rows)
    assert 'class="band s0"' in found["roc"].svg


def test_the_matrix_counts_truth_by_answer_and_names_the_commonest_mistake():
    found, y, p = classified(["a", "b", "c"])
    counts = ranking.confusion(y, p.argmax(1), 3)
    assert [list(r[1:]) for r in found["matrix"].rows] == counts.tolist()
    assert f"{np.trace(counts)} of 60 answers are right" in found["matrix"].text


def test_many_classes_have_a_line_each_and_beyond_eight_the_hardest():
    found, _, _ = classified([f"class {i}" for i in range(10)], n=200)
    assert found["roc"].svg.count('class="line s') == 8 + 8  # lines and their legend
    assert "The 8 of 10 classes with the least area are drawn." in found["roc"].text
    assert "threshold" not in found


def test_labels_are_counted_one_by_one():
    found, y, p = classified(["effusion", "mass", "nodule"], multi=True)
    row = next(r for r in found["matrix"].rows if r[0] == "mass")
    said = p[:, 1] >= 0.5
    assert list(row[1:]) == [
        (y[:, 1] & said).sum(),
        (y[:, 1] & ~said).sum(),
        (~y[:, 1] & said).sum(),
        (~y[:, 1] & ~said).sum(),
    ]
    assert found["calibration"].rows


@pytest.mark.parametrize("shape", SHAPES)
def test_mistakes_show_image_and_where_it_looked(shape):
    found, y, p = classified(["a", "b"], shape=SHAPES[shape])
    wrong = np.flatnonzero(p.argmax(1) != y)
    surest = wrong[np.argsort(-p.max(1)[wrong], kind="stable")][:12]
    assert [r[0] for r in found["worst"].rows] == [f"r/{i}" for i in surest]
    assert found["worst"].svg.count("<img") == (0 if shape == "vector" else 2 * len(surest))
    assert ("middle slice" in found["worst"].text) == (shape == "volume")


def test_where_no_mistake_was_made_that_is_said():
    data = rows(20, SHAPES["grey"], label=["a", "b"] * 10)
    answers = [Verdict(np.array(v), int(np.argmax(v)), 0.5) for v in [(0.9, 0.1), (0.2, 0.8)] * 10]
    found = pictures.classification(experiment(SHAPES["grey"], 2), data, answers, Classes(("a", "b")))
    assert "No mistake was made." in found[-1].svg


def test_one_class_only_draws_what_it_can():
    data = rows(10, SHAPES["grey"], label=["a"] * 10)
    answers = [Verdict(np.array([0.3, 0.7]), 1, 0.5) for _ in data]
    found = {
        f.key: f for f in pictures.classification(experiment(SHAPES["grey"], 2), data, answers, Classes(("a", "b")))
    }
    assert found["threshold"].to_dict()["rows"][0][1] is None  # no positive: no sensitivity
    assert found["matrix"].rows == (("a", 0, 10), ("b", 0, 0))


@pytest.mark.parametrize("shape", ["grey", "volume", "vector"])
def test_numbers_have_truth_agreement_residuals_and_the_worst(shape):
    y = np.linspace(3, 20, 40)
    f = y + np.where(np.arange(40) % 2, 1.0, -1.0)
    f[7] += 5
    data = rows(40, SHAPES[shape], target=list(y))
    found = {
        p.key: p
        for p in pictures.regression(
            experiment(SHAPES[shape], 1), data, [float(v) for v in f], Number(column="diameter", mean=10.0, std=4.0)
        )
    }
    assert list(found) == ["truth", "bland-altman", "residuals", "worst"]
    gap = f - y
    low, high = gap.mean() - 1.96 * gap.std(ddof=1), gap.mean() + 1.96 * gap.std(ddof=1)
    assert f"between {pictures.number(low)} and {pictures.number(high)}" in found["bland-altman"].text
    assert found["worst"].rows[0][0] == "r/7"
    assert found["worst"].svg.count("<img") == (0 if shape == "vector" else 24)


def test_of_many_answers_some_are_drawn_and_that_is_said():
    y = np.linspace(0, 1, 2000)
    data = rows(2000, (2,), target=list(y))
    found = pictures.regression(experiment((2,), 1), data, list(y), Number(column="t", mean=0.5, std=0.3))
    assert "1500 of 2000" in found[0].text
    assert len(found[0].rows) == 1500
