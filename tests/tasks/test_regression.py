from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirisk.data.targets import Number
from empirisk.errors import Wrong
from empirisk.tasks import baselines
from empirisk.tasks.regression import regression, residual_loss


@dataclass(frozen=True)
class Held:
    values: np.ndarray

    def read(self) -> np.ndarray:
        return self.values


DIAMETER = Number(column="diameter", mean=10.0, std=4.0)


def rows_of(targets: Any, x: Any = None) -> list[dict[str, Any]]:
    x = np.zeros((len(targets), 1, 16, 16), np.uint8) if x is None else x
    return [
        {"id": f"r{i}", "x": Held(v), "target": float(t), "patient": None, "part": "train"}
        for i, (t, v) in enumerate(zip(targets, x, strict=True))
    ]


def value(score: Any, name: str, n: int) -> float:
    return float(score[name](np.ones((1, n)))[0])


@pytest.mark.parametrize("kind", ["squared", "absolute", "huber"])
@pytest.mark.parametrize("column", [False, True])
def test_losses_by_hand(kind: str, column: bool) -> None:
    f, y = torch.tensor([[0.5], [-2.0], [3.0]], dtype=torch.float64), torch.tensor([1.0, 1.0, 2.5], dtype=torch.float64)
    r = np.array([0.5, 3.0, 0.5])
    by_hand = {"squared": r**2, "absolute": r, "huber": np.where(r < 1, r**2 / 2, r - 0.5)}[kind]
    terms = residual_loss(kind)(nn.Identity(), (f, y[:, None] if column else y))
    assert terms.shape == (3,)
    assert np.allclose(terms.numpy(), by_hand, rtol=1e-12)
    assert (terms >= 0).all()


def test_the_loss_of_a_quantile_by_hand() -> None:
    f, y = torch.tensor([[0.5], [-2.0], [3.0]], dtype=torch.float64), torch.tensor([1.0, 1.0, 2.5], dtype=torch.float64)
    terms = residual_loss("quantile", 0.9)(nn.Identity(), (f, y))
    assert terms.tolist() == pytest.approx([0.9 * 0.5, 0.9 * 3, 0.1 * 0.5])


def test_what_it_makes_least_is_the_quantile() -> None:
    y = torch.randn(999, generator=torch.Generator().manual_seed(0)).exp()
    f = torch.linspace(0.1, 5, 2000)[:, None]
    mean = torch.stack([residual_loss("quantile", 0.8)(nn.Identity(), (v.expand(999, 1), y)).mean() for v in f])
    assert float(f[mean.argmin()]) == pytest.approx(float(y.quantile(0.8)), abs=0.01)


def test_a_quantile_is_scored_by_its_own_loss_and_by_what_it_covers() -> None:
    task = regression(DIAMETER, loss="quantile", level=0.75)
    y = [3.0, 8.0, 21.0, 12.0]
    score = task.score(rows_of(y), [4.0, 8.0, 20.0, 14.0])
    assert list(score)[:3] == ["pinball", "coverage", "mae"]
    assert value(score, "pinball", 4) == pytest.approx((0.25 * 1 + 0 + 0.75 * 1 + 0.25 * 2) / 4)
    assert value(score, "coverage", 4) == pytest.approx(0.75)
    rng = np.random.default_rng(0)
    t = rng.uniform(2, 30, 200)
    x = np.clip(t[:, None, None, None] * 5 + rng.normal(0, 20, (200, 1, 16, 16)), 0, 255).astype(np.uint8)
    rows = rows_of(t, x)
    fitted = task.baseline(rows[:100])
    assert list(fitted) == ["quantile", "linear"]
    assert fitted["quantile"](rows[:2]) == pytest.approx([np.quantile(t[:100], 0.75)] * 2)
    found = {name: task.score(rows[100:], f(rows[100:])) for name, f in fitted.items()}
    assert value(found["linear"], "pinball", 100) < value(found["quantile"], "pinball", 100) / 2
    assert value(found["linear"], "coverage", 100) == pytest.approx(0.75, abs=0.12)


@pytest.mark.parametrize(("kind", "level", "said"), [
    ("squared", 0.9, "--loss squared and --quantile 0.9"), ("quantile", None, "--loss quantile and"), ("quantile", 1.0, "--quantile is 1"),
    ("quantile", float("nan"), "--quantile is nan"),
])  # fmt: skip
def test_a_level_and_its_loss_come_together(kind: str, level: float | None, said: str) -> None:
    with pytest.raises(Wrong, match=said) as caught:
        regression(DIAMETER, loss=kind, level=level)
    assert caught.value.code == 2


def test_unknown_loss_names_the_near_one() -> None:
    with pytest.raises(Wrong, match='Did you mean "huber"') as caught:
        regression(DIAMETER, loss="hubert")
    assert caught.value.code == 2


def test_answers_are_in_the_unit_of_the_target() -> None:
    answers = regression(DIAMETER, loss="squared").predict(nn.Identity(), torch.tensor([[0.0], [1.5]]))
    assert answers == [10.0, 16.0]
    assert all(type(a) is float for a in answers)


def test_scores_by_hand() -> None:
    y = [3.0, 8.0, 21.0, 12.5]
    score = regression(DIAMETER, loss="squared").score(rows_of(y), [4.0, 8.0, 20.0, 14.5])
    assert list(score)[:4] == ["mae", "rmse", "r2", "spearman"]
    assert value(score, "mae", 4) == pytest.approx(1.0, rel=1e-5)
    assert value(score, "rmse", 4) == pytest.approx(np.sqrt(1.5), rel=1e-5)
    assert value(score, "r2", 4) == pytest.approx(1 - 6 / np.sum((np.array(y) - np.mean(y)) ** 2), rel=1e-5)
    assert value(score, "spearman", 4) == pytest.approx(1)


def test_linear_beats_the_mean_on_brightness() -> None:
    rng = np.random.default_rng(0)
    t = rng.uniform(2, 30, 200)
    x = np.clip(t[:, None, None, None] * 5 + rng.normal(0, 20, (200, 1, 16, 16)), 0, 255).astype(np.uint8)
    rows, task = rows_of(t, x), regression(DIAMETER, loss="squared")
    fitted = task.baseline(rows[:100])
    assert list(fitted) == ["mean", "linear"]
    assert fitted["mean"](rows[:3]) == pytest.approx([t[:100].mean()] * 3, rel=1e-5)
    rmse = {name: value(task.score(rows[100:], f(rows[100:])), "rmse", 100) for name, f in fitted.items()}
    assert rmse["linear"] < rmse["mean"] / 2


def test_ridge_on_a_vector_finds_the_line() -> None:
    x = np.linspace(0, 1, 50, dtype=np.float32)[:, None]
    rows = rows_of(3 + 5 * x[:, 0], x)
    got = regression(DIAMETER, loss="absolute").baseline(rows)["linear"](rows)
    assert got == pytest.approx(3 + 5 * x[:, 0], abs=0.05)


def test_a_constant_column_is_harmless() -> None:
    x = np.stack([np.linspace(0, 1, 20), np.ones(20)], 1).astype(np.float32)
    got = regression(DIAMETER, loss="squared").baseline(rows_of(x[:, 0], x))["linear"](rows_of(x[:, 0], x))
    assert np.isfinite(got).all()


def test_the_ridge_is_as_strong_as_left_out_rows_ask_for():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (60, 200))  # more columns than rows: a weak ridge takes the noise for truth
    y = x[:, 0] + 0.5 * rng.normal(0, 1, 60) + 7
    z = (x - x.mean(0)) / x.std(0)

    def solved(rows: Any, strength: float) -> Any:
        middle, mean = z[rows].mean(0), y[rows].mean()
        a = z[rows] - middle
        w = np.linalg.solve(a.T @ a / 60 + strength * np.eye(200), a.T @ (y[rows] - mean) / 60)
        return lambda new: (new - middle) @ w + mean

    whole = np.arange(60)
    left = {s: sum((y[i] - solved(whole != i, s)(z[i])) ** 2 for i in whole) for s in baselines.STRENGTHS}
    best = min(left, key=left.__getitem__)
    assert best > 0.01
    line, residuals = baselines.ridge(x, y)
    assert line(x) == pytest.approx(solved(whole >= 0, best)(z), abs=1e-8)
    assert residuals == pytest.approx([y[i] - solved(whole != i, best)(z[i]) for i in whole], abs=1e-8)


def test_the_baselines_see_what_the_model_sees_and_no_more() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (30, 1, 16, 16), dtype=np.uint8)
    rows = rows_of(x.mean((1, 2, 3)), x)
    said = regression(DIAMETER, loss="squared", read=lambda row: np.zeros((1, 16, 16), np.uint8)).baseline(rows)
    assert said["linear"](rows) == pytest.approx(said["mean"](rows))
