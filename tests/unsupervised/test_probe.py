"""What codes tell of classes: the votes of five neighbours and a linear rule, as scikit-learn has them."""

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from empirisk.models.layers import Standardised
from empirisk.tasks import baselines
from empirisk.unsupervised.pca import PCA
from empirisk.unsupervised.probe import Probe, Probed, solve


def some(n=90, k=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return (rng.normal(size=(n, k)) + 2 * np.eye(classes, k)[y]).astype(np.float32), y


def test_it_is_scikit_learn_and_the_linear_baseline():
    for classes in (2, 3):
        z, y = some(classes=classes)
        new, _ = some(seed=1)
        probe = Probe(4, classes, rows=len(z))
        probe.fill(torch.from_numpy(z), torch.from_numpy(y))
        told = probe(torch.from_numpy(new))
        votes = KNeighborsClassifier(5).fit(z, y).predict_proba(new)
        np.testing.assert_allclose(told.nearest, votes, atol=1e-6)
        np.testing.assert_allclose(told.linear, baselines.logistic(z.astype(float), y, classes)(new), atol=2e-3)


def test_rows_without_a_class_say_nothing():
    z, y = some()
    probe, without = Probe(4, 3, rows=90), Probe(4, 3, rows=60)
    hidden = np.where(np.arange(90) < 60, y, -1)
    probe.fill(torch.from_numpy(z), torch.from_numpy(hidden))
    without.fill(torch.from_numpy(z[:60]), torch.from_numpy(y[:60]))
    for a, b in zip(probe(torch.from_numpy(z[60:])), without(torch.from_numpy(z[60:])), strict=True):
        torch.testing.assert_close(a, b)


def test_fewer_rows_than_neighbours_and_one_class_alone():
    probe = Probe(2, 2, rows=3)
    probe.fill(torch.eye(3, 2), torch.tensor([1, 1, -1]))
    told = probe(torch.zeros(1, 2))
    assert told.nearest.tolist() == [[0, 1]]
    assert told.linear.tolist() == [[0.5, 0.5]]


def test_solve_fills_components_first_and_then_the_probe_and_both_are_saved():
    z, y = some()
    x = torch.from_numpy(z).reshape(90, 1, 2, 2)
    model = Standardised(Probed(PCA((1, 2, 2), codes=2), 2, 3, rows=90), [0.0], [2.0])
    solve(model, [(x[:50], torch.from_numpy(y[:50])), (x[50:], torch.from_numpy(y[50:]))])
    torch.testing.assert_close(model.net.probe.z, model.embed(x))
    assert {"net.probe.z", "net.probe.W", "net.net.W"} <= model.state_dict().keys()
    solve(
        Standardised(Probed(nn.Identity(), 2, 0, rows=90), [0.0], [1.0]), []
    )  # without classes there is nothing to fill
