"""What the ideas must do, on phantoms whose p(y | x) is known: the risk and its interval, and learning from more rows."""

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk import erm
from empirisk.data import embedded, phantom
from empirisk.estimate import estimate, mean
from empirisk.verbs.run import answer

CPU = torch.device("cpu")


def trained(images: int, epochs: int = 12):
    """A small network taught on so many phantoms."""
    e = er.classification(
        f"phantom:images={images},size=32,seed=5",
        model="resnet18",
        width=6,
        epochs=epochs,
        batch=32,
        augment="flip",
        lr=4e-3,
    )
    stream = e.data.stream(batch=32, seed=0, device=CPU)
    erm.fit(
        e.model,
        stream,
        e.players,
        recipe=e.recipe,
        lr=4e-3,
        steps=epochs * len(stream),
        evaluate=lambda m: {},
        watch=None,
    )
    return e


@pytest.fixture(scope="module")
def population():
    """Phantoms that no model here was taught on, with their p(y = 1 | x)."""
    rows = embedded.table("phantom:images=3000,size=32,seed=77").rows
    return rows, np.array([phantom.p_of(r) for r in rows])


@pytest.fixture(scope="module")
def models():
    """One network for each number of training rows."""
    return {n: trained(n, epochs) for n, epochs in ((60, 40), (300, 24), (1500, 10))}


def said(e, rows) -> np.ndarray:
    return np.array([a.p[1] for a in answer(e, rows)]).clip(1e-6, 1 - 1e-6)


def test_the_interval_of_the_empirical_risk_covers_the_true_risk_and_narrows(models, population):
    rows, p = population
    q = said(models[300], rows)
    loss = np.stack([-np.log(1 - q), -np.log(q)])  # L(y, f(x)) for y = 0 and 1
    true = float((p * loss[1] + (1 - p) * loss[0]).mean())  # R(f) over this population, exactly
    rng = np.random.default_rng(0)
    width = {}
    for n, studies in ((100, 300), (400, 2000), (1600, 300)):
        covered, widths = 0, []
        for _ in range(studies):
            drawn = rng.integers(0, len(rows), n)
            y = (rng.random(n) < p[drawn]).astype(int)
            e = estimate(mean(loss[y, drawn]), [None] * n)
            covered += e.low <= true <= e.high
            widths.append(e.high - e.low)
        width[n] = np.mean(widths)
        if n == 400:
            assert 0.925 <= covered / studies <= 0.97
    slope = np.polyfit(np.log(list(width)), np.log(list(width.values())), 1)[0]
    assert -0.56 < slope < -0.44  # N^-1/2


def test_the_distance_to_the_known_posterior_falls_with_more_rows(models, population):
    rows, p = population
    p = p.clip(1e-12, 1 - 1e-12)
    kl = {}
    for n, e in models.items():
        q = said(e, rows)
        kl[n] = float((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean())
    assert kl[60] > kl[300] > kl[1500] > 0


def test_no_model_beats_the_bayes_error_of_the_population(models, population):
    rows, p = population
    best = np.minimum(p, 1 - p).mean()
    for e in models.values():
        q = said(e, rows)
        assert np.where(q > 0.5, 1 - p, p).mean() >= best
    assert abs(best - phantom.bayes_error()) < 0.01
