"""Boxes as y and back: on the grid, moved with the image, written and read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from empirisk.data.augment import Augmentation
from empirisk.data.boxes import VISIBLE, Boxes
from empirisk.data.changes import Affine, Flip, Parameters
from empirisk.data.rows import Box
from empirisk.data.table import of_fields
from empirisk.errors import Wrong
from empirisk.files import read_csv, write_csv
from empirisk.metrics.boxes import Marks

SIZE = (30, 40)
ROWS = [
    {"id": "a.png", "extent": SIZE, "boxes": (Box("red", (4, 3, 14, 9)), Box("white", (20, 15, 40, 30)))},
    {"id": "b.png", "extent": SIZE, "boxes": ()},
    {"id": "c.png", "extent": SIZE, "boxes": (Box("red", (-2, 0, 8, 6)),)},
]


def kind(rows=ROWS, form="Pascal VOC folder", grid=(15, 20)) -> Boxes:
    return Boxes.learn(rows, form).on(grid)


def test_learned_from_training_rows_and_through_json():
    k = Boxes.learn(ROWS, "Pascal VOC folder", ("white", "red", "blue"))
    assert k.names == ("white", "red", "blue")
    assert (k.dims, k.most, k.usual, k.longest, k.side, k.form) == (2, 3, 1.0, 40, 40, "voc")
    assert of_fields(Boxes, json.loads(json.dumps(vars(k)))) == k
    assert Boxes.learn(ROWS, "class folders", ("benign", "malignant")).names == (
        "red",
        "white",
    )  # names of something else
    assert Boxes.learn(ROWS, "", ("white", "red"), ("red", "white", "blue")).names == ("red", "white", "blue")
    with pytest.raises(Wrong, match="boxes are labelled white, which --classes does not name") as caught:
        Boxes.learn(ROWS, "", ("white", "red"), ("red", "blue"))
    assert caught.value.where == "named are red, blue"
    assert caught.value.remedy.endswith("--classes red,white")
    assert Boxes.learn(ROWS, "YOLO folder").form == "yolo"
    assert Boxes.learn(ROWS).form == "coco"
    assert Boxes.learn([r | {"extent": (480, 640)} for r in ROWS]).side == 320


def test_y_lies_on_the_grid():
    y = kind().encode(ROWS[0])
    assert y.dtype == np.float32
    assert y.tolist() == [[1, 10, 7.5, 20, 15], [0, 2, 1.5, 7, 4.5], [-1, 0, 0, 0, 0]]
    assert kind().encode(ROWS[1])[:, 0].tolist() == [-1, -1, -1]
    assert kind().encode(ROWS[2])[0].tolist() == [0, 0, 0, 4, 3]  # cut at the edge
    many = ROWS[0] | {"boxes": tuple(Box("red", (0, 0, k, 10)) for k in (5, 30, 10, 20))}
    assert kind().encode(many)[:, 3].tolist() == [15, 10, 5]  # the largest
    volume = {"id": "v", "extent": (4, 6, 8), "boxes": (Box("n", (0, 3, 2, 8, 6, 4)),)}
    assert kind([volume], grid=(8, 6, 4)).encode(volume)[0].tolist() == [0, 0, 3, 4, 4, 6, 8]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"boxes": (Box("red", (50, 3, 60, 9)),)}, "outside its image"),
        ({"boxes": (Box("red", (5, 3, 5, 9)),)}, "no area"),
        ({"boxes": (Box("blue", (5, 3, 9, 9)),)}, 'labelled "blue"'),
        ({"boxes": (Box("red", (5, 3, 1, 9, 9, 9)),)}, "2 dimensions"),
        ({"extent": (4, 30, 40), "boxes": ()}, "2 dimensions"),
        ({}, "has no boxes"),
    ],
)
def test_what_is_refused_names_the_row(row, message):
    with pytest.raises(Wrong, match=message) as caught:
        kind().encode({"id": "x7.png", "extent": SIZE} | row)
    assert "x7.png" in str(caught.value)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("row", "remedy"),
    [
        ({"label": "a"}, "train classification"),
        ({"mask": 1, "label": "a"}, "train segmentation"),
        ({"target": 1.0}, "train regression"),
        ({}, "VOC"),
    ],
)
def test_no_boxes_says_what_to_do(row, remedy):
    with pytest.raises(Wrong, match="no training row has a box") as caught:
        Boxes.learn([{"id": "1"} | row])
    assert remedy in caught.value.remedy
    assert caught.value.code == 2


def test_a_box_outside_is_found_before_anything_is_trained():
    with pytest.raises(Wrong, match="outside"):
        Boxes.learn([*ROWS, {"id": "d", "extent": SIZE, "boxes": (Box("red", (41, 0, 50, 9)),)}])


def test_boxes_move_with_the_image_and_hidden_ones_go():
    k = kind()
    y = torch.from_numpy(np.stack([k.encode(r) for r in ROWS[:2]]))
    flipped = k.move(Augmentation(2, (Flip(),)), y, Parameters({"flip": torch.tensor([True, False])}))
    assert torch.allclose(flipped[0, :2], torch.tensor([[1, 0, 7.5, 10, 15], [0, 13, 1.5, 18, 4.5]]), atol=1e-5)
    assert torch.allclose(flipped[1], y[1], atol=1e-5)
    assert k.move(Augmentation(2), y, Parameters({})) is y

    def shifted(share: float, scale: float = 0.0) -> torch.Tensor:
        """A box of 4 x 4 at the left edge, pushed out of the grid by this share of its width."""
        box = torch.tensor([[[0.0, 0, 4, 4, 8]]])
        zero = torch.zeros(1, 1)
        p = {"angle": zero, "shear": zero, "log_scale": zero + scale, "shift": torch.tensor([[share * 4 / 10, 0.0]])}
        return k.move(Augmentation(2, (Affine(2),)), box, Parameters(p))[0, 0]

    assert shifted(1 - VISIBLE - 0.05)[0] == 0
    assert shifted(1 - VISIBLE + 0.05)[0] == -1
    larger = shifted(0.0, scale=-0.5)  # everything grows, from the middle: a part of the box leaves
    whole = (4 * np.exp(0.5)) ** 2
    area = (larger[3] - larger[1]) * (larger[4] - larger[2])
    assert area < whole
    assert (larger[0] == 0) == bool(area >= VISIBLE * whole)


def answer(dims: int = 2) -> Marks:
    c = np.array([[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 1.0], [0, 0, 0.25, 0.5]])
    c = c if dims == 2 else np.insert(c, [2, 4], [0.25, 0.75], axis=1)
    return Marks(np.array([1, 0, 0]), c, np.array([0.9, 0.123456789, 0.1]), np.array([True, True, False]))


@pytest.mark.parametrize("form", ["Pascal VOC folder", "YOLO folder", "COCO"])
def test_written_and_read_back(form, tmp_path: Path):
    k = kind(form=form)
    rows = [ROWS[0], {"id": "sub/x y.png", "extent": SIZE}, ROWS[1]]
    cells = [{"id": r["id"]} | k.write(r, answer(), tmp_path) for r in rows]
    assert [c["target"] for c in cells] == ["red 1, white 1", "", "(none)"]
    assert [c["prediction"] for c in cells] == ["red 1, white 1"] * 3
    assert [(c["red"], c["white"]) for c in cells] == [(1, 1)] * 3
    assert cells[1]["file"].startswith("boxes/sub-x_y.")
    assert all((tmp_path / c["file"]).is_file() for c in cells)
    write_csv(tmp_path / "p.csv", list(cells[0]), cells)
    for row, line in zip(rows, read_csv(tmp_path / "p.csv"), strict=True):
        again, said = k.read(line)
        assert again.get("boxes") == row.get("boxes")
        assert again["extent"] == SIZE
        for mine, theirs in zip(said, answer(), strict=True):
            assert np.allclose(mine, theirs, atol=1e-5)
    with pytest.raises(Wrong) as caught:
        k.read(dict(read_csv(tmp_path / "p.csv")[0]) | {"found": '[["green", 1]]'})
    assert caught.value.code == 3


def test_files_hold_the_counted_boxes_in_pixels_of_the_image(tmp_path: Path):
    for form, ending in (("Pascal VOC folder", "xml"), ("YOLO folder", "txt"), ("COCO", "json")):
        kind(form=form).write(ROWS[0], answer(), tmp_path)
        assert (tmp_path / f"boxes/a.{ending}").is_file()
    from empirisk.data.voc_coco_yolo import read_voc

    boxes, size = read_voc(tmp_path / "boxes/a.xml")
    assert size == SIZE
    assert boxes == [Box("white", (5, 7, 20, 18)), Box("red", (13, 10, 36, 30))]  # counted from 1, both inside
    lines = (tmp_path / "boxes/a.txt").read_text().splitlines()
    assert lines[0] == "1 0.300000 0.400000 0.400000 0.400000 0.9"
    assert len(lines) == 2
    coco = json.loads((tmp_path / "boxes/a.json").read_text())
    assert coco["images"] == [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    assert coco["annotations"][0]["bbox"] == [4, 6, 16, 12]
    assert coco["categories"][coco["annotations"][0]["category_id"] - 1]["name"] == "white"


def test_a_volume_is_written_with_its_depth(tmp_path: Path):
    volume = {"id": "v", "extent": (4, 30, 40), "boxes": (Box("a", (0, 3, 2, 8, 6, 4)), Box("b", (0, 3, 2, 8, 6, 4)))}
    k = kind([volume], "Pascal VOC folder", grid=(4, 30, 40))
    cells = k.write(volume, answer(3), tmp_path)
    found = json.loads((tmp_path / cells["file"]).read_text())
    assert found["images"][0]["depth"] == 4
    assert found["annotations"][0]["bbox"] == [4, 6, 1, 16, 12, 2]
    assert k.read({c: str(v) for c, v in cells.items()})[0]["boxes"] == volume["boxes"]


def test_a_class_called_like_a_column():
    assert Boxes(("id", "red"), 2, 9, 1.0, 64).columns() == ["n(id)", "red"]
