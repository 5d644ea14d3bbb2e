"""Densities from the command to the report: known entropies are reached, flags of one model."""

import numpy as np
import pytest

import empirisk as er
from empirisk.errors import Wrong
from empirisk.verbs.say import Say

TWO = "breast-cancer:inputs=mean_area|mean_texture"


@pytest.mark.parametrize("model", ["mixture", "kernel"])
def test_of_a_uniform_number_the_log_likelihood_nears_minus_its_entropy(tmp_path, model):
    """x is uniform on [0, 1], so in deviations on a length of sqrt 12: -log sqrt 12 nats, which no density beats."""
    run = er.train(er.density("curve:train=1000", model=model), tmp_path / model, say=Say(quiet=True))
    said = run.folder.metrics()["val"]["log_likelihood"]["value"]
    assert -np.log(12) / 2 - 0.12 < said < -np.log(12) / 2 + 0.05
    gaussian = run.folder.metrics()["baseline"]["gaussian"]["log_likelihood"]["value"]
    assert gaussian == pytest.approx(-np.log(2 * np.pi * np.e) / 2, abs=0.05)
    page = run.folder.report.read_text()
    assert "The density" in page
    assert ("How many components" in page) == (model == "mixture")


def test_images_and_planes_are_drawn(tmp_path):
    run = er.train(
        er.density("phantom:images=150,size=16", codes=3, components=2), tmp_path / "images", say=Say(quiet=True)
    )
    assert "Least and most likely" in run.folder.report.read_text()
    run = er.train(er.density(TWO, model="kernel"), tmp_path / "plane", say=Say(quiet=True))
    assert "of the training rows lie" in run.folder.report.read_text()


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ({"model": "vine"}, "--model vine is unknown"),
        ({"model": "kernel", "components": 3}, "--components: model kernel has no components"),
        ({"components": 0}, "--components is 0"),
        ({"epochs": 3}, "--epochs: a mixture takes no steps"),
        ({"model": "kernel", "lr": 0.1}, "--lr: a kernel takes no steps"),
    ],
)
def test_flags_that_cannot_be_honoured_are_refused(flags, match):
    with pytest.raises(Wrong, match=match) as wrong:
        er.density(TWO, **flags)
    assert wrong.value.code == 2


def test_a_flow_of_one_number_is_refused():
    with pytest.raises(Wrong, match="two numbers"):
        er.density("curve", model="flow")
