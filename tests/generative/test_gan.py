"""The game as it is written: known densities in one dimension, closed forms of every loss, and what moves whom."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

from empirisk import erm
from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.errors import Wrong
from empirisk.generative import gan as gans
from empirisk.generative.gan import gan
from empirisk.recipe import Recipe

CARD = Card("drawn", 1, (8, 8), (0.4,), (0.2,), 255.0)
KIND = Images(0.0, 1.0)


class Line(nn.Module):
    """p = N(0, 1) on a line, q = N(m, s^2) by a generator of two numbers, and a discriminator that can be any function."""

    def __init__(self, m, s):
        super().__init__()
        torch.manual_seed(0)
        self.generator = nn.Linear(1, 1)
        with torch.no_grad():
            self.generator.weight.fill_(s)
            self.generator.bias.fill_(m)
        layers = (nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0))
        self.discriminator = nn.Sequential(*layers)
        self.scaled = self.changed = lambda x: x

    def make(self, n):
        return self.generator(torch.randn(n, 1))


class Draws:
    """Batches of 256 numbers from p."""

    def __len__(self):
        return 100

    def __call__(self, epoch, start=0):
        for i in range(start, 100):
            g = torch.Generator().manual_seed(1000 * epoch + i)
            yield torch.randn(256, 1, generator=g), torch.zeros(256)

    def names(self, epoch, index):
        return []


def play(line, players, steps, lr=5e-3):
    recipe = Recipe(ema=0, optimizer="adam", weight_decay=0)
    erm.fit(line, Draws(), players, recipe=recipe, lr=lr, steps=steps, evaluate=lambda model: {}, watch=None)


TELLS = erm.Player(gans.discriminates, moves=lambda m: m.discriminator, name="discriminator")


def test_the_best_discriminator_is_p_over_p_plus_q():
    line = Line(1.5, 0.7)
    play(line, [TELLS], 500)
    x = torch.linspace(-2, 3, 41)
    p, q = Normal(0.0, 1.0).log_prob(x).exp(), Normal(1.5, 0.7).log_prob(x).exp()
    with torch.no_grad():
        D = line.discriminator(x[:, None]).sigmoid()
    assert float((D - p / (p + q)).abs().max()) < 0.07


def test_where_q_is_p_the_value_is_minus_log_4():
    line = Line(0.0, 1.0)
    play(line, [TELLS], 300)
    with torch.no_grad():
        value = -gans.discriminates(line, (torch.randn(20_000, 1), None)).mean()
    assert float(value) == pytest.approx(-math.log(4), abs=0.01)


@pytest.mark.parametrize("adversary", ["minimax", "nonsaturating"])
def test_the_game_brings_q_to_p(adversary):
    line = Line(1.0, 0.5)
    makes = erm.Player(gans.ADVERSARIES[adversary], moves=lambda m: m.generator, name="generator")
    play(line, [TELLS, makes], 500, lr=1e-2)
    with torch.no_grad():
        made = line.make(20_000)
    assert float(made.mean()) == pytest.approx(0, abs=0.2)
    assert float(made.std()) == pytest.approx(1, abs=0.2)


class Fixed(nn.Module):
    """Logits that are known: l(x) = w x."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))
        self.discriminator = lambda x: x.flatten(1) @ self.w
        self.scaled = self.changed = lambda x: x
        self.made = torch.tensor([[0.5, -1.0], [2.0, 0.1]], requires_grad=True)

    def make(self, n):
        return self.made


def test_the_losses_are_the_formulas_of_the_papers():
    model, x = Fixed([0.7, -0.4]), torch.tensor([[1.0, 2.0], [-0.3, 0.2]])
    D, G = (F.linear(v, model.w).sigmoid() for v in (x, model.made))
    torch.testing.assert_close(gans.discriminates(model, (x, None)), -D.log() - (1 - G).log())
    torch.testing.assert_close(gans.minimax(model, (x, None)), (1 - G).log())
    torch.testing.assert_close(gans.nonsaturating(model, (x, None)), -G.log())
    f, g = F.linear(x, model.w), F.linear(model.made, model.w)
    torch.testing.assert_close(gans.persuades(model, (x, None)), -g)
    penalty = 10 * (model.w.norm() - 1) ** 2  # the slope of a linear critic is w everywhere
    torch.testing.assert_close(gans.criticises(model, (x, None)), g - f + penalty)


def test_the_minimax_generator_has_no_gradient_where_the_discriminator_is_sure_and_the_other_has():
    model = Fixed([10.0, 10.0])
    model.made = torch.tensor([[-1.0, -1.0]], requires_grad=True)
    for terms, least, most in ((gans.minimax, 0, 1e-6), (gans.nonsaturating, 9, 11)):
        slope = torch.autograd.grad(terms(model, (torch.zeros(1, 2), None)).sum(), model.made)[0]
        assert least <= float(slope.abs().max()) <= most


@pytest.mark.parametrize("adversary", [*gans.ADVERSARIES])
def test_each_player_reaches_all_that_it_moves_and_nothing_else_moves(adversary):
    torch.manual_seed(0)
    made = gan(CARD, KIND, 50, codes=4, width=8, adversary=adversary)
    batch = (torch.rand(6, 1, 8, 8), None)
    for player in made.players:
        mine = list(player.moves(made.model).parameters())
        found = torch.autograd.grad(player.loss(made.model, batch).mean(), mine, allow_unused=True)
        assert all(g is not None and torch.isfinite(g).all() for g in found)
    tells = made.players[0].loss(made.model, batch).sum()
    others = torch.autograd.grad(tells, list(made.model.generator.parameters()), allow_unused=True)
    assert all(g is None for g in others)
    assert made.players[1].every == (5 if adversary == "wgan-gp" else 1)
    assert made.loss is None


@torch.no_grad()
def test_samples_lie_in_the_range_and_follow_their_generator():
    model = gan(CARD, Images(-3.0, 5.0), 50, codes=4, width=8).model.eval()
    a, b, c = (model.sample(5, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert -3 <= float(a.min())
    assert float(a.max()) <= 5
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    torch.testing.assert_close(model.scaled(torch.tensor([-3.0, 1.0, 5.0])), torch.tensor([-1.0, 0.0, 1.0]))
    with pytest.raises(Wrong, match="a gan knows no classes"):
        model.sample(2, generator=torch.Generator(), labels=torch.zeros(2, dtype=torch.int64))


def test_what_is_said_of_real_and_made_images_is_followed_and_drawn():
    made, x = gan(CARD, KIND, 50, codes=4, width=8), torch.rand(20, 1, 8, 8)
    made.model.eval()
    row = made.follow(made.model, [(x[:12], None), (x[12:], None)])
    assert set(row) == {"D(x)", "D(G(z))"}
    assert row["D(x)"] == pytest.approx(float(made.model.score(x).detach().mean()), rel=1e-4)
    figure = made.show(made.model, x)[0]
    assert np.mean([r[0] for r in figure.rows]) == pytest.approx(row["D(x)"], rel=1e-4)


def test_volumes_and_colours_are_made_too():
    for channels, size in ((1, (6, 7, 5)), (3, (9, 8))):
        card = Card("drawn", channels, size, (0.4,) * channels, (0.2,) * channels, 255.0)
        made = gan(card, KIND, 50, codes=4, width=8)
        assert made.model.sample(2, generator=torch.Generator()).shape == (2, channels, *size)
        assert made.players[0].loss(made.model, (torch.rand(2, channels, *size), None)).shape == (2,)


def test_an_unknown_adversary_is_refused():
    with pytest.raises(Wrong, match="--adversary wgan is unknown"):
        gan(CARD, KIND, 50, adversary="wgan")
