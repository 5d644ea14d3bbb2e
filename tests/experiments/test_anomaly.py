"""Anomalies from the command to the report: only normal images teach, strange ones score high, classes by name or number."""

import csv

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import empirisk as er
from empirisk.errors import Wrong
from empirisk.unsupervised.strange import SCORES
from empirisk.verbs.run import load
from empirisk.verbs.say import Say


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Smooth images, and of class 1 such with a patch of noise."""
    rng, out = np.random.default_rng(0), {}
    for part, n in (("train", 120), ("val", 60), ("test", 60)):
        base = 300 * gaussian_filter(rng.normal(size=(n, 16, 16)), (0, 3, 3)) + 128
        y = rng.permutation(np.arange(n) % 3 == 0).astype(np.uint8)
        for i in np.flatnonzero(y):
            a, b = rng.integers(0, 9, 2)
            base[i, a : a + 7, b : b + 7] += rng.normal(0, 40, (7, 7))
        noisy = base + rng.normal(0, 3, base.shape)
        out |= {f"{part}_images": noisy.clip(0, 255).astype(np.uint8), f"{part}_labels": y[:, None]}
    path = tmp_path_factory.mktemp("anomaly") / "ours.npz"
    np.savez(path, **out)
    return path


@pytest.fixture(scope="module")
def run(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("anomaly") / "run"
    return er.train(er.anomaly(str(archive), normal="0", width=8, epochs=4), out, say=Say(quiet=True))


def test_only_normal_images_teach_and_the_others_are_said(run):
    record = run.folder.read()
    assert record["data"]["n"]["train"] == {"0": 80}
    assert record["learned"]["count"]["rows"] == 80
    assert "40 training rows are left out: not 0" in " ".join(record["data"]["odd"])
    split = run.folder.read_split()
    assert sum(row["why"] == "not 0" for row in split.values()) == 40
    assert {row["part"] for row in split.values() if row["why"]} == {""}


def test_strange_images_score_high_by_a_score_chosen_without_them(run):
    val = run.folder.metrics()["val"]
    assert val["auc"]["value"] > 0.8
    assert [k for k in val if k.startswith("auc/")] == [f"auc/{name}" for name in SCORES]
    trust = run.experiment().model.trust
    chief = list(SCORES)[int(trust.argmax())]
    assert val["auc"] == val[f"auc/{chief}"]
    assert run.folder.metrics()["baseline"]["constant"]["auc"]["value"] == 0.5
    assert run.folder.metrics()["baseline"]["pixels"]["auc"]["value"] is not None


def test_all_scores_are_written_and_shown(run):
    with run.folder.prediction_file("val").open() as lines:
        cells = list(csv.DictReader(lines))
    assert list(cells[0]) == ["id", "patient", "target", "prediction", "score", *SCORES]
    assert {c["target"] for c in cells} == {"0", "1"}
    page = run.folder.report.read_text()
    for title in ("Every score", "Which score counts, and why", "Normal and not normal", "The strangest images"):
        assert title in page


def test_labels_of_the_abnormal_have_no_say(run, archive, tmp_path):
    """With the abnormal rows of validation under another name the same model is taught and kept."""
    arrays = dict(np.load(archive))
    for part in ("train", "val", "test"):
        arrays[f"{part}_labels"] = arrays[f"{part}_labels"] * 2
    (tmp_path / "other").mkdir()
    np.savez(tmp_path / "other/ours.npz", **arrays)
    e = er.anomaly(str(tmp_path / "other/ours.npz"), normal="0", width=8, epochs=4)
    again = er.train(e, tmp_path / "again", say=Say(quiet=True))
    assert again.folder.weights.read_bytes() == run.folder.weights.read_bytes()


def test_new_images_are_scored_without_data(run):
    said = load(run.path).predict(np.full((1, 16, 16), 128, np.uint8))
    assert np.isfinite(float(said[0]))
    assert set(said[0].more) == set(SCORES)


@pytest.mark.parametrize(
    ("data", "normal", "match"),
    [
        (None, "healthy", "no class is called"),
        (None, "7", "no class is called"),
        (None, None, "which class is normal"),
        ("phantom:images=24,size=16", "benign", "normal training images"),
        ("breast-cancer", "benign", "is for images"),
        ("curve", "0", "have no class"),
    ],
)
def test_what_cannot_be_is_refused(archive, data, normal, match):
    with pytest.raises(Wrong, match=match) as wrong:
        er.anomaly(data or str(archive), normal=normal)
    assert wrong.value.code == 2
    assert wrong.value.remedy
