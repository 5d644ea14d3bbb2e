"""Agreement of groups with classes, and their silhouette, against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as reference

from empirisk.estimate import estimates
from empirisk.metrics import clusters

RNG = np.random.default_rng(0)
TRUTH, GROUP = RNG.integers(0, 3, 60), RNG.integers(0, 4, 60)
GROUP[:30] = TRUTH[:30]
ALL, ONES = np.ones(60, bool), np.ones((1, 60))


@pytest.mark.parametrize("group", [GROUP, TRUTH, TRUTH * 7 - 1, np.zeros(60, int)])
def test_both_equal_scikit_learn_also_on_rows_drawn_anew(group):
    for mine, other in ((clusters.ari, "adjusted_rand_score"), (clusters.nmi, "normalized_mutual_info_score")):
        metric, f = mine(TRUTH, group, ALL), getattr(reference, other)
        assert metric(ONES)[0] == pytest.approx(f(TRUTH, group), abs=1e-12)
        drawn = RNG.integers(0, 60, 60)
        w = np.bincount(drawn, minlength=60)[None].astype(float)
        assert metric(w)[0] == pytest.approx(f(TRUTH[drawn], group[drawn]), abs=1e-12)


def test_rows_without_a_class_do_not_count():
    known = np.arange(60) < 40
    truth = np.where(known, TRUTH, -1)
    assert clusters.ari(truth, GROUP, known)(ONES)[0] == pytest.approx(
        reference.adjusted_rand_score(TRUTH[:40], GROUP[:40])
    )
    found = estimates({"ari": clusters.ari(truth, GROUP, np.zeros(60, bool))}, [None] * 60, n=10)["ari"]
    assert found.value is None
    assert found.reason == "no row with a class"


def test_no_weight_is_undefined_without_a_warning():
    for mine in (clusters.ari, clusters.nmi):
        assert np.isnan(mine(TRUTH, GROUP, ALL)(np.zeros((1, 60)))[0])


def test_the_silhouette_equals_scikit_learns_and_leaves_out_what_is_in_no_group():
    codes = RNG.normal(size=(60, 3)) + 3 * GROUP[:, None]
    assert clusters.silhouette(codes, GROUP)(ONES)[0] == pytest.approx(reference.silhouette_score(codes, GROUP))
    some = np.where(np.arange(60) < 20, -1, GROUP)
    expected = reference.silhouette_score(codes[20:], GROUP[20:])
    assert clusters.silhouette(codes, some)(ONES)[0] == pytest.approx(expected)
    found = estimates({"s": clusters.silhouette(codes, np.zeros(60, int))}, [None] * 60, n=10)["s"]
    assert found.reason == "fewer than two groups"
