"""Images beside label maps, and Decathlon folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from imaging import decathlon, nifti, picture
from PIL import Image

from empirisk.data.forms import Columns, table
from empirisk.errors import Wrong


def pair(folder: Path, name: str, labels: np.ndarray, under: str = "labels") -> None:
    picture(folder / "images" / f"{name}.jpg", labels.shape, 9)
    (folder / under / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(folder / under / f"{name}.png")


def test_equal_names_make_a_pair(tmp_path: Path):
    for k in range(3):
        labels = np.zeros((6, 7), np.uint16)
        labels[k, :] = 300 + k
        pair(tmp_path, f"P{k}_a", labels, "Masks")
    picture(tmp_path / "images" / "P9_alone.png")
    picture(tmp_path / "Masks" / "lost.png")
    found = table(tmp_path)
    assert [r["id"] for r in found.rows] == ["P0_a", "P1_a", "P2_a", "P9_alone"]
    assert [r["patient"] for r in found.rows] == ["P0", "P1", "P2", "P9"]
    assert found.rows[1]["mask"].read()[1].tolist() == [301] * 7
    assert found.rows[0]["mask"].geometry() is None
    assert "mask" not in found.rows[3]
    assert "label" not in found.rows[0]
    assert found.form == "images and label maps"
    assert "1 images have no label map: P9_alone" in found.odd
    assert "1 label maps have no image: lost" in found.odd
    assert {what: text for what, text, _ in found.understood}["masks"] == "3 label maps, of numbers 300, 301, 302"
    assert found.classes == ()
    assert table(tmp_path, Columns(classes="a,b")).classes == ("a", "b")


def test_parts_are_told_by_folders_on_either_side(tmp_path: Path):
    for name in ("images/train/1.png", "labels/train/1.png", "test/images/2.png", "test/labels/2.png"):
        picture(tmp_path / name)
    found = table(tmp_path)
    assert {r["id"]: r["part"] for r in found.rows} == {"train/1": "train", "test/2": "test"}
    assert found.split_given
    assert {r["part"] for r in table(tmp_path, Columns(split="none")).rows} == {"new"}


def test_two_images_of_one_name_are_refused(tmp_path: Path):
    for name in ("images/1.png", "images/1.jpg", "labels/1.png"):
        picture(tmp_path / name)
    with pytest.raises(Wrong, match=r"two files of one name: images/1\.jpg, images/1\.png"):
        table(tmp_path)


def test_a_decathlon_folder(tmp_path: Path):
    found = table(decathlon(tmp_path))
    assert (found.name, found.licence, found.source, found.form) == ("Blobs", "CC0", "nobody", "Decathlon folder")
    assert found.classes == ("head", "tail")
    assert found.patients_known
    row = found.rows[2]
    assert (row["id"], row["patient"], row["part"]) == ("case_2", "case_2", "new")
    assert row.get("label") is None
    assert row["x"].read().shape == (1, 8, 7, 6)
    assert row["mask"].read().shape == (8, 7, 6)
    assert (row["volume"], row["volume/head"], row["volume/tail"]) == ("30", "18", "12")  # voxels of 6 mm3
    assert "target" not in row
    assert found.odd == ["1 test images have no label map and are left out"]
    assert "4 volumes, float grey, 8x7x6, CT" in {what: text for what, text, _ in found.understood}["images"]


def test_a_volume_can_be_the_target(tmp_path: Path):
    decathlon(tmp_path)
    assert [r["target"] for r in table(tmp_path, Columns(target="volume")).rows] == [18, 24, 30, 36]
    assert [r["target"] for r in table(tmp_path, Columns(target="volume/tail")).rows] == [12] * 4
    with pytest.raises(Wrong, match='no column is called "volumes"') as caught:
        table(tmp_path, Columns(target="volumes"))
    assert "volume" in caught.value.remedy


@pytest.mark.parametrize(
    ("about", "word"),
    [
        ({"labels": {"0": "background", "2": "b"}}, "are not 0, 1, 2"),
        ({"labels": {"0": "background", "1": "b"}}, "has the value 2"),
        ({"training": [{"image": "../x.nii", "label": "y.nii"}]}, "outside of its folder"),
        ({"training": []}, "is empty"),
        ({"training": [{"image": "x.nii"}]}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_dataset_json_that_is_none(tmp_path: Path, about: dict, word: str):
    with pytest.raises(Wrong, match=word) as caught:
        table(decathlon(tmp_path, **about))
    assert caught.value.code == 2


def test_channels_of_a_case(tmp_path: Path):
    decathlon(tmp_path, n=3)
    for k in range(3):
        nifti(tmp_path / "imagesTr" / f"case_{k}.nii.gz", np.ones((6, 7, 8, 2), np.float32))
    found = table(tmp_path)
    assert found.rows[0]["x"].read().shape == (2, 8, 7, 6)
    assert "2 channels" in {what: text for what, text, _ in found.understood}["images"]


@pytest.mark.data
def test_the_hippocampus(real_data: Path):
    found = table(real_data / "hippocampus", Columns(target="volume"))
    assert len(found.rows) == 200
    assert found.classes == ("Anterior", "Posterior")
    assert (found.name, found.licence) == ("Hippocampus", "CC-BY-SA 4.0")
    first = json.loads((real_data / "hippocampus" / "dataset.json").read_text())["training"][0]["image"]
    row = found.rows[0]
    assert first.endswith(f"{row['id']}.nii.gz")
    assert row["target"] == (row["mask"].read() > 0).sum()  # 1 mm3 voxels
    assert row["x"].geometry().spacing == (1.0, 1.0, 1.0)
    assert found.odd == []


@pytest.mark.data
def test_the_nuclei(real_data: Path):
    found = table(real_data / "dsb2018")
    assert len(found.rows) == 664
    assert all("mask" in r for r in found.rows)
    sizes = {r["mask"].read().shape for r in found.rows[:20]}
    assert (256, 256) in sizes
