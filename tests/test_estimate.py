"""Every number is an estimate: its interval covers, whole patients are drawn, what is undefined is said to be."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm

from empirisk.estimate import (
    Estimate,
    Macro,
    Metric,
    difference,
    draws,
    estimate,
    estimates,
    mean,
    numbered,
    values,
)
from empirisk.metrics.ranking import auc

STUDIES = 2000


def people(n: int, each: int = 1) -> list[str | None]:
    return [f"p{i // each:05d}" for i in range(n)]


def covered(found: dict[str, Estimate], truth: float) -> float:
    return float(np.mean([e.low <= truth <= e.high for e in found.values()]))


def simulated(rng: np.random.Generator, n: int, each: int, shared: float) -> Metric:
    """An AUC of .8 in n patients with `each` images, of whose variance a share is the patient's."""
    y = rng.random(n).repeat(each) < 0.4
    noise = np.sqrt(shared) * rng.normal(size=n).repeat(each) + np.sqrt(1 - shared) * rng.normal(size=n * each)
    return auc(y, noise + np.sqrt(2) * norm.ppf(0.8) * y)


def test_the_interval_of_an_auc_covers_in_2000_studies_of_200_patients():
    rng = np.random.default_rng(1)
    found = estimates({str(i): simulated(rng, 200, 1, 0) for i in range(STUDIES)}, people(200))
    assert 0.925 <= covered(found, 0.8) <= 0.97


def test_drawing_whole_patients_covers_and_drawing_images_does_not():
    rng = np.random.default_rng(2)
    studies = {str(i): simulated(rng, 100, 4, 0.8) for i in range(400)}
    assert 0.91 <= covered(estimates(studies, people(400, 4), n=400), 0.8) <= 0.975
    assert covered(estimates(studies, [None] * 400, n=400), 0.8) < 0.8


def risks(n: int, studies: int) -> tuple[dict[str, Estimate], float]:
    """Empirical risks of f(x) = sigmoid(x) under p(y = 1 | x) = sigmoid(2 x - 1 / 2), x normal; and the true risk."""
    x = np.linspace(-9, 9, 20001)
    p, f = 1 / (1 + np.exp(0.5 - 2 * x)), 1 / (1 + np.exp(-x))
    risk = np.trapezoid(norm.pdf(x) * -(p * np.log(f) + (1 - p) * np.log(1 - f)), x)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(studies, n))
    y = rng.random(x.shape) < 1 / (1 + np.exp(0.5 - 2 * x))
    losses = np.log1p(np.exp(np.where(y, -x, x)))
    return estimates({str(i): mean(v) for i, v in enumerate(losses)}, people(n)), float(risk)


def test_the_interval_of_the_empirical_risk_covers_the_risk_in_2000_draws():
    found, risk = risks(200, STUDIES)
    assert 0.925 <= covered(found, risk) <= 0.97


def test_the_interval_narrows_as_one_over_root_n():
    sizes = [100, 400, 1600]
    width = [np.mean([e.high - e.low for e in risks(n, 40)[0].values()]) for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(width), 1)[0]
    assert -0.53 < slope < -0.47


def test_a_mean_has_the_interval_of_the_normal_law():
    v = np.random.default_rng(0).normal(5, 2, 1000)
    e = estimate(mean(v), people(1000))
    half = 1.96 * v.std() / np.sqrt(1000)
    assert e.value == pytest.approx(v.mean(), abs=1e-12)
    assert (e.low, e.high) == pytest.approx((v.mean() - half, v.mean() + half), abs=0.15 * half)
    assert (e.n, e.unit, e.method, e.reason) == (1000, "image", "bootstrap by patient, 1,000 patients", "")


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=30), st.integers(0, 5))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_draws_take_whole_patients_with_replacement(groups: list[str], seed: int):
    w = np.concatenate(list(draws(groups, 20, seed)))
    index = numbered(groups)
    _, first = np.unique(index, return_index=True)
    assert w.shape == (20, len(groups))
    assert (w == w[:, first][:, index]).all(), "rows of one patient come together"
    assert (w[:, first].sum(1) == len(first)).all(), "as many patients as there are"


def test_draws_are_the_same_whatever_the_order_of_rows_and_their_number():
    groups = [f"p{i % 7}" for i in range(20)]
    w = np.concatenate(list(draws(groups, 50)))
    shuffled = np.random.default_rng(0).permutation(20)
    assert (np.concatenate(list(draws([groups[i] for i in shuffled], 50))) == w[:, shuffled]).all()
    assert (np.concatenate(list(draws(groups, 10))) == w[:10]).all()
    assert not (np.concatenate(list(draws(groups, 50, seed=1))) == w).all()


def test_a_hundred_thousand_rows_come_in_small_chunks():
    first = next(iter(draws([None] * 100_000, 1000)))
    assert first.nbytes < 2**20


def test_expected_weight_of_every_row_is_one():
    w = np.concatenate(list(draws(people(10), 20_000)))
    assert w.mean(0) == pytest.approx(np.ones(10), abs=0.05)
    assert w.var(0) == pytest.approx(np.full(10, 0.9), abs=0.05)  # multinomial: 1 - 1/m


def test_unknown_patients_are_said():
    v = mean(np.arange(6.0))
    assert estimate(v, [None] * 6).method == "bootstrap by image; patients unknown: may be too narrow"
    assert estimate(v, [None] * 6, unit="volume").method.startswith("bootstrap by volume; patients unknown")
    some = estimate(v, ["a", "b", None, None, "a", "c"]).method
    assert some == "bootstrap by patient, 3 patients; 2 images of unknown patients: may be too narrow"


@pytest.mark.parametrize(
    ("statistic", "groups", "reason"),
    [
        (mean([1.0, 2.0]), ["a", "a"], "one patient only"),
        (mean([1.0]), [None], "one patient only"),
        (mean([1.0, np.nan]), ["a", "b"], "not defined on these images"),
        (mean([1.0, 2.0], among=np.array([True, False])), ["a", "b"], "one patient only"),
        (mean([1.0, 2.0], among=np.zeros(2, bool)), ["a", "b"], "no case"),
        (auc(np.ones(3), np.arange(3)), ["a", "b", "c"], "one class only"),
        (auc(np.array([1, 0, 0]), np.arange(3)), ["a", "b", "c"], "a class with one patient only"),
        (lambda w: np.full(len(w), np.nan), ["a", "b"], "not defined on these images"),
        (Macro((auc(np.ones(2), np.arange(2)),) * 2), ["a", "b"], "one class only"),
    ],
)
def test_undefined_is_none_with_its_reason(statistic, groups, reason):
    e = estimate(statistic, groups)
    assert (e.value, e.low, e.high, e.reason) == (None, None, None, reason)
    d = estimate(difference(statistic, statistic), groups)
    assert (d.value, d.low, d.high, d.tie, d.reason) == (None, None, None, None, reason)
    assert json.loads(json.dumps(e.json(), allow_nan=False))["reason"] == reason


def test_no_rows_is_undefined():
    assert estimate(mean([]), []).reason == "no images"
    assert estimate(mean([1.0, 2.0]), ["a", "b"], keep=np.zeros(2, bool)).reason == "no images"


def test_a_perfect_proportion_has_the_exact_binomial_bound():
    e = estimate(mean(np.ones(50, bool)), people(50))
    assert (e.value, e.high) == (1, 1)
    assert e.low == pytest.approx(beta.ppf(0.025, 50, 1), abs=1e-12)
    assert e.method.endswith("every draw alike: exact binomial bound")
    e = estimate(mean(np.zeros(50, bool)), people(50))
    assert (e.value, e.low) == (0, 0)
    assert e.high == pytest.approx(beta.ppf(0.975, 1, 50), abs=1e-12)


def test_the_exact_bound_counts_patients_of_the_smaller_class():
    y = np.arange(60) < 20  # ten patients with two images each are positive
    e = estimate(auc(y, y.astype(float)), people(60, 2))
    assert (e.value, e.high) == (1, 1)
    assert e.low == pytest.approx(0.025 ** (1 / 10), abs=1e-12)


def test_a_constant_that_is_no_proportion_keeps_its_point_and_says_so():
    e = estimate(mean(np.zeros(5)), people(5))
    assert (e.value, e.low, e.high) == (0, 0, 0)
    assert e.method.endswith("every draw alike")
    e = estimate(auc(np.arange(8) % 2, np.zeros(8)), people(8))
    assert (e.value, e.low, e.high) == (0.5, 0.5, 0.5)


def test_a_macro_leaves_out_classes_that_are_absent_and_counts_them():
    y = np.arange(40) % 2
    parts = (auc(y, np.arange(40)), auc(np.zeros(40), np.arange(40)))
    e, alone = estimate(Macro(parts), people(40)), estimate(parts[0], people(40))
    assert (e.value, e.low, e.high) == (alone.value, alone.low, alone.high)
    assert "mean over 1 of 2 classes" in e.method


def test_undefined_draws_are_left_out_and_counted():
    y = np.arange(30) < 2
    e = estimate(auc(y, np.random.default_rng(0).normal(size=30)), people(30))
    assert "of 1000 draws undefined, left out" in e.method
    assert 0 <= e.low <= e.value <= e.high <= 1


def test_a_difference_is_paired_and_a_tie_is_said():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=200)
    a, b = mean(hard), mean(hard + 0.1 + 0.05 * rng.normal(size=200))
    d = estimate(difference(b, a), people(200))
    assert d.tie is False
    assert d.value == pytest.approx(0.1, abs=0.02)
    assert d.high - d.low < 0.1 * (estimate(a, people(200)).high - estimate(a, people(200)).low)
    same = estimate(difference(a, a), people(200))
    assert (same.value, same.low, same.high, same.tie) == (0, 0, 0, True)
    assert estimate(difference(a, mean(rng.normal(size=200))), people(200)).tie is True


def test_a_difference_of_perfect_and_constant_keeps_the_exact_bound():
    y = np.arange(40) % 2
    d = estimate(difference(auc(y, y), auc(y, np.zeros(40))), people(40))
    assert (d.value, d.high, d.tie) == (0.5, 0.5, False)
    assert d.low == pytest.approx(0.025 ** (1 / 20) - 0.5, abs=1e-12)


def test_a_subgroup_is_the_same_statistic_with_other_weights():
    v, keep = np.arange(40.0), np.arange(40) % 4 == 0
    e = estimate(mean(v), people(40), keep=keep)
    assert (e.value, e.n) == (v[keep].mean(), 10)
    assert e.method == "bootstrap by patient, 10 patients"


def test_all_statistics_share_one_set_of_draws_and_parts_are_computed_once():
    calls = []

    def counting(w):
        calls.append(len(w))
        return w.mean(1)

    part = Metric(counting, (np.ones(9, bool),))
    other = mean(np.arange(9.0))
    together = estimates({"m": Macro((part, other)), "p": part, "d": difference(part, other), "o": other}, people(9))
    assert sum(calls) == 1001
    assert together["o"] == estimate(other, people(9))
    assert list(together) == ["m", "p", "d", "o"]


def test_values_alone_draw_nothing():
    y = np.array([0, 0, 1, 1])
    got = values({"auc": auc(y, np.array([1, 3, 2, 4])), "none": auc(y * 0, y), "mean": mean([1, 2, 3, 4])}, 4)
    assert got == {"auc": 0.75, "none": None, "mean": 2.5}


def test_json_is_the_form_of_metrics_json():
    e = estimate(mean([True, False, True]), ["a", "b", "c"]).json()
    assert list(e) == ["value", "low", "high", "n", "unit", "method"]
    d = estimate(difference(mean([1.0, 2.0]), mean([1.0, 2.0])), ["a", "b"]).json()
    assert d["tie"] is True
