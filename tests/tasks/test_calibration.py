import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from empirisk.errors import Wrong
from empirisk.tasks.calibration import log_loss, operating_point, seen, temperature, wanted


def test_log_loss_is_minus_sum_y_log_f_by_hand() -> None:
    z = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 3.0]], dtype=torch.float64)
    y = torch.tensor([2, 0])
    f = np.exp(z.numpy()) / np.exp(z.numpy()).sum(1, keepdims=True)
    by_hand = -(np.eye(3)[y.numpy()] * np.log(f)).sum(1)
    got = log_loss(z, y, False)
    assert np.allclose(got.numpy(), by_hand, rtol=1e-12)
    assert (got >= 0).all()


def test_log_loss_of_labels_sums_binary_cross_entropies_by_hand() -> None:
    z = torch.tensor([[1.0, -2.0], [0.3, 4.0]], dtype=torch.float64)
    y = torch.tensor([[1, 0], [1, 1]])
    f = 1 / (1 + np.exp(-z.numpy()))
    by_hand = -(y.numpy() * np.log(f) + (1 - y.numpy()) * np.log(1 - f)).sum(1)
    got = log_loss(z, y, True)
    assert np.allclose(got.numpy(), by_hand, rtol=1e-12)
    assert (got >= 0).all()


def test_half_precision_logits_lose_nothing_more() -> None:
    z = torch.tensor([[9.0, -9.0]], dtype=torch.bfloat16)
    assert log_loss(z, torch.tensor([0]), False).dtype == torch.float32
    assert log_loss(z, torch.tensor([0]), False).item() == pytest.approx(1.523e-8, rel=1e-3, abs=2e-8)


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("t", [0.4, 1.0, 3.0])
def test_temperature_recovers_a_known_one(t: float, multi: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    z = 2 * torch.randn(20000, 3, generator=generator)
    p = z.sigmoid() if multi else z.softmax(1)
    y = torch.bernoulli(p, generator=generator) if multi else torch.multinomial(p, 1, generator=generator)[:, 0]
    assert temperature(z * t, y, multi) == pytest.approx(t, rel=0.04)


def test_temperature_is_the_minimum() -> None:
    generator = torch.Generator().manual_seed(1)
    z, y = 3 * torch.randn(200, 4, generator=generator), torch.randint(4, (200,), generator=generator)
    y[:120] = z[:120].argmax(1)
    best = temperature(z, y, False)
    at = log_loss(z.double() / best, y, False).mean()
    assert all(at <= log_loss(z.double() / (best * k), y, False).mean() for k in (0.99, 1.01))


def test_temperature_stays_1_where_validation_is_all_right() -> None:
    z = torch.tensor([[5.0, 0.0], [0.0, 4.0]])
    assert temperature(z, torch.tensor([0, 1]), False) == 1.0


def test_operating_point_at_a_sensitivity_is_the_most_specific_one() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.3
    p = np.round(1 / (1 + np.exp(-(rng.normal(size=2000) + 1.5 * y))), 2)  # with ties
    for measure, mine, other in (("sensitivity", y, ~y), ("specificity", ~y, y)):
        t = operating_point(p, y, f"{measure}=.95")
        right = (p >= t) == y
        assert right[mine].mean() >= 0.95
        for u in np.unique(p):
            also = (p >= u) == y
            assert also[mine].mean() < 0.95 or also[other].mean() <= right[other].mean()


def test_youden_by_search() -> None:
    rng = np.random.default_rng(1)
    y = rng.random(500) < 0.5
    p = rng.normal(size=500) * 0.1 + 0.4 + 0.1 * y
    j = [((p >= u) & y).sum() / y.sum() + ((p < u) & ~y).sum() / (~y).sum() for u in p]
    t = operating_point(p, y, None)
    assert ((p >= t) & y).sum() / y.sum() + ((p < t) & ~y).sum() / (~y).sum() == pytest.approx(max(j))
    assert operating_point(np.array([0.1, 0.2, 0.8]), np.array([0, 0, 1]), None) == pytest.approx(0.5)  # midway


def test_threshold_between_neighbouring_floats_parts_them() -> None:
    a = np.float32(0.7)
    b = np.nextafter(a, np.float32(1))
    assert operating_point(np.array([a, b]), np.array([0, 1]), None) == float(b)


def test_specificity_1_calls_nothing_positive_where_it_must() -> None:
    t = operating_point(np.array([1.0, 0.5]), np.array([0, 1]), "specificity=1")
    assert t > 1
    assert operating_point(np.array([1.0, 0.5]), np.array([0, 1]), "sensitivity=1") == 0.5


def test_one_class_present_leaves_the_threshold() -> None:
    assert operating_point(np.array([0.2, 0.9]), np.array([1, 1]), None) == 0.5


@pytest.mark.parametrize(
    "at",
    [
        "",
        ".95",
        "sensitivity",
        "sensitivity=",
        "recall=.9",
        "sensitivity=0",
        "specificity=2",
        "sensitivity=nan",
        "sensitivity=95%",
    ],
)
def test_nonsense_is_refused_with_an_example(at: str) -> None:
    with pytest.raises(Wrong, match="sensitivity=.95") as caught:
        wanted(at)
    assert caught.value.code == 2


@pytest.mark.parametrize("training", [True, False])
def test_seen_is_in_eval_and_gives_the_mode_back(training: bool) -> None:
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2)).train(training)
    x = torch.randn(5, 3)
    z, y = seen(model, [(x[:2], torch.zeros(2)), (x[2:], torch.ones(3))])
    assert torch.equal(z, F.linear(x, model[1].weight, model[1].bias))
    assert y.tolist() == [0, 0, 1, 1, 1]
    assert model.training is training
