"""F027: missing marks, numbers too large, numbers among words, "1.0" beside "1"."""

from pathlib import Path

import pytest

from empirisk.data.forms import Columns, table
from empirisk.errors import Wrong


def told(folder: Path, labels: list[str], columns: Columns = Columns(), head: str = "label"):
    (folder / "t.csv").write_text(f"a,{head}\n" + "".join(f"{k},{v}\n" for k, v in enumerate(labels)))
    return table(folder / "t.csv", columns)


@pytest.mark.parametrize("mark", ["", "NaN", "nan", "N/A", "NA", "#N/A", "null", "<NA>", "?", "  "])
def test_the_closed_list_of_missing_marks(tmp_path: Path, mark: str):
    for labels in (["x", mark, "y"], ["0", mark, "1"], ["0.5", mark, "1"]):
        found = told(tmp_path, labels)
        assert "label" not in found.rows[1]
        assert "target" not in found.rows[1]
        assert any("1 rows have no label: row 3" in o for o in found.odd)


@pytest.mark.parametrize("word", ["none", "-", "missing", "unknown", "nil", "inf"])
def test_other_words_are_classes(tmp_path: Path, word: str):
    assert told(tmp_path, ["x", word, "y"]).rows[1]["label"] == word


@pytest.mark.parametrize("head", ["label", "target"])
def test_a_number_too_large(tmp_path: Path, head: str):
    assert float("1e309") == float("inf")  # the injection
    with pytest.raises(Wrong) as caught:
        told(tmp_path, ["0.5", "2", "1e309", "-1e999"], head=head)
    assert "rows 4, 5" in str(caught.value)


def test_numbers_among_words(tmp_path: Path):
    with pytest.raises(Wrong, match="numbers in some rows and words in others: benign") as caught:
        told(tmp_path, ["0", "1", "benign", "1", "0"])
    assert "row 4" in str(caught.value)
    assert caught.value.code == 2
    with pytest.raises(Wrong, match="row 3"):
        told(tmp_path, ["a", "7", "b", "c"])
    assert told(tmp_path, ["1", "2", "4A"], Columns(classes="1,2,4A")).rows[2]["label"] == "4A"
    assert told(tmp_path, ["0", "1", "benign"], Columns(rename="benign=0")).rows[2]["label"] == "0"
    with pytest.raises(Wrong, match='"x" is no finite number'):
        told(tmp_path, ["0.5", "x"], head="target")


def test_one_class_written_in_two_ways(tmp_path: Path):
    with pytest.raises(Wrong, match=r"one class written in 2 ways: 1, 1\.0") as caught:
        told(tmp_path, ["1", "1.0", "0", "1"])
    assert "row 3" in str(caught.value)
    assert "--rename 1.0=1" in caught.value.remedy
    assert told(tmp_path, ["1", "1.0", "0"], Columns(rename="1.0=1")).rows[1]["label"] == "1"
    assert [r["target"] for r in told(tmp_path, ["1", "1.0", "0.5"]).rows] == [1, 1, 0.5]  # numbers, not classes
    with pytest.raises(Wrong, match="one class written"):
        told(tmp_path, ["01", "1", "0"])


def test_words_that_differ_little_are_said(tmp_path: Path):
    found = told(tmp_path, ["benign", "Benign", "malignant"])
    assert any("benign, Benign differ little" in o for o in found.odd)
    slip = told(tmp_path, ["benign"] * 30 + ["malignant"] * 30 + ["malignent"])
    assert any('Did you mean "malignant"?' in o for o in slip.odd)


def test_rename_that_renames_nothing_or_is_none(tmp_path: Path):
    with pytest.raises(Wrong, match='no label is "benigm"') as caught:
        told(tmp_path, ["benign", "x"], Columns(rename="benigm=b"))
    assert "benign" in caught.value.remedy
    for text in ("benign", "=b", "benign="):
        with pytest.raises(Wrong, match="old=new"):
            told(tmp_path, ["benign", "x"], Columns(rename=text))
