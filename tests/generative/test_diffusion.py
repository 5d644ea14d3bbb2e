"""The forward process and its posterior in closed form, the loss, the three forms of prediction, and what a model gives."""

import math

import pytest
import torch

from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.errors import Wrong
from empirisk.generative.diffusion import PREDICTS, SCHEDULES, Diffusion, T, ddpm, denoising, schedule
from empirisk.generative.samplers import ancestral, clean, dpm_solver, noise_like, times


class Point(torch.nn.Module):
    """What the best network says where every x_0 is 0 in standardised units, for each form of prediction."""

    def __init__(self, predict):
        super().__init__()
        self.predict, self.levels = predict, torch.tensor(schedule("linear"))
        self.calls = []

    def forward(self, x, t, c=None):
        self.calls.append(c)
        sigma = (1 - self.levels[t]).sqrt().view(-1, 1, 1, 1)
        eps = x / sigma
        alpha = self.levels[t].sqrt().view(-1, 1, 1, 1)
        return {"eps": eps, "x0": 0 * x, "v": alpha * eps}[self.predict]


def point(predict="eps", classes=0):
    return Diffusion(Point(predict), [0.5], 0.2, size=(4, 4), predict=predict, classes=classes).eval()


def family(size=(8, 8), channels=1, names=(), width=8, **more):
    torch.manual_seed(0)
    card = Card("", channels, size, (0.4,) * channels, (0.25,) * channels, 255)
    return ddpm(card, Images(0.0, 1.0, names), 100, width=width, **more)


def small(**more):
    return family(**more).model


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_falls_from_1_to_nearly_0(name):
    alpha_bar = schedule(name)
    assert len(alpha_bar) == T + 1
    assert alpha_bar[0] == 1
    assert all(a > b > 0 for a, b in zip(alpha_bar, alpha_bar[1:]))
    assert alpha_bar[-1] < 1e-4


def test_the_linear_schedule_is_that_of_the_paper():
    alpha_bar = schedule("linear")
    beta = [1 - b / a for a, b in zip(alpha_bar, alpha_bar[1:])]
    torch.testing.assert_close(torch.tensor(beta), torch.linspace(1e-4, 0.02, 1000), rtol=1e-4, atol=1e-8)


def test_the_marginals_are_those_of_the_chain_step_by_step():
    """x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) z, from x_0 = 1.5: mean sqrt(alpha_bar) 1.5, variance 1 - alpha_bar."""
    alpha_bar, mean, variance = schedule("linear"), 1.5, 0.0
    for t in range(1, T + 1):
        beta = 1 - alpha_bar[t] / alpha_bar[t - 1]
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert mean == pytest.approx(math.sqrt(alpha_bar[t]) * 1.5, abs=1e-9)
        assert variance == pytest.approx(1 - alpha_bar[t], abs=1e-9)


def test_noised_images_have_the_mean_and_variance_of_q():
    model, t = point(), 300
    x0 = torch.full((20_000, 1, 1, 1), 1.5)
    x, alpha, sigma = model.noised(
        x0, torch.full((20_000,), t), torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    )
    assert float(x.mean()) == pytest.approx(1.5 * math.sqrt(model.levels[t]), abs=0.02)
    assert float(x.var()) == pytest.approx(1 - model.levels[t], rel=0.03)


def test_the_mean_of_algorithm_2_is_that_of_the_posterior():
    """q(x_{t-1} | x_t, x_0) is Bayes' rule of N(sqrt(past) x_0, 1 - past) and N(sqrt(alpha) x_{t-1}, 1 - alpha)."""
    alpha_bar, t, x, eps = schedule("linear"), 400, torch.tensor([-0.2]), torch.tensor([0.9])
    x0, alpha, past = float(clean(x, eps, alpha_bar[t])), alpha_bar[t] / alpha_bar[t - 1], alpha_bar[t - 1]
    precision = 1 / (1 - past) + alpha / (1 - alpha)
    mean = (math.sqrt(past) * x0 / (1 - past) + math.sqrt(alpha) * -0.2 / (1 - alpha)) / precision
    draws = ancestral(
        lambda x, t: eps, x.expand(40_000), (t, t - 1), alpha_bar, generator=torch.Generator().manual_seed(0)
    )
    assert float(draws.mean()) == pytest.approx(mean, abs=2e-3)
    assert float(draws.var()) == pytest.approx(
        1 - alpha, rel=0.03
    )  # sigma_t^2 = beta_t, one of the paper's two choices
    assert 1 / precision < 1 - alpha


@pytest.mark.parametrize("predict", PREDICTS)
def test_the_best_network_has_no_loss_and_the_right_estimate(predict):
    model = point(predict)
    batch = (torch.full((6, 1, 4, 4), 0.5), torch.zeros(6, dtype=torch.long))
    torch.testing.assert_close(denoising(model, batch), torch.zeros(6), atol=1e-8, rtol=0)
    x = torch.randn(2, 1, 4, 4)
    torch.testing.assert_close(model.estimate(x, 200), torch.zeros_like(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.denoiser()(x, 200), x / math.sqrt(1 - model.levels[200]), atol=1e-4, rtol=0)


def test_the_risk_of_evaluation_repeats_and_that_of_training_follows_the_generator():
    model, batch = small(), (torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.long))
    model.eval()
    assert torch.equal(denoising(model, batch), denoising(model, batch))
    model.train()
    torch.manual_seed(3)
    first = denoising(model, batch)
    second = denoising(model, batch)
    torch.manual_seed(3)
    assert torch.equal(first, denoising(model, batch))
    assert not torch.equal(first, second)


def test_the_loss_moves_the_model_that_it_is_given():
    import copy

    model = small()
    other = copy.deepcopy(model)
    denoising(other, (torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))).mean().backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in other.parameters())


def test_in_training_half_of_the_classes_are_not_told():
    model = point(classes=2).train()
    denoising(model, (torch.rand(4000, 1, 4, 4), torch.ones(4000, dtype=torch.long)))
    told = model.net.calls[-1]
    assert set(told.tolist()) == {1, 2}
    assert 0.45 < float((told == 2).float().mean()) < 0.55
    denoising(model.eval(), (torch.rand(4, 1, 4, 4), torch.tensor([0, 1, -1, 1])))
    assert model.net.calls[-1].tolist() == [0, 1, 2, 1]


def test_guidance_goes_beyond_the_conditional_estimate():
    model = small(names=("a", "b")).eval()
    model.bounds = None
    x, c = torch.randn(3, 1, 8, 8), torch.tensor([0, 1, 1])
    with torch.no_grad():
        without, guided = model.estimate(x, 500), model.estimate(x, 500, c)
        model.guidance = 0.0
        plain, other = model.estimate(x, 500, c), model.estimate(x, 500, 1 - c)
    torch.testing.assert_close(guided, plain + (plain - without), atol=1e-4, rtol=1e-4)
    assert not torch.equal(plain, other)


def test_samples_repeat_by_their_seed_lie_inside_the_bounds_and_know_classes():
    model, labels = small(names=("a", "b")).eval(), torch.tensor([0, 1])
    a, b = (model.sample(2, generator=torch.Generator().manual_seed(5), labels=labels, steps=3) for _ in range(2))
    assert a.shape == (2, 1, 8, 8)
    assert torch.equal(a, b)
    assert a.min() >= 0
    assert a.max() <= 1


def test_every_time_is_algorithm_2_and_fewer_are_dpm_solver():
    model = point()
    start = noise_like(torch.empty(3, 1, 4, 4), torch.Generator().manual_seed(5))
    few = model.image(dpm_solver(model.denoiser(), start, times(T, 20), model.levels))
    torch.testing.assert_close(model.sample(3, generator=torch.Generator().manual_seed(5)), few)
    generator = torch.Generator().manual_seed(5)
    all_ = ancestral(model.denoiser(), noise_like(start, generator), times(T, T), model.levels, generator=generator)
    found = model.sample(3, generator=torch.Generator().manual_seed(5), steps=T)
    torch.testing.assert_close(found, model.image(all_))


def test_the_score_is_of_each_image_by_itself():
    model, x = small().eval(), torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(model.score(x)[2:3], model.score(x[2:3]))


def test_what_noise_an_image_has_tells_its_time():
    model = point()
    t = model.time_of(0.1)
    assert math.sqrt((1 - model.levels[t]) / model.levels[t]) * 0.2 == pytest.approx(0.1, rel=0.02)
    assert model.time_of(0.0) == 1


def test_in_three_dimensions_and_in_colour():
    model = small(size=(8, 8, 8), channels=3, width=4)
    assert model.sample(2, generator=torch.Generator().manual_seed(0), steps=2).shape == (2, 3, 8, 8, 8)
    denoising(model, (torch.rand(2, 3, 8, 8, 8), torch.zeros(2, dtype=torch.long))).mean().backward()


def test_about_two_million_parameters_at_28_pixels():
    assert 2.1e6 < sum(p.numel() for p in small(size=(28, 28), width=64).parameters()) < 2.2e6


def test_it_learns_two_images_and_draws_them():
    """Black or white: after a few steps every sample is nearly one of the two."""
    model = small(size=(4, 4))
    x = torch.tensor([0.1, 0.9]).view(2, 1, 1, 1).expand(2, 1, 4, 4).repeat(16, 1, 1, 1)
    moves = torch.optim.AdamW(model.parameters(), 4e-3)
    for _ in range(250):
        moves.zero_grad()
        denoising(model, (x, torch.zeros(32, dtype=torch.long))).mean().backward()
        moves.step()
    levels = model.eval().sample(40, generator=torch.Generator().manual_seed(0)).mean((1, 2, 3))
    near = torch.minimum((levels - 0.1).abs(), (levels - 0.9).abs())
    assert float(near.median()) < 0.12
    assert 4 < int((levels > 0.5).sum()) < 36


def test_strips_show_noise_growing_and_going():
    made = family()
    forward, reverse = made.show(made.model.eval(), torch.rand(5, 1, 8, 8))
    assert forward.svg.count("<img") == reverse.svg.count("<img") == 3
    assert "t = 0, " in forward.text
    assert reverse.text.endswith(", 0.")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"noise": "linaer"}, "--noise linaer is unknown\n  Did you mean .linear"), ({"predict": "epsilon"}, "--predict epsilon is unknown"),
        ({"guidance": -1.0, "names": ("a", "b")}, "--guidance is -1"), ({"guidance": 1.0}, "--guidance: these images have no classes"),
    ],
)  # fmt: skip
def test_unknown_names_are_refused(flags, said):
    with pytest.raises(Wrong, match=said):
        small(**flags)


def test_classes_that_it_was_not_told_and_no_steps_are_refused():
    with pytest.raises(Wrong, match="was told no classes\n  leave --label out"):
        small().sample(1, generator=torch.Generator(), labels=torch.zeros(1, dtype=torch.long))
    with pytest.raises(Wrong, match="--steps is 0"):
        small().sample(1, generator=torch.Generator(), steps=0)
