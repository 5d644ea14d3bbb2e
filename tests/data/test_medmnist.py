"""Archives of images and labels: any set, 2D and 3D, grey and colour, any size, given by path alone."""

from pathlib import Path

import numpy as np
import pytest

from empirisk.data.forms import Columns, table
from empirisk.data.medmnist import _SETS, known
from empirisk.errors import Wrong

RNG = np.random.default_rng(0)


def archive(path: Path, shape: tuple[int, ...], labels: np.ndarray, dtype: str = "uint8") -> Path:
    """Three parts, the labels shared out 6 : 2 : rest."""
    some = {}
    for part, y in zip(("train", "val", "test"), np.split(labels, [6, 8]), strict=True):
        some[f"{part}_images"] = (RNG.random((len(y), *shape)) * 255).astype(dtype)
        some[f"{part}_labels"] = y
    np.savez_compressed(path, **some)
    return path


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28), (1, 28, 28)), ((28, 28, 3), (3, 28, 28)), ((28, 28, 28), (1, 28, 28, 28)), ((64, 64), (1, 64, 64)),
        ((3, 32, 24), (3, 32, 24)), ((28, 28, 28, 1), (1, 28, 28, 28)), ((16, 20, 24, 3), (3, 16, 20, 24)), ((7,), (7,)),
    ],
)  # fmt: skip
def test_every_shape(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]):
    found = table(archive(tmp_path / "ours.npz", shape, np.arange(10)[:, None] % 3))
    x = found.rows[0]["x"].read()
    assert x.shape == expected
    assert x.dtype == (np.float32 if len(shape) == 1 else np.uint8)
    assert [r["part"] for r in found.rows] == ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    assert found.rows[7]["id"] == "val/1"
    assert found.classes == ("0", "1", "2")
    assert found.rows[4]["label"] == "1"
    assert found.rows[4]["target"] == 1.0
    assert found.split_given
    assert not found.patients_known


def test_pixels_come_back(tmp_path: Path):
    path = archive(tmp_path / "x.npz", (5, 6, 3), np.arange(10) % 2)
    with np.load(path) as z:
        assert np.array_equal(table(path).rows[8]["x"].read(), z["test_images"][0].transpose(2, 0, 1))


def test_the_type_is_that_of_training(tmp_path: Path):
    def saved(train: np.ndarray, test: np.ndarray) -> Path:
        np.savez(tmp_path / "x.npz", train_images=train, test_images=test, train_labels=[0, 1], test_labels=[0, 1])
        return tmp_path / "x.npz"

    a = np.arange(32).reshape(2, 4, 4)
    assert table(saved(a, a)).rows[0]["x"].read().dtype == np.uint8
    assert table(saved(a + 300, a)).rows[2]["x"].read().dtype == np.uint16
    assert table(saved(a - 9, a)).rows[0]["x"].read().dtype == np.float32
    assert table(saved(a / 7, a)).rows[0]["x"].read().dtype == np.float32
    assert set(np.unique(table(saved(a > 3, a > 3)).rows[0]["x"].read())) == {0, 255}
    with pytest.raises(Wrong, match="beyond"):
        table(saved(a, a + 300))
    with pytest.raises(Wrong, match="not finite"):
        table(saved(a / 7, np.full((2, 4, 4), np.nan)))


def test_names_of_a_published_set(tmp_path: Path):
    found = table(archive(tmp_path / "bloodmnist_64.npz", (64, 64, 3), np.arange(10) % 8))
    assert found.classes[:2] == ("basophil", "eosinophil")
    assert len(found.classes) == 8
    assert found.rows[1]["label"] == "eosinophil"
    assert found.licence == "CC BY 4.0"
    assert "Yang" in found.source
    other = table(archive(tmp_path / "breastmnist.npz", (28, 28), np.arange(10) % 3))
    assert other.classes == ("0", "1", "2")
    assert "not those of BreastMNIST" in other.odd[0]


def test_eighteen_sets_each_with_unique_names_without_commas():
    assert len(_SETS) == 18
    for stem in _SETS:
        set_ = known(f"{stem}_224")
        assert set_ is not None
        assert len(set(set_.classes)) == len(set_.classes) > 1
        assert not any(c in name for name in set_.classes for c in ",()|=")
    assert known("chestmnist") and len(known("chestmnist").classes) == 14


def test_several_labels(tmp_path: Path):
    y = (RNG.random((10, 14)) < 0.3).astype(np.uint8)
    y[0] = 0
    y[1] = [1, 0] * 7
    found = table(archive(tmp_path / "chestmnist.npz", (28, 28), y))
    assert found.rows[0]["label"] == ()
    assert found.rows[1]["label"] == tuple(found.classes[::2])
    assert "target" not in found.rows[0]
    with pytest.raises(Wrong, match="0 or 1"):
        table(archive(tmp_path / "x.npz", (28, 28), y * 2))


def test_numbers_as_labels(tmp_path: Path):
    y = np.linspace(0, 1, 10)
    y[3] = np.nan
    found = table(archive(tmp_path / "x.npz", (8, 8), y))
    assert found.rows[9]["target"] == 1.0
    assert "label" not in found.rows[9]
    assert "target" not in found.rows[3]
    assert "1 rows have no label" in found.odd[0]
    whole = table(archive(tmp_path / "y.npz", (8, 8), np.arange(10.0)[:, None] % 2))
    assert (whole.rows[1]["label"], whole.rows[1]["target"]) == ("1", 1.0)


def test_classes_and_rename_go_by_name_or_stored_number(tmp_path: Path):
    path = archive(tmp_path / "ours.npz", (8, 8), np.arange(10) % 3)
    told = table(path, Columns(classes="benign,malignant,normal"))
    assert told.classes == ("benign", "malignant", "normal")
    assert told.rows[1]["label"] == "malignant"
    assert table(path, Columns(classes="2,0,1")).classes == ("2", "0", "1")
    assert table(path, Columns(rename="0=a,1=b,2=b")).classes == ("a", "b")
    known_ = archive(tmp_path / "pneumoniamnist.npz", (8, 8), np.arange(10) % 2)
    turned = table(known_, Columns(classes="pneumonia,normal"))
    assert turned.classes == ("pneumonia", "normal")
    assert turned.rows[1]["label"] == "pneumonia"  # the order changes, never the meaning
    assert table(known_, Columns(classes="1,0")).classes == ("pneumonia", "normal")
    for wrong in ("normal,pneumona", "a,b,c", "normal,sick"):
        with pytest.raises(Wrong, match="classes"):
            table(known_, Columns(classes=wrong))
    with pytest.raises(Wrong, match='no label is "pneumona"') as caught:
        table(known_, Columns(rename="pneumona=sick"))
    assert "pneumonia" in caught.value.remedy


def test_classes_are_those_of_training_whatever_is_held_out(tmp_path: Path):
    y = np.array([0, 1] * 4 + [5, 1])
    found = table(archive(tmp_path / "x.npz", (8, 8), y))
    assert found.classes == ("0", "1")
    assert found.rows[8]["label"] == "5"


def test_without_parts_without_labels_without_a_part(tmp_path: Path):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=[0, 1, 0, 1])
    found = table(tmp_path / "a.npz")
    assert not found.split_given
    assert {r["part"] for r in found.rows} == {"new"}
    np.savez(tmp_path / "b.npz", test_images=np.zeros((4, 8, 8), np.uint8))
    assert "label" not in table(tmp_path / "b.npz").rows[0]
    path = archive(tmp_path / "c.npz", (8, 8), np.arange(8) % 2)  # no test rows
    assert {r["part"] for r in table(path).rows} == {"train", "val"}
    assert {r["part"] for r in table(path, Columns(split="none")).rows} == {"new"}


@pytest.mark.parametrize(
    ("some", "message"),
    [
        ({"train_images": np.zeros((4, 8, 8), np.uint8), "train_labels": np.zeros(3, int)}, "4 images, but 3 labels"),
        ({"train_images": np.zeros((0, 8, 8), np.uint8), "train_labels": np.zeros(0, int)}, "no image"),
        ({"train_images": np.zeros(8, np.uint8), "train_labels": np.zeros(8, int)}, "shape"),
        ({"train_images": np.zeros((8, 0, 8), np.uint8), "train_labels": np.zeros(8, int)}, "shape"),
        ({"train_images": np.zeros((2, 8, 8), np.uint8), "train_labels": np.zeros((2, 3, 3), int)}, "labels of shape"),
        ({"train_images": np.zeros((2, 8, 8), np.uint8), "train_labels": np.array([0, np.inf])}, "not finite"),
        ({"x": np.zeros((2, 8, 8), np.uint8)}, "no train_images"),
        (
            {"train_images": np.zeros((2, 8, 8), np.uint8), "test_images": np.zeros((2, 9, 8), np.uint8)},
            "parts of unequal shape",
        ),
    ],
)
def test_refusals(tmp_path: Path, some: dict[str, np.ndarray], message: str):
    np.savez(tmp_path / "x.npz", **some)
    with pytest.raises(Wrong, match=message) as caught:
        table(tmp_path / "x.npz")
    assert caught.value.code == 2
    assert "x.npz" in str(caught.value)


@pytest.mark.data
@pytest.mark.parametrize(
    ("stem", "counts", "first"),
    [("pneumoniamnist", [4708, 524, 624], "normal"), ("breastmnist", [546, 78, 156], "malignant")],
)
def test_the_published_files(real_data: Path, stem: str, counts: list[int], first: str):
    found = table(real_data / "medmnist" / f"{stem}.npz")
    assert [sum(r["part"] == p for r in found.rows) for p in ("train", "val", "test")] == counts
    assert found.classes[0] == first
    assert found.odd == []
    with np.load(real_data / "medmnist" / f"{stem}.npz") as z:
        rows = [r for r in found.rows if r["part"] == "test"]
        assert np.array_equal(np.stack([r["x"].read()[0] for r in rows]), z["test_images"])
        assert [found.classes.index(r["label"]) for r in rows] == z["test_labels"][:, 0].tolist()
