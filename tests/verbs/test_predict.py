"""Answers need the run folder and nothing else, and do not depend on the form or the company of an image."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import empirisk as er
from empirisk.errors import Wrong


@pytest.fixture(scope="module")
def moved(trained, tmp_path_factory):
    """The run in another folder, its data named by a path that is no longer there."""
    folder = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(trained, folder)
    text = (folder / "run.json").read_text()
    record = json.loads(text)
    record["arguments"]["data"] = "/nowhere/spots.npz"
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8)


def table(folder, name):
    with (folder / "predictions" / f"{name}.csv").open(newline="") as f:
        return list(csv.DictReader(f))


def test_the_data_may_be_gone_and_the_run_moved(cli, moved, tmp_path):
    Image.fromarray(np.full((28, 28), 99, np.uint8)).save(tmp_path / "new.png")
    code, out, err = cli("predict", moved, tmp_path / "new.png")
    assert code == 0, err
    rows = table(moved, "new")
    assert list(rows[0]) == ["id", "patient", "target", "prediction", "0", "1"]
    assert len(rows) == 1
    assert rows[0]["target"] == ""
    assert float(rows[0]["0"]) + float(rows[0]["1"]) == pytest.approx(1)
    assert f"new.png  {rows[0]['prediction']} ." in out
    assert "Written" in out


def test_array_tensor_and_path_are_answered_alike(moved, images, tmp_path):
    run = er.load(moved)
    x = images[0]
    Image.fromarray(x[0]).save(tmp_path / "x.png")
    answers = [
        run.predict(given)[0].p
        for given in (x, x[0], torch.from_numpy(x), [x], str(tmp_path / "x.png"), tmp_path / "x.png")
    ]
    for p in answers[1:]:
        np.testing.assert_array_equal(p, answers[0])


def test_a_batch_of_1_and_of_64_agree(moved, images):
    run = er.load(moved)
    together = np.array([a.p for a in run.predict(list(images))])
    alone = np.array([run.predict(x)[0].p for x in images[:8]])
    np.testing.assert_allclose(alone, together[:8], rtol=0, atol=1e-6)


def test_16_bit_and_8_bit_of_one_picture_agree(moved, images, tmp_path):
    x = images[1, 0]
    Image.fromarray(x).save(tmp_path / "eight.png")
    Image.fromarray(x.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    run = er.load(moved)
    eight, sixteen = (run.predict(tmp_path / f"{n}.png")[0].p for n in ("eight", "sixteen"))
    np.testing.assert_allclose(eight, sixteen, atol=2e-3)


def test_a_folder_and_several_paths_are_named_after_their_folder(cli, moved, images, tmp_path):
    (tmp_path / "new").mkdir()
    for i in range(3):
        Image.fromarray(images[i, 0]).save(tmp_path / f"new/{i}.png")
    code, out, _ = cli("predict", moved, *sorted((tmp_path / "new").iterdir()), "--json")
    assert code == 0
    assert json.loads(out)["file"].endswith("predictions/new.csv")
    several = table(moved, "new")
    assert cli("predict", moved, tmp_path / "new")[0] == 0
    folder = table(moved, "new")
    assert [r["1"] for r in several] == [r["1"] for r in folder]
    assert len(folder) == 3


def test_an_archive_with_labels_brings_their_targets(cli, moved, tiny):
    code, out, _ = cli("predict", moved, tiny / "spots.npz")
    assert code == 0
    assert "and 84 more" in out
    rows = table(moved, "spots")
    assert {r["target"] for r in rows} == {"0", "1"}
    assert len(rows) == 96


def test_the_table_of_test_is_tests_alone(cli, moved, tmp_path, images):
    before = (moved / "predictions/test.csv").read_bytes()
    Image.fromarray(images[0, 0]).save(tmp_path / "test.png")
    code, out, err = cli("predict", moved, tmp_path / "test.png")
    assert code == 0, err
    assert (moved / "predictions/test.csv").read_bytes() == before


@pytest.mark.parametrize("shape", [(3, 8, 8, 8), (8,), (2, 2, 2, 2, 2)])
def test_an_array_of_another_shape_is_refused(moved, shape):
    with pytest.raises(Wrong, match="shape"):
        er.load(moved).predict([np.zeros(shape, np.uint8)])


def test_colour_is_refused_by_a_grey_model(cli, moved, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "c.png")
    code, _, err = cli("predict", moved, tmp_path / "c.png")
    assert code == 2
    assert "c.png" in err


def test_an_unreadable_picture_is_named_and_nothing_is_written(cli, moved, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    code, _, err = cli("predict", moved, tmp_path / "bad.png")
    assert code == 2
    assert "bad.png" in err
    assert not (moved / "predictions/bad.csv").exists()


def test_vectors_come_as_rows_of_a_table(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["id,a,b,y"] + [f"{i:03d},{i / 50},{(i * 7 % 50) / 50},{i / 25:.3f}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    code, _, err = cli("train", "regression", "t.csv", "--target", "y", "--epochs", 2, "--out", "run")
    assert code == 0, err
    (tmp_path / "new.csv").write_text("b,a\n.5,.25\n")  # other order, no target
    code, _, err = cli("predict", "run", "new.csv")
    assert code == 0, err
    rows = table(tmp_path / "run", "new")
    got = er.load("run").predict(np.array([0.25, 0.5], np.float32))[0]
    assert float(rows[0]["value"]) == pytest.approx(got, rel=1e-5)


def test_without_weights_it_says_to_train(cli, moved, tmp_path):
    shutil.copytree(moved, tmp_path / "run")
    (tmp_path / "run/weights.safetensors").unlink()
    code, _, err = cli("predict", tmp_path / "run", "x.png")
    assert code == 2
    assert "has no weights yet" in err
