import numpy as np
import pytest

from empirisk.estimate import values
from empirisk.metrics.instances import best_overlap, scores


def squares(*corners, side=4):
    out = np.zeros((30, 30), np.uint16)
    for i, (y, x) in enumerate(corners, 1):
        out[y : y + side, x : x + side] = i
    return out


def of(truths, answers, surety):
    return values(scores(truths, answers, [np.array(s) for s in surety]), len(truths))


def test_the_overlap_is_intersection_over_union_whatever_the_ids():
    truth, answer = squares((0, 0), (10, 10)), squares((0, 2), (20, 20))
    assert best_overlap(truth * 300, answer, 2).tolist() == pytest.approx([8 / 24, 0])
    assert best_overlap(truth, np.zeros_like(truth), 0).tolist() == []


def test_perfect_and_empty_answers():
    truth = squares((0, 0), (10, 10))
    assert of([truth], [truth], [[0.9, 0.8]]) == {"ap": 1, "ap50": 1}
    assert of([truth], [np.zeros_like(truth)], [[]]) == {"ap": 0, "ap50": 0}
    assert of([np.zeros_like(truth)], [truth], [[0.9, 0.8]]) == {"ap": None, "ap50": None}


def test_one_thing_shifted_counts_up_to_its_overlap():
    truth = np.zeros((1, 20), int)
    truth[0, :10] = 1
    answer = np.roll(truth, 2)  # 8 of 12: .667
    found = of([truth], [answer], [[1.0]])
    assert found["ap50"] == 1
    assert found["ap"] == pytest.approx(4 / 10)  # .50, .55, .60, .65


def test_a_false_alarm_hurts_only_where_it_ranks_above_the_truth():
    truth = squares((0, 0))
    answer = squares((20, 20), (0, 0))
    assert of([truth], [answer], [[0.1, 0.9]])["ap50"] == 1
    assert of([truth], [answer], [[0.9, 0.1]])["ap50"] == 0.5


def test_images_are_ranked_together_and_weights_are_copies():
    a, b = squares((0, 0)), squares((5, 5), (15, 15))
    said = [squares((20, 20)), squares((5, 5))]
    s = scores([a, b], said, [np.array([0.9]), np.array([0.5])])
    twice = scores([a, b, b], [*said, said[1]], [np.array([0.9]), np.array([0.5]), np.array([0.5])])
    assert s["ap50"](np.array([[1.0, 2.0]])) == pytest.approx(twice["ap50"](np.ones((1, 3))))
