"""F025: byte-order marks, UTF-16, semicolons, mixed line ends, NUL, an endless field: read and said, or refused."""

import csv
from pathlib import Path

import pytest

from empirisk.data.forms import table
from empirisk.errors import Wrong

TEXT = "size,shape,label\n1,2,gut\n3,4,böse\n5,6,gut\n"


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "UTF-16"), ("latin-1", "Latin-1")]
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "mixed"])
def test_every_dialect_gives_the_same_table(tmp_path: Path, encoding: str, said: str, separator: str, end: str):
    text = TEXT.replace(",", separator)
    text = text.replace("\n", "\r\n", 2) if end == "mixed" else text.replace("\n", end)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    assert encoding == "utf-8" or path.read_bytes() != text.encode()  # the injection
    found = table(path)
    assert [r["label"] for r in found.rows] == ["gut", "böse", "gut"]
    assert found.rows[1]["x"].read().tolist() == [3, 4]
    assert [o for o in found.odd if said and said in o] or not said
    assert len(found.odd) == (1 if said else 0)
    assert any({",": "comma", ";": "semicolon", "\t": "TAB"}[separator] in text for _, text, _ in found.understood)


def test_a_quoted_separator_and_line_end_count_as_text(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text('"a;b;c",label\n1,"one\ntwo, three"\n2,x\n\n3,x\n')
    found = table(path)
    assert [r["label"] for r in found.rows] == ["one\ntwo, three", "x", "x"]
    assert found.rows[0]["x"].names == ("a;b;c",)


def test_tsv(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("a\tlabel\n1\tx,y\n2\tz\n")
    assert [r["label"] for r in table(tmp_path / "t.tsv").rows] == ["x,y", "z"]


def test_nul(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(b"a,label\n1,x\n2,\0y\n")
    with pytest.raises(Wrong, match="NUL") as caught:
        table(tmp_path / "t.csv")
    assert "line 3" in str(caught.value)


def test_an_endless_field(tmp_path: Path):
    before = csv.field_size_limit()
    (tmp_path / "t.csv").write_text("a,label\n1,x\n2," + "y" * 10_000_000 + "\n")
    with pytest.raises(Wrong, match="field") as caught:
        table(tmp_path / "t.csv")
    assert "row 3" in str(caught.value)
    assert len(str(caught.value)) < 2000
    (tmp_path / "t.csv").write_text("a,label\n1,x\n2," + "y" * 900_000 + "\n")
    assert len(table(tmp_path / "t.csv").rows) == 2
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("text", ['a,label\n1,"x\n2,y\n', "a,label\n1,x,3\n2\n", "a,label\n1,x\n2\n"])
def test_quotes_and_cells_that_do_not_match(tmp_path: Path, text: str):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(Wrong, match=r"t\.csv row"):
        table(tmp_path / "t.csv")


def test_bytes_that_are_no_utf_16(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfea")
    with pytest.raises(Wrong, match="utf-16"):
        table(tmp_path / "t.csv")
