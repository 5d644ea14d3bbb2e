"""apply from the command line: what it writes and says, and what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from empirisk import cli
from empirisk.data.reconstructed import Images
from empirisk.data.table import Data
from empirisk.data.targets import Classes
from empirisk.experiment import Experiment
from empirisk.folder import RunFolder
from empirisk.generative.diffusion import ddpm
from empirisk.models import build
from empirisk.recipe import Recipe
from empirisk.tasks import classification as tasks
from empirisk.verbs import apply as verb

PHANTOM = "phantom:images=60,size=16"


class Opened:
    """A run whose model was never trained."""

    def __init__(self, path, model=None, data=PHANTOM):
        self.path, self.folder, self.model, self.data = path, RunFolder(path), model, data

    def experiment(self):
        data = Data(self.data)
        card, classes = data.card(), data.learn(Classes, data.class_names())
        model = self.model or ddpm(card, Images(0.0, 1.0), 1, width=4).model
        return Experiment(data.as_pairs(classes), model, tasks.classification(classes), [], Recipe())


@pytest.fixture
def run(tmp_path, monkeypatch):
    opened = Opened(tmp_path / "run")
    monkeypatch.setattr(verb, "load", lambda path: opened)
    return opened


def said(capsys, *words):
    code = cli.run(["apply", *map(str, words)])
    both = capsys.readouterr()
    assert "Traceback" not in both.err
    return code, both.out + both.err


@pytest.mark.parametrize(
    ("words", "rivals"),
    [
        (("inpaint",), {"mean", "input", "gaussian"}), (("restore",), {"mean", "input", "tv", "wiener"}),
        (("restore", "--operator", "half"), {"mean", "input", "gaussian"}),
    ],
)  # fmt: skip
def test_scores_beside_closed_forms_and_pictures_that_say_what_they_are(run, capsys, words, rivals):
    use, *more = words
    code, text = said(capsys, run.path, use, PHANTOM, "--limit", 6, "--steps", 2, *more)
    assert code == 0, text
    scores = json.loads((run.path / "apply" / use / "metrics.json").read_text())
    for found in (scores, *scores["baseline"].values()):
        assert {"value", "low", "high", "n", "unit", "method"} <= found["psnr"].keys()
        assert found["psnr"]["n"] == 6
    assert set(scores["baseline"]) == rivals
    assert set(scores["difference"]) == rivals
    gap = scores["difference"]["input"]["psnr"]["value"]
    assert gap == pytest.approx(scores["psnr"]["value"] - scores["baseline"]["input"]["psnr"]["value"])
    assert f"{'better' if gap > 0 else 'worse'} than input by" in text or "a tie with input" in text
    files = sorted((run.path / "apply" / use).glob("*.png"))
    assert len(files) == 6
    with Image.open(files[0]) as picture:
        assert picture.size == (4 * 16, 16)
        assert picture.text["Description"].startswith("synthetic")


def test_the_first_validation_images_of_its_own_set_are_taken(run, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(
        verb,
        "pictures",
        lambda folder, rows, states, model: seen.extend(r["part"] for r in rows) or folder.mkdir(parents=True),
    )
    assert said(capsys, run.path, "anomaly", PHANTOM, "--limit", 2, "--steps", 1)[0] == 0
    assert seen == ["val", "val"]


def test_anomaly_scores_pixels_where_masks_are_known(run, capsys):
    code, text = said(capsys, run.path, "anomaly", PHANTOM, "--limit", 4, "--steps", 2, "--json")
    assert code == 0, text
    scores = json.loads((run.path / "apply/anomaly/metrics.json").read_text())
    assert 0 <= scores["pixel_auc"]["value"] <= 1
    assert scores["difference"]["value"] > 0


def test_a_picture_alone_is_enough(run, capsys, tmp_path):
    Image.fromarray(np.full((16, 16), 90, np.uint8)).save(tmp_path / "one.png")
    code, text = said(capsys, run.path, "restore", tmp_path / "one.png", "--steps", 1)
    assert code == 0, text
    assert len(list((run.path / "apply/restore").glob("*.png"))) == 1


def test_without_the_training_images_the_closed_forms_are_left_out_and_it_says_so(run, capsys, monkeypatch):
    from empirisk.errors import Wrong

    def gone(*args):
        raise Wrong("phantom is not there")

    e = run.experiment()
    monkeypatch.setattr(run, "experiment", lambda: e)
    rows = e.data.rows("val")
    monkeypatch.setattr(verb, "chosen", lambda *args: rows[:2])
    monkeypatch.setattr(Data, "rows", gone)
    code, text = said(capsys, run.path, "restore", PHANTOM, "--steps", 1)
    assert code == 0, text
    assert "the training images are gone" in text
    assert "baseline" not in json.loads((run.path / "apply/restore/metrics.json").read_text())


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("inpaint", PHANTOM, "--steps", "0"), "--steps is 0"), (("anomaly", PHANTOM, "--limit", "0"), "--limit is 0"),
        (("restore", PHANTOM, "--mask", "center"), "--mask is for inpaint, not for restore"),
        (("inpaint", PHANTOM, "--operator", "half"), "--operator is for restore, not for inpaint"),
        (("inpaint", PHANTOM, "--mask", "nowhere.png"), "--mask nowhere.png is no file"),
        (("improve", PHANTOM), "improve"), (("inpaint", "nowhere.npz"), "nowhere.npz"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(run, capsys, words, wrong):
    code, text = said(capsys, run.path, *words)
    assert code == 2
    assert wrong in text
    assert not (run.path / "apply").exists()


@pytest.mark.parametrize(
    ("mask", "wrong"),
    [
        (np.ones((8, 16)), "the mask has 8 x 16 pixels, the images have 16 x 16"), (np.zeros((16, 16)), "marks nothing of the image"),
        (np.ones((16, 16)), "marks all of the image"),
    ],
)  # fmt: skip
def test_a_mask_of_another_shape_of_nothing_or_of_all_is_refused(run, capsys, tmp_path, mask, wrong):
    Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "mask.png")
    code, text = said(capsys, run.path, "inpaint", PHANTOM, "--mask", tmp_path / "mask.png")
    assert code == 2
    assert wrong in text


def test_a_mask_says_where_to_fill(run, capsys, tmp_path):
    mask = np.zeros((16, 16), np.uint8)
    mask[:4, :4] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    code, text = said(capsys, run.path, "inpaint", PHANTOM, "--mask", tmp_path / "mask.png", "--limit", 1, "--steps", 1)
    assert code == 0, text


def test_a_run_that_is_no_diffusion_model_is_refused(run, capsys):
    run.model = build("linear", channels=1, classes=2, dims=2, size=(16, 16))
    code, text = said(capsys, run.path, "restore", PHANTOM)
    assert code == 2
    assert "is no diffusion model" in text
    assert "--model ddpm" in text
