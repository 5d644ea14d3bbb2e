import subprocess
import sys

import numpy as np
import pytest

from empirisk.data import embedded
from empirisk.data.splits import split
from empirisk.errors import Wrong


def test_names():
    assert all(embedded.knows(name) for name in embedded.NAMES)
    assert embedded.knows("curve:noise=1")
    assert not embedded.knows("curve.csv")
    with pytest.raises(Wrong, match="phantom"):
        embedded.table("fantom")


def test_names_are_listed_without_torch():
    code = "import sys, empirisk.data.embedded; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_curve_is_the_sine_with_its_noise():
    rows = embedded.table("curve:train=5000,noise=.3,seed=2").rows
    x = np.array([r["x"].read()[0] for r in rows])
    truth, target = np.array([float(r["truth"]) for r in rows]), np.array([r["target"] for r in rows])
    assert np.allclose(truth, np.sin(2 * np.pi * x), atol=1e-6)
    assert x.min() >= 0
    assert x.max() <= 1
    assert np.std(target - truth) == pytest.approx(0.3, rel=0.04)
    assert abs(np.mean(target - truth)) < 0.02


def test_curve_keeps_its_validation_and_test_points_whatever_train_is():
    small, large = embedded.table("curve").rows, embedded.table("curve:train=400").rows
    assert [r["part"] for r in small].count("train") == 40
    assert [(r["id"], r["target"]) for r in small[40:]] == [(r["id"], r["target"]) for r in large[400:]]
    assert [r["part"] for r in split(small)] == [r["part"] for r in small]


def test_a_line_and_the_best_cubic_fall_short_of_the_noise_as_theory_says():
    """Least squares on the whole test part: the risk of degree d is noise^2 plus what a polynomial of degree d lacks."""
    rows = embedded.table("curve:noise=.1").rows[140:]
    x, y = np.array([r["x"].read()[0] for r in rows], float), np.array([r["target"] for r in rows])
    risk = {d: np.mean((y - np.polynomial.Polynomial.fit(x, y, d)(x)) ** 2) for d in (1, 3, 9)}
    assert risk[1] == pytest.approx(0.5 - 12 / (4 * np.pi**2) + 0.01, rel=0.1)
    assert risk[1] > 10 * risk[3]
    assert risk[9] == pytest.approx(0.01, rel=0.2)


def test_breast_cancer_records():
    table = embedded.table("breast-cancer")
    assert len(table.rows) == 569
    assert sum(r["label"] == "malignant" for r in table.rows) == 212
    first = table.rows[0]["x"]
    assert first.read().shape == (30,)
    assert first.read().dtype == np.float32
    assert first.names[0] == "mean radius"
    assert first.read()[0] == pytest.approx(17.99)
    assert not table.split_given


def test_new_rows_are_of_the_same_generator_and_none_is_an_old_one():
    name = "phantom:images=6,size=16,cnr=3"
    old, new = embedded.table(name).rows, embedded.fresh(name, 9)
    assert len(new) == 9
    assert {r["contrast"] for r in new} == {r["contrast"] for r in old} == {"0.075"}
    assert not {r["diameter"] for r in new} & {r["diameter"] for r in old}
    assert embedded.fresh("breast-cancer") == []


@pytest.mark.parametrize(
    "name", ["curve:train=1", "curve:noise=nan", "curve:noise=-1", "curve:seed=-1", "breast-cancer:seed=1", "curve:"]
)
def test_options_that_cannot_be(name: str):
    if name == "curve:":
        assert len(embedded.table(name).rows) == 1140
        return
    with pytest.raises(Wrong) as wrong:
        embedded.table(name)
    assert wrong.value.code == 2
