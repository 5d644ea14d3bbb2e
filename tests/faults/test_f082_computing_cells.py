"""F082: a text that a spreadsheet would compute is written as text, in cells and in the header; numbers are untouched."""

import csv

import pytest

from empirisk import files


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_cell_and_header(tmp_path, start):
    text = f"{start}cmd|' /C calc'!A0"
    files.write_csv(tmp_path / "a.csv", ["id", text], [{"id": text, text: -1.5}])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        header, row = list(csv.reader(file))
    assert header == ["id", "'" + text]
    assert row == ["'" + text, "-1.5"]
    assert files.read_csv(tmp_path / "a.csv") == [{"id": text, text: "-1.5"}]
