"""Grades: the quadratic weighted kappa, and what the order is good for."""

import json

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

import empirisk as er
from empirisk.data.targets import Classes, Verdict
from empirisk.errors import Wrong
from empirisk.estimate import values
from empirisk.metrics import METRICS
from empirisk.metrics.numbers import quadratic_kappa
from empirisk.tasks.classification import ordinal


@pytest.mark.parametrize("seed", range(6))
def test_kappa_is_scikit_learns_under_weights(seed):
    rng = np.random.default_rng(seed)
    y, f = rng.integers(0, 5, 80), rng.integers(0, 5, 80)
    f = np.where(rng.random(80) < 0.6, y, f)
    w = rng.integers(0, 4, (7, 80)).astype(float)
    mine = quadratic_kappa(y, f)(w)
    for row, value in zip(w, mine, strict=True):
        theirs = cohen_kappa_score(y, f, weights="quadratic", sample_weight=row, labels=list(range(5)))
        assert value == pytest.approx(theirs, abs=1e-12)


def test_kappa_of_right_constant_reversed_and_undefined_answers():
    y = np.arange(5).repeat(4)
    ones = np.ones((1, 20))
    assert quadratic_kappa(y, y)(ones)[0] == 1
    assert quadratic_kappa(y, np.full(20, 2))(ones)[0] == pytest.approx(0)
    assert quadratic_kappa(y, 4 - y)(ones)[0] == pytest.approx(-1)
    assert np.isnan(quadratic_kappa(np.ones(20), np.ones(20))(ones)[0])
    near, far = np.minimum(y + 1, 4), np.where(y < 4, (y + 3) % 5, y)
    assert quadratic_kappa(y, near)(ones)[0] > quadratic_kappa(y, far)(ones)[0]


def test_the_score_comes_first_and_several_labels_have_no_order():
    names = ("0", "1", "2")
    task = ordinal(Classes(names))
    rows = [{"id": str(i), "label": names[i % 3], "patient": None} for i in range(9)]
    said = [Verdict(np.eye(3)[i % 3], i % 3) for i in range(9)]
    scores = values(task.score(rows, said), 9)
    assert next(iter(scores)) == "quadratic_kappa"
    assert scores["quadratic_kappa"] == 1
    assert "quadratic_kappa" in METRICS
    with pytest.raises(Wrong, match="no order"):
        ordinal(Classes(names, multi=True))


def test_two_grades_have_one_threshold(cli, tiny, tmp_path):
    words = ["--model", "linear", "--epochs", 2, "--out", tmp_path / "run"]
    code, _, err = cli("train", "classification", tiny / "spots.npz", "--ordinal", *words)
    assert code == 0, err
    assert len(er.load(tmp_path / "run").experiment().model.net.thresholds()) == 1


def test_grades_are_learned_with_one_number_and_ordered_thresholds(cli, tiny, tmp_path):
    words = ["--model", "mlp", "--width", 16, "--epochs", 60, "--out", tmp_path / "run"]
    code, out, err = cli("train", "classification", tiny / "ordinal.npz", "--ordinal", *words, "--json")
    assert code == 0, err
    found = json.loads(out)["metrics"]
    assert next(iter(found["val"])) == "quadratic_kappa"
    assert found["val"]["quadratic_kappa"]["value"] > 0.6
    assert found["baseline"]["prior"]["quadratic_kappa"]["value"] == pytest.approx(0)
    e = er.load(tmp_path / "run").experiment()
    assert e.model.net.net.fc.out_features == 1
    assert (e.model.net.thresholds().diff() > 0).all()
    assert cli("test", tmp_path / "run")[0] == 0
    assert cli("predict", tmp_path / "run", tiny / "photos/dark")[0] == 0
