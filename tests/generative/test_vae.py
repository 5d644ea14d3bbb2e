"""The bound in closed form equals Monte Carlo; of a linear VAE all is known; the fitted prior is the aggregated posterior."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.errors import Wrong
from empirisk.generative import vae as vaes
from empirisk.generative.vae import kl, loss, solve, vae

CARD = Card("drawn", 1, (8, 8), (0.4,), (0.2,), 255.0)
KIND = Images(0.0, 1.0)


def family(**given):
    torch.manual_seed(0)
    return vae(CARD, KIND, 200, **({"codes": 4, "width": 8} | given))


def images(n=16, seed=0):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


class Linear(nn.Module):
    """g(z) = W z + b, W of orthogonal columns, and the posterior q(z | x) that is exact for it."""

    def __init__(self, model, k=4):
        super().__init__()
        q = torch.linalg.qr(torch.randn(64, k, dtype=torch.float64))[0]
        self.model, self.W, self.b = model, q * torch.tensor([0.5, 1, 2, 3]), torch.randn(64).double()
        self.s2 = model.log_sigma.double().exp().square().flatten()[0]

    def decode(self, z):
        return (z.double() @ self.W.T + self.b).reshape(-1, 1, 8, 8)

    def posterior(self, x):
        y = self.model.units.standardise(x).flatten(1).double() - self.b
        precision = 1 + self.W.square().sum(0) / self.s2
        return y @ self.W / self.s2 / precision, -precision.log().expand(len(x), -1)

    def log_p(self, x):
        cov = self.W @ self.W.T + self.s2 * torch.eye(64, dtype=torch.float64)
        z = self.model.units.standardise(x).flatten(1).double()
        return MultivariateNormal(self.b, cov).log_prob(z) - 64 * math.log(0.2)  # in image units


@pytest.fixture
def linear(monkeypatch):
    model = family().model.double()
    net = Linear(model)
    monkeypatch.setattr(model.net, "decode", net.decode)
    monkeypatch.setattr(model, "q", net.posterior)
    return model, net


def test_the_divergence_is_torchs_and_0_between_equal_ones():
    mu, log_s2 = torch.randn(5, 4), torch.randn(5, 4)
    expected = kl_divergence(Normal(mu, (log_s2 / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl(mu, log_s2), expected)
    assert kl(torch.zeros(1, 4), torch.zeros(1, 4)) == 0


def test_the_bound_in_closed_form_equals_monte_carlo(linear):
    """E_q log p(x | z) and KL are both known for a linear g; the loss draws one z a time."""
    model, net = linear
    x = images(1).double()
    mu, log_s2 = (v + 0.3 for v in net.posterior(x))  # not the exact posterior, so that the bound is not tight
    model.q = lambda x: (mu.expand(len(x), -1), log_s2.expand(len(x), -1))
    residual = (net.model.units.standardise(x) - net.decode(mu)).square().sum()
    scatter = (net.W.square() * log_s2.exp()).sum()
    expected = -(residual + scatter) / (2 * net.s2) - 32 * torch.log(2 * math.pi * net.s2 * 0.2**2) - kl(mu, log_s2)[0]
    expected = float(expected.detach())
    torch.manual_seed(1)
    drawn = -loss(model, (x.expand(5_000, -1, -1, -1), None)).detach()
    assert float(drawn.mean()) == pytest.approx(expected, abs=4 * float(drawn.std()) / 5_000**0.5)
    z = mu + (log_s2 / 2).exp() * torch.randn(5_000, 4, dtype=torch.float64)
    log_q = Normal(mu, (log_s2 / 2).exp()).log_prob(z).sum(1)
    whole = (model.log_p(x.expand(5_000, -1, -1, -1), z) + vaes.normal(z) - log_q).detach()  # no closed form in it
    assert float(whole.mean()) == pytest.approx(expected, abs=4 * float(whole.std()) / 5_000**0.5)
    assert expected < float(net.log_p(x).detach())


def test_with_the_exact_posterior_bound_and_weighed_likelihood_are_log_p(linear):
    model, net = linear
    x = images(5).double()
    torch.testing.assert_close(model.weighed(x, 1), net.log_p(x), rtol=1e-6, atol=0)
    torch.testing.assert_close(model.score(x), net.log_p(x), rtol=1e-6, atol=0)


def test_more_codes_raise_the_weighed_likelihood_toward_log_p(linear):
    model, net = linear
    x = images(10).double()
    mu, log_s2 = net.posterior(x)
    model.q = lambda x: (mu, log_s2 + 0.8)
    one, many = (float(model.weighed(x, draws).detach().mean()) for draws in (1, 500))
    assert one < many
    assert many == pytest.approx(float(net.log_p(x).detach().mean()), abs=0.1)


def test_a_gradient_reaches_every_parameter_and_eight_images_are_learned():
    made, x = family(), images(8)
    moves = torch.optim.Adam(made.model.parameters(), lr=5e-3)
    first = None
    for _ in range(60):
        moves.zero_grad()
        risk = loss(made.model, (x, None)).mean()
        risk.backward()
        first, last = first or float(risk.detach()), float(risk.detach())
        assert all(p.grad is not None for p in made.model.parameters() if p.requires_grad)
        moves.step()
    assert last < first / 2


@torch.no_grad()
def test_the_prior_is_fitted_to_the_aggregated_posterior_and_samples_come_from_it():
    model = family().model.eval()
    x = images(200)
    solve(model, [(x[:120], None), (x[120:], None)])
    z = vaes.aggregated(model, [x])
    new = model.prior.sample(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(new.mean(0), z.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(new.T.cov(), z.T.cov(correction=0), atol=0.06, rtol=0)
    a, b, c = (model.sample(3, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert a.shape == (3, 1, 8, 8)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@torch.no_grad()
def test_the_score_of_an_image_depends_on_no_other():
    model, x = family().model.eval(), images()
    torch.testing.assert_close(
        torch.cat([model.score(one) for one in x.split(1)]), model.score(x), rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize("given", [{"labels": torch.zeros(2, dtype=torch.int64)}, {"steps": 5}])
def test_what_it_does_not_know_is_refused(given):
    with pytest.raises(Wrong, match="a vae knows no"):
        family().model.sample(2, generator=torch.Generator(), **given)


def test_volumes_and_colours_are_made_too():
    for channels, size in ((1, (6, 7, 5)), (3, (9, 8))):
        card = Card("drawn", channels, size, (0.4,) * channels, (0.2,) * channels, 255.0)
        model = vae(card, KIND, 50, codes=4, width=8).model.eval()
        with torch.no_grad():
            assert model.sample(2, generator=torch.Generator()).shape == (2, channels, *size)
            assert model.score(torch.rand(2, channels, *size)).shape == (2,)


def test_its_pictures_say_mean_covariance_and_normality():
    figures = {f.key: f for f in vaes.show(family().model.eval(), images(40))}
    assert set(figures) == {"posterior", "bound", "priors", "walks"}
    assert "in use" in figures["posterior"].text
    assert len(figures["posterior"].rows) == 4
    assert figures["walks"].svg.count("<img") == 4
