"""F081, reading: names that are not UTF-8, hold a newline, or differ in the encoding of an accent only."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from empirisk.data.forms import table
from empirisk.errors import Wrong

BYTES = os.fsdecode(b"P1_\xff.png")


def draw(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as f:
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(f, format="PNG")


def test_names_are_kept_read_and_shown(tmp_path: Path):
    with pytest.raises(UnicodeEncodeError):
        BYTES.encode()  # the injection
    for name in (BYTES, "P2_new\nline.png"):
        draw(tmp_path / "a" / name)
        draw(tmp_path / "b" / name)
    found = table(tmp_path)
    assert {r["id"] for r in found.rows} == {f"{c}/{n}" for c in "ab" for n in (BYTES, "P2_new\nline.png")}
    assert all(r["x"].read().shape == (1, 4, 4) for r in found.rows)
    for text in [*found.odd, *(t for line in found.understood for t in line)]:
        text.encode("utf-8")
        assert "\n" not in text
    (tmp_path / "a" / BYTES).write_bytes(b"")
    with pytest.raises(Wrong) as caught:
        table(tmp_path)
    assert "a/P1_\\xff.png: the file is empty" in str(caught.value)


def test_a_class_folder_that_is_not_utf_8(tmp_path: Path):
    draw(tmp_path / os.fsdecode(b"b\xf6se") / "1.png")
    draw(tmp_path / "gut" / "2.png")
    found = table(tmp_path)
    assert os.fsdecode(b"b\xf6se") in found.classes
    " ".join(t for line in found.understood for t in line).encode("utf-8")


def test_twins_of_one_name_in_two_encodings_are_said(tmp_path: Path):
    one, other = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert one != other
    for name in (one, other):
        draw(tmp_path / "a" / f"{name}.png")
    draw(tmp_path / "b" / "x.png")
    found = table(tmp_path)
    assert len(found.rows) == 3
    assert any("two encodings" in o for o in found.odd)
