"""F026: a column twice, absent, with spaces, or two that could be meant; "001" is not 1."""

from pathlib import Path

import pandas as pd
import pytest

from empirisk.data.forms import Columns, table
from empirisk.errors import Wrong


def told(folder: Path, text: str, columns: Columns = Columns()):
    (folder / "t.csv").write_text(text)
    return table(folder / "t.csv", columns)


def test_a_column_twice(tmp_path: Path):
    text = "a,label,label\n1,x,y\n2,y,y\n"
    (tmp_path / "t.csv").write_text(text)
    assert list(pd.read_csv(tmp_path / "t.csv").columns) == [
        "a",
        "label",
        "label.1",
    ]  # the injection: renamed in silence
    with pytest.raises(Wrong, match="occur twice: label"):
        told(tmp_path, text)
    with pytest.raises(Wrong, match="occur twice: label"):
        told(tmp_path, text.replace("label,label", "label, label "))


def test_an_absent_column_with_a_near_name(tmp_path: Path):
    text = "a,diagnosis,patient_no\n1,x,1\n2,y,2\n"
    with pytest.raises(Wrong, match='no column is called "diagnoses"') as caught:
        told(tmp_path, text, Columns(label="diagnoses"))
    assert 'Did you mean "diagnosis"?' in caught.value.remedy
    assert "patient_no" in caught.value.remedy
    assert caught.value.code == 2


def test_two_columns_that_could_be_meant(tmp_path: Path):
    text = "a,diagnosis,finding\n1,x,p\n2,y,q\n"
    with pytest.raises(Wrong, match="diagnosis, finding could each be the label") as caught:
        told(tmp_path, text)
    assert "--label" in caught.value.remedy
    assert [r["label"] for r in told(tmp_path, text, Columns(label="finding")).rows] == ["p", "q"]
    assert [r["label"] for r in told(tmp_path, text.replace("finding", "label")).rows] == ["p", "q"]  # its own name


def test_spaces_around_names_and_cells(tmp_path: Path):
    found = told(tmp_path, " a , Label \n 1 , x \n2,y\n")
    assert [r["label"] for r in found.rows] == ["x", "y"]
    assert found.rows[0]["x"].names == ("a",)


def test_identifiers_stay_text(tmp_path: Path):
    text = "id,a,patient,label\n001,1,007,x\n1,2,7,y\n"
    (tmp_path / "t.csv").write_text(text)
    assert pd.read_csv(tmp_path / "t.csv")["patient"].tolist() == [7, 7]  # the injection: one patient
    found = told(tmp_path, text)
    assert [r["id"] for r in found.rows] == ["001", "1"]
    assert [r["patient"] for r in found.rows] == ["007", "7"]
    assert found.rows[0]["x"].names == ("a",)  # nor are they an input
