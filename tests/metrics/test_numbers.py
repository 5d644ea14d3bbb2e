"""Metrics of numbers equal scikit-learn's and scipy's, also under weights."""

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.stats import spearmanr

from empirisk.estimate import estimate
from empirisk.metrics import numbers


def sample(seed: int, levels: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = 50 + 8 * rng.normal(size=120)
    f = y + 5 * rng.normal(size=120)
    if levels:
        y, f = np.round(y / levels) * levels, np.round(f / levels) * levels
    return y, f, rng.integers(0, 4, (4, 120)).astype(float)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [0, 5])
def test_numbers_equal_scikit_learn_and_scipy(seed, levels):
    y, f, w = sample(seed, levels)
    theirs = {
        numbers.mae: sk.mean_absolute_error,
        numbers.rmse: sk.root_mean_squared_error,
        numbers.r2: sk.r2_score,
    }
    for ours, other in theirs.items():
        broken = w + np.random.default_rng(0).random(w.shape)
        for weights in (w, broken):
            assert ours(y, f)(weights) == pytest.approx([other(y, f, sample_weight=r) for r in weights], abs=1e-10)
    again = [spearmanr(np.repeat(y, r.astype(int)), np.repeat(f, r.astype(int))).statistic for r in w]
    assert numbers.spearman(y, f)(w) == pytest.approx(again, abs=1e-12)


def test_a_perfect_answer():
    y = np.array([1.0, 4, 2, 8, 5, 7])
    w = np.arange(1.0, 7)[None]
    assert numbers.mae(y, y)(w) == numbers.rmse(y, y)(w) == 0
    assert numbers.r2(y, y)(w) == 1
    assert numbers.spearman(y, y**3)(w) == pytest.approx(1, abs=1e-12)
    assert numbers.spearman(y, -y)(w) == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize("metric", [numbers.r2, numbers.spearman])
@pytest.mark.parametrize("constant", [0.1, 1e6 + 0.3, 0.0])
def test_a_constant_truth_is_undefined(metric, constant):
    y, f = np.full(9, constant), np.arange(9.0)
    assert np.isnan(metric(y, f)(np.ones((2, 9)))).all()
    assert np.isnan(metric(f, f)((np.arange(9) == 4.0)[None].astype(float))).all(), "one row alone"
    assert np.isnan(metric(f, f)(np.zeros((1, 9)))).all()
    assert estimate(metric(y, f), [str(i) for i in range(9)]).reason == "not defined on these images"


def test_the_mean_as_answer_has_an_r2_of_zero():
    y = np.random.default_rng(0).normal(1e5, 1, 100)
    assert numbers.r2(y, np.full(100, y.mean()))(np.ones((1, 100))) == pytest.approx(0, abs=1e-9)
    assert np.isnan(numbers.spearman(y, np.full(100, y.mean()))(np.ones((1, 100))))


def test_ranks_do_not_change_under_a_rising_map():
    y, f, w = sample(0)
    assert numbers.spearman(y, f)(w) == pytest.approx(numbers.spearman(np.exp(y / 9), f**3)(w), abs=1e-12)


@pytest.mark.parametrize("metric", [numbers.mae, numbers.rmse, numbers.r2, numbers.spearman])
def test_an_answer_that_is_no_number_makes_a_metric_undefined(metric):
    y, f, w = sample(0)
    f[3] = np.nan
    assert np.isnan(metric(y, f)(w)).all()


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_equals_scikit_learn_and_coverage_is_a_share(level):
    y, f, w = sample(0)
    ours = numbers.pinball(y, f, level)(w)
    assert ours == pytest.approx([sk.mean_pinball_loss(y, f, alpha=level, sample_weight=r) for r in w], abs=1e-10)
    assert numbers.coverage(y, f)(w) == pytest.approx([np.average(y <= f, weights=r) for r in w])
    constant = np.full(len(y), np.quantile(y, level))  # what the loss of a quantile makes least
    one = np.ones((1, len(y)))
    assert all(
        numbers.pinball(y, constant, level)(one) <= numbers.pinball(y, constant + d, level)(one)
        for d in (-3, -0.5, 0.5, 3)
    )
    assert numbers.coverage(y, constant)(one) == pytest.approx(level, abs=0.01)
