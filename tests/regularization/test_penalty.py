import pytest
import torch
from torch import nn

from empirisk.recipe import Regularization
from empirisk.regularization import regularised
from empirisk.regularization.terms import l2_penalty


def terms(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return (model(batch[0])[:, 0] - batch[1]).square()


def setting() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)).double()
    return model, (torch.randn(6, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64))


@pytest.mark.parametrize("scalar", [False, True])
def test_adds_l2_of_the_matrices_to_the_mean(scalar: bool) -> None:
    model, batch = setting()
    loss = (lambda m, b: terms(m, b).mean()) if scalar else terms
    w = torch.cat([model[0].weight.flatten(), model[3].weight.flatten()])  # biases and the scales of the norm are free
    got = regularised(loss, Regularization(l2=0.7))(model, batch)
    assert got.shape == (() if scalar else (6,))
    assert torch.allclose(got.mean(), terms(model, batch).mean() + 0.35 * (w**2).sum(), rtol=1e-12)


def test_gradient_of_the_l2_penalty_is_the_weight_itself() -> None:
    model, batch = setting()
    l2_penalty(lambda m, b: 0 * terms(m, b), 0.5)(model, batch).mean().backward()
    assert torch.allclose(model[3].weight.grad, 0.5 * model[3].weight, rtol=1e-12)


def test_frozen_weights_are_left_out() -> None:
    model, batch = setting()
    model[0].weight.requires_grad_(False)
    got = l2_penalty(terms, 2.0)(model, batch).mean() - terms(model, batch).mean()
    assert torch.allclose(got, model[3].weight.square().sum(), rtol=1e-12)
