"""F061: a loss that is not finite stops the run with player, step and samples; no NaN is ever written."""

import sys

import pytest
import torch
from running import whole
from safetensors.numpy import load_file
from torch import nn

from empirisk.folder import RunFolder


class Breaks(nn.Module):
    """Its answers are NaN from a given training step on."""

    def __init__(self, after):
        super().__init__()
        self.net, self.after, self.calls = nn.Linear(64, 2), after, 0

    def forward(self, x):
        self.calls += self.training
        y = self.net(x.flatten(1))
        return y * torch.nan if self.calls > self.after and self.training else y


def at_once(channels, classes):
    return Breaks(0)


def later(channels, classes):
    return Breaks(14)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "breaking", sys.modules[__name__])


def words(tiny, tmp_path, model, *more):
    return [
        "train",
        "classification",
        tiny / "spots.npz",
        "--model",
        model,
        "--batch",
        8,
        "--epochs",
        4,
        "--out",
        tmp_path / "run",
        *more,
    ]


def test_after_good_epochs_the_best_weights_stay(tiny, tmp_path):
    code, said = whole(words(tiny, tmp_path, "breaking:later"))
    assert code == 3, said
    assert "the loss of player 'loss' is not finite at step 14 (epoch 2" in said
    assert "samples train/" in said
    assert "--clip 1" in said
    assert "are kept in" in said
    assert "Traceback" not in said
    run = RunFolder(tmp_path / "run")
    assert (run.read()["status"], run.read()["reason"]) == ("failed", "divergence")
    assert len(run.read_history()) == 2
    for file in (tmp_path / "run").rglob("*.safetensors"):
        for name, tensor in load_file(file).items():
            assert not (tensor != tensor).any(), (file, name)
    assert run.weights.exists()
    assert "nan" not in run.path.joinpath("history.csv").read_text().casefold()
    assert whole(["predict", tmp_path / "run", tiny / "spots.npz"])[0] == 0


def test_in_the_first_step(tiny, tmp_path):
    code, said = whole(words(tiny, tmp_path, "breaking:at_once"))
    assert code == 3, said
    assert "is not finite at step 0 (epoch 0" in said
    run = RunFolder(tmp_path / "run")
    assert run.read()["status"] == "failed"
    assert not run.weights.exists()
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_a_step_length_of_no_sense(tiny, tmp_path):
    code, said = whole(words(tiny, tmp_path, "mlp", "--optimizer", "sgd", "--lr", "1e38", "--schedule", "constant"))
    assert code == 3, said
    assert "not finite" in said
    assert "smaller --lr" in said
    for file in (tmp_path / "run").rglob("*.safetensors"):
        for tensor in load_file(file).values():
            assert not (tensor != tensor).any()
