"""Generative adversarial networks: a generator that an adversary teaches, two players of one game."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.augment import Augmentation
from empirisk.data.card import Card
from empirisk.data.changes import Affine
from empirisk.data.reconstructed import Images
from empirisk.data.tones import CutOut
from empirisk.erm import Player
from empirisk.errors import Wrong, near
from empirisk.figures import Curve, Figure, chart, number
from empirisk.generative.family import Family, full, refuse
from empirisk.losses import Batch
from empirisk.models.layers import Layers
from empirisk.models.unet import Block, Encoder

LEVELS, SHIFT, PENALTY, EVERY = 2, 0.125, 10.0, 5
"""Times that the generator doubles the side; largest shift, a share of it; lambda of WGAN-GP, and steps of its critic for one of the generator."""


def adam(parameters: Any, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW whose first moment is the gradient itself: against an adversary that moves too, what lay behind misleads.

    beta 0 and .99, as Karras et al. (2018) have it.
    """
    return torch.optim.AdamW(parameters, lr, (0.0, 0.99), weight_decay=weight_decay, fused=True)


class Maker(nn.Module):
    """z (n, k) -> (n, C, *size) in (-1, 1): a full layer, then levels of twice the side and half the width, as those of an autoencoder."""

    def __init__(self, channels: int, size: Sequence[int], *, codes: int, width: int) -> None:
        super().__init__()
        make = Layers(len(size), norm="batch", activation="leaky_relu")
        self.sizes = [tuple(-(-side // 2**level) for side in size) for level in range(LEVELS, -1, -1)]
        widths = [width * 2**level for level in range(LEVELS, -1, -1)]
        self.map = (widths[0], *self.sizes[0])
        self.f, self.norm = nn.Linear(codes, math.prod(self.map)), make.norm(widths[0])
        self.levels = nn.ModuleList(Block(a, b, make) for a, b in pairwise(widths))
        self.head = make.conv(width, channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """g(z)."""
        u = self.norm(self.f(z).unflatten(1, self.map))
        for level, size in zip(self.levels, self.sizes[1:], strict=True):
            u = level(F.interpolate(u, size, mode="nearest"))
        return full(self.head(u)).tanh()


class Teller(nn.Module):
    """x (n, C, *size) -> the logit of D(x), or for a critic its value, (n,)."""

    def __init__(self, channels: int, size: Sequence[int], *, width: int) -> None:
        super().__init__()
        make = Layers(len(size), activation="leaky_relu")
        self.encoder = Encoder(channels, make, strides=(1, 2, 2), width=width)
        self.f = nn.Linear(4 * width * math.prod(-(-side // 4) for side in size), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n,)."""
        return full(self.f(self.encoder.features(x)[-1].flatten(1))[:, 0])


class GAN(nn.Module):
    """`generator` makes x = g(z), z ~ N(0, I), in (-1, 1), the range of the images; `discriminator` tells them from real ones.

    Both kinds are shifted and have a part cut out before they are told apart, so that it cannot learn them by heart: a change
    that is drawn alike for both moves both densities alike. Goodfellow et al. (2014); Zhao et al. (2020).
    """

    def __init__(self, card: Card, images: Images, *, codes: int, width: int, critic: bool) -> None:
        super().__init__()
        self.codes, self.low, self.high, self.critic = codes, images.low, images.high, critic
        shift = Affine(card.dims, degrees=0.0, scale=0.0, shear=0.0, shift=SHIFT)
        self.change = Augmentation(card.dims, (shift,), (CutOut(card.dims),))
        self.generator = Maker(card.channels, card.size, codes=codes, width=width)
        self.discriminator = Teller(card.channels, card.size, width=width)

    def make(self, n: int, generator: torch.Generator = torch.default_generator) -> Tensor:
        """g(z) (n, C, *size), in (-1, 1)."""
        z = torch.randn(n, self.codes, generator=generator)
        out: Tensor = self.generator(z.to(next(self.generator.parameters())))
        return out

    def scaled(self, x: Tensor) -> Tensor:
        """Image units -> (-1, 1)."""
        return 2 * (x - self.low) / (self.high - self.low) - 1

    def changed(self, x: Tensor) -> Tensor:
        """Shifted, and a part cut out."""
        with torch.autocast(x.device.type, enabled=False):
            return self.change.apply(x, self.change.draw(torch.default_generator, len(x)))

    def sample(
        self, n: int, *, generator: torch.Generator, labels: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """g(z) in image units. `Wrong` (exit 2) for labels and steps."""
        refuse("gan", labels, steps)
        return self.low + (self.make(n, generator) + 1) / 2 * (self.high - self.low)

    def score(self, x: Tensor) -> Tensor:
        """D(x), or what the critic says, (n,)."""
        told: Tensor = self.discriminator(self.scaled(x))
        return told if self.critic else told.sigmoid()


def both(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Real images and as many made ones, which feel no gradient, both changed."""
    with torch.no_grad():
        made = model.make(len(x))
    return model.changed(model.scaled(x)), model.changed(made)


def discriminates(model: Any, batch: Batch) -> Tensor:
    """The terms [n] of -V(D, G) = -log D(x) - log(1 - D(G(z))), which the discriminator wants small.

    V is largest at D = p / (p + q), and there -log 4 where q = p. Goodfellow et al. (2014), equation 1, theorem 1.
    """
    real, made = model.discriminator(torch.cat(both(model, batch[0]))).chunk(2)
    return F.softplus(-real) + F.softplus(made)


def minimax(model: Any, batch: Batch) -> Tensor:
    """The terms [n] of log(1 - D(G(z))), the generator's part of V, which it wants small."""
    return -F.softplus(model.discriminator(model.changed(model.make(len(batch[0])))))


def nonsaturating(model: Any, batch: Batch) -> Tensor:
    """The terms [n] of -log D(G(z)): the same fixed point, with a gradient where D is sure. Goodfellow et al. (2014), section 3."""
    return F.softplus(-model.discriminator(model.changed(model.make(len(batch[0])))))


def criticises(model: Any, batch: Batch) -> Tensor:
    """The terms [n] of f(G(z)) - f(x) + lambda (|df/dx| - 1)^2 at a point between the two, lambda 10. Gulrajani et al. (2017), equation 3."""
    x, y = both(model, batch[0])
    share = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device)
    between = (x + share * (y - x)).requires_grad_()
    slope = torch.autograd.grad(model.discriminator(between).sum(), between, create_graph=True)[0]
    real, made = model.discriminator(torch.cat([x, y])).chunk(2)
    length = (full(slope).flatten(1).square().sum(1) + 1e-12).sqrt()
    terms: Tensor = made - real + PENALTY * (length - 1).square()
    return terms


def persuades(model: Any, batch: Batch) -> Tensor:
    """The terms [n] of -f(G(z))."""
    terms: Tensor = -model.discriminator(model.changed(model.make(len(batch[0]))))
    return terms


ADVERSARIES = {"minimax": minimax, "nonsaturating": nonsaturating, "wgan-gp": persuades}
"""What the generator wants small, by name."""


def gan(
    card: Card, images: Images, rows: int, *, codes: int = 64, width: int = 16, adversary: str = "nonsaturating"
) -> Family:
    """A GAN for images of a card. `Wrong` (exit 2) for an unknown adversary."""
    if adversary not in ADVERSARIES:
        remedy = near(adversary, ADVERSARIES) or f"give {', '.join(ADVERSARIES)}"
        raise Wrong(f"--adversary {adversary} is unknown", remedy=remedy)
    critic = adversary == "wgan-gp"
    tells = Player(criticises if critic else discriminates, moves=lambda m: m.discriminator, name="discriminator")  # type: ignore[arg-type, return-value]
    makes = Player(ADVERSARIES[adversary], moves=lambda m: m.generator, name="generator", every=EVERY if critic else 1)  # type: ignore[arg-type, return-value]
    return Family(
        GAN(card, images, codes=codes, width=width, critic=critic),
        [tells, makes],
        None,
        "critic" if critic else "discriminator",
        lr=1e-3,
        optimizer="empirisk.generative.gan:adam",
        batch=64,
        follow=follow,
        show=show,
    )


@torch.no_grad()
def told(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """D(x) and D(G(z)), (n,) each, as many made ones as there are real ones."""
    assert isinstance(model, GAN)
    made = model.sample(len(x), generator=torch.Generator().manual_seed(0))
    return model.score(x), model.score(made)


def follow(model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
    """Means of D(x) and D(G(z)) over validation."""
    real, made = (torch.cat(part) for part in zip(*(told(model, x) for x, _ in batches), strict=True))
    return {"D(x)": float(real.mean()), "D(G(z))": float(made.mean())}


def show(model: nn.Module, x: Tensor) -> list[Figure]:
    """What the discriminator says of real and made images."""
    real, made = (t.float().cpu().numpy() for t in told(model, x))
    edges = np.histogram_bin_edges(np.concatenate([real, made]), 24)
    curves = [
        Curve(name, np.repeat(edges, 2)[1:-1], np.repeat(np.histogram(some, edges)[0], 2))
        for name, some in (("real, D(x)", real), ("made, D(G(z))", made))
    ]
    text = (
        f"What the discriminator says of {len(real)} real images that it never saw, {number(float(real.mean()))} on average, and of as many "
        f"made ones, {number(float(made.mean()))}. Where the two lie on each other it can no longer tell: D = p / (p + q) is one half where q = p."
    )
    svg = chart(curves, label=text, x="D", y="count")
    table = tuple(zip(real.tolist(), made.tolist(), strict=True))
    return [Figure("told", "What the discriminator says", svg, text, "pictures", ("D(x)", "D(G(z))"), table)]
