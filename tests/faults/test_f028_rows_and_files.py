"""F028: rows without a file, files without a row, one file with two labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from empirisk.data.forms import Table, table
from empirisk.errors import Wrong


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(5):
        Image.fromarray(np.full((4, 4), k, np.uint8)).save(tmp_path / f"{k}.png")
    return tmp_path


def told(folder: Path, lines: list[str], **how: int) -> Table:
    (folder / "t.csv").write_text("image,label,split\n" + "".join(f"{line}\n" for line in lines))
    return table(folder / "t.csv", **how)


def test_both_ways_are_counted(folder: Path):
    lines = ["0.png,a,train", "1.png,b,train", "gone.png,a,train", "lost.png,b,test", "2.png,a,test"]
    assert not (folder / "gone.png").exists()  # the injection
    with pytest.raises(Wrong, match="2 of 5 pictures of .* cannot be read") as caught:
        told(folder, lines)
    assert "gone.png: there is no such file" in str(caught.value)
    assert "lost.png" in str(caught.value)
    with pytest.raises(Wrong):
        told(folder, lines, skip_bad=1)
    found = told(folder, lines, skip_bad=2)
    assert [(r["id"], r["label"]) for r in found.rows] == [
        ("0.png", "a"),
        ("1.png", "b"),
        ("2.png", "a"),
    ]  # not shifted
    assert [i for i, _ in found.unreadable] == ["gone.png", "lost.png"]
    assert "2 pictures beside them have no row: 3.png, 4.png" in found.odd


def test_one_file_two_labels(folder: Path):
    with pytest.raises(Wrong, match=r"two labels or patients: \./0\.png|two labels or patients: 0\.png") as caught:
        told(folder, ["0.png,a,train", "1.png,b,train", "./0.png,b,train"])
    assert "rows 2 and 4" in str(caught.value)
    assert caught.value.code == 2


def test_one_file_twice_with_one_label_counts_once(folder: Path):
    found = told(folder, ["0.png,a,train", "1.png,b,train", "../" + folder.name + "/0.png,a,train"])
    assert len(found.rows) == 2
    assert any("1 rows repeat a picture" in o and "row 4" in o for o in found.odd)
    twice = told(folder, ["0.png,a,train", "1.png,b,train", "0.png,a,test"])  # left to the audit, which refuses it
    assert [r["id"] for r in twice.rows] == ["0.png", "1.png", "0.png"]


def test_a_row_without_a_picture(folder: Path):
    with pytest.raises(Wrong, match='no picture in column "image"') as caught:
        told(folder, ["0.png,a,train", ",b,train"])
    assert "row 3" in str(caught.value)


def test_absolute_paths_and_paths_outside(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    other = tmp_path_factory.mktemp("other")
    (folder / "4.png").rename(other / "4.png")
    found = told(folder, [f"{folder}/0.png,a,train", f"{other}/4.png,b,train"])
    assert [r["id"] for r in found.rows] == ["0.png", f"{other}/4.png"]
