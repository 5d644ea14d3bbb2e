"""Polynomials by least squares: the basis, the minimiser, and what they refuse."""

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.errors import Wrong
from empirisk.models import build
from empirisk.models.layers import Standardised
from empirisk.models.polynomial import Polynomial, least_squares


def solved(x, y, degree, mean=0.0, std=1.0):
    model = Standardised(Polynomial(1, 1, degree=degree), [mean], [std])
    half = len(x) // 2
    pairs = [(torch.tensor(a, dtype=torch.float32)[:, None], torch.tensor(b)) for a, b in ((x[:half], y[:half]), (x[half:], y[half:]))]  # fmt: skip
    least_squares(model, pairs)
    return model


def test_the_features_are_legendre_polynomials():
    x = torch.linspace(-1.7, 1.7, 7, dtype=torch.float64)[:, None]
    phi = Polynomial(1, 1, degree=6).embed(x)
    u = x[:, 0].numpy() / np.sqrt(3)
    for k in range(1, 7):
        np.testing.assert_allclose(phi[:, k - 1].numpy(), np.polynomial.legendre.Legendre.basis(k)(u), atol=1e-12)
    two = Polynomial(2, 1, degree=2).embed(torch.cat([x, 2 * x], 1))
    np.testing.assert_allclose(two[:, :2].numpy(), phi[:, :2].numpy())


@pytest.mark.parametrize("degree", [1, 3, 9])
def test_least_squares_is_numpys_fit(degree):
    rng = np.random.default_rng(degree)
    x, y = rng.random(60), rng.normal(size=60)
    model = solved(x, y, degree, mean=float(x.mean()), std=float(x.std()))
    grid = np.linspace(x.min(), x.max(), 50)
    said = model(torch.tensor(grid, dtype=torch.float32)[:, None])[:, 0].detach().numpy()
    np.testing.assert_allclose(said, np.polynomial.Polynomial.fit(x, y, degree)(grid), atol=2e-4)


def test_a_polynomial_is_found_again_and_the_risk_falls_with_the_degree():
    x = np.linspace(-1, 1, 40)
    y = 1 - 2 * x + 0.5 * x**3
    said = solved(x, y, 3)(torch.tensor(x, dtype=torch.float32)[:, None])[:, 0].detach().numpy()
    np.testing.assert_allclose(said, y, atol=1e-5)
    noisy = y + np.random.default_rng(0).normal(0, 0.3, 40)
    risks = []
    for degree in range(1, 9):
        f = solved(x, noisy, degree)(torch.tensor(x, dtype=torch.float32)[:, None])[:, 0].detach().numpy()
        risks.append(float(np.mean((f - noisy) ** 2)))
    assert all(a >= b - 1e-7 for a, b in zip(risks, risks[1:], strict=False))


def test_images_degree_0_and_other_models_are_refused():
    with pytest.raises(Wrong, match="numbers"):
        build("polynomial", channels=1, classes=1, dims=2, size=(8, 8))
    with pytest.raises(Wrong, match="--degree is 0"):
        build("polynomial", channels=1, classes=1, dims=0, size=(), degree=0)
    with pytest.raises(Wrong, match="--degree: model mlp has no degree"):
        build("mlp", channels=1, classes=1, dims=0, size=(), degree=2)


@pytest.mark.parametrize("flags", [{"epochs": 3}, {"l2": 0.1}, {"loss": "absolute"}, {"lr": 0.1}, {"mixup": 0.2}])
def test_what_only_steps_can_honour_is_refused(flags):
    with pytest.raises(Wrong, match=f"--{next(iter(flags))}: a polynomial takes no steps"):
        er.regression("curve", model="polynomial", degree=3, **flags)


def test_a_run_says_that_it_takes_no_steps_and_repeats_to_the_byte(cli, tmp_path):
    for name in "ab":
        code, out, _ = cli(
            "train", "regression", "curve", "--model", "polynomial", "--degree", 3, "--out", tmp_path / name
        )
        assert code == 0
        assert "no steps: a closed form" in out
        assert "epochs" not in out
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    page = (tmp_path / "a" / "report.html").read_text()
    assert "Error by degree" in page
    assert "The fit" in page
    record = er.load(tmp_path / "a").folder.read()
    assert record["kept"] == {"epoch": None, "why": "a closed form"}
    assert er.load(tmp_path / "a").folder.metrics()["difference"]["mean"]["rmse"]["value"] < -0.2
