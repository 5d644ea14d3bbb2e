"""A number in mm from volumes: what the size of a crop would tell stays shut out."""

import json

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

import empirisk as er
from empirisk.data.card import Card
from empirisk.data.table import plain_fields

SIDES = range(8, 16)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Decathlon form: 120 volumes of nothing but noise, as large as the structure that their label maps mark is."""
    out, rng, cases = tmp_path_factory.mktemp("noise"), np.random.default_rng(0), []
    for i in range(120):
        side = SIDES[i % len(SIDES)]
        labels = np.zeros((side,) * 3, np.uint8)
        labels.flat[: 60 * side] = 1
        image = rng.normal(100, 20, labels.shape).astype(np.float32)
        for folder, array in (("imagesTr", image), ("labelsTr", labels)):
            (out / folder).mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), out / folder / f"c{i:03d}.nii")
        cases.append({"image": f"./imagesTr/c{i:03d}.nii", "label": f"./labelsTr/c{i:03d}.nii"})
    about = {"name": "Noise", "labels": {"0": "background", "1": "thing"}, "training": cases}
    (out / "dataset.json").write_text(json.dumps(about))
    return out


class Mean(nn.Module):
    def forward(self, x):
        return x.flatten(2).mean(2)


def finder(channels, classes):
    """A network that sees how rough an image is, and nothing else."""
    return nn.Sequential(nn.Conv3d(channels, 8, 3), nn.ReLU(), Mean(), nn.Linear(8, classes))


def learned(noise, out, **known):
    """R2 on validation of the network and of the ridge, and the card."""
    torch.set_num_threads(1)
    e = er.regression(
        str(noise), target="volume", model=finder, augment="none", lr=0.02, epochs=30, ema=0.0, precision="float32", known=known
    )  # fmt: skip
    metrics = er.train(e, out).folder.metrics()
    return metrics["val"]["r2"]["value"], metrics["baseline"]["linear"]["r2"]["value"], e.data.card()


def told(card, rows):
    """R2 of the target by left-out least squares on the deviation and the roughness of what the card gives."""
    y = np.array([r["target"] for r in rows])
    seen = [card.read(r)[0] for r in rows]
    z = np.array([[1, x.std(), *(np.abs(np.diff(x, axis=k)).mean() for k in range(3))] for x in seen])
    hat = z @ np.linalg.pinv(z)
    return 1 - np.sum(((y - hat @ y) / (1 - np.diag(hat))) ** 2) / np.sum((y - y.mean()) ** 2)


def test_resizing_tells_the_size_of_a_crop_and_a_window_does_not(noise):
    rows = er.regression(str(noise), target="volume", model=finder).data.rows("train")
    assert told(Card.learn(rows), rows) > 0.8  # the leak, were it open
    window = Card.learn(rows, measured=True)
    assert window.size == (min(SIDES),) * 3
    assert told(window, rows) < 0.1


def test_nothing_is_learned_from_noise_whose_size_is_the_target(noise, tmp_path):
    resized = Card.learn(er.regression(str(noise), target="volume", model=finder).data.rows("train"))
    network, _, card = learned(noise, tmp_path / "open", facts={"card": plain_fields(resized)})
    assert card.spacing == ()
    assert network > 0.5  # the leak is there to be found, and this network finds it
    network, ridge, card = learned(noise, tmp_path / "shut")
    assert card.spacing == (1, 1, 1)
    assert network < 0.2
    assert ridge < 0.2


def test_the_window_is_said(noise, cli):
    code, said, err = cli("train", "regression", noise, "--target", "volume", "--dry-run")
    assert code == 0, err
    assert "8x8x8" in said
    assert "a window of 1 x 1 x 1 mm voxels about the middle" in " ".join(said.split())
