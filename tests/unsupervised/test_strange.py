"""Scores of strangeness: distances as the libraries have them, energies of bands, and a choice that sees no abnormal image."""

import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch import nn

from empirisk import models
from empirisk.data.card import Card
from empirisk.unsupervised.bands import blurred, energies
from empirisk.unsupervised.memory import Mahalanobis, Neighbours
from empirisk.unsupervised.strange import CHANGES, SCORES, Strange, changed, loss, turns


def images(n=40, side=16, seed=0):
    g = torch.Generator().manual_seed(seed)
    return blurred(torch.rand(n, 1, side, side, generator=g), 1.0)


def strange(rows=40, side=16):
    torch.manual_seed(0)
    card = Card("x", 1, (side, side), (0.5,), (0.1,), 255.0)
    teller = models.build("resnet18", channels=1, classes=4, dims=2, size=(side, side), width=4)
    return Strange(card, nn.Conv2d(1, 1, 3, padding=1), teller, None, rows=rows)


def test_mahalanobis_is_that_of_the_shrunk_covariance():
    z = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
        [[2.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 3]]
    )
    model = Mahalanobis(4)
    model.fill(z)
    expected = torch.from_numpy(LedoitWolf().fit(z.double().numpy()).mahalanobis(z.double().numpy())).sqrt()
    torch.testing.assert_close(model(z).double(), expected, rtol=1e-4, atol=1e-4)


def test_neighbours_are_the_five_nearest_and_a_constant_number_counts_nothing():
    z = torch.cat([torch.randn(30, 3, generator=torch.Generator().manual_seed(0)), torch.ones(30, 1)], 1)
    model = Neighbours(4, rows=30)
    model.fill(z)
    new = torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 9]])
    sd = z[:, :3].std(0, correction=0)
    expected = ((z[:, :3] - new[:1, :3]) / sd).norm(dim=1).sort().values[:5].mean()
    torch.testing.assert_close(model(new), expected.repeat(2), rtol=1e-4, atol=1e-4)
    assert float(model(z).max()) < float(model(torch.full((1, 4), 50.0)))


def test_a_blur_keeps_the_mean_of_a_flat_image_and_weighs_by_the_gaussian():
    flat = torch.full((1, 2, 9, 7), 0.3)
    torch.testing.assert_close(blurred(flat, 2.0), flat)
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    out = blurred(point, 2.0)
    assert float(out.sum()) == pytest.approx(1, abs=1e-4)
    assert float(out[0, 0, 15, 17] / out[0, 0, 15, 15]) == pytest.approx(torch.exp(torch.tensor(-0.5)).item(), rel=1e-3)
    assert blurred(torch.rand(2, 1, 6, 7, 8), 1.0).shape == (2, 1, 6, 7, 8)


def test_energies_are_local_and_fall_where_it_is_smooth():
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    x[1, :, :8, :8] = blurred(x[1:], 3.0)[0, :, :8, :8]
    a, b = energies(x).reshape(2, 1, 3, 4, 4)
    assert float(a[0, 0, 0, 0] - b[0, 0, 0, 0]) > 1  # the finest band, in that cell
    assert float((a[0, 0, 2:, 2:] - b[0, 0, 2:, 2:]).abs().max()) < 0.3
    torch.testing.assert_close(energies(5 * x + 1), energies(x), rtol=1e-3, atol=1e-3)
    assert energies(torch.rand(2, 1, 8, 9, 10)).shape == (2, 3 * 64)


def test_four_turns_are_told_apart_by_their_numbers():
    x = images(3)
    four, which = turns(x)
    assert four.shape == (12, 1, 16, 16)
    assert which.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    torch.testing.assert_close(torch.rot90(four[3:6], -1, (2, 3)), x)
    long, _ = turns(x[:, :, :10])
    assert long.shape == (12, 1, 10, 16)
    assert len({tuple(v.flatten().tolist()) for v in long[::3]}) == 4


def test_a_change_is_of_a_part_only_and_repeats():
    x = images()
    found, again = (changed(x, torch.Generator().manual_seed(0)) for _ in range(2))
    assert tuple(found) == CHANGES
    for name in CHANGES:
        torch.testing.assert_close(found[name], again[name], rtol=0, atol=0)
        share = (found[name] != x).float().mean((1, 2, 3))
        assert 0.04 < float(share.min())
        assert float(share.max()) < 0.3


def test_only_normal_images_teach():
    model, x = strange(), images(6)
    model.eval()
    y = torch.tensor([0, -1, 0, 0, -1, -1])
    torch.testing.assert_close(loss(model, (x, y)), loss(model, (x[y == 0], y[y == 0])))
    assert loss(model, (x, torch.full((6,), -1))).shape == (0,)


def test_the_score_that_counts_is_chosen_by_changes_of_normal_images():
    model, x = strange().eval(), images()
    model.fill([(x[:25], None), (x[25:], None)], 40)
    assert model.trust.shape == (len(SCORES),)
    assert ((model.trust >= 0) & (model.trust <= 1)).all()
    bands = list(SCORES).index("bands")
    assert float(model.trust[bands]) > 0.6
    scores = model(torch.cat([images(8, seed=1), torch.rand(8, 1, 16, 16)])).detach()
    assert scores.shape == (16, 6)
    assert float(scores[8:, bands].min()) > float(scores[:8, bands].max())
    again = strange().eval()
    again.load_state_dict(model.state_dict())  # nothing else is needed
    torch.testing.assert_close(again(x[:3]), model(x[:3]))
