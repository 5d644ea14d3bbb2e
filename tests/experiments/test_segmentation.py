"""What belongs to segmentation alone; what all experiments share is tried for all at once."""

import csv
import json
import shutil

import nibabel
import numpy as np
import pytest
from PIL import Image

import empirisk as er
from empirisk.data.tones import Invert
from empirisk.folder import RunFolder
from empirisk.folder import tensors as codec
from empirisk.verbs.run import answer, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 pictures of unequal sizes with bright discs, each its own number in the label map."""
    out, rng = tmp_path_factory.mktemp("cells"), np.random.default_rng(0)
    for name in ("images", "labels"):
        (out / name).mkdir()
    for i in range(24):
        size = (40, 48) if i % 3 else (64, 40)
        y, x = np.ogrid[: size[0], : size[1]]
        labels = np.zeros(size, np.uint16)
        for k in range(1, 4 if i else 25):
            at, radius = rng.uniform(6, np.array(size) - 6), rng.uniform(4, 6) if i else 1.5
            labels[((y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2) & (labels == 0)] = k
        image = 60 + 90 * (labels > 0) + rng.normal(0, 6, size)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(out / "images" / f"c{i:02d}.png")
        Image.fromarray(labels).save(out / "labels" / f"c{i:02d}.png")
    return out


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run on it whose labels count things."""
    out = tmp_path_factory.mktemp("runs") / "cells"
    e = er.segmentation(str(folder), instances=True, width=4, epochs=2, batch=8, augment="flip")
    return er.train(e, out)


def test_the_plan_is_said_and_kept(folder, cli, tmp_path):
    words = ("train", "segmentation", folder, "--width", "4", "--memory", ".05", "--dry-run", "--out", tmp_path / "r")
    code, said, err = cli(*words)
    assert code == 0, err
    assert "pixels as they are" in said
    whole = " ".join(said.replace("--size, --depth", "").split())
    assert "patches of 40x48, a third of them on a structure; 4 levels" in whole
    assert "GiB of activations a step" in said
    e = er.segmentation(str(folder), width=4, memory=0.05)
    assert e.data.plan.batch == e.recipe.batch
    assert e.data.facts["plan"]["patch"] == [40, 48]


def test_things_are_found_and_written_in_the_form_of_the_labels(run, folder):
    metrics = RunFolder(run.path).metrics()
    assert list(metrics["val"])[:2] == ["dice", "hd95"]
    assert {"ap", "ap50"} <= set(metrics["val"])
    assert set(metrics["baseline"]) == {"prior_map", "otsu"}
    with (run.path / "predictions" / "val.csv").open() as f:
        rows = list(csv.DictReader(f))
    for r in rows:
        found = np.asarray(Image.open(run.path / "predictions" / r["prediction"]))
        assert found.shape == np.asarray(Image.open(folder / "images" / f"{r['id']}.png")).shape
        assert len(np.unique(found)) - 1 == int(r["things"])
    e = run.experiment()
    shown = e.task.show(e, e.data.rows("val"), answer(e, e.data.rows("val")))
    assert [f.key for f in shown] == ["overlays", "dice-by-size"]


def test_a_new_picture_is_answered_on_its_own_grid_with_the_data_gone(run, tmp_path, cli):
    moved = tmp_path / "moved"
    shutil.copytree(run.path, moved)
    record = json.loads((moved / "run.json").read_text())
    record["arguments"]["data"] = str(tmp_path / "gone")
    (moved / "run.json").write_text(json.dumps(record))
    Image.fromarray(np.full((37, 71), 90, np.uint8)).save(tmp_path / "new.png")
    code, said, err = cli("predict", moved, tmp_path / "new.png", "--json")
    assert code == 0, err
    cells = json.loads(said)["rows"][0]
    assert np.asarray(Image.open(moved / "predictions" / cells["prediction"])).shape == (37, 71)
    assert cells["dice/foreground"] is None
    assert load(moved).predict(np.full((1, 20, 90), 90, np.uint8))[0].labels.shape == (20, 90)


def test_a_volume_goes_back_in_its_own_geometry(tmp_path, cli):
    """Decathlon form, two structures, voxels of 1 x 1 x 2 mm and one case of 1 x 1 x 1 mm."""
    rng, cases = np.random.default_rng(0), []
    for name in ("imagesTr", "labelsTr"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(12):
        size, mm = ((16, 18, 8), 2.0) if i else ((16, 18, 16), 1.0)
        labels = np.zeros(size, np.uint8)
        labels[4:12, 4:9, size[2] // 4 :], labels[4:12, 9:14, size[2] // 4 :] = 1, 2
        image = (1 + i) * (100 + 100.0 * labels + rng.normal(0, 10, size))
        affine = np.diag([-1, 1, mm, 1.0])
        for folder, array in (("imagesTr", image.astype(np.float32)), ("labelsTr", labels)):
            nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "set" / folder / f"case_{i:02d}.nii.gz")
        cases.append({"image": f"./imagesTr/case_{i:02d}.nii.gz", "label": f"./labelsTr/case_{i:02d}.nii.gz"})
    about = {"name": "Two", "labels": {"0": "background", "1": "front", "2": "back"}, "training": cases}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(about))
    e = er.segmentation(str(tmp_path / "set"), width=4, epochs=1, batch=4)
    assert e.data.plan.spacing == (2, 1, 1)  # the array's axes are the file's, turned over
    assert e.data.plan.alone
    assert e.data.kind.names == ("front", "back")
    run = er.train(e, tmp_path / "run")
    volume = tmp_path / "set" / "imagesTr" / "case_00.nii.gz"
    code, _, err = cli("predict", run.path, volume)
    assert code == 0, err
    (written,) = (run.path / "predictions").rglob("*imagesTr-case_00*.nii*")
    back, image = nibabel.load(written), nibabel.load(volume)
    assert np.array_equal(back.affine, image.affine)
    assert back.shape == image.shape


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("breast-cancer",), "segmentation needs images"),
        (("phantom:images=30,size=16", "--model", "resnet18"), "model resnet18 does not answer for each pixel"),
        (("phantom:images=30,size=16", "--encoder", "mlp"), "needs two or more"),
        (("phantom:images=30,size=16", "--memory", "1e-6"), "--memory 1e-06 GiB is too little"),
        (("phantom:images=30,size=16", "--depth", "1"), "--depth is 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli, words, said, tmp_path):
    code, _, err = cli("train", "segmentation", *words, "--dry-run", "--out", tmp_path / "r")
    assert code == 2
    assert said in err


def test_class_folders_are_told_what_they_are_good_for(cli, tiny):
    code, _, err = cli("train", "segmentation", tiny / "spots.npz", "--dry-run")
    assert code == 2
    assert "no training row has a mask" in err
    assert "empirisk train classification DATA" in err


def test_it_begins_at_given_weights_and_moves_the_last_layer_alone(cli, tmp_path):
    data, file = "phantom:images=24,size=16", tmp_path / "w.safetensors"
    first = er.segmentation(data, width=4).model
    file.write_bytes(b"".join(codec.dump(first.net.state_dict())))
    e = er.segmentation(data, width=4, seed=1, weights=str(file), freeze=True)
    assert e.begin is not None
    e.begin(e.model)
    for (name, theirs), mine in zip(first.net.state_dict().items(), e.model.net.state_dict().values(), strict=True):
        assert np.array_equal(mine, theirs), name
    assert {k for k, p in e.model.named_parameters() if p.requires_grad} == {"net.head.weight", "net.head.bias"}
    assert er.segmentation(data, width=4).begin is None
    code, _, err = cli("train", "segmentation", data, "--width", 8, "--weights", file, "--out", tmp_path / "r")
    assert code == 2
    assert "holds the weights of another architecture" in err
    assert "encoder.levels.0.conv1.weight: [4, 1, 3, 3], not [8, 1, 3, 3]" in err
    assert "--width, --depth" in err


def test_over_another_encoder_it_takes_a_step(tmp_path):
    e = er.segmentation("phantom:images=24,size=16", encoder="resnet18", width=4, epochs=1, batch=12)
    assert type(e.model.net.encoder).__name__ == "ResNet"
    er.train(e, tmp_path / "r")


def test_things_are_known_dark_on_light_where_training_has_them_light_on_dark(folder, tmp_path):
    negative = tmp_path / "negative"
    shutil.copytree(folder, negative)
    for file in (negative / "images").glob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    dice = {}
    for augment in ("flip,invert", "flip"):
        e = er.segmentation(str(folder), instances=True, width=8, epochs=4, batch=8, seed=1, augment=augment)
        run = er.train(e, tmp_path / augment)
        dice[augment] = run.test(str(negative))["dice"].value
    assert dice["flip,invert"] > 0.6 > 0.3 > dice["flip"]


def test_an_image_is_inverted_about_its_own_mean_where_it_is_brought_to_one(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "unlike")
    for file in sorted((tmp_path / "unlike" / "images").glob("*.png"))[::2]:
        Image.fromarray(np.asarray(Image.open(file)) // 8).save(file)
    for data, alone, about in ((folder, False, None), (tmp_path / "unlike", True, 0.0)):
        e = er.segmentation(str(data), width=4, augment="flip,affine,invert,noise")
        assert e.data.plan.alone is alone
        assert [tone.about for tone in e.data.change.tones if isinstance(tone, Invert)] == [about]


def test_pictures_whose_names_differ_by_their_ending_alone_are_answered_in_a_file_each(run, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    new = tmp_path / "new"
    new.mkdir()
    for name, size in (("a.png", (40, 48)), ("a.jpg", (48, 40))):
        Image.fromarray(np.full(size, 60, np.uint8)).save(new / name)
    code, said, err = cli("predict", run.path, new, "--json")
    assert code == 0, err
    files = {row["prediction"] for row in json.loads(said)["rows"]}
    assert {np.asarray(Image.open(run.path / "predictions" / f)).shape for f in files} == {(40, 48), (48, 40)}
