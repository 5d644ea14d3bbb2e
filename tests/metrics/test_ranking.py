"""Metrics of classes equal scikit-learn's under sample weights, are undefined where they must be, and know analytic cases."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from empirisk.estimate import estimates, values
from empirisk.metrics import LESS_IS_BETTER, METRICS, ranking

N, K = 300, 4


def sample(seed: int, levels: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (N,), scores (N,), weights (5, N): whole and broken ones, zeros among them; few levels make ties."""
    rng = np.random.default_rng(seed)
    y = rng.random(N) < rng.uniform(0.1, 0.9)
    p = rng.normal(size=N) + y
    p = p if levels is None else np.round(p * levels) / levels
    whole, broken = rng.integers(0, 4, (3, N)).astype(float), rng.random((2, N))
    return y, p, np.concatenate([whole, broken])


def classes(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, N)
    z = rng.normal(size=(N, K)) + 1.5 * np.eye(K)[truth]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return truth, p, p.argmax(1), rng.integers(0, 4, (5, N)) + rng.random((5, N))


def one(s, w):
    return s(w[None])[0]


@pytest.mark.parametrize("levels", [None, 2, 1])
@pytest.mark.parametrize("seed", range(4))
def test_areas_equal_scikit_learn_with_weights_and_ties(seed, levels):
    y, p, w = sample(seed, levels)
    auc = [sk.roc_auc_score(y, p, sample_weight=r) for r in w]
    ap = [sk.average_precision_score(y, p, sample_weight=r) for r in w]
    assert ranking.auc(y, p)(w) == pytest.approx(auc, abs=1e-12)
    assert ranking.average_precision(y, p)(w) == pytest.approx(ap, abs=1e-12)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-3, 3), st.integers(0, 3)), min_size=2, max_size=25),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_auc_is_the_share_of_pairs_in_order(cases):
    y, p, w = (np.array(column) for column in zip(*cases, strict=True))
    pairs = np.array([
        [a * b * ((p[i] > p[j]) + (p[i] == p[j]) / 2), a * b]
        for i, a in enumerate(w) for j, b in enumerate(w) if y[i] and not y[j]
    ]).reshape(-1, 2)  # fmt: skip
    got = one(ranking.auc(y, p), w.astype(float))
    if pairs[:, 1].sum() == 0:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(pairs[:, 0].sum() / pairs[:, 1].sum(), abs=1e-12)
        assert got == pytest.approx(1 - one(ranking.auc(~y, p), w.astype(float)), abs=1e-12)


def test_a_perfect_ranking_is_exactly_one_and_a_reversed_one_zero():
    y = np.arange(9) < 4
    for w in (np.ones((1, 9)), np.arange(1.0, 10)[None]):
        assert ranking.auc(y, y)(w) == 1
        assert ranking.auc(y, ~y)(w) == 0
        assert ranking.average_precision(y, y)(w) == 1


@pytest.mark.parametrize("seed", range(3))
def test_decisions_equal_scikit_learn(seed):
    y, p, w = sample(seed)
    f = p > 0.5
    expected = {
        ranking.accuracy(y, f): sk.accuracy_score,
        ranking.balanced_accuracy(y.astype(int), f.astype(int), 2): sk.balanced_accuracy_score,
        ranking.f1(y, f): sk.f1_score,
        ranking.sensitivity(y, f): sk.recall_score,
        ranking.specificity(y, f): lambda t, c, sample_weight: sk.recall_score(~t, ~c, sample_weight=sample_weight),
    }
    for ours, theirs in expected.items():
        assert ours(w) == pytest.approx([theirs(y, f, sample_weight=r) for r in w], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_many_classes_equal_scikit_learn(seed):
    truth, p, choice, w = classes(seed)
    names = ("a", "b", "c", "d")
    got = {name: s(w) for name, s in ranking.scores(truth, p, choice, names).items()}
    hot = np.eye(K)[truth]
    for i, r in enumerate(w):
        expected = {
            "auc": sk.roc_auc_score(truth, p, multi_class="ovr", average="macro", sample_weight=r),
            "average_precision": sk.average_precision_score(hot, p, sample_weight=r),
            "accuracy": sk.accuracy_score(truth, choice, sample_weight=r),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, choice, sample_weight=r),
            "f1": sk.f1_score(truth, choice, average="macro", sample_weight=r),
            "sensitivity": sk.recall_score(truth, choice, average="macro", sample_weight=r),
            "log_loss": sk.log_loss(truth, p, sample_weight=r),
            "brier": sk.brier_score_loss(truth, p, scale_by_half=False, sample_weight=r),
            "auc/b": sk.roc_auc_score(truth == 1, p[:, 1], sample_weight=r),
            "f1/d": sk.f1_score(truth == 3, choice == 3, sample_weight=r),
        }
        assert {name: got[name][i] for name in expected} == pytest.approx(expected, abs=1e-12)
    plain = [name for name in got if "/" not in name]
    assert len(plain) == 10
    assert plain == [name for name in METRICS if name in plain]
    assert set(METRICS) > LESS_IS_BETTER


def test_two_classes_speak_of_the_last():
    y, s, w = sample(0)
    p = 1 / (1 + np.exp(-s))
    p = np.stack([1 - p, p], 1)
    got = {n: s(w[:1])[0] for n, s in ranking.scores(y.astype(int), p, p.argmax(1), ("benign", "malignant")).items()}
    assert got["auc"] == pytest.approx(sk.roc_auc_score(y, p[:, 1], sample_weight=w[0]), abs=1e-12)
    assert got["brier"] == pytest.approx(sk.brier_score_loss(y, p[:, 1], sample_weight=w[0]), abs=1e-12)
    assert got["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=w[0]), abs=1e-12)
    assert list(got)[0] == "auc"
    assert not any("/" in name for name in got)


def test_labels_are_scored_each_for_itself():
    rng = np.random.default_rng(0)
    y = rng.random((N, 3)) < (0.2, 0.5, 0.7)
    p = 1 / (1 + np.exp(-rng.normal(size=(N, 3)) - y))
    w, f = rng.integers(1, 4, N).astype(float), p > 0.5
    got = values(ranking.scores(y, p, f, ("a", "b", "c"), multi=True), N)
    assert got["auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)
    assert got["accuracy"] == pytest.approx((y == f).mean(), abs=1e-12)
    assert got["accuracy/b"] == pytest.approx((y == f)[:, 1].mean(), abs=1e-12)
    assert got["f1"] == pytest.approx(sk.f1_score(y, f, average="macro"), abs=1e-12)
    got = {n: s(w[None])[0] for n, s in ranking.scores(y, p, f, ("a", "b", "c"), multi=True).items()}
    each = [sk.log_loss(y[:, k], p[:, k], sample_weight=w) for k in range(3)]
    assert got["log_loss"] == pytest.approx(np.mean(each), abs=1e-12)
    assert got["brier/c"] == pytest.approx(sk.brier_score_loss(y[:, 2], p[:, 2], sample_weight=w), abs=1e-12)


def test_a_sure_mistake_costs_a_finite_log_loss():
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert one(ranking.log_loss(np.array([1, 0]), p), np.ones(2)) == pytest.approx(sk.log_loss([1, 0], p), abs=1e-12)


def test_the_calibration_error_by_hand():
    confidence = np.array([0.62, 0.66, 0.95, 0.99])
    p = np.stack([confidence, 1 - confidence], 1)
    truth, w = np.array([0, 1, 0, 1]), np.array([1.0, 2, 3, 4])
    # bins (9/15, 10/15] and (14/15, 1]
    expected = (abs(0.38 - 2 * 0.66) + abs(3 * 0.05 - 4 * 0.99)) / 10
    assert one(ranking.ece(truth, p), w) == pytest.approx(expected, abs=1e-12)
    edge = np.array([[10 / 15, 5 / 15], [9.5 / 15, 5.5 / 15]])
    assert one(ranking.ece(np.array([0, 1]), edge), np.ones(2)) == pytest.approx(abs(5 / 15 - 9.5 / 15) / 2, abs=1e-12)


def test_true_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    truth = (rng.random(len(p)) < p).astype(int)
    assert one(ranking.ece(truth, np.stack([1 - p, p], 1)), np.ones(len(p))) < 0.005


def test_the_interval_of_the_calibration_error_holds_its_value():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(80)
        truth = (rng.random(80) < p).astype(int)
        e = estimates({"ece": ranking.ece(truth, np.stack([1 - p, p], 1))}, [str(i) for i in range(80)], n=200)["ece"]
        assert 0 <= e.low <= e.value <= e.high
        assert e.method.endswith("moved down by what resampling adds")


def test_the_interval_of_the_calibration_error_covers_where_chance_raises_the_value():
    def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        z = 2 * rng.normal(size=n)  # sure of itself twice too much: the logits are 2 z
        p = 1 / (1 + np.exp(-2 * z))
        return (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int), np.stack([1 - p, p], 1)

    rng = np.random.default_rng(3)
    error = one(ranking.ece(*drawn(rng, 1_000_000)), np.ones(1_000_000))
    studies = {str(i): ranking.ece(*drawn(rng, 200)) for i in range(400)}
    found = estimates(studies, [str(i) for i in range(200)], n=400).values()
    assert np.mean([e.value for e in found]) > error + 0.01
    assert 0.9 <= np.mean([e.low <= error <= e.high for e in found]) <= 0.98


def test_weights_of_zero_are_undefined_and_never_warn():
    truth, p, choice, _ = classes(0)
    for s in ranking.scores(truth, p, choice, "abcd").values():
        assert np.isnan(s(np.zeros((2, N)))).all()
    alone = (truth == 0).astype(float)[None]
    got = {name: s(alone)[0] for name, s in ranking.scores(truth, p, choice, "abcd").items()}
    assert np.isnan([got["auc"], got["auc/a"], got["specificity/a"], got["sensitivity/b"]]).all()
    assert got["sensitivity"] == got["sensitivity/a"] == got["accuracy"] == got["balanced_accuracy"]


def test_a_probability_that_is_no_number_makes_a_metric_undefined():
    truth, p, choice, w = classes(0)
    p[7] = np.nan
    scores = ranking.scores(truth, p, choice, "abcd")
    for name in ("auc", "auc/a", "average_precision", "average_precision/d", "log_loss", "brier", "ece"):
        assert np.isnan(scores[name](w)).all(), name
    e = estimates(scores, [str(i) for i in range(N)], n=20)["auc"]
    assert (e.value, e.reason) == (None, "not defined on these images")


def test_confusion_counts():
    truth, _, choice, _ = classes(0)
    got = ranking.confusion(truth, choice, K)
    assert (got == sk.confusion_matrix(truth, choice, labels=range(K))).all()
    assert ranking.confusion(np.array([2]), np.array([0]), 3).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("levels", [None, 1])
def test_the_roc_curve_passes_the_points_of_scikit_learn(levels):
    y, p, _ = sample(0, levels)
    c = ranking.roc(y, p, [str(i) for i in range(N)], points=401, n=100)
    alarms, hits, _ = sk.roc_curve(y, p)
    assert np.allclose(c.y, np.interp(c.x, alarms, hits))
    assert np.trapezoid(c.y, c.x) == pytest.approx(sk.roc_auc_score(y, p), abs=0.01)
    assert (np.diff(c.y) >= 0).all()
    assert (np.diff(c.threshold) <= 0).all()
    assert (c.low <= c.y + 0.03).all()
    assert (c.y <= c.high + 0.03).all()
    assert (c.high - c.low).max() < 0.4
    for x, t in zip(c.x, c.threshold, strict=True):
        assert (p[~y] >= t).mean() <= x + 1e-9, "the threshold raises no more alarms than x"


def test_the_precision_recall_curve_is_read_at_the_threshold_that_reaches_the_recall():
    y, p, _ = sample(1)
    c = ranking.precision_recall(y, p, [None] * N, n=100)
    for x, precision, t in zip(c.x, c.y, c.threshold, strict=True):
        assert (p[y] >= t).mean() >= x - 1e-9
        assert precision == pytest.approx(y[p >= t].mean(), abs=1e-12)
    assert np.mean(c.y) == pytest.approx(sk.average_precision_score(y, p), abs=0.02)
    assert (c.low <= c.y + 0.05).all()
    assert (c.y <= c.high + 0.05).all()


def test_curves_of_one_class_are_undefined():
    for curve in (ranking.roc, ranking.precision_recall):
        c = curve(np.ones(5), np.arange(5), [None] * 5)
        assert np.isnan(c.y).all()
        assert np.isnan(c.low).all()


@pytest.mark.parametrize("odds", [0.3, 1, 20])
def test_no_average_precision_is_below_the_least_that_its_auc_allows(odds):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 4001)
    for _ in range(200):
        f = np.minimum(
            rng.random() ** 4 * np.sort(rng.random(4001) ** rng.uniform(0.2, 5)), 1
        )  # false alarms at recall t
        if rng.random() < 0.5:
            f = np.full(4001, f.mean())
        precision = np.divide(t, t + odds * f, out=np.ones(4001), where=t + odds * f > 0)
        area = 1 - np.trapezoid(f, t)
        assert np.trapezoid(precision, t) >= ranking.least_precision(odds, area) - 1e-3
    assert ranking.least_precision(odds, 1.0) == 1
