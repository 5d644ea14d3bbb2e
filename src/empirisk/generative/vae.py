"""The variational autoencoder: a code drawn from a density, decoded; taught by a bound of log p(x)."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.erm import Player
from empirisk.figures import Curve, Figure, Tile, chart, number, tiles
from empirisk.generative.family import Family, full, refuse, strip
from empirisk.losses import Batch
from empirisk.models.autoencoder import Autoencoder
from empirisk.models.layers import Standardised
from empirisk.unsupervised.mixture import Mixture

DRAWS, SIGMA = 16, 0.3
"""Codes an image by which its likelihood is weighed, and where the deviation of the pixels begins, in those of the training pixels."""
COMPONENTS, ROWS = 10, 3
"""Of the fitted prior at most, and rows that each number of a code and component needs."""
STRIP, WALKED, USED, MEASURED, WEIGHED = 9, 6, 0.01, 100, (1, 4, 16, 64)
"""Images of a strip, numbers of the code that are walked along, nats of one in use; images whose likelihood is drawn, by codes an image."""


class VAE(nn.Module):
    """p(z) = N(0, I), p(x | z) = N(g(z), sigma^2 I), q(z | x) = N(mu(x), diag s^2(x)); x standardised. Kingma and Welling (2014).

    sigma is learned, one a channel. After the fit a Gaussian mixture takes the place of p(z): `prior`, fitted to the aggregated
    posterior 1/N sum_i q(z | x_i), from which new images come.
    """

    def __init__(self, card: Card, *, codes: int, width: int, components: int) -> None:
        super().__init__()
        self.units = Standardised(nn.Identity(), card.mean, card.std)
        self.net = Autoencoder(card.channels, card.size, codes=codes, width=width)
        self.log_s2 = nn.Linear(math.prod(self.net.map), codes)
        self.log_sigma = nn.Parameter(torch.full((card.channels,), math.log(SIGMA)))
        self.prior = Mixture(codes, components)

    def q(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, C, *size) in image units -> mu and log s^2 (n, k)."""
        h = self.net.encoder.features(self.units.standardise(x))[-1].flatten(1)
        mu, log_s2 = full(self.net.f(h)), full(self.log_s2(h))
        return mu, log_s2.clamp(-12, 12)

    def log_p(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) (n,), nats, as a density of x in image units."""
        shape = (-1, *[1] * (x.ndim - 2))  # (C,) -> (C, 1, 1): against (n, C, H, W)
        error = (self.units.standardise(x) - full(self.net.decode(z))) / self.log_sigma.exp().view(shape)
        log_sd = (self.log_sigma + self.units.std.log()).view(shape)
        terms = -0.5 * error.square() - log_sd - 0.5 * math.log(2 * math.pi)
        return terms.flatten(1).sum(1)

    def sample(
        self, n: int, *, generator: torch.Generator, labels: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """g(z), z from the fitted prior. `Wrong` (exit 2) for labels and steps."""
        refuse("vae", labels, steps)
        return self.units.restore(full(self.net.decode(self.prior.sample(n, generator))))

    def score(self, x: Tensor) -> Tensor:
        """log 1/K sum_i p(x | z_i) p(z_i) / q(z_i | x) (n,), nats, p(z) the fitted prior, the same draws for each image."""
        return self.weighed(x, DRAWS)

    def weighed(self, x: Tensor, draws: int) -> Tensor:
        """The importance-weighted likelihood of K = `draws` codes an image (n,). Burda et al. (2016), equation 8."""
        mu, log_s2 = self.q(x)
        eps = torch.randn(draws, mu.shape[1], generator=torch.Generator().manual_seed(0)).to(mu)
        found = []
        for e in eps:
            z = mu + (log_s2 / 2).exp() * e
            log_q = normal(e.expand_as(z)) - log_s2.sum(1) / 2
            found.append(self.log_p(x, z) + self.prior(z) - log_q)
        return torch.stack(found).logsumexp(0) - math.log(draws)


def normal(z: Tensor) -> Tensor:
    """log N(z; 0, I) (n,), nats."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)


def kl(mu: Tensor, log_s2: Tensor) -> Tensor:
    """KL(N(mu, diag s^2) | N(0, I)) = 1/2 sum_j (mu_j^2 + s_j^2 - 1 - log s_j^2) (n,), nats. Kingma and Welling (2014), appendix B."""
    return 0.5 * (mu.square() + log_s2.exp() - 1 - log_s2).sum(1)


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The terms [n] of the negative bound, KL(q(z | x) | p(z)) - log p(x | z), z ~ q(z | x), nats an image."""
    assert isinstance(model, VAE)
    mu, log_s2 = model.q(batch[0])
    z = mu + (log_s2 / 2).exp() * torch.randn_like(mu)
    return kl(mu, log_s2) - model.log_p(batch[0], z)


@torch.no_grad()
def solve(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Fit the prior to the aggregated posterior of the training rows."""
    assert isinstance(model, VAE)
    model.prior.fill(aggregated(model, (x for x, _ in batches)))


def aggregated(model: VAE, images: Iterable[Tensor]) -> Tensor:
    """A draw of q(z | x) for each image, (N, k)."""
    mu, log_s2 = (torch.cat(part) for part in zip(*(model.q(x) for x in images), strict=True))
    eps = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0)).to(mu)
    return mu + (log_s2 / 2).exp() * eps


def vae(card: Card, images: Images, rows: int, *, codes: int = 64, width: int = 16) -> Family:
    """A VAE for images of a card, and `rows` training rows."""
    components = max(1, min(COMPONENTS, rows // (ROWS * codes)))
    return Family(
        VAE(card, codes=codes, width=width, components=components),
        [Player(loss)],
        loss,
        "log_likelihood",
        lr=2e-3,
        solve=solve,
        show=show,
    )


@torch.no_grad()
def show(model: nn.Module, x: Tensor) -> list[Figure]:
    """The aggregated posterior, how far the bound is from the likelihood, images of both priors, and walks along the code."""
    assert isinstance(model, VAE)
    mu, log_s2 = model.q(x)
    nats = kl(mu[:, :, None].flatten(0, 1), log_s2[:, :, None].flatten(0, 1)).view_as(mu).mean(0)  # (k,) of each number
    return [_posterior(model, x, nats), _bound(model, x[:MEASURED]), _priors(model), _walks(model, mu[0], nats)]


def _posterior(model: VAE, x: Tensor, nats: Tensor) -> Figure:
    """Mean, covariance and normality of the aggregated posterior, which N(0, I) is meant to be."""
    z = aggregated(model, torch.split(x, 128)).double().cpu().numpy()
    n, k = z.shape
    middle, sd, R = np.abs(z.mean(0)).max(), z.std(0), np.abs(np.corrcoef(z.T) - np.eye(k)).max()
    expected = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    sorted_ = np.sort((z - z.mean(0)) / sd, 0)
    gap = np.abs(torch.special.ndtr(torch.from_numpy(sorted_)).numpy() - (np.arange(n) + 0.5)[:, None] / n).max()
    text = (
        f"Codes of {n} held-out images drawn from q(z | x), all {k} numbers together, against N(0, 1). {int((nats > USED).sum())} numbers are in use "
        f"(more than {USED} nats). Means lie within {number(middle)} of 0, deviations from {number(sd.min())} to {number(sd.max())}, no two numbers "
        f"correlate by more than {number(R)}; each by itself is at most {number(gap)} from normal (Kolmogorov and Smirnov; by chance {number(1.63 / n**0.5)})."
    )
    pooled = np.quantile(z, (np.arange(100) + 0.5) / 100)
    normal_ = np.quantile(expected.numpy(), (np.arange(100) + 0.5) / 100)
    svg = chart(
        [Curve("", normal_, pooled)], label=text, x="quantile of N(0, 1)", y="quantile of the codes", diagonal=True
    )
    table = tuple(
        (j + 1, float(m), float(s), float(v)) for j, (m, s, v) in enumerate(zip(z.mean(0), sd, nats, strict=True))
    )
    return Figure(
        "posterior", "The aggregated posterior", svg, text, "pictures", ("number", "mean", "deviation", "nats"), table
    )


def _bound(model: VAE, x: Tensor) -> Figure:
    """The bound, and the importance-weighted likelihood by the number of draws."""
    bound = float(sum(-loss(model, (some, None)).sum() for some in torch.split(x, 128))) / len(x)
    found = [float(model.weighed(x, K).mean()) for K in WEIGHED]
    text = (
        f"Of {len(x)} held-out images, nats: the bound that was taught, with N(0, I), is {number(bound)}. With the fitted prior and {WEIGHED[-1]} codes "
        f"an image, weighed, log p(x) is at least {number(found[-1])}; more codes can only raise it."
    )
    svg = chart(
        [Curve("", np.log2(WEIGHED), found)],
        label=text,
        x="log2 of the codes an image",
        y="log p(x)",
        across=[(bound, "the bound")],
    )
    return Figure(
        "bound",
        "Bound and likelihood",
        svg,
        text,
        "pictures",
        ("codes", "log p(x)"),
        tuple(zip(WEIGHED, found, strict=True)),
    )


def _decoded(model: VAE, z: Tensor) -> np.ndarray:
    """Codes (n, k) -> images (n, C, *size) in image units."""
    images: np.ndarray = model.units.restore(full(model.net.decode(z))).cpu().numpy()
    return images


def _priors(model: VAE) -> Figure:
    """Images of N(0, I), and of the prior that was fitted."""
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(STRIP, len(model.prior.mu[0]), generator=generator).to(model.prior.mu)
    rows = (("z from N(0, I)", plain), ("z from the fitted mixture", model.prior.sample(STRIP, generator)))
    items = [Tile(((strip(_decoded(model, z)), name),), (name,)) for name, z in rows]
    text = "Where the aggregated posterior is not N(0, I), codes of that lie where no image was: what they become is no image either."
    return Figure("priors", "Images of two priors", tiles(items, kind="strips"), text, "pictures", wide=True)


def _walks(model: VAE, mu: Tensor, nats: Tensor) -> Figure:
    """From the code of the first held-out image along the numbers that carry most."""
    items = []
    for j in nats.argsort(descending=True)[:WALKED].tolist():
        z = mu.repeat(STRIP, 1)
        z[:, j] = torch.linspace(-2.5, 2.5, STRIP)
        items.append(
            Tile(((strip(_decoded(model, z)), f"walk along z{j + 1}"),), (f"z{j + 1}: {number(float(nats[j]))} nats",))
        )
    text = f"One number of the code of the first image goes from -2.5 to 2.5, the others stay; the {len(items)} that carry most."
    return Figure("walks", "Walks along the code", tiles(items, kind="strips"), text, "pictures", wide=True)
