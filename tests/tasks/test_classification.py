from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from empirisk.data.targets import Classes
from empirisk.errors import Wrong
from empirisk.estimate import estimate
from empirisk.tasks import baselines
from empirisk.tasks.classification import ClassWeights, classification, training_loss

BINARY = Classes(names=("normal", "ill"), multi=False, column="label")
THREE = Classes(names=("a", "b", "c"), multi=False, column="label")
LABELS = Classes(names=("a", "b", "c"), multi=True, column="label")


@dataclass(frozen=True)
class Held:
    values: np.ndarray

    def read(self) -> np.ndarray:
        return self.values


class Net(nn.Module):
    """Logits are the input; the buffers are those of Standardised."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("threshold", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def rows_of(labels: list[Any], x: Any = None) -> list[dict[str, Any]]:
    x = np.zeros((len(labels), 1, 16, 16), np.uint8) if x is None else x
    return [
        {"id": f"r{i}", "x": Held(v), "label": label, "patient": f"p{i}", "part": "train"}
        for i, (label, v) in enumerate(zip(labels, x, strict=True))
    ]


def textures(n: int, seed: int, colour: bool = False, dims: int = 2) -> list[dict[str, Any]]:
    """Stripes across or along, in noise, with one mean: what a linear model on pixels cannot see and designed features can."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    wave = np.sin(np.arange(16)[None] * 2 + rng.uniform(0, 6, (n, 1)))
    across, along = wave[:, None, :].repeat(16, 1), wave[:, :, None].repeat(16, 2)
    image = np.where(y[:, None, None] == 1, across, along) + rng.normal(0, 1, (n, 16, 16))
    x = np.clip(128 + 30 * image, 0, 255).astype(np.uint8)[:, None]
    x = x.repeat(3, 1) if colour else x
    x = x[..., None].repeat(16, -1) if dims == 3 else x
    return rows_of([BINARY.names[k] for k in y], x)


def value(score: Any, name: str, n: int) -> float:
    return float(score[name](np.ones((1, n)))[0])


# the risk


def test_watched_risk_is_plain_cross_entropy_by_hand() -> None:
    z, y = torch.tensor([[2.0, -1.0, 0.0], [0.0, 1.0, 5.0]], dtype=torch.float64), torch.tensor([0, 1])
    by_hand = [-np.log(np.exp(2) / (np.exp(2) + np.exp(-1) + 1)), -np.log(np.e / (1 + np.e + np.exp(5)))]
    loss = classification(THREE).loss
    assert loss is not None
    assert np.allclose(loss(Net(), (z, y)).numpy(), by_hand, rtol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5])
def test_label_smoothing_equals_torch(eps: float) -> None:
    z, y = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3
    got = training_loss(THREE, label_smoothing=eps)(Net(), (z, y))
    assert torch.allclose(got.mean(), nn.CrossEntropyLoss(label_smoothing=eps)(z, y), rtol=1e-6)
    q = (1 - eps) * F.one_hot(y, 3) + eps / 3
    assert torch.allclose(got, -(q * z.log_softmax(1)).sum(1), rtol=1e-5)


def test_label_smoothing_of_labels() -> None:
    z, y = torch.tensor([[1.0, -1.0, 0.0]]), torch.tensor([[1, 0, 1]])
    got = training_loss(LABELS, label_smoothing=0.2)(Net(), (z, y))
    f, q = z.sigmoid(), torch.tensor([[0.9, 0.1, 0.9]])
    assert torch.allclose(got, -(q * f.log() + (1 - q) * (1 - f).log()).sum(1))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_by_hand(gamma: float) -> None:
    """Lin et al. 2017, equation 5: -(1 - f_y)^gamma log f_y; of labels for each yes and no."""
    z, y = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.arange(7) % 3
    f = z.softmax(1)[torch.arange(7), y]
    got = training_loss(THREE, focal=gamma)(Net(), (z, y))
    assert torch.allclose(got, -((1 - f) ** gamma) * f.log(), rtol=1e-9)
    weighted = training_loss(THREE, focal=gamma, class_weights=[2, 4, 12])(Net(), (z, y))
    assert torch.allclose(weighted, got * torch.tensor([1 / 3, 2 / 3, 2], dtype=torch.float64)[y], rtol=1e-9)
    yes = F.one_hot(y, 3).to(z)
    f = torch.where(yes > 0, z.sigmoid(), 1 - z.sigmoid())
    got = training_loss(LABELS, focal=gamma)(Net(), (z, yes))
    assert torch.allclose(got, (-((1 - f) ** gamma) * f.log()).sum(1), rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.3, 2.0])
def test_focal_stays_finite_where_the_model_is_sure(gamma: float) -> None:
    for classes, y in ((THREE, torch.tensor([0, 1])), (LABELS, torch.tensor([[1.0, 0, 0], [0, 0, 1]]))):
        z = torch.tensor([[200.0, -200, 0], [200, -200, 0]], requires_grad=True)
        terms = training_loss(classes, focal=gamma)(Net(), (z, y))
        (slope,) = torch.autograd.grad(terms.sum(), z)
        assert torch.isfinite(terms).all()
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_shares_that_are_one_hot_are_the_class(eps: float, weights: list[float] | None) -> None:
    z, y = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3
    loss = training_loss(THREE, label_smoothing=eps, class_weights=weights)
    assert torch.allclose(loss(Net(), (z, F.one_hot(y, 3).float())), loss(Net(), (z, y)), rtol=1e-5)


def test_a_focal_exponent_below_0_is_refused() -> None:
    with pytest.raises(Wrong, match="--focal is -1"):
        training_loss(THREE, focal=-1)


def test_class_weights_multiply_the_terms_and_have_mean_1() -> None:
    z, y = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 2, 0])
    plain = training_loss(THREE)(Net(), (z, y))
    weighted = training_loss(THREE, class_weights=[2, 4, 12])(Net(), (z, y))
    assert torch.allclose(weighted / plain, torch.tensor([1 / 3, 2 / 3, 2, 2, 1 / 3]))
    assert torch.equal(training_loss(THREE, class_weights=[5, 5, 5])(Net(), (z, y)), plain)


def test_class_weights_of_labels_weigh_the_labels() -> None:
    z, y = torch.tensor([[1.0, -1.0, 0.5]]), torch.tensor([[1.0, 0.0, 1.0]])
    each = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    got = training_loss(LABELS, class_weights=[1, 1, 4])(Net(), (z, y))
    assert torch.allclose(got, (each * torch.tensor([0.5, 0.5, 2.0])).sum(1))


def test_class_weights_learned_are_inverse_to_the_counts_of_classes_present() -> None:
    learned = ClassWeights.learn(rows_of(["a"] * 6 + ["c"] * 2), THREE)
    assert learned.values == pytest.approx((0.5, 0, 1.5))
    z, y = torch.zeros(2, 3), torch.tensor([0, 2])
    assert training_loss(THREE, class_weights=learned.values)(Net(), (z, y)).tolist() == pytest.approx(
        [0.5 * np.log(3), 1.5 * np.log(3)]
    )
    assert ClassWeights.learn(rows_of([("a", "b"), ("a",), ("a", "c"), ("a",)]), LABELS).values == pytest.approx(
        (1 / 3, 4 / 3, 4 / 3)
    )


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, -1], [0, 0, 0], [1, 2, float("nan")]])
def test_wrong_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(Wrong) as caught:
        training_loss(THREE, class_weights=weights)
    assert caught.value.code == 2


def test_wrong_smoothing_is_refused() -> None:
    with pytest.raises(Wrong, match="--label-smoothing"):
        training_loss(THREE, label_smoothing=1.0)


# answers


def test_predict_is_softmax_over_temperature() -> None:
    model = Net()
    model.temperature.fill_(2.0)
    z = torch.tensor([[2.0, 0.0], [-1.0, 3.0]])
    answers = classification(BINARY).predict(model, z)
    assert [a.choice for a in answers] == [0, 1]
    assert answers[0].p == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.e)])
    plain = classification(BINARY).predict(nn.Identity(), z)
    assert plain[0].p == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])
    assert plain[0].threshold == 0.5


def test_predict_gives_labels_from_a_half() -> None:
    answers = classification(LABELS).predict(Net(), torch.tensor([[0.1, -3.0, 4.0], [-1.0, -1.0, -1.0]]))
    assert [a.choice for a in answers] == [(0, 2), ()]


def test_choice_follows_the_threshold_only_when_an_operating_point_was_asked_for() -> None:
    model = Net()
    model.threshold.fill_(0.2)
    z = torch.tensor([[1.0, 0.0], [3.0, 0.0]])  # p = .269, .047
    assert [a.choice for a in classification(BINARY).predict(model, z)] == [0, 0]
    assert [a.choice for a in classification(BINARY, at="sensitivity=.9").predict(model, z)] == [1, 0]


@pytest.mark.parametrize("classes", [THREE, LABELS])
def test_an_operating_point_needs_two_classes(classes: Classes) -> None:
    with pytest.raises(Wrong, match="needs two classes"):
        classification(classes, at="sensitivity=.9")


def test_calibrate_writes_temperature_and_threshold_that_hold_on_validation() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 2, generator=generator)
    y = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    task, model = classification(BINARY, at="sensitivity=.95"), Net()
    assert task.calibrate is not None
    task.calibrate(model, [(3 * z[:1000], y[:1000]), (3 * z[1000:], y[1000:])])
    assert model.temperature.item() == pytest.approx(3, rel=0.1)
    choice = np.array([a.choice for a in task.predict(model, 3 * z)])
    sensitivity = choice[y.numpy() == 1].mean()
    assert 0.95 <= sensitivity < 0.951


def test_calibrate_on_no_batch_changes_nothing() -> None:
    task, model = classification(BINARY), Net()
    assert task.calibrate is not None
    task.calibrate(model, [])
    assert (model.temperature.item(), model.threshold.item()) == (1.0, 0.5)


# scores


def test_scores_by_hand() -> None:
    rows = rows_of(["normal", "normal", "ill", "ill"])
    p = torch.tensor([0.1, 0.6, 0.4, 0.9])
    answers = classification(BINARY).predict(Net(), torch.stack([torch.zeros(4), (p / (1 - p)).log()], 1))
    score = classification(BINARY).score(rows, answers)
    assert next(iter(score)) == "auc"
    for name, expected in {
        "auc": 0.75,
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
    }.items():
        assert value(score, name, 4) == pytest.approx(expected), name
    assert value(score, "log_loss", 4) == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.9]).mean(), rel=1e-6)


def test_sensitivity_and_specificity_are_at_the_threshold() -> None:
    rows = rows_of(["normal", "normal", "ill", "ill"])
    p, model = torch.tensor([0.1, 0.35, 0.3, 0.45]), Net()
    model.threshold.fill_(0.25)
    task = classification(BINARY)
    score = task.score(rows, task.predict(model, torch.stack([torch.zeros(4), (p / (1 - p)).log()], 1)))
    assert value(score, "sensitivity", 4) == 1
    assert value(score, "specificity", 4) == 0.5
    assert value(score, "accuracy", 4) == 0.5  # by the likeliest class


@pytest.mark.parametrize("classes", [THREE, LABELS])
def test_several_classes_are_scored_one_by_one_and_together(classes: Classes) -> None:
    rng = np.random.default_rng(0)
    labels = [tuple(n for n in "abc" if rng.random() < 0.5) if classes.multi else "abc"[i % 3] for i in range(30)]
    task = classification(classes)
    score = task.score(rows_of(labels), task.predict(Net(), torch.from_numpy(rng.normal(size=(30, 3)))))
    assert value(score, "auc", 30) == pytest.approx(np.mean([value(score, f"auc/{n}", 30) for n in "abc"]))
    assert {"average_precision", "accuracy", "f1", "log_loss", "brier", "ece"} <= set(score)


def test_undefined_with_one_class_present() -> None:
    rows = rows_of(["ill"] * 4)
    task = classification(BINARY)
    score = task.score(rows, task.predict(Net(), torch.randn(4, 2)))
    got = estimate(score["auc"], [r["patient"] for r in rows])
    assert got.value is None
    assert got.reason


# baselines


def test_designed_features_beat_pixels_and_the_prior_on_textures() -> None:
    train, new = textures(300, 0), textures(200, 1)
    task = classification(BINARY)
    fitted = task.baseline(train)
    assert list(fitted) == ["prior", "linear", "features"]
    auc = {name: value(task.score(new, f(new)), "auc", 200) for name, f in fitted.items()}
    assert auc["prior"] == 0.5
    assert auc["linear"] < 0.7
    assert auc["features"] > 0.95


def test_prior_says_the_shares_of_the_training_rows() -> None:
    train = rows_of(["a", "a", "a", "b"])
    answer = classification(THREE).baseline(train)["prior"](train[:1])[0]
    assert answer.p.tolist() == [0.75, 0.25, 0]
    assert answer.choice == 0
    labels = rows_of([("a",), ("a", "b"), ("a",), ()])
    assert classification(LABELS).baseline(labels)["prior"](labels[:1])[0].p.tolist() == [0.75, 0.25, 0]


@pytest.mark.parametrize(
    ("colour", "dims", "names"), [(True, 2, {"prior", "linear", "features"}), (False, 3, {"prior", "linear"})]
)
def test_baselines_of_colour_and_3d(colour: bool, dims: int, names: set[str]) -> None:
    train = textures(60, 0, colour, dims)
    fitted = classification(BINARY).baseline(train)
    assert set(fitted) == names
    for f in fitted.values():
        assert np.allclose([a.p.sum() for a in f(train[:5])], 1, atol=1e-6)


def test_linear_sees_vectors_as_they_are() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    y = x[:, 0] - x[:, 3] > 0
    rows = rows_of([BINARY.names[int(k)] for k in y], x)
    task = classification(BINARY)
    fitted = task.baseline(rows[:200])
    assert set(fitted) == {"prior", "linear"}
    assert value(task.score(rows[200:], fitted["linear"](rows[200:])), "auc", 200) > 0.99


def test_labels_have_one_regression_each() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    rows = rows_of([tuple(n for n, v in zip("abc", r, strict=True) if v > 0) for r in x], x)
    task = classification(LABELS)
    score = task.score(rows[200:], task.baseline(rows[:200])["linear"](rows[200:]))
    assert value(score, "auc", 200) > 0.98


def test_images_of_unequal_size_depth_and_channels_are_brought_together() -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 20, 20), (3, 20, 20), (1, 33, 47), (1, 20, 20)] * 5
    rows = rows_of(["normal", "ill"] * 10, [rng.integers(0, 4096, s).astype(np.uint16) for s in shapes])
    for f in classification(BINARY).baseline(rows).values():
        assert len(f(rows)) == 20


def test_one_class_in_training_is_predicted_everywhere() -> None:
    rows = textures(10, 0)
    only = [r | {"label": "ill"} for r in rows]
    for f in classification(BINARY).baseline(only).values():
        assert f(rows)[0].p.tolist() == [0, 1]


def test_a_large_set_is_sampled_with_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST", 50)
    rows = textures(200, 0)
    chosen = baselines.some(rows)
    assert len(chosen) == 50
    assert [r["id"] for r in chosen] == [r["id"] for r in baselines.some(rows)]
    assert [int(r["id"][1:]) for r in chosen] == sorted(int(r["id"][1:]) for r in chosen)


def test_baselines_are_the_same_again() -> None:
    train = textures(80, 0)
    a, b = (classification(BINARY).baseline(train)["features"](train)[7].p for _ in range(2))
    assert np.array_equal(a, b)


def test_baselines_take_their_operating_point_from_training_rows() -> None:
    train = textures(300, 0)
    for f in classification(BINARY, at="sensitivity=.95").baseline(train).values():
        ill = [a.choice for a, r in zip(f(train), train, strict=True) if r["label"] == "ill"]
        assert np.mean(ill) >= 0.95
