"""How alike samples are: closed forms of Gaussians, and what copies, collapse and strangers do to each number."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from empirisk.estimate import estimates, values
from empirisk.metrics import samples

D, BY = 6, "a protocol"


def drawn(n, *, shift=0.0, scale=1.0, seed=0):
    return shift + scale * np.random.default_rng(seed).normal(size=(n, D))


def rows(z, k=4):
    return z.reshape(-1, k, D)


def told(metric, n):
    return values({"": metric}, n)[""]


REAL = drawn(300, seed=9)


def test_the_frechet_distance_is_that_of_the_two_gaussians():
    rng = np.random.default_rng(1)
    a, b = drawn(200) @ rng.normal(size=(D, D)), drawn(150, shift=1) @ rng.normal(size=(D, D))
    S, T = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(S + T - 2 * sqrtm(S @ T).real)
    assert samples.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert samples.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert samples.frechet_distance(a, a + 2) == pytest.approx(4 * D)
    assert samples.frechet_distance(3 * a, a) == pytest.approx(np.square(2 * a.mean(0)).sum() + 4 * np.trace(S))
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    assert samples.frechet_distance(a @ turn, b @ turn) == pytest.approx(expected, rel=1e-6)
    assert np.isnan(samples.frechet_distance(a[:1], b))


def test_rows_that_do_not_count_are_left_out_and_the_protocol_is_named():
    z = rows(np.concatenate([drawn(200), drawn(200, shift=9)]))
    metric = samples.frechet(z, REAL, BY)
    w = np.zeros((1, 100))
    w[0, :50] = 1
    assert metric(w)[0] == pytest.approx(samples.frechet_distance(z[:50].reshape(-1, D), REAL))
    found = estimates({"frechet": metric}, [None] * 100)["frechet"]
    assert found.low < found.value < found.high
    assert "10 disjoint parts" in found.method
    assert found.method.endswith(BY)


def test_the_interval_of_parts_is_that_of_the_mean_where_the_statistic_is_one():
    from empirisk.statistic import Biased

    x = np.random.default_rng(0).normal(size=500)
    statistic = Biased(lambda w: np.array([x[one > 0].mean() for one in w]))
    found = estimates({"": statistic}, [None] * 500)[""]
    assert found.value == pytest.approx(x.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * x.std() / 500**0.5, rel=0.5)


def test_an_interval_of_parts_that_are_too_small_is_said_to_be_none():
    found = estimates({"": samples.frechet(rows(drawn(3), k=1), REAL, BY)}, [None] * 3)[""]
    assert (found.value, found.reason) == (None, "too few images for an interval")


def test_precision_falls_for_strangers_and_recall_for_a_collapse():
    same, collapsed, strange = rows(drawn(400)), rows(drawn(400, scale=0.05)), rows(drawn(400, shift=9))
    assert told(samples.precision(same, REAL, BY), 100) > 0.7
    assert told(samples.recall(same, REAL, BY), 100) > 0.7
    assert told(samples.precision(collapsed, REAL, BY), 100) == 1
    assert told(samples.recall(collapsed, REAL, BY), 100) < 0.05
    assert told(samples.precision(strange, REAL, BY), 100) == 0


def test_two_samples_of_one_distribution_are_not_told_apart_and_others_are():
    assert told(samples.two_sample(rows(drawn(400)), REAL, BY), 100) == pytest.approx(0.5, abs=0.07)
    assert told(samples.two_sample(rows(drawn(400, shift=1)), REAL, BY), 100) > 0.9
    assert told(samples.two_sample(rows(drawn(400, scale=2)), REAL, BY), 100) > 0.9  # by their squares alone


def test_copies_are_near_and_real_ones_as_near_as_said():
    own = np.random.default_rng(0).random(1000)
    assert told(samples.near(np.zeros((50, 2)), own, BY), 50) == 1
    assert told(samples.near(np.random.default_rng(1).random((500, 4)), own, BY), 500) == pytest.approx(0.05, abs=0.015)


def test_the_spread_is_1_for_real_ones_and_near_0_for_a_collapse():
    assert told(samples.spread(rows(drawn(400)), REAL, BY), 100) == pytest.approx(1, abs=0.15)
    assert told(samples.spread(rows(drawn(400, scale=0.1, shift=3)), REAL, BY), 100) == pytest.approx(0.01, abs=0.003)
