"""With the exact score of a Gaussian each sampler gives that Gaussian; their closed forms, and what they refuse."""

import math

import pytest
import torch

from empirisk.errors import Wrong
from empirisk.generative.diffusion import SCHEDULES, T, schedule
from empirisk.generative.samplers import ancestral, clean, ddim, dpm_solver, noise_like, repaint, times

MU, S = 0.7, 0.4


def exact(alpha_bar):
    """eps = -sigma score, of x_0 ~ N(MU, S^2): q(x_t) = N(sqrt(a) MU, a S^2 + 1 - a)."""

    def eps(x, t):
        a = alpha_bar[t]
        return math.sqrt(1 - a) * (x - math.sqrt(a) * MU) / (a * S**2 + 1 - a)

    return eps


def drawn(n=20_000):
    return torch.randn(n, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"), [(ddim, 1000, 5e-3), (ddim, 100, 0.05), (dpm_solver, 20, 0.02)]
)
def test_without_noise_the_map_is_linear_with_the_gaussians_mean_and_deviation(name, sampler, steps, tolerance):
    alpha_bar = schedule(name)
    ends = sampler(exact(alpha_bar), torch.tensor([[0.0], [1.0]], dtype=torch.float64), times(T, steps), alpha_bar)
    mean, slope = float(ends[0]), float(ends[1] - ends[0])
    assert abs(mean - MU) < tolerance
    assert abs(slope - S) < tolerance


@pytest.mark.parametrize("name", SCHEDULES)
def test_algorithm_2_gives_the_gaussian(name):
    alpha_bar = schedule(name)
    x = ancestral(exact(alpha_bar), drawn(), times(T, T), alpha_bar, generator=torch.Generator().manual_seed(1))
    assert abs(float(x.mean()) - MU) < 0.015
    assert abs(float(x.std()) - S) < 0.015


def test_ddim_with_eta_1_gives_the_gaussian_too():
    alpha_bar = schedule("linear")
    x = ddim(exact(alpha_bar), drawn(), times(T, 500), alpha_bar, eta=1.0, generator=torch.Generator().manual_seed(1))
    assert abs(float(x.mean()) - MU) < 0.015
    assert abs(float(x.std()) - S) < 0.015


def test_dpm_solver_is_of_higher_order_than_ddim():
    """Against the exact map x_T -> x_0 of the flow: 20 steps of the second order beat 20 of the first."""
    alpha_bar, x = schedule("linear"), drawn(200)
    a = alpha_bar[T]
    true = MU + S * (x - math.sqrt(a) * MU) / math.sqrt(a * S**2 + 1 - a)
    first, second = (f(exact(alpha_bar), x, times(T, 20), alpha_bar) for f in (ddim, dpm_solver))
    assert (second - true).abs().mean() < 0.5 * (first - true).abs().mean()


def test_one_step_of_algorithm_2_by_hand():
    alpha_bar, x = schedule("linear"), torch.tensor([[0.3]])
    once = ancestral(lambda x, t: torch.full_like(x, 0.2), x, (1, 0), alpha_bar, generator=torch.Generator())
    beta = 1e-4
    assert float(once) == pytest.approx((0.3 - beta / math.sqrt(beta) * 0.2) / math.sqrt(1 - beta), abs=1e-6)


def test_a_single_point_is_found_by_every_sampler():
    """x_0 is always 2: eps = (x - sqrt(a) 2)/sqrt(1 - a)."""
    alpha_bar, x = schedule("cosine"), drawn(5)

    def eps(x, t):
        return (x - math.sqrt(alpha_bar[t]) * 2) / math.sqrt(1 - alpha_bar[t])

    for f in (ddim, dpm_solver):
        torch.testing.assert_close(f(eps, x, times(T, 3), alpha_bar), torch.full_like(x, 2.0))
    end = ancestral(eps, x, times(T, 3), alpha_bar, generator=torch.Generator())
    torch.testing.assert_close(end, torch.full_like(x, 2.0))


def test_what_is_known_stays_and_the_hole_follows_it():
    """Two pixels of correlation rho: given the first, RePaint draws the second from the conditional Gaussian."""
    rho, alpha_bar = 0.8, schedule("linear")
    cov = torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)

    def eps(x, t):
        a = alpha_bar[t]
        return math.sqrt(1 - a) * x @ torch.linalg.inv(a * cov + (1 - a) * torch.eye(2, dtype=torch.float64))

    known = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(4000, 2)
    hole = torch.tensor([0.0, 1.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = repaint(
        eps, noise_like(known, generator), times(T, 50), alpha_bar, known=known, hole=hole, again=5, generator=generator
    )
    torch.testing.assert_close(x[:, 0], known[:, 0])
    assert abs(float(x[:, 1].mean()) - rho) < 0.1
    assert abs(float(x[:, 1].std()) - math.sqrt(1 - rho**2)) < 0.1


def test_a_consistent_estimate_is_kept():
    alpha_bar = schedule("linear")
    x = ddim(exact(alpha_bar), drawn(4), times(T, 10), alpha_bar, consistent=lambda x0: torch.full_like(x0, 3.0))
    torch.testing.assert_close(x, torch.full_like(x, 3.0))


def test_times_fall_to_0_and_fewer_than_one_step_is_refused():
    assert all(a > b for steps in (1, 20, 999, 1000) for a, b in zip(times(1000, steps), times(1000, steps)[1:]))
    assert times(1000, 1000) == list(range(1000, -1, -1))
    assert len(set(times(7, 50))) == 8
    with pytest.raises(Wrong, match="--steps is 0\n  it must be 1 or above"):
        times(1000, 0)


def test_clean_inverts_the_noising():
    x0, eps = drawn(3), drawn(3).flip(0)
    torch.testing.assert_close(clean(0.6 * x0 + 0.8 * eps, eps, 0.36), x0)
