import pytest
import torch
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.models.layers import Standardised
from empirisk.regularization.terms import input_noise, weight_noise


def squares(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]).flatten(1).sum(1) - batch[1]).square()


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1).double()


def test_input_noise_adds_sigma_squared_times_the_squared_slope() -> None:
    """Of a line, E (w (x + sigma eps) + b - y)^2 = (w x + b - y)^2 + sigma^2 |w|^2: a ridge on w."""
    model, x, y = linear(), torch.randn(1, 3, dtype=torch.float64).expand(200_000, 3), torch.zeros(200_000)
    extra = input_noise(squares, 0.3)(model, (x, y)).mean() - squares(model, (x[:1], y[:1])).mean()
    assert float(extra.detach()) == pytest.approx(0.09 * float(model.weight.detach().square().sum()), rel=0.03)


def test_input_noise_is_in_deviations_of_the_channel() -> None:
    seen = []

    class Sees(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x

    model, x = Standardised(Sees(), [0.0, 5.0], [1.0, 20.0]), torch.zeros(4, 2, 32, 32)
    input_noise(squares, 0.1)(model, (x, torch.zeros(4)))
    noise = seen[0] - model.standardise(x)
    assert noise.std((0, 2, 3)).tolist() == pytest.approx([0.1, 0.1], rel=0.05)


def test_weight_noise_moves_every_matrix_and_gives_the_gradient_at_the_moved_place() -> None:
    model, x, y = linear(), torch.randn(5, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    torch.manual_seed(7)
    eps = torch.randn_like(model.weight)
    torch.manual_seed(7)
    got = weight_noise(squares, 0.2)(model, (x, y))
    w = (model.weight + 0.2 * eps).detach().requires_grad_()
    by_hand = (x @ w[0] + model.bias - y).square()
    assert torch.allclose(got, by_hand, rtol=1e-12)
    got.mean().backward()
    (slope,) = torch.autograd.grad(by_hand.mean(), w)
    assert torch.allclose(model.weight.grad, slope, rtol=1e-12)
    assert model.bias.grad is not None


def test_weight_noise_reaches_what_the_loss_calls_beside_forward_and_leaves_the_weights() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()

        def heads(self, x: Tensor) -> Tensor:
            return self.inner(x)

    model, x = Two(), torch.randn(5, 3, dtype=torch.float64)
    before = model.inner.weight.detach().clone()
    loss = weight_noise(lambda m, b: m.heads(b[0]).flatten(), 0.5)
    assert not torch.allclose(loss(model, (x, None)), model.heads(x).flatten())
    assert torch.equal(model.inner.weight, before)


def test_words_cannot_be_moved() -> None:
    with pytest.raises(Wrong, match="--input-noise needs one image") as caught:
        input_noise(squares, 0.1)(linear(), (torch.zeros(3, dtype=torch.long), torch.zeros(3)))
    assert caught.value.code == 2
