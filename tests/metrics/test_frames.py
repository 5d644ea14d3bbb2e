"""Scores of phases equal scikit-learn's and plain definitions, and are functions of the weights of whole videos."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score

from empirisk.metrics.frames import edit, fit, statistics, stretches

NAMES = ("a", "b", "c")


def videos(seed=0, n=7):
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        T = int(rng.integers(5, 60))
        truth = np.sort(rng.integers(0, 3, T))
        answer = np.where(rng.random(T) < 0.7, truth, rng.integers(0, 3, T))
        out.append((truth, answer, np.arange(T) * 2.0))
    return out


def scores(some, w=None):
    found = statistics([fit(*v, 3) for v in some], NAMES)
    w = np.ones((1, len(some))) if w is None else w
    return {k: float(s(w)[0]) for k, s in found.items()}


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_and_jaccard_are_those_of_scikit_learn_over_all_frames(seed):
    some = videos(seed)
    y, a = (np.concatenate([v[i] for v in some]) for i in (0, 1))
    found = scores(some)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, a))
    assert found["jaccard"] == pytest.approx(jaccard_score(y, a, average="macro"))
    for name, value in zip(NAMES, jaccard_score(y, a, average=None), strict=True):
        assert found[f"jaccard/{name}"] == pytest.approx(value)


def test_a_weight_of_two_is_the_video_twice_and_of_none_is_its_absence():
    some = videos(3)
    w = np.array([[0.0, 2, 1, 1, 1, 1, 1]])
    assert scores(some, w) == pytest.approx(scores([some[1], *some[1:]]))


def distance(a, b):
    """Levenshtein's distance by its recursion."""
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


@pytest.mark.parametrize("seed", range(20))
def test_the_edit_score_is_the_distance_of_the_orders_of_stretches(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 3, rng.integers(1, 9)) for _ in range(2))
    first, second = stretches(a), stretches(b)
    assert edit(a, b) == pytest.approx(1 - distance(first, second) / max(len(first), len(second)))


def test_a_late_change_costs_no_edit_and_a_flicker_does():
    truth = np.repeat([0, 1, 2], 10)
    assert edit(truth, np.roll(truth, 3)[3:]) == 1
    flicker = truth.copy()
    flicker[5] = 2
    assert edit(truth, flicker) == pytest.approx(1 - 2 / 5)


@pytest.mark.parametrize("seed", range(4))
def test_the_relaxed_accuracy_looks_10_seconds_both_ways(seed):
    for truth, answer, seconds in videos(seed):
        near = [answer[i] in truth[np.abs(seconds - seconds[i]) <= 10] for i in range(len(truth))]
        found = fit(truth, answer, seconds, 3)
        assert found.relaxed == sum(near)
        assert found.right <= found.relaxed <= found.frames


def test_a_change_9_seconds_late_is_forgiven_and_one_12_seconds_late_is_not():
    truth, seconds = np.repeat([0, 1], 60), np.arange(120.0)
    late = [np.where(seconds < 60 + d, 0, 1) for d in (9, 12)]
    found = [scores([(truth, a, seconds)])["relaxed_accuracy"] for a in late]
    assert found[0] == 1
    assert found[1] == pytest.approx(1 - 2 / 120)  # those 11 and 12 seconds late


def test_a_phase_that_occurs_nowhere_is_in_no_mean():
    found = scores([(np.array([0, 0, 1]), np.array([0, 1, 1]), np.arange(3.0))])
    assert np.isnan(found["jaccard/c"])
    assert found["jaccard"] == pytest.approx(0.5)
