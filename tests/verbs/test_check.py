"""Gradients against finite differences: right ones pass, a wrong one is named."""

import json

import pytest
import torch
from torch import nn

import empirisk as er
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.verbs import check as module
from empirisk.verbs.check import BAR, checked, derivatives

SETTINGS = {
    "residual network": {"model": "resnet18", "width": 4},
    "what draws": {
        "model": "mlp",
        "width": 6,
        "dropout": 0.3,
        "mixup": 0.4,
        "input_noise": 0.1,
        "weight_noise": 0.01,
        "l2": 0.1,
    },
    "adversary": {"model": "lenet", "adversarial": 0.02, "adversarial_steps": 2, "size": 32},
    "focal, smooth": {"model": "mlp", "width": 6, "focal": 2.0, "label_smoothing": 0.1, "balance": True},
    "dropped branches": {"model": "resnet18", "width": 4, "spatial_dropout": 0.2, "stochastic_depth": 0.3},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_gradients_of_every_loss_are_right(tiny, name):
    found = checked(er.classification(str(tiny / "spots.npz"), **SETTINGS[name]), 8)
    assert len(found) >= 4
    assert max(error for _, error in found) < BAR


@pytest.mark.parametrize("loss", ["squared", "huber", "quantile"])
def test_of_numbers_too(tiny, loss):
    more = {"quantile": 0.9} if loss == "quantile" else {}
    found = checked(er.regression(str(tiny / "ordinal.npz"), model="mlp", width=6, loss=loss, **more), 8)
    assert max(error for _, error in found) < BAR


class Bent(torch.autograd.Function):
    """x^2 with a slope that is one tenth too steep."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, slope):
        return 2.2 * ctx.saved_tensors[0] * slope


def test_a_wrong_gradient_is_found_and_named():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def loss(model, batch):
        hidden = torch.tanh(model[0](batch[0]))
        w = model[2].weight
        return (hidden @ w.T)[:, 0] ** 2 + Bent.apply(w).sum() + model[2].bias.square()

    batch = torch.randn(6, 3, dtype=torch.float64), None
    before = [p.detach().clone() for p in model.parameters()]
    found = derivatives(model, Player(loss), batch)
    largest = max(abs(d.analytic) for d in found)
    assert {d.name: d.error(largest) > BAR for d in found} == {
        "0.weight": False,
        "0.bias": False,
        "2.weight": True,
        "2.bias": False,
    }
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_a_parameter_without_influence_has_no_error():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)).double()
    found = derivatives(
        model, Player(lambda m, b: m(b[0]).square().mean()), (torch.randn(6, 3, dtype=torch.float64), None)
    )
    bias = next(d for d in found if d.name == "0.bias")  # the norm takes it away
    assert abs(bias.analytic) < 1e-12
    assert bias.error(max(abs(d.analytic) for d in found)) < BAR


def test_the_command(cli, trained, monkeypatch):
    before = (trained / "weights.safetensors").read_bytes()
    code, out, _ = cli("check", trained)
    assert code == 0
    assert "the gradients are those of the loss" in out
    code, out, _ = cli("check", trained, "--json", "--samples", 4)
    found = json.loads(out)
    assert (code, found["agree"]) == (0, True)
    assert found["largest"] == max(p["error"] for p in found["parameters"]) <= found["allowed"]
    assert {p["name"] for p in found["parameters"]} == {f"net.{k}" for k in ("hidden.0.weight", "hidden.0.bias", "hidden.1.weight", "hidden.1.bias", "fc.weight", "fc.bias")}  # fmt: skip
    monkeypatch.setattr(module, "BAR", 0.0)
    code, out, _ = cli("check", trained)
    assert code == 3
    assert "NOT those of the loss" in out
    assert (trained / "weights.safetensors").read_bytes() == before


def test_what_cannot_be_checked(cli, trained, tiny):
    code, _, err = cli("check", trained, "--samples", 1)
    assert code == 2
    assert "--samples is 1" in err
    torch.manual_seed(0)
    with pytest.raises(Wrong, match="not finite|is nan") as caught:
        derivatives(
            nn.Linear(2, 1).double(),
            Player(lambda m, b: m(b[0]) * float("nan")),
            (torch.zeros(2, 2, dtype=torch.float64), None),
        )
    assert caught.value.code == 3
