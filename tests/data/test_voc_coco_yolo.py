"""Pictures with boxes: Pascal VOC, COCO, YOLO."""

import json
from pathlib import Path

import pytest
from imaging import picture, voc

from empirisk.data.forms import Columns, table
from empirisk.data.rows import Box
from empirisk.data.splits import split
from empirisk.errors import Wrong

BOXES = {"a": [("cell", 1, 1, 30, 20), ("dot", 3, 4, 5, 8)], "b": [("cell", 2, 2, 9, 9)], "c": []}


def words(found):
    return {what: text for what, text, _ in found.understood}


def test_voc_counts_from_one_with_both_ends_inside(tmp_path: Path):
    found = table(voc(tmp_path, BOXES))
    rows = {r["id"]: r for r in found.rows}
    assert list(rows) == ["a.jpg", "b.jpg", "c.jpg"]
    assert rows["a.jpg"]["boxes"] == (Box("cell", (0, 0, 30, 20)), Box("dot", (2, 3, 5, 8)))
    assert rows["a.jpg"]["extent"] == (20, 30)
    assert rows["c.jpg"]["boxes"] == ()
    assert found.classes == ("cell", "dot")
    assert found.form == "Pascal VOC folder"
    assert words(found)["boxes"] == "3: cell 2, dot 1"
    assert "1 pictures have no box: c.jpg" in found.odd
    assert {r["part"] for r in found.rows} == {"new"}


def test_voc_that_counts_from_zero(tmp_path: Path):
    found = table(voc(tmp_path, {"a": [("cell", 0, 4, 30, 20)], "b": [("cell", 3, 4, 5, 8)]}))
    assert [r["boxes"][0].corners for r in found.rows] == [(0, 4, 30, 20), (3, 4, 5, 8)]


def test_official_val_is_the_test_set_where_there_is_no_other(tmp_path: Path):
    boxes = {f"{k}": [("cell", 1, 1, 9, 9)] for k in range(20)}
    parts = {"train": [str(k) for k in range(14)], "val": [str(k) for k in range(14, 19)]}
    found = table(voc(tmp_path, boxes, parts))
    assert found.split_given
    assert any("val is the test set" in o for o in found.odd)
    assert any("in no list" in o and o.endswith(": 19") for o in found.odd)
    count = [r["part"] for r in split(found.rows)]
    assert (count.count("train"), count.count("val"), count.count("test")) == (12, 2, 5)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("0\n15\n")
    with pytest.raises(Wrong, match=r"0 is in train\.txt and in val\.txt"):
        table(tmp_path)


def test_boxes_without_area_and_over_the_edge(tmp_path: Path):
    found = table(voc(tmp_path, {"a": [("cell", 5, 5, 5, 9), ("cell", 2, 2, 30.6, 20)], "b": [("cell", 2, 2, 9, 9)]}))
    assert found.rows[0]["boxes"] == (Box("cell", (1, 1, 30, 20)),)
    assert "boxes without area are left out, in a.jpg" in found.odd
    assert "1 boxes reach up to a pixel over the edge and are cut there" in found.odd
    with pytest.raises(
        Wrong, match=r"a\.jpg: box 1 \(cell\) reaches outside of the picture, 30 x 20: 1 1 33 9"
    ) as caught:
        table(voc(tmp_path, {"a": [("cell", 2, 2, 33, 9)]}))
    assert caught.value.code == 2
    assert [i for i, _ in table(tmp_path, skip_bad=1).unreadable] == ["a.jpg"]


def test_an_annotation_of_another_picture(tmp_path: Path):
    voc(tmp_path, BOXES)
    picture(tmp_path / "JPEGImages" / "b.jpg", (30, 20))
    with pytest.raises(Wrong, match="the annotation is of a picture of 30 x 20, this one is 20 x 30"):
        table(tmp_path)
    (tmp_path / "JPEGImages" / "b.jpg").unlink()
    with pytest.raises(Wrong, match="b.jpg: there is no such file"):
        table(tmp_path)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<annotation><object><name>cell</name></object></annotation>", "no bndbox/xmin"),
        ("<annotation><object><name>cell</name>", "cannot be read"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "entities"),
        ("<annotation><object><name>c</name><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>", "outside"),
    ],
)  # fmt: skip
def test_xml_that_is_no_annotation(tmp_path: Path, text: str, word: str):
    voc(tmp_path, BOXES)
    (tmp_path / "Annotations" / "b.xml").write_text(text)
    with pytest.raises(Wrong, match=word) as caught:
        table(tmp_path)
    assert caught.value.code == 2


def test_names_and_order_are_in_the_users_hand(tmp_path: Path):
    voc(tmp_path, BOXES)
    assert table(tmp_path, Columns(classes="dot,cell")).classes == ("dot", "cell")
    found = table(tmp_path, Columns(rename="dot=cell"))
    assert found.classes == ("cell",)
    assert {b.label for r in found.rows for b in r["boxes"]} == {"cell"}
    with pytest.raises(Wrong, match='label "dot" is not among cell, nucleus'):
        table(tmp_path, Columns(classes="cell,nucleus"))


def coco(folder: Path, name: str, **changes) -> Path:
    value = {
        "images": [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}, {"id": 8, "file_name": "b.png"}],
        "categories": [{"id": 2, "name": "dot"}, {"id": 1, "name": "cell"}, {"id": 3, "name": "unused"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 30, 20]},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [2.5, 3, 4, 5.5]},
            {"id": 3, "image_id": 8, "category_id": 2, "bbox": [1, 1, 9, 9], "iscrowd": 1},
        ],
    }
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value | changes))
    return folder / name


def test_coco_file_and_folder(tmp_path: Path):
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.png")
    file = coco(tmp_path, "boxes.json")
    for found in (table(file), table(tmp_path)):
        rows = {r["id"]: r for r in found.rows}
        assert rows["a.png"]["boxes"] == (Box("cell", (0, 0, 30, 20)), Box("dot", (2.5, 3, 6.5, 8.5)))
        assert rows["b.png"]["boxes"] == ()
        assert found.classes == ("cell", "dot")
        assert found.form == "COCO annotations"
        assert "1 crowds are left out" in found.odd


def test_coco_parts_by_the_names_of_files(tmp_path: Path):
    for part in ("train", "val"):
        for name in ("a", "b"):
            picture(tmp_path / f"{part}2017" / f"{name}.png")
        coco(tmp_path, f"annotations/instances_{part}2017.json")
    found = table(tmp_path)
    assert {r["id"]: r["part"] for r in found.rows} == {
        "train/a.png": "train",
        "train/b.png": "train",
        "val/a.png": "val",
        "val/b.png": "val",
    }
    assert found.rows[0]["x"].path.endswith("train2017/a.png")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"categories": [{"id": 1, "name": "cell"}]}, "annotation 2 is of category 2"),
        ({"images": [{"id": 7, "file_name": "a.png"}]}, "annotation 3 is of image 8"),
        ({"images": [{"id": 7, "file_name": "../a.png"}, {"id": 8, "file_name": "b.png"}]}, "outside of the folder"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 30]}]}, "cannot be read"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 300, 20]}]}, "reaches outside"),
        ({"annotations": []}, "no COCO file with boxes"),
    ],
)  # fmt: skip
def test_coco_that_does_not_fit(tmp_path: Path, changes: dict, word: str):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    with pytest.raises(Wrong, match=word) as caught:
        table(coco(tmp_path, "boxes.json", **changes))
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "names",
    [
        "names: ['cell', \"dot\"]",
        "names:\n  - cell\n  - dot  # small",
        "names:\n  0: cell\n  1: dot\nnc: 2",
        "names: {0: cell, 1: dot}",
    ],
)
def test_yolo_folder(tmp_path: Path, names: str):
    (tmp_path / "data.yaml").write_text(f"train: images/train\n{names}\n")
    for name in ("train/1", "train/2", "val/3"):
        picture(tmp_path / "images" / f"{name}.jpg")
    for name, line in (("train/1", "1 .5 .5 1 1\n0 0.25 0.5 0.1 0.2\n"), ("val/3", "")):
        (tmp_path / "labels" / f"{name}.txt").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / f"{name}.txt").write_text(line)
    found = table(tmp_path)
    rows = {r["id"]: r for r in found.rows}
    assert {i: r["part"] for i, r in rows.items()} == {
        "train/1.jpg": "train",
        "train/2.jpg": "train",
        "val/3.jpg": "val",
    }
    assert rows["train/1.jpg"]["boxes"][0] == Box("dot", (0, 0, 30, 20))
    assert rows["train/1.jpg"]["boxes"][1].corners == pytest.approx((6, 8, 9, 12))
    assert found.classes == ("cell", "dot")
    assert found.form == "YOLO folder"
    assert "1 pictures have no file of boxes, which means none: train/2" in found.odd


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("0 .5 .5 1", "four shares"),
        ("x .5 .5 1 1", "four shares"),
        ("0 .5 .5 1 1.5", "four shares"),
        ("0 nan .5 1 1", "four shares"),
        ("2 .5 .5 1 1", "class 2 has no name"),
    ],
)
def test_yolo_lines_that_do_not_fit(tmp_path: Path, line: str, word: str):
    picture(tmp_path / "images" / "1.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "1.txt").write_text(f"0 .5 .5 1 1\n{line}\n")
    (tmp_path / "classes.txt").write_text("cell\ndot\n")
    with pytest.raises(Wrong, match=word) as caught:
        table(tmp_path)
    assert caught.value.where.endswith("1.txt line 2")


@pytest.mark.data
def test_the_blood_cells(real_data: Path):
    found = table(real_data / "bccd")
    parts = [r["part"] for r in found.rows]
    assert (parts.count("train"), parts.count("val")) == (205, 87)
    assert found.classes == ("Platelets", "RBC", "WBC")
    assert any("boxes without area" in o and "BloodImage_00338" in o and "BloodImage_00343" in o for o in found.odd)
    assert {r["extent"] for r in found.rows} == {(480, 640)}
    assert min(c for r in found.rows for b in r["boxes"] for c in b.corners) >= 0
