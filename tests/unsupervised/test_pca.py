"""Principal components: the plane of least squares, equal to the eigenvectors of the covariance."""

import pytest
import torch

from empirisk.errors import Wrong
from empirisk.models.layers import Standardised
from empirisk.unsupervised.pca import PCA, solve


def rows(n=80, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, 3, 2) @ torch.tensor([[2.0, 0.3], [0.1, 0.5]]) + torch.arange(6.0).reshape(3, 2)


def test_it_is_the_eigenvectors_of_the_covariance():
    x, pca = rows(), PCA((3, 2), codes=2)
    pca.fill(x)
    values, vectors = torch.linalg.eigh(torch.cov(x.flatten(1).T.double()))
    torch.testing.assert_close(pca.variance.double(), values.flip(0)[:2], rtol=1e-5, atol=1e-6)
    cosines = (pca.W.double() @ vectors.flip(1)[:, :2]).abs()
    torch.testing.assert_close(cosines, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-4)
    torch.testing.assert_close(pca.embed(x).var(0), pca.variance, rtol=1e-4, atol=1e-5)
    error = (pca(x) - x).square().flatten(1).sum(1).mean() * 80 / 79
    assert float(error) == pytest.approx(float(values[:4].sum()), rel=1e-4)  # what the others of six directions hold


def test_with_all_directions_a_row_comes_back_whole():
    x, pca = rows(), PCA((3, 2), codes=6)
    pca.fill(x)
    assert pca(x).shape == x.shape
    torch.testing.assert_close(pca(x), x, rtol=1e-4, atol=1e-4)


def test_solve_fills_it_behind_the_standardising_layer():
    x = torch.rand(40, 1, 4, 4)
    model = Standardised(PCA((1, 4, 4), codes=3), [0.5], [0.25])
    solve(model, [(x[:25], None), (x[25:], None)])
    direct = PCA((1, 4, 4), codes=3)
    direct.fill((x - 0.5) / 0.25)
    torch.testing.assert_close(model.embed(x), direct.embed((x - 0.5) / 0.25))


def test_what_cannot_be_is_refused():
    for codes in (0, 7):
        with pytest.raises(Wrong, match="a code of"):
            PCA((3, 2), codes=codes)
    with pytest.raises(Wrong, match="needs 4 training rows"):
        PCA((3, 2), codes=4).fill(rows(3))
    with pytest.raises(Wrong, match="all alike"):
        PCA((3, 2), codes=1).fill(torch.ones(5, 3, 2))
