import math

import pytest
import torch
from torch import nn

from empirisk import erm, optimization
from empirisk.errors import Wrong
from empirisk.recipe import Recipe

GRADIENTS = [0.5, -1.5, 0.25]
LR, DECAY = 0.1, 0.02


def by_hand(name: str, w: float, decay: float) -> list[float]:
    """Three steps of one weight, written out from the papers."""
    path, v, m, s = [], 0.0, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, 1):
        if name == "adamw":
            w -= LR * decay * w
        else:
            g += decay * w
        if name == "sgd":
            w -= LR * g
        elif name in {"momentum", "nesterov"}:
            v = 0.9 * v + g
            w -= LR * (g + 0.9 * v if name == "nesterov" else v)
        elif name == "adagrad":
            s += g * g
            w -= LR * g / (math.sqrt(s) + 1e-10)
        elif name == "rmsprop":
            s = 0.9 * s + 0.1 * g * g
            w -= LR * g / (math.sqrt(s) + 1e-8)
        else:
            m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
            w -= LR * (m / (1 - 0.9**t)) / (math.sqrt(s / (1 - 0.999**t)) + 1e-8)
        path.append(w)
    return path


@pytest.mark.parametrize("name", sorted(optimization.OPTIMIZERS))
def test_three_steps_by_hand(name):
    """A weight decays, a bias does not."""
    weight = nn.Parameter(torch.full((1, 1), 2.0, dtype=torch.float64))
    bias = nn.Parameter(torch.full((1,), 2.0, dtype=torch.float64))
    optimizer = optimization.build(name, [weight, bias], lr=LR, weight_decay=DECAY)
    found = []
    for g in GRADIENTS:
        weight.grad, bias.grad = torch.full_like(weight, g), torch.full_like(bias, g)
        optimizer.step()
        found.append((float(weight.detach()), float(bias.detach())))
    expected = list(zip(by_hand(name, 2.0, DECAY), by_hand(name, 2.0, 0.0), strict=True))
    assert found == [pytest.approx(e, rel=1e-12) for e in expected]


def test_only_matrices_decay_and_each_group_knows_its_first_step_length():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    groups = optimization.build("adamw", list(model.parameters()), lr=LR, weight_decay=DECAY).param_groups
    assert [(g["weight_decay"], len(g["params"]), g["initial_lr"]) for g in groups] == [(DECAY, 2, LR), (0.0, 4, LR)]


def test_schedules_by_formula():
    at = [i / 40 for i in range(40)]
    assert [optimization.constant(t) for t in at] == [1.0] * 40
    assert [optimization.cosine(t) for t in at] == pytest.approx([(1 + math.cos(math.pi * t)) / 2 for t in at])

    def one_cycle(t):
        if t < 0.25:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * t / 0.25)) / 2
        return (1 + math.cos(math.pi * (t - 0.25) / 0.75)) / 2

    assert [optimization.one_cycle(t) for t in at] == pytest.approx([one_cycle(t) for t in at])

    def warmup_cosine(t):
        return (t + 0.001) / 0.051 if t < 0.05 else (1 + math.cos(math.pi * (t - 0.05) / 0.95)) / 2

    assert [optimization.warmup_cosine(t) for t in at] == pytest.approx([warmup_cosine(t) for t in at])
    assert [optimization.step(t) for t in at] == [1.0] * 20 + [0.1] * 10 + [0.01] * 10


@pytest.mark.parametrize("name", sorted(optimization.SCHEDULES))
def test_a_schedule_stays_above_0_and_at_most_1_and_jumps_only_where_it_says(name):
    f = [optimization.schedule(name)(i / 1000) for i in range(1000)]
    assert all(0 < v <= 1 for v in f)
    assert max(f) == pytest.approx(1)
    jumps = [i + 1 for i, (a, b) in enumerate(zip(f, f[1:], strict=False)) if abs(a - b) >= 0.025]
    assert jumps == ([500, 750] if name == "step" else [])


def halved(progress: float) -> float:
    return 0.5


def plain(parameters, lr, weight_decay):
    return torch.optim.SGD(parameters, lr)


def test_names_callables_and_import_paths(monkeypatch, tmp_path):
    assert optimization.schedule(halved) is halved
    assert optimization.schedule("math:sin") is math.sin
    weight = nn.Parameter(torch.zeros(1, 1))
    assert isinstance(optimization.build(plain, [weight], lr=LR, weight_decay=0.0), torch.optim.SGD)
    for name, said in {
        "one_cicle": 'Did you mean "one_cycle"',
        "nowhere:f": "cannot be imported",
        "math:x": "cannot",
    }.items():
        with pytest.raises(Wrong, match="schedule") as caught:
            optimization.schedule(name)
        assert caught.value.code == 2
        assert said in str(caught.value)
    with pytest.raises(Wrong, match="no optimizer 'lion'"):
        optimization.build("lion", [weight], lr=LR, weight_decay=0.0)


# -- exact zeros


class Whole:
    """All rows at every step: nothing is drawn."""

    def __init__(self, x, y):
        self.batch = x, y

    def __len__(self):
        return 1

    def __call__(self, epoch, start=0):
        return iter([self.batch])

    def names(self, epoch, index):
        return []


def lasso(correlated: bool, n=64, d=12):
    """A design X, a target y = X b + noise with few b other than 0; orthonormal (X^T X = n I) unless correlated."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    if correlated:
        x = x + 0.7 * x.roll(1, 1)
    else:
        x = torch.linalg.qr(x)[0] * n**0.5
    b = torch.zeros(d, dtype=torch.float64)
    b[:4] = torch.tensor([2.0, -1.5, 0.3, 0.1], dtype=torch.float64)
    return x, x @ b + 0.3 * torch.randn(n, generator=g, dtype=torch.float64)


def squares(model, batch):
    return (model(batch[0])[:, 0] - batch[1]).square() / 2


def fitted(x, y, *, steps=1500, lr=0.05, **recipe):
    torch.manual_seed(0)
    model = nn.Linear(x.shape[1], 1, bias=False).double()
    done = erm.fit(
        model, Whole(x, y), [erm.Player(squares)], lr=lr, steps=steps, evaluate=lambda m: {}, watch=None,
        recipe=Recipe(**({"weight_decay": 0.0, "ema": 0.0, "schedule": "cosine"} | recipe)),
    )  # fmt: skip
    return done.kept.kept["weight"][0]


def test_l1_on_an_orthonormal_design_is_the_soft_threshold():
    """argmin 1/(2n) |y - X w|^2 + l |w|_1 = sign(b) max(|b| - l, 0), b = X^T y / n; Tibshirani 1996, section 2.2."""
    x, y = lasso(correlated=False)
    b = x.T @ y / len(x)
    solution = b.sign() * (b.abs() - 0.2).clamp(min=0)
    assert 2 <= int((solution == 0).sum()) < 12
    for optimizer in ("sgd", "momentum", "nesterov"):
        found = fitted(x, y, optimizer=optimizer, lr=0.1, schedule="constant", steps=800, l1=0.2)
        assert torch.allclose(found, solution, atol=1e-9), optimizer
        assert torch.equal(found == 0, solution == 0)  # exact, not small


@pytest.mark.parametrize("optimizer", sorted(optimization.OPTIMIZERS))
def test_l1_with_every_optimiser_has_the_zeros_and_the_minimum_of_scikit_learn(optimizer):
    from sklearn.linear_model import Lasso

    x, y = lasso(correlated=True)
    solution = torch.from_numpy(
        Lasso(alpha=0.15, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x.numpy(), y.numpy()).coef_
    )
    rate = {"sgd": 0.1, "adagrad": 0.5}.get(optimizer, 0.02)
    found = fitted(x, y, optimizer=optimizer, lr=rate, l1=0.15)
    assert torch.equal(found == 0, solution == 0)
    assert torch.allclose(found, solution, atol=2e-3)


def test_zeros_stay_exact_in_the_average_of_the_weights():
    x, y = lasso(correlated=False)
    found = fitted(x, y, optimizer="adam", lr=0.02, ema=0.9, l1=0.2)
    assert int((found == 0).sum()) > 2


def test_l1_leaves_biases_and_without_it_nothing_is_hooked():
    weight, bias = nn.Parameter(torch.full((1, 1), 0.01)), nn.Parameter(torch.full((1,), 0.01))
    optimizer = optimization.build("sgd", [weight, bias], lr=1.0, weight_decay=0.0, l1=0.5)
    weight.grad, bias.grad = torch.zeros(1, 1), torch.zeros(1)
    optimizer.step()
    assert weight.tolist() == [[0.0]]
    assert bias.tolist() == pytest.approx([0.01])
    for gradient, after in ((0.4, 0.0), (-0.7, 0.2), (0.7, 0.0)):  # a 0 moves by what is above l1, and nothing across 0
        weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        assert weight.tolist()[0] == pytest.approx([after])
    assert not optimization.build("sgd", [weight], lr=1.0, weight_decay=0.0)._optimizer_step_pre_hooks


# -- the range test


def test_the_best_rate_is_a_tenth_of_where_the_smoothed_risk_is_least():
    rates = [10 ** (i / 10) for i in range(-60, 11)]
    risks = [1 + (math.log10(r) + 2) ** 2 for r in rates]
    assert optimization.best_rate(rates, risks, smooth=0.0) == pytest.approx(1e-3)
    assert 1e-3 < optimization.best_rate(rates, risks) < 1e-2  # smoothing lags behind
    assert optimization.best_rate([1e-6], [3.0]) == pytest.approx(1e-7)


def rate(loss=squares, players=1, **options):
    x, y = lasso(correlated=True)
    torch.manual_seed(0)
    model = nn.Linear(x.shape[1], 1, bias=False).double()
    before = model.weight.detach().clone()
    found = erm.rate_found(
        model, Whole(x, y), [erm.Player(loss)] * players, recipe=Recipe(weight_decay=0.0, **options), precision="float32",
        device=torch.device("cpu"),
    )  # fmt: skip
    assert torch.equal(model.weight, before)  # a copy was taken there
    return found


def test_the_rate_found_descends_on_a_quadratic():
    """Plain descent diverges above 2 / the largest curvature; what is found is below, and not far."""
    x, y = lasso(correlated=True)
    edge = 2 / float(torch.linalg.eigvalsh(x.T @ x / len(x))[-1])
    found = rate(optimizer="sgd")
    assert edge / 100 < found < edge
    assert rate(optimizer="sgd") == found
    assert 1e-4 < rate(optimizer="adamw") < 1


def test_rates_that_cannot_be_found():
    with pytest.raises(Wrong, match="one player, here are 2"):
        rate(players=2)
    with pytest.raises(Wrong, match="first batch is not finite") as caught:
        rate(lambda m, b: squares(m, b) * math.nan)
    assert caught.value.code == 3
    for wrong in ("fast", "0.1x"):
        with pytest.raises(Wrong, match=f"--lr is {wrong}"):
            Recipe(lr=wrong)
    assert Recipe(lr="find").lr == "find"
