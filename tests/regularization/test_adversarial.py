import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk import erm
from empirisk.errors import Wrong
from empirisk.recipe import Recipe
from empirisk.regularization.adversarial import adversarial, fgsm, pgd, still_statistics


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


def line() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, 2).double()


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


def images(n: int = 8) -> tuple[Tensor, Tensor]:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(n) % 2


def inner(n: int = 8) -> tuple[Tensor, Tensor]:
    """Vectors away from 0 and 1, so that no value is cut."""
    x = 0.3 + 0.4 * torch.rand(n, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.arange(n) % 2


def test_fgsm_of_a_linear_model_is_the_worst_of_the_box() -> None:
    """x' = x + eps sign(w_other - w_true): the logit difference falls by exactly eps |w_1 - w_0|_1."""
    model, (x, y) = line(), inner()
    moved = fgsm(model, cross_entropy, (x, y), epsilon=0.05)
    w = model.weight.detach()
    sign = torch.where(y == 1, 1.0, -1.0)[:, None]
    assert torch.allclose(moved, x - 0.05 * sign * (w[1] - w[0]).sign())
    margin = lambda z: ((model(z)[:, 1] - model(z)[:, 0]) * sign[:, 0]).detach()
    assert torch.allclose(margin(x) - margin(moved), 0.05 * (w[1] - w[0]).abs().sum().expand(8), rtol=1e-9)
    assert torch.allclose(
        pgd(model, cross_entropy, (x, y), epsilon=0.05, steps=5), moved
    )  # the corner is the only answer


@pytest.mark.parametrize(
    "attack", [fgsm, lambda *a, **k: pgd(*a, steps=4, **k), lambda *a, **k: pgd(*a, steps=4, step_size=0.02, **k)]
)
def test_an_attack_stays_in_the_box_and_in_the_range_and_raises_the_loss(attack) -> None:
    model, (x, y) = convolutions().eval(), images()
    x[:, :, 0] = 0.0
    x[:, :, 1] = 1.0
    before = copy.deepcopy(model.state_dict())
    moved = attack(model, cross_entropy, (x, y), epsilon=8 / 255)
    assert moved.requires_grad is False
    assert (moved - x).abs().max() <= 8 / 255 + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert (cross_entropy(model, (moved, y)) > cross_entropy(model, (x, y))).all()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_values_outside_0_and_1_keep_their_own_range() -> None:
    model, (x, y) = line(), inner()
    x = 2000 * x - 1000
    moved = fgsm(model, cross_entropy, (x, y), epsilon=10.0)
    assert (moved - x).abs().max() == pytest.approx(10)
    assert moved.min() >= x.min()
    assert moved.max() <= x.max()


def test_an_epsilon_of_0_moves_nothing() -> None:
    model, (x, y) = convolutions().eval(), images()
    assert torch.equal(fgsm(model, cross_entropy, (x, y), epsilon=0.0), x)
    assert torch.equal(pgd(model, cross_entropy, (x, y), epsilon=0.0), x)


def test_the_inner_pass_leaves_the_statistics_of_batch_norms() -> None:
    """The training loss counts one batch, that of the moved images."""
    model, (x, y) = convolutions().train(), images()
    loss = adversarial(cross_entropy, 4 / 255)
    twin = copy.deepcopy(model)
    moved = fgsm(twin, cross_entropy, (x, y), epsilon=4 / 255)
    assert torch.equal(twin[1].running_mean, torch.zeros(4))
    assert int(twin[1].num_batches_tracked) == 0
    got, expected = loss(model, (x, y)), cross_entropy(twin, (moved, y))
    assert torch.equal(got, expected)
    assert int(model[1].num_batches_tracked) == 1
    assert torch.equal(model[1].running_mean, twin[1].running_mean)
    with pytest.raises(RuntimeError), still_statistics(model):
        raise RuntimeError
    assert model[1].track_running_stats


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_it_trains_and_reaches_every_parameter(steps: int, precision: str) -> None:
    class Same:
        def __len__(self) -> int:
            return 2

        def __call__(self, epoch: int, start: int = 0):
            return iter([images()] * (2 - start))

        def names(self, epoch: int, index: int) -> list[str]:
            return []

    player = erm.Player(adversarial(cross_entropy, 8 / 255, steps))
    found = [
        erm.fit(convolutions(), Same(), [player], recipe=Recipe(ema=0), lr=1e-2, steps=30, evaluate=lambda m: {"val": 1.0}, precision=precision)
        for _ in range(2)
    ]  # fmt: skip
    assert found[0].rows[-1]["loss"] < found[0].rows[0]["loss"]
    assert [r["loss"] for r in found[0].rows] == [r["loss"] for r in found[1].rows]  # what it draws follows the step


def test_words_are_refused() -> None:
    with pytest.raises(Wrong, match="--adversarial needs one image") as caught:
        adversarial(cross_entropy, 0.1)(line(), (torch.zeros(3, 6, dtype=torch.long), torch.zeros(3)))
    assert caught.value.code == 2
