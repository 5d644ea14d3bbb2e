"""Mixture, kernel and flow are densities: each integrates to 1 on a grid; what is known in closed form comes out."""

import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from empirisk.errors import Wrong
from empirisk.unsupervised.flow import Flow
from empirisk.unsupervised.kernel import Kernel, whitening
from empirisk.unsupervised.mixture import Components, Mixture, em


def banana(n=300, seed=0):
    """Points (n, 2) on a bent line."""
    rng = np.random.default_rng(seed)
    a = rng.normal(0, 1, n)
    return torch.tensor(np.stack([a, a**2 - 1 + 0.4 * rng.normal(size=n)], 1), dtype=torch.float32)


def bent(z):
    """A flow that has been taught a little."""
    flow = Flow(2)
    flow.fill(z)
    moves = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for _ in range(150):
        moves.zero_grad()
        (-flow(z).mean()).backward()
        moves.step()
    return flow


@pytest.fixture(scope="module")
def densities():
    z = banana()
    torch.manual_seed(0)
    mixture, kernel = Mixture(2, 4), Kernel(2, rows=len(z))
    mixture.fill(z)
    kernel.fill(z)
    return {"mixture": mixture, "kernel": kernel, "flow": bent(z)}


@pytest.mark.parametrize("name", ["mixture", "kernel", "flow"])
def test_it_integrates_to_one_and_beats_the_gaussian_on_rows_it_has_not_seen(densities, name):
    f = densities[name]
    x, y = torch.linspace(-9, 9, 601), torch.linspace(-9, 24, 1101)
    grid = torch.stack(torch.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    with torch.no_grad():
        p = torch.cat([f(some) for some in torch.split(grid, 50_000)]).double().exp()
        held = float(f(banana(seed=1)).mean())
    assert float(p.sum() * (x[1] - x[0]) * (y[1] - y[0])) == pytest.approx(1, abs=5e-3)
    assert held > em(banana().double().numpy(), 1).score(banana(seed=1).double().numpy()) + 0.2


def test_a_mixture_equals_scikit_learns_and_its_members():
    z = banana()
    mixture, reference = Mixture(2, 3, seed=0), em(z.double().numpy(), 3, seed=0, starts=3)
    mixture.fill(z)
    torch.testing.assert_close(
        mixture(z).double(), torch.from_numpy(reference.score_samples(z.double().numpy())), rtol=1e-4, atol=1e-4
    )
    order = np.argsort(-reference.weights_, kind="stable")
    group, distance = mixture.assign(z)
    np.testing.assert_array_equal(order[group.numpy()], reference.predict(z.double().numpy()))
    k = int(group[0])
    gap = (z[0] - mixture.mu[k]).double().numpy()
    expected = math.sqrt(gap @ reference.precisions_[order[k]] @ gap)
    assert float(distance[0]) == pytest.approx(expected, rel=1e-4)


def test_of_one_component_it_is_the_gaussian():
    z, mixture = banana(), Mixture(2, 1)
    mixture.fill(z)
    normal = torch.distributions.MultivariateNormal(z.mean(0), torch.cov(z.T, correction=0))
    torch.testing.assert_close(mixture(z), normal.log_prob(z), rtol=1e-3, atol=1e-3)


def test_a_kernel_density_is_the_mean_of_its_kernels():
    z = banana(40)
    kernel = Kernel(2, rows=40)
    kernel.fill(z)
    covariance = torch.cov(z.T, correction=0) * kernel.h.square()
    each = torch.stack([torch.distributions.MultivariateNormal(m, covariance).log_prob(z) for m in z], 1)
    torch.testing.assert_close(kernel(z), each.logsumexp(1) - math.log(40), rtol=1e-3, atol=1e-3)


def test_its_width_is_that_under_which_each_row_is_likeliest_by_the_others():
    z, found = banana(60), []
    kernel = Kernel(2, rows=60)
    kernel.fill(z)
    best = float(kernel.h)
    for h in (best * 0.7, best, best * 1.4):
        kernel.h.fill_(h)
        total = 0.0
        for i in range(60):
            rest = Kernel(2, rows=59)
            rest.mu, rest.A, rest.h = kernel.mu, kernel.A, kernel.h
            rest.rows = torch.cat([kernel.rows[:i], kernel.rows[i + 1 :]])
            total += float(rest(z[i : i + 1]))
        found.append(total)
    assert max(found) == found[1]


def test_a_flow_begins_as_the_gaussian_and_needs_two_numbers():
    z, flow = banana(), Flow(2)
    flow.fill(z)
    normal = torch.distributions.MultivariateNormal(z.mean(0), torch.cov(z.T, correction=0))
    torch.testing.assert_close(flow(z), normal.log_prob(z), rtol=1e-3, atol=1e-3)
    with pytest.raises(Wrong, match="two numbers"):
        Flow(1)


def test_a_couplings_volume_is_the_determinant_of_its_jacobian(densities):
    layer, x = densities["flow"].layers[1], torch.tensor([[0.3, -0.7]])
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[0])
    assert float(layer(x)[1].detach()) == pytest.approx(float(jacobian.det().abs().log()), abs=1e-5)


def test_whitening_leaves_mean_0_and_covariance_1():
    z = banana()
    mu, A = whitening(z)
    y = (z - mu) @ A
    torch.testing.assert_close(y.mean(0), torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.cov(y.T, correction=0), torch.eye(2), rtol=0, atol=1e-3)


def test_the_number_of_components_is_found_on_rows_held_out():
    z = np.concatenate([np.random.default_rng(k).normal(8 * k, 1, (60, 2)) for k in range(3)])
    rows = [{"id": str(i)} for i in range(len(z))]
    found = Components.learn(rows, lambda some: z[[int(r["id"]) for r in some]], None)
    assert found.number == 3
    assert Components.learn(rows, lambda some: z, 5) == Components(5)
    for given in (0, 91):
        with pytest.raises(Wrong, match="--components"):
            Components.learn(rows, lambda some: z, given)


def test_two_rows_a_component_are_needed():
    with pytest.raises(Wrong, match="3 components of 2 different rows"):
        em(np.array([[0.0], [0.0], [1.0], [1.0]] * 3), 3)
    assert isinstance(em(np.arange(9.0)[:, None], 2), GaussianMixture)
