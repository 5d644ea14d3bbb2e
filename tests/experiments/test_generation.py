"""A game in a run: both players are followed, the last epoch is kept; patches of pictures, and volumes of unlike units, in a run."""

import json
import math

import nibabel
import numpy as np
import pytest
from PIL import Image

import empirisk as er
from empirisk.generative import judge as judges
from empirisk.generative.judge import Protocol
from empirisk.verbs.say import Say


def test_a_game_follows_its_players_and_keeps_its_last_epoch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judges, "STEPS", 8)
    e = er.generation("phantom:images=160,size=12", model="gan", codes=4, width=8, epochs=3, batch=16)
    run = er.train(e, tmp_path / "run", say=Say())
    assert "epoch 3, the last" in capsys.readouterr().out
    rows = run.folder.read_history()
    assert all(0 < row["D(x)"] < 1 and 0 < row["D(G(z))"] < 1 for row in rows)
    assert all(math.isfinite(row["discriminator"]) and row["generator"] > 0 for row in rows)
    assert "val" not in rows[0]
    assert run.folder.read()["kept"]["epoch"] == 2
    page = run.folder.report.read_text()
    for title in (
        "Losses of the players",
        "Followed on validation",
        "What the discriminator says",
        "Nearest to a training image",
    ):
        assert title in page
    metrics = run.folder.metrics()
    assert list(metrics["baseline"]) == ["noise", "gaussian", "mixture", "floor"]
    assert list(metrics["difference"]) == ["noise", "gaussian", "mixture"]  # of the floor there are fewer images
    assert "encoder" in metrics["val"]["frechet"]["method"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 60 pictures of three sizes: colour, colour with an alpha channel, grey; each a blob on its own ground."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(60):
        h, w = [(24, 24), (30, 20), (40, 26)][i % 3]
        y, x = np.mgrid[:h, :w] - rng.uniform(8, 16, 2)[:, None, None]
        blob = np.exp(-(y**2 + x**2) / 40)[..., None] * rng.uniform(60, 150, 3) + rng.uniform(0, 90, 3)
        mode = ("RGB", "RGBA", "L")[i // 3 % 3]
        a = (blob + rng.normal(0, 3, blob.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(a).convert(mode).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def of_patches(pictures, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "STEPS", 8)
        patch.setattr(judges, "IMAGES", 400)
        e = er.generation(str(pictures), patch=8, codes=4, width=8, epochs=1)
        return er.train(e, tmp_path_factory.mktemp("of_patches") / "run", say=Say(quiet=True))


def test_patches_of_pictures_are_what_is_learned_judged_and_compared_with(of_patches):
    e = of_patches.experiment()
    card, rows = e.data.card(), e.data.prepared().rows
    assert (card.size, card.channels, card.range) == ((8, 8), 3, 255)
    assert 60 * 4 < len(rows) <= 60 * 8
    assert len({r["id"] for r in rows}) == len(rows)
    parts = {}
    for row in rows:
        parts.setdefault(row["patient"], set()).add((row["part"], row["why"]))
        assert row["x"].read().shape[1:] == (8, 8)
        assert card.read(row).shape == (3, 8, 8)
    assert all(
        len(found) == 1 for found in parts.values()
    )  # the patches of a picture teach, judge or are kept apart together
    known = of_patches.folder.read()["learned"]["protocol"]
    assert (known["train"], known["reference"]) == (len(e.data.rows("train")), len(e.data.kept_apart()))
    assert of_patches.folder.metrics()["val"]["frechet"]["n"] == len(e.data.rows("val"))
    page = of_patches.folder.report.read_text()
    assert "Patients are unknown" in page
    assert "patients, the frechet is" not in page


def test_such_a_run_is_tested_samples_and_answers_for_patches_of_new_pictures(of_patches, pictures, cli):
    run, some = of_patches.path, pictures / "01.png"
    assert cli("test", run)[0] == 0
    code, out, err = cli("sample", run, "-n", 3, "--json")
    assert code == 0, err
    for file in json.loads(out)["files"]:
        image = Image.open(file)
        assert (image.size, image.mode) == ((8, 8), "RGB")
        assert image.text["Description"].startswith("synthetic")
    code, out, err = cli("predict", run, some, "--json")
    assert code == 0, err
    assert len(out.split(f"{some} patch ")) == 9
    assert cli("report", run)[0] == 0


def test_other_data_of_fewer_images_than_the_measure_needs_are_refused_with_the_number(of_patches, pictures, cli):
    before, protocol = of_patches.folder.metrics(), Protocol(**of_patches.folder.read()["learned"]["protocol"])
    each, needed = protocol.each, max(2, math.ceil((protocol.features + 1) / protocol.each))
    code, _, err = cli("test", of_patches.path, "--data", pictures / "01.png")
    assert code == 2
    what = f"needs {needed} images that bring {each} new ones each, of 2 patients or more: here are 8, of 1"
    assert what in " ".join(err.split())
    assert f"give {needed} images or more" in err
    assert of_patches.folder.metrics() == before
    assert cli("test", of_patches.path, "--data", pictures)[0] == 0


def test_volumes_whose_units_differ_are_each_brought_to_their_own(tmp_path, monkeypatch, cli):
    monkeypatch.setattr(judges, "STEPS", 2)
    monkeypatch.setattr(judges, "IMAGES", 400)
    rng = np.random.default_rng(0)
    for i in range(60):
        x = (rng.normal(size=(8, 9, 10)) * 10 ** rng.uniform(0, 4)).astype(np.float32)
        (tmp_path / "data").mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(x, np.diag([1.0, 1.0, 1.0, 1.0])), tmp_path / "data" / f"v{i:02d}.nii.gz")
    words = ("--model", "vae", "--size", 8, "--codes", 4, "--width", 8, "--epochs", 1, "--out", tmp_path / "run")
    code, _, err = cli("train", "generation", tmp_path / "data", *words)
    assert code == 0, err
    card = er.load(tmp_path / "run").experiment().data.card()
    assert card.alone
    assert max(card.size) == 8
    assert cli("test", tmp_path / "run")[0] == 0
    assert cli("sample", tmp_path / "run", "-n", 1)[0] == 0
    (file,) = (tmp_path / "run" / "samples").iterdir()
    volume = nibabel.load(file)
    assert bytes(volume.header["descrip"]).startswith(b"synthetic")
    assert np.abs(volume.get_fdata()).max() < 10  # in deviations of its own
