import math

import pytest
import torch
from torch import nn

from empirisk import optimization
from empirisk.errors import Wrong

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
        elif name == "momentum":
            v = 0.9 * v + g
            w -= LR * v
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


@pytest.mark.parametrize("name", sorted(optimization.SCHEDULES))
def test_a_schedule_stays_above_0_and_at_most_1_and_is_continuous(name):
    f = [optimization.schedule(name)(i / 1000) for i in range(1000)]
    assert all(0 < v <= 1 for v in f)
    assert max(f) == pytest.approx(1)
    assert max(abs(a - b) for a, b in zip(f, f[1:], strict=False)) < 0.025


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
