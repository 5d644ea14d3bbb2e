"""Class folders and bare pictures."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from empirisk.data.forms import Columns, table
from empirisk.errors import Wrong


def draw(path: Path, value: int = 9, shape: tuple[int, ...] = (4, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def test_class_folders(tmp_path: Path):
    for k, name in enumerate(
        ["normal/a.png", "normal/b.jpg", "benign/c.png", "benign/deeper/still/d.tif", "10/e.png", "9/f.png"]
    ):
        draw(tmp_path / name, k)
    draw(tmp_path / "9/g.PNG", 8, (6, 6))
    (tmp_path / "benign/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    found = table(tmp_path)
    assert found.classes == ("9", "10", "benign", "normal")
    rows = {r["id"]: r for r in found.rows}
    assert rows["benign/deeper/still/d.tif"]["label"] == "benign"
    assert rows["normal/a.png"]["x"].read().tolist() == [[[0] * 5] * 4]
    assert {r["part"] for r in found.rows} == {"new"}
    assert found.name == tmp_path.name
    assert any("benign/Thumbs.db" in o for o in found.odd)
    assert not any("DS_Store" in o for o in found.odd)
    words = {what: text for what, text, _ in found.understood}
    assert "7 pictures, 8-bit grey, 4x5 (6), 6x6 (1)" in words["images"]
    assert "benign 2" in words["labels"]


def test_given_split_and_a_class_that_a_part_lacks(tmp_path: Path):
    for k, name in enumerate(["Train/a/1.png", "Train/b/2.png", "valid/a/3.png", "test/a/4.png", "test/b/5.png"]):
        draw(tmp_path / name, k)
    found = table(tmp_path)
    assert found.split_given
    assert [(r["part"], r["label"]) for r in found.rows] == [
        ("train", "a"), ("train", "b"), ("test", "a"), ("test", "b"), ("val", "a"),
    ]  # fmt: skip
    assert found.classes == ("a", "b")
    assert "val has no picture of b" in found.odd
    assert not table(tmp_path, Columns(split="none")).split_given
    assert {r["part"] for r in table(tmp_path, Columns(split="none")).rows} == {"new"}


def test_classes_called_train_and_test_alone_are_no_split(tmp_path: Path):
    for name in ("test/1.png", "train/2.png"):
        draw(tmp_path / name)
    assert table(tmp_path).classes == ("test", "train")


def test_order_and_names_of_classes_are_in_the_users_hand(tmp_path: Path):
    for name in ("malignant/1.png", "benign/2.png", "Benign/3.png"):
        draw(tmp_path / name)
    assert any("Benign" in o and "differ little" in o for o in table(tmp_path).odd)
    found = table(tmp_path, Columns(rename="Benign=benign", classes="malignant,benign,normal"))
    assert found.classes == ("malignant", "benign", "normal")
    assert [r["label"] for r in found.rows if r["id"].startswith("Benign")] == ["benign"]
    assert "class normal has no picture." in found.odd
    with pytest.raises(Wrong, match='label "malignant"') as caught:
        table(tmp_path, Columns(rename="Benign=benign", classes="benign,malignent"))
    assert "malignent" in caught.value.remedy


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (["P017_2.png", "P017_3.png", "P002_1.png"], ["P017", "P017", "P002"]),
        (["person1_bacteria_1.png", "person12_virus_3.png", "PERSON12-4.png"], ["person1", "person12", "PERSON12"]),
        (["sub-01_ses-1.png", "sub-02_ses-1.png", "sub-02.png"], ["sub-01", "sub-02", "sub-02"]),
        (["patient 7.png", "case_8_a.png", "p9.png"], ["patient 7", "case_8", "p9"]),
    ],
)
def test_patients_from_names(tmp_path: Path, names: list[str], patients: list[str]):
    for k, name in enumerate(names):
        draw(tmp_path / ("a" if k else "b") / name)
    found = table(tmp_path)
    assert found.patients_known
    assert {Path(r["id"]).name: r["patient"] for r in found.rows} == dict(zip(names, patients, strict=True))
    assert any(what == "patients" and flag == "--patient" for what, _, flag in found.understood)
    assert not table(tmp_path, Columns(patient="none")).patients_known


@pytest.mark.parametrize(
    "names", [["IM-0001.png", "IM-0002.png"], ["P1a.png", "P2b.png"], ["pneu1.png", "p2.png"], ["1.png", "2.png"]]
)
def test_no_patients_from_other_names(tmp_path: Path, names: list[str]):
    for k, name in enumerate(names):
        draw(tmp_path / ("a" if k else "b") / name)
    assert not table(tmp_path).patients_known


def test_patients_by_a_pattern(tmp_path: Path):
    for name in ("a/x_17_1.png", "b/x_17_2.png", "b/x_3_1.png"):
        draw(tmp_path / name)
    found = table(tmp_path, Columns(patient=r"x_([0-9]+)"))
    assert [r["patient"] for r in found.rows] == ["17", "17", "3"]
    with pytest.raises(Wrong, match="do not follow"):
        table(tmp_path, Columns(patient="(17)"))
    with pytest.raises(Wrong, match="no pattern"):
        table(tmp_path, Columns(patient="(17"))


def test_most_but_not_all_names_with_a_patient_are_said(tmp_path: Path):
    for name in ("a/P1_1.png", "a/P2_1.png", "b/P3_1.png", "b/other.png"):
        draw(tmp_path / name)
    found = table(tmp_path)
    assert not found.patients_known
    assert any("3 of 4 file names" in o for o in found.odd)


def test_bare_pictures_are_for_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("1.png", "2.png", "deeper/3.png"):
        draw(tmp_path / name)
    with pytest.raises(Wrong, match="outside of class folders"):
        table(tmp_path)
    found = table(tmp_path, bare=True)
    assert [r["id"] for r in found.rows] == ["1.png", "2.png", "deeper/3.png"]
    assert not found.classes
    monkeypatch.chdir(tmp_path)
    assert [r["id"] for r in table(["2.png", "deeper/3.png"]).rows] == ["2.png", "deeper/3.png"]
    one = table(tmp_path / "1.png")
    assert (len(one.rows), one.name, one.rows[0]["part"]) == (1, "1", "new")


def test_links_to_folders_make_no_circle(tmp_path: Path):
    draw(tmp_path / "a/1.png")
    draw(tmp_path / "b/2.png")
    (tmp_path / "a/again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a/pipe.png")
    assert len(table(tmp_path).rows) == 2


def test_refusals(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Wrong, match="holds no picture"):
        table(tmp_path / "empty")
    with pytest.raises(Wrong, match="is not there"):
        table(tmp_path / "nowhere")
    draw(tmp_path / "single/a/1.png")
    with pytest.raises(Wrong, match="a single class, a"):
        table(tmp_path / "single")
    (tmp_path / "x.xyz").write_text("?")
    with pytest.raises(Wrong, match="no known form"):
        table(tmp_path / "x.xyz")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(Wrong, match="no regular file"):
        table(tmp_path / "pipe.csv")


def test_unreadable_pictures_are_all_listed_or_left_out_within_a_limit(tmp_path: Path):
    for k in range(4):
        draw(tmp_path / f"{'ab'[k % 2]}/{k}.png")
    for k in range(60):
        (tmp_path / f"a/bad{k:02}.png").write_bytes(b"" if k else b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    with pytest.raises(Wrong, match=r"60 of 64 pictures of .* cannot be read") as caught:
        table(tmp_path, skip_bad=59)
    said = str(caught.value)
    assert "a/bad00.png: the PNG is cut short" in said
    assert "a/bad49.png: the file is empty" in said
    assert "bad50" not in said
    assert "and 10 more" in said
    assert "--skip-bad 60" in said
    found = table(tmp_path, skip_bad=60)
    assert len(found.rows) == 4
    assert len(found.unreadable) == 60
    assert found.unreadable[1] == ("a/bad01.png", "the file is empty")
