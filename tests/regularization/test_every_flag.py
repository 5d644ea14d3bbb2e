"""Every flag that is given is read; every strength of 0 leaves loss and trajectory as they were, to the byte."""

from typing import Any

import pytest
import torch

import empirisk as er
from empirisk import erm
from empirisk.errors import Wrong
from empirisk.recipe import Recipe, Regularization
from empirisk.regularization import dropped, regularised, terms

GIVEN: dict[str, Any] = {
    "augment": "flip", "dropout": 0.3, "spatial_dropout": 0.2, "stochastic_depth": 0.5, "l1": 0.1, "l2": 0.1, "input_noise": 0.2,
    "weight_noise": 0.05, "adversarial": 0.02, "mixup": 0.4, "weight_decay": 0.5, "ema": 0.5, "clip": 0.01, "optimizer": "nesterov",
    "schedule": "step",
}  # fmt: skip
OFF: dict[str, Any] = {
    "dropout": 0.0, "spatial_dropout": 0.0, "stochastic_depth": 0.0, "l1": 0.0, "l2": 0.0, "input_noise": 0.0, "weight_noise": 0.0,
    "adversarial": 0.0, "mixup": 0.0,
}  # fmt: skip
PLAIN = {"augment": "none", "model": "resnet18", "width": 4, "batch": 24, "weight_decay": 0.0, "ema": 0.0}


def kept(tiny, name: str, **flags: Any) -> dict[str, torch.Tensor]:
    """Weights that a few steps keep."""
    data = {"classification": "spots.npz", "regression": "ordinal.npz"}[name]
    e = getattr(er, name)(str(tiny / data), **(PLAIN | flags))
    stream = e.data.stream(batch=24, seed=0, device=torch.device("cpu"))
    fitted = erm.fit(
        e.model, stream, e.players, recipe=e.recipe, lr=e.recipe.lr, steps=3, evaluate=lambda m: {}, watch=None
    )
    return fitted.kept.kept


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module", params=["classification", "regression"])
def plain(request, tiny):
    return request.param, kept(tiny, request.param)


@pytest.mark.parametrize("flag", GIVEN)
def test_a_flag_that_is_given_is_read(plain, tiny, flag):
    name, weights = plain
    assert not same(weights, kept(tiny, name, **{flag: GIVEN[flag]}))


def test_strengths_of_0_change_no_byte(plain, tiny):
    name, weights = plain
    assert same(weights, kept(tiny, name, **OFF))


@pytest.mark.parametrize("flag", ["label_smoothing", "focal"])
def test_flags_of_classification(tiny, flag):
    weights = kept(tiny, "classification")
    assert same(weights, kept(tiny, "classification", **{flag: 0.0}))
    assert not same(weights, kept(tiny, "classification", **{flag: 0.3}))


def test_more_steps_of_the_adversary_are_taken(tiny):
    one, three = (kept(tiny, "classification", adversarial=0.02, adversarial_steps=n) for n in (1, 3))
    assert not same(one, three)


def test_nothing_asked_for_is_the_very_same_loss_and_model():
    def loss(model, batch):
        return batch

    model = torch.nn.Linear(1, 1)
    assert regularised(loss, Regularization()) is loss
    assert dropped(model, Regularization()) is model
    assert terms.mixup(loss, 0.0) is loss


@pytest.mark.parametrize(
    ("flag", "value"),
    [(f, v) for f in ("dropout", "spatial_dropout", "stochastic_depth") for v in (-0.1, 1.0, float("nan"))]
    + [(f, v) for f in ("l2", "input_noise", "weight_noise", "adversarial") for v in (-0.1, float("inf"), float("nan"))]
    + [("adversarial_steps", 0), ("adversarial_steps", 3)],
)
def test_values_that_cannot_be_meant_name_the_flag(flag, value):
    with pytest.raises(Wrong, match="--" + flag.replace("_", "-")) as caught:
        Regularization(**{flag: value})
    assert caught.value.code == 2


def test_l1_that_cannot_be_meant():
    with pytest.raises(Wrong, match="--l1 is -1"):
        Recipe(l1=-1)
