import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from empirisk.estimate import estimate, values
from empirisk.metrics.images import auc_of_known, psnr


def test_psnr_of_known_errors():
    of = lambda mse, width: float(psnr(np.array(mse), width)(np.ones((1, len(mse))))[0])
    assert of([0.01], 1) == pytest.approx(20)
    assert of([0.01, 0.0001], 1) == pytest.approx(30)  # the mean over images of dB
    assert of([100.0], 100) == pytest.approx(20)
    assert of([0.0], 1) == pytest.approx(100)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_auc_counts_known_rows_alone(classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 80)
    p = rng.dirichlet(np.ones(classes), 80)
    known = np.arange(80) % 3 > 0
    found = auc_of_known(np.where(known, y, -1), p)
    each = [roc_auc_score(y[known] == k, p[known, k]) for k in ([1] if classes == 2 else range(classes))]
    assert values({"auc": found}, 80)["auc"] == pytest.approx(np.mean(each))
    if classes == 2:
        assert estimate(found, [None] * 80).n == known.sum()


def test_without_both_classes_it_is_undefined_with_a_reason():
    found = estimate(auc_of_known(np.array([0, 0, -1]), np.full((3, 2), 0.5)), [None] * 3)
    assert found.value is None
    assert found.reason == "one class only"
