import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.targets import Classes
from empirisk.errors import Wrong
from empirisk.regularization.terms import blend, mixup
from empirisk.tasks.classification import training_loss
from empirisk.tasks.regression import residual_loss

THREE = Classes(names=("a", "b", "c"))
LABELS = Classes(names=("a", "b", "c"), multi=True)


def drawn(n: int, alpha: float) -> tuple[Tensor, Tensor]:
    """What a call draws: shares and partners."""
    torch.manual_seed(3)
    share = torch.distributions.Beta(alpha, alpha).sample((n,))
    return share, torch.randperm(n)


def called(loss, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    torch.manual_seed(3)
    return loss(model, batch)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_of_classes_it_is_the_mixture_of_the_losses(weights, eps: float, gamma: float) -> None:
    """l L(y_i, f(x')) + (1 - l) L(y_j, f(x')), with class weights, smoothing and focal exponent alike."""
    torch.manual_seed(0)
    x, y = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    loss = training_loss(THREE, class_weights=weights, label_smoothing=eps, focal=gamma)
    share, other = drawn(9, 0.4)
    share = share.double()
    mixed = blend(x, x[other], share)
    plain = lambda y: loss(nn.Identity(), (mixed, y))
    expected = share * plain(y) + (1 - share) * plain(y[other])
    assert torch.allclose(called(mixup(loss, 0.4, classes=3), nn.Identity(), (x, y)), expected, rtol=1e-9)


def test_of_labels_and_numbers_it_is_the_loss_of_the_mixture() -> None:
    torch.manual_seed(0)
    share, other = drawn(6, 0.4)
    for loss, x, y in (
        (training_loss(LABELS), torch.randn(6, 3), torch.randint(0, 2, (6, 3)).float()),
        (residual_loss("squared"), torch.randn(6, 1), torch.randn(6)),
    ):
        expected = loss(nn.Identity(), (blend(x, x[other], share), blend(y, y[other], share)))
        assert torch.equal(called(mixup(loss, 0.4), nn.Identity(), (x, y)), expected)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_are_of_beta_and_each_sample_has_its_own(alpha: float) -> None:
    seen = []
    mixup(lambda m, b: seen.append(b) or b[1], alpha)(nn.Identity(), (torch.zeros(4000, 1), torch.arange(4000.0) % 2))
    x, y = seen[0]
    share = y[(y > 0) & (y < 1)]  # of pairs of 0 and 1
    assert len(share.unique()) > 1000
    assert float(share.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_pictures_of_any_number_of_dimensions() -> None:
    x = torch.rand(5, 1, 4, 4, 4)
    got = called(mixup(lambda m, b: b[0], 1.0, classes=2), nn.Identity(), (x, torch.arange(5) % 2))
    share, other = drawn(5, 1.0)
    view = share.view(-1, 1, 1, 1, 1)
    assert torch.allclose(got, view * x + (1 - view) * x[other], atol=1e-6)
    assert math.prod(got.shape) == 5 * 64


def test_refusals() -> None:
    for alpha in (-0.1, math.inf, math.nan):
        with pytest.raises(Wrong, match="--mixup is") as caught:
            mixup(lambda m, b: F.mse_loss(m(b[0]), b[1]), alpha)
        assert caught.value.code == 2
