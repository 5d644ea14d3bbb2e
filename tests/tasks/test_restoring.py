"""With the exact denoiser of a Gaussian: planted lesions are found, holes are filled and noise is taken away as closed forms do."""

import numpy as np
import pytest
import torch

from empirisk.errors import Wrong
from empirisk.generative.diffusion import Diffusion, schedule
from empirisk.metrics.ranking import auc
from empirisk.tasks import restoring
from empirisk.tasks.restoring import Observed

SIDE = 8


def smooth(n, seed=0, std=0.15):
    """Images of a Gaussian whose pixels are alike where they are near, and its covariance, in image units about .5."""
    at = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"), -1).view(-1, 2).double()
    cov = std**2 * torch.exp(-torch.cdist(at, at).square() / 18) + 1e-6 * torch.eye(SIDE**2)
    root = torch.linalg.cholesky(cov)
    x = 0.5 + torch.randn(n, SIDE**2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) @ root.T
    return x.view(n, 1, SIDE, SIDE).float(), cov


class Exact(torch.nn.Module):
    """eps = sqrt(1 - a) (a S + (1 - a) I)^-1 x, the network that Algorithm 1 would find for N(0, S)."""

    def __init__(self, cov):
        super().__init__()
        self.values, self.vectors = (v.float() for v in torch.linalg.eigh(cov))
        self.levels = torch.tensor(schedule("linear"))

    def forward(self, x, t, c=None):
        a = self.levels[t].view(-1, 1)
        along = x.flatten(1) @ self.vectors * (1 - a).sqrt() / (a * self.values + 1 - a)
        return (along @ self.vectors.T).view(x.shape)


@pytest.fixture(scope="module")
def model():
    _, cov = smooth(1)
    return Diffusion(Exact(cov / 0.2**2), [0.5], 0.2, size=(SIDE, SIDE), bounds=None).eval()


def db(x, answer, hole=None):
    return float(np.mean(restoring.psnr(x, answer, hole, 1.0)))


def test_planted_lesions_are_found(model):
    x, _ = smooth(12, seed=1)
    mask = torch.zeros(SIDE, SIDE)
    mask[2:4, 4:6] = 1
    back, away = restoring.healed(model, x + 0.3 * mask, 20)
    assert back.shape == x.shape
    found = [float(auc(mask.numpy().ravel() > 0, a.numpy().ravel())(np.ones((1, SIDE**2)))[0]) for a in away]
    assert np.mean(found) > 0.8
    _, before = restoring.healed(model, x, 20)
    assert before.mean() < away.mean()


def test_denoising_is_the_wiener_filter_of_the_true_covariance(model):
    x, cov = smooth(40, seed=1)
    seen = Observed("noise")
    y = seen.draw(x)
    answer = restoring.restored(model, y, seen, 5)
    d = (y - 0.5).flatten(1).double()
    wiener = 0.5 + d @ torch.linalg.solve(cov + restoring.SIGMA**2 * torch.eye(SIDE**2), cov)
    torch.testing.assert_close(answer.flatten(1).double(), wiener, atol=0.01, rtol=0)
    assert db(x, answer) > db(x, y) + 5


def test_filling_a_hole_nears_the_conditional_mean_and_keeps_what_is_seen(model):
    x, _ = smooth(24, seed=1)
    hole = restoring.middle_hole((SIDE, SIDE))
    seen = Observed("hole", hole)
    y = seen.draw(x)
    answer, draw = restoring.inpainted(model, y, hole, 30)
    for filled in (answer, draw):
        torch.testing.assert_close(filled * (1 - hole), y)
    beside = {name: f(y) for name, f in restoring.rivals(smooth(2000)[0], seen).items()}
    assert set(beside) == {"mean", "input", "gaussian"}
    assert db(x, beside["gaussian"], hole) > db(x, answer, hole) > db(x, draw, hole)  # the mean of draws nears the mean
    assert db(x, answer, hole) > db(x, beside["mean"], hole) + 1


def test_half_the_pixels_agree_with_what_was_seen(model):
    x, _ = smooth(16, seed=1)
    seen = Observed("half")
    y = seen.draw(x)
    answer = restoring.restored(model, y, seen, 20)
    torch.testing.assert_close(seen.of(answer), y, atol=1e-4, rtol=0)
    beside = {name: f(y) for name, f in restoring.rivals(smooth(2000)[0], seen).items()}
    assert set(beside) == {"mean", "input", "gaussian"}
    assert db(x, answer) > db(x, beside["input"]) > db(x, beside["mean"])
    assert db(x, beside["gaussian"]) > db(x, answer)


@pytest.mark.parametrize("operator", ["noise", "half", "hole"])
def test_the_matrix_does_what_the_observation_does(operator):
    x, _ = smooth(3)
    hole = restoring.middle_hole((SIDE, SIDE)) if operator == "hole" else None
    seen = Observed(operator, hole)
    flat = x.flatten(1).double() @ seen.matrix((1, SIDE, SIDE)).T
    rows = (hole == 0).flatten() if hole is not None else slice(None)
    torch.testing.assert_close(flat, seen.of(x.double()).flatten(1)[:, rows])


def test_closed_forms_against_noise_are_better_than_nothing():
    x, _ = smooth(20, seed=1)
    seen = Observed("noise")
    y = seen.draw(x)
    found = {name: db(x, f(y)) for name, f in restoring.rivals(smooth(1500)[0], seen).items()}
    assert set(found) == {"mean", "input", "tv", "wiener"}
    assert found["input"] == pytest.approx(-20 * np.log10(restoring.SIGMA), abs=0.3)
    assert found["wiener"] > found["tv"] > found["input"] + 3


@pytest.mark.parametrize("dims", [2, 3])
def test_total_variation_keeps_the_mean_and_flattens(dims):
    y = torch.randn(2, 1, *[8] * dims, generator=torch.Generator().manual_seed(0))
    flat = restoring.total_variation(50.0, turns=400)(y)
    torch.testing.assert_close(flat.flatten(1).mean(1), y.flatten(1).mean(1), atol=1e-4, rtol=0)
    assert flat.flatten(1).std(1).max() < 0.1
    torch.testing.assert_close(restoring.total_variation(1e-6)(y), y, atol=1e-4, rtol=0)


def test_psnr_is_20_db_for_an_error_of_a_tenth():
    x = torch.zeros(3, 1, 4, 4)
    assert restoring.psnr(x, x + 0.1, None, 1.0).tolist() == pytest.approx([20.0] * 3, abs=1e-4)
    hole = torch.zeros(4, 4)
    hole[1, 1] = 1
    assert restoring.psnr(x, x + 0.1 * hole, hole, 1.0).tolist() == pytest.approx([20.0] * 3, abs=1e-4)


def test_odd_sides_other_models_and_values_outside_the_range_are_refused(model):
    with pytest.raises(Wrong, match="needs even sides, this image has one of 7"):
        Observed("half").of(torch.zeros(1, 1, 8, 7))
    with pytest.raises(Wrong, match="runs/a is no diffusion model\n  train one"):
        restoring.diffusion_of(torch.nn.Linear(1, 1), "runs/a")
    bounded = Diffusion(model.net, [0.5], 0.2, size=(2, 2))
    for value in (1.5, -0.1, float("nan")):
        with pytest.raises(Wrong, match="the model is for 0 to 1\n  val/1"):
            restoring.inside(bounded, torch.tensor([0.5, value]).view(2, 1, 1, 1), ["val/0", "val/1"])
    restoring.inside(model, torch.full((1, 1, 1, 1), 9.0), ["any"])
