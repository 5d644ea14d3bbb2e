"""Contrast: NT-Xent is its formula, views stay within the image, and what is alike finds itself."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from empirisk.models.layers import Standardised
from empirisk.unsupervised.contrast import Contrast, Crop, loss, matched, nt_xent, pair, views


def test_the_loss_is_equation_1_of_the_paper():
    torch.manual_seed(0)
    a, b = (F.normalize(torch.randn(5, 3, dtype=torch.float64)) for _ in range(2))
    c, T = torch.cat([a, b]), 0.3

    def term(i, j):
        others = sum(math.exp(c[i] @ c[k] / T) for k in range(10) if k != i)
        return -math.log(math.exp(c[i] @ c[j] / T) / others)

    wanted = [(term(i, i + 5) + term(i + 5, i)) / 2 for i in range(5)]
    np.testing.assert_allclose(nt_xent(a, b, T), wanted)


def test_it_is_least_where_views_are_alike_and_images_are_not():
    apart = torch.eye(4)
    best = nt_xent(apart, apart, 0.2).mean()
    assert best == pytest.approx(math.log(1 + 6 * math.exp(-1 / 0.2)), abs=1e-5)
    assert nt_xent(apart, apart.roll(1, 0), 0.2).mean() > best
    same = torch.ones(4, 1)
    assert nt_xent(same, same, 0.2).mean() == pytest.approx(math.log(7), abs=1e-5)


def test_views_of_one_image_find_each_other():
    a = torch.eye(3)
    assert matched(a, a).tolist() == [True] * 3
    assert matched(a, a.roll(1, 0)).tolist() == [False] * 3


@pytest.mark.parametrize("dims", [2, 3])
def test_a_crop_is_a_part_of_the_image_at_its_size(dims):
    crop, generator = Crop(dims), torch.Generator().manual_seed(0)
    p = crop.draw(generator, 200)
    from empirisk.data.changes import Parameters

    matrix = crop.matrix(Parameters(p), dims)
    share = matrix.diagonal(dim1=1, dim2=2)[:, 0]
    assert 0.55 <= share.min() < 0.6 < 0.95 < share.max() <= 1
    for corner in (-1.0, 1.0):
        seen = share[:, None] * corner + matrix[:, :dims, dims]
        assert seen.abs().max() <= 1 + 1e-6  # never beyond the border


def test_two_views_differ_and_are_drawn_alike_by_a_seed():
    x = torch.rand(4, 1, 12, 12)
    a, b = pair(x, views(2), torch.Generator().manual_seed(1))
    again = pair(x, views(2), torch.Generator().manual_seed(1))
    assert torch.equal(a, again[0])
    assert torch.equal(b, again[1])
    assert (a - b).abs().mean() > 0.01


@pytest.mark.parametrize("size", [(16, 16), (8, 10, 12)])
def test_codes_have_length_1_and_a_gradient_reaches_every_parameter(size):
    torch.manual_seed(0)
    net = Contrast(1, size, codes=6, width=4)
    x = torch.rand(5, 1, *size)
    model = Standardised(net, [0.5], [0.3])
    assert model.embed(x).shape == (5, 6)
    torch.testing.assert_close(model.embed(x).norm(dim=1), torch.ones(5))
    loss(views(len(size)), 0.2)(model, (x, None)).mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_evaluation_is_the_same_each_time_and_training_is_not():
    torch.manual_seed(0)
    model, batch = Standardised(Contrast(1, (12, 12), codes=4, width=4), [0.5], [0.3]), (torch.rand(6, 1, 12, 12), None)
    terms = loss(views(2), 0.2)
    assert not torch.equal(terms(model, batch), terms(model, batch))
    model.eval()
    assert torch.equal(terms(model, batch), terms(model, batch))


def test_a_gradient_reaches_the_image_through_its_views():
    torch.manual_seed(0)
    model, x = (
        Standardised(Contrast(1, (12, 12), codes=4, width=4), [0.5], [0.3]).eval(),
        torch.rand(6, 1, 12, 12).requires_grad_(),
    )
    (slope,) = torch.autograd.grad(loss(views(2), 0.2)(model, (x, None)).sum(), x)
    assert (slope.flatten(1).abs().sum(1) > 0).all()
