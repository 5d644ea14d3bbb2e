"""Tables with a column of label maps or of boxes: what they teach, and each wrong cell by its file and row."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from imaging import AFFINE, nifti, picture
from PIL import Image

import empirisk as er
from empirisk.data.forms import Columns, table
from empirisk.data.rows import Box
from empirisk.errors import Wrong

SIZE = (32, 40)


def spot(k: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the bright spot of image k."""
    x, y = 3 + 2 * (k % 9), 2 + k % 11
    return x, y, x + 8, y + 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """img/P00.png and seg/P00.png of 20 spots, and the columns of both in t.csv."""
    top = tmp_path_factory.mktemp("set")
    rng, lines = np.random.default_rng(0), []
    for name in ("img", "seg"):
        (top / name).mkdir()
    for k in range(20):
        x1, y1, x2, y2 = spot(k)
        image, mask = rng.integers(20, 60, SIZE).astype(np.uint8), np.zeros(SIZE, np.uint8)
        image[y1:y2, x1:x2] += 150
        mask[y1:y2, x1:x2] = 1
        Image.fromarray(image).save(top / f"img/P{k:02}.png")
        Image.fromarray(mask).save(top / f"seg/P{k:02}.png")
        boxes = json.dumps([["spot", *spot(k)]]).replace('"', '""')
        lines.append(f'img/P{k:02}.png,seg/P{k:02}.png,"{boxes}",{k % 2}\n')
    (top / "t.csv").write_text("image,mask,boxes,sex\n" + "".join(lines))
    return top


def told(folder: Path, header: str, lines: list[str], columns: Columns = Columns(), **how: int):
    (folder / "told.csv").write_text(f"{header}\n" + "".join(f"{line}\n" for line in lines))
    return table(folder / "told.csv", columns, **how)


def quoted(value: object) -> str:
    return '"' + json.dumps(value).replace('"', '""') + '"'


def test_both_columns_by_their_usual_names(folder: Path):
    found = table(folder / "t.csv")
    row = found.rows[3]
    assert (row["id"], row["patient"], row["sex"]) == ("img/P03.png", "P03", "1")
    assert np.argwhere(row["mask"].read()).min(0).tolist() == [spot(3)[1], spot(3)[0]]
    assert row["boxes"] == (Box("spot", tuple(map(float, spot(3)))),)
    assert row["extent"] == SIZE
    assert "label" not in row
    words = {what: text for what, text, _ in found.understood}
    assert words["masks"] == "20 label maps, of numbers 1"
    assert words["boxes"] == "20: spot 20"
    assert words["labels"] == "none"
    assert found.odd == []


def test_named_columns_and_columns_that_are_not_used(folder: Path):
    lines = [f"img/P{k:02}.png,seg/P{k:02}.png,{quoted([['a', *spot(k)]])}" for k in range(3)]
    found = told(folder, "image,lesion,findings", lines, Columns(mask="lesion", boxes="findings"))
    assert all("mask" in r and "boxes" in r and "lesion" not in r for r in found.rows)
    left = table(folder / "t.csv", Columns(boxes="none"))
    assert all("boxes" not in r and "mask" in r for r in left.rows)
    with pytest.raises(Wrong, match='no column is called "lesions"'):
        told(folder, "image,lesion,findings", lines, Columns(mask="lesions"))
    with pytest.raises(Wrong, match="--mask can only be given for a table of pictures"):
        table(folder, Columns(mask="lesion"))


def test_an_empty_cell_is_unknown_and_an_empty_list_is_nothing(folder: Path):
    lines = ["img/P00.png,seg/P00.png,[]", f"img/P01.png,,{quoted([['a', 1, 1, 5, 5]])}", "img/P02.png,NA,"]
    found = told(folder, "image,mask,boxes", lines)
    assert ["mask" in r for r in found.rows] == [True, False, False]
    assert [r.get("boxes") for r in found.rows] == [(), (Box("a", (1, 1, 5, 5)),), None]
    assert any("2 images have no label map: img/P01.png, img/P02.png" in o for o in found.odd)
    assert any("1 pictures have no box: img/P00.png" in o for o in found.odd)
    assert any("1 rows have no label: row 4" in o for o in found.odd)


def test_classes_and_renaming_speak_of_the_boxes_where_there_is_no_label(folder: Path):
    lines = [f"img/P{k:02}.png,{quoted([['ab'[k % 2], *spot(k)]])},{'xy'[k % 2]}" for k in range(4)]
    found = told(folder, "image,boxes,z", lines, Columns(classes="c,a", rename="b=c"))
    assert found.classes == ("c", "a")
    assert [r["boxes"][0].label for r in found.rows] == ["a", "c", "a", "c"]
    with pytest.raises(Wrong, match='label "b" is not among a, bb') as caught:
        told(folder, "image,boxes,z", lines, Columns(classes="a,bb"))
    assert "told.csv: row 3, img/P01.png" in str(caught.value)
    alone = [line.replace('""b""', '""a""') for line in lines]
    assert told(folder, "image,boxes,z", alone, Columns(classes="a")).classes == ("a",)
    with pytest.raises(Wrong, match="--classes a,b,a names a class twice"):
        told(folder, "image,boxes,z", lines, Columns(classes="a,b,a"))
    both = told(folder, "image,boxes,label", lines, Columns(classes="y,x"))
    assert both.classes == ("y", "x")
    assert [r["boxes"][0].label for r in both.rows] == ["a", "b", "a", "b"]


BAD = {
    "no JSON": "spot 1 2 3 4",
    "no list": '{"spot": [1, 2, 3, 4]}',
    "no label": "[[1, 2, 3, 4, 5]]",
    "three numbers": '[["spot", 1, 2, 3]]',
    "a word": '[["spot", 1, 2, 3, "x"]]',
    "not finite": '[["spot", 1, 2, 3, NaN]]',
    "beyond": f'[["spot", 1, 2, 3, 1{"0" * 400}]]',
    "flat": '["spot", 1, 2, 3, 4]',
    "a text in a list": '["12345"]',
}


@pytest.mark.parametrize("kind", BAD)
def test_a_cell_that_is_no_list_of_boxes(folder: Path, kind: str):
    bad = '"' + BAD[kind].replace('"', '""') + '"'
    with pytest.raises(Wrong, match='in column "boxes" is no list of boxes') as caught:
        told(folder, "image,boxes", ["img/P00.png,[]", f"img/P01.png,{bad}", "img/P02.png,[]"])
    assert caught.value.code == 2
    assert caught.value.where.endswith("told.csv row 3")
    assert '[["label", x1, y1, x2, y2], ...]' in caught.value.remedy


def test_boxes_that_do_not_lie_on_their_image(folder: Path):
    lines = [f"img/P{k:02}.png,{quoted([['a', 1, 1, 5, 5 + 30 * (k == 2)]])}" for k in range(4)]
    with pytest.raises(Wrong, match="1 of 4 pictures of .*told.csv cannot be used") as caught:
        told(folder, "image,boxes", lines)
    said = "row 4, img/P02.png: box 1 (a) reaches outside of the picture, 40 x 32: 1 1 5 35"
    assert said in str(caught.value)
    assert "--skip-bad 1" in str(caught.value)
    assert [i for i, _ in told(folder, "image,boxes", lines, skip_bad=1).unreadable] == ["img/P02.png"]
    lines[1] = f"img/P01.png,{quoted([['a', 0, 1, 1, 3, 5, 5]])}"
    with pytest.raises(Wrong, match="box 1 \\(a\\) has 6 numbers, on an image of 2 axes it needs 4"):
        told(folder, "image,boxes", lines)


def test_a_mask_that_is_gone_or_does_not_fit(folder: Path, tmp_path: Path):
    lines = [f"img/P{k:02}.png,seg/P{k:02}.png" for k in range(4)]
    with pytest.raises(Wrong, match='"seg/lost.png" in column "mask" is no file') as caught:
        told(folder, "image,mask", [*lines, "img/P05.png,seg/lost.png", "img/P06.png,seg/none.png"])
    assert caught.value.where.endswith("told.csv rows 6, 7")
    assert "relative to the table" in caught.value.remedy
    picture(tmp_path / "small.png", (4, 4), 1)
    with pytest.raises(Wrong, match="row 6, img/P05.png: its label map has 4 x 4 points, the image 32 x 40") as caught:
        told(folder, "image,mask", [*lines, f"img/P05.png,{tmp_path}/small.png"])
    assert "resample it" in str(caught.value)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(Wrong, match="row 6, img/P05.png: its label map: the file is not PNG"):
        told(folder, "image,mask", [*lines, f"img/P05.png,{tmp_path}/text.png"])
    moved = AFFINE.copy()
    moved[0, 3] += 1
    for name, affine in (("x", AFFINE), ("y", moved)):
        nifti(tmp_path / f"{name}.nii.gz", np.ones((4, 5, 6), np.uint8), affine)
    with pytest.raises(Wrong, match="row 2, x.nii.gz: its label map lies elsewhere than the image"):
        told(tmp_path, "image,mask", ["x.nii.gz,y.nii.gz"])


def test_one_picture_with_two_masks(folder: Path):
    with pytest.raises(Wrong, match="one picture with two labels") as caught:
        told(folder, "image,mask", ["img/P00.png,seg/P00.png", "img/P01.png,seg/P01.png", "img/P00.png,seg/P01.png"])
    assert "rows 2 and 4" in str(caught.value)


def test_masks_and_boxes_need_images(folder: Path):
    with pytest.raises(Wrong, match="--mask without a column of pictures"):
        told(folder, "a,seg,label", ["1,x.png,u", "2,y.png,v"], Columns(mask="seg"))
    vectors = told(folder, "a,mask,label", ["1,0,u", "2,1,v"])  # a number that is called so
    assert vectors.rows[1]["x"].names == ("a", "mask")


def test_boxes_of_volumes_and_a_data_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for k in range(2):
        nifti(tmp_path / f"{k}.nii.gz", np.full((6, 7, 8), k, np.uint8))
    frame = pd.DataFrame({"image": ["0.nii.gz", "1.nii.gz"], "boxes": [[["a", 1, 2, 3, 4, 5, 6]], []]})
    rows = table(frame).rows
    assert rows[0]["boxes"] == (Box("a", (1, 2, 3, 4, 5, 6)),)
    assert rows[1]["boxes"] == ()
    assert rows[0]["extent"] == (8, 7, 6)


@pytest.mark.parametrize(
    ("task", "flag", "name"), [("segmentation", "mask", "outline"), ("detection", "boxes", "things")]
)
def test_such_a_table_trains(folder: Path, tmp_path: Path, cli, task: str, flag: str, name: str):
    data = folder / f"{task}.csv"
    data.write_text((folder / "t.csv").read_text().replace("image,mask,boxes,sex", "image,outline,things,sex"))
    code, out, err = cli("data", data, f"--{flag}", name, "--out", tmp_path / "look")
    assert code == 0, err
    assert f"empirisk train {task} {data} --{flag} {name}" in " ".join(out.split())
    words = ("--width", 4, "--epochs", 1, "--batch", 4, "--out", tmp_path / "run")
    code, _, err = cli("train", task, data, f"--{flag}", name, *words)
    assert code == 0, err
    assert er.load(tmp_path / "run").folder.read()["arguments"][flag] == name
    code, _, err = cli("train", task, data, f"--{flag}", "outlines", *words)
    assert code == 2
    assert 'no column is called "outlines"' in err
    code, out, _ = cli("train", task, "--help")
    assert f"--{flag}" in out
