"""The cumulative link: ordered thresholds, probabilities that sum to 1, no overflow."""

import pytest
import torch
from torch import nn

from empirisk.models.cumulative import Cumulative
from empirisk.models.layers import Standardised


def head(classes, seed=0):
    torch.manual_seed(seed)
    return Cumulative(nn.Identity(), classes).double()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_probabilities_are_the_cumulative_links(classes):
    link, f = head(classes), torch.linspace(-8, 8, 33, dtype=torch.float64)[:, None]
    p = link(f).exp()
    theta = link.thresholds()
    assert p.shape == (33, classes)
    torch.testing.assert_close(p.sum(1), torch.ones(33, dtype=torch.float64))
    above = p.flip(1).cumsum(1).flip(1)[:, 1:]  # P(y > k)
    torch.testing.assert_close(above, torch.sigmoid(f - theta))


def test_all_classes_are_equally_likely_at_first_where_f_is_0():
    p = head(5)(torch.zeros(1, 1, dtype=torch.float64)).exp()
    torch.testing.assert_close(p, torch.full((1, 5), 0.2, dtype=torch.float64), atol=1e-6, rtol=0)


def test_thresholds_stay_in_order_whatever_step_is_taken():
    link = head(6)
    for seed in range(20):
        with torch.no_grad():
            link.first.copy_(torch.randn(1, generator=torch.Generator().manual_seed(seed)) * 9)
            link.rest.copy_(torch.randn(4, generator=torch.Generator().manual_seed(99 + seed)) * 9)
        assert (link.thresholds().diff() > 0).all()


def test_far_away_it_neither_overflows_nor_loses_its_gradient():
    link = Cumulative(nn.Identity(), 4)
    f = torch.tensor([[-500.0], [500.0]], requires_grad=True)
    log_p = link(f)
    assert torch.isfinite(log_p).all()
    torch.testing.assert_close(log_p[0, 0].item(), 0.0)
    log_p[0, 3].backward()
    assert f.grad is not None
    assert f.grad[0, 0] == pytest.approx(1.0)  # d log sigmoid(f - theta) far below


def test_gradients_against_finite_differences():
    link = head(4)
    f = torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, *_: link.link(f), (f, link.first, link.rest))


def test_maps_embedding_and_heads_are_those_of_the_net():
    from empirisk.models import build

    net = build("resnet18", channels=1, classes=1, dims=2, size=(16, 16), width=4).eval()
    model = Standardised(Cumulative(net, 3), [0.5], [0.25]).eval()
    x = torch.rand(2, 1, 16, 16)
    z = (x - 0.5) / 0.25
    assert model(x).shape == (2, 3)
    torch.testing.assert_close(model.embed(x), net.embed(z))
    torch.testing.assert_close(model.features(x), net.features(z))
    ((weight, log_p),) = model.heads(x)
    assert weight == 1
    torch.testing.assert_close(log_p, model(x))
