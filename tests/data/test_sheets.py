"""CSV files, data frames and columns in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from empirisk.data.forms import Columns, Table, table
from empirisk.errors import Wrong


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for k in range(6):
        Image.fromarray(np.full((4, 4), k, np.uint8)).save(tmp_path / f"img/{k}.png")
    return tmp_path


def told(folder: Path, text: str, columns: Columns = Columns(), **how: object) -> Table:
    (folder / "t.csv").write_text(text)
    return table(folder / "t.csv", columns, **how)


ROWS = "".join(f"img/{k}.png,{'ab'[k % 2]},00{k // 2},{['train', 'val', 'test'][k // 2]},F\n" for k in range(6))


def test_the_usual_columns(folder: Path):
    found = told(folder, "image,label,patient,split,sex\n" + ROWS)
    row = found.rows[2]
    assert (row["id"], row["label"], row["patient"], row["part"], row["sex"]) == ("img/2.png", "a", "001", "val", "F")
    assert row["x"].read().tolist() == [[[2] * 4] * 4]
    assert found.split_given and found.patients_known
    assert found.classes == ()  # learned from training rows
    assert found.odd == []


@pytest.mark.parametrize(
    "header", ["Image Path,Class,Patient_ID,Subset,sex", " FILENAME , Diagnosis ,subject,part,sex"]
)
def test_columns_by_other_usual_names(folder: Path, header: str):
    row = told(folder, f"{header}\n{ROWS}").rows[0]
    assert (row["label"], row["patient"], row["part"], row["sex"]) == ("a", "000", "train", "F")


def test_named_columns(folder: Path):
    columns = Columns(image="where", label="what", patient="who", split="none")
    found = told(folder, "where,what,who,split,sex\n" + ROWS, columns)
    assert found.rows[0]["label"] == "a"
    assert found.rows[0]["patient"] == "000"
    assert not found.split_given
    assert found.rows[0]["part"] == "new"


def test_numbers_are_targets_and_whole_ones_also_classes(folder: Path):
    text = "".join(f"img/{k}.png,{k / 4}\n" for k in range(6))
    found = told(folder, "image,target\n" + text)
    assert [r["target"] for r in found.rows] == [k / 4 for k in range(6)]
    assert "label" not in found.rows[0]
    both = told(folder, "image,label\n" + "".join(f"img/{k}.png,{k % 2}\n" for k in range(6)))
    assert (both.rows[1]["label"], both.rows[1]["target"]) == ("1", 1.0)
    whole = told(folder, "image,target\n" + "".join(f"img/{k}.png,{k % 2}\n" for k in range(6)))
    assert (whole.rows[1]["label"], whole.rows[1]["target"]) == ("1", 1.0)
    words = told(folder, "image,target\n" + "".join(f"img/{k}.png,{'ab'[k % 2]}\n" for k in range(6)))
    assert (words.rows[1]["label"], "target" in words.rows[1]) == ("b", False)
    apart = told(folder, "image,label,target\n" + "".join(f"img/{k}.png,{'ab'[k % 2]},1e{k}\n" for k in range(6)))
    assert (apart.rows[5]["label"], apart.rows[5]["target"]) == ("b", 1e5)


def test_several_label_columns(folder: Path):
    text = (
        "image,mass,nodule,edema\n"
        + "".join(f"img/{k}.png,{k % 2},{int(k > 2)},0\n" for k in range(5))
        + "img/5.png,1,,0\n"
    )
    found = told(folder, text, Columns(label="mass,nodule,edema"))
    assert found.classes == ("mass", "nodule", "edema")
    assert [r.get("label") for r in found.rows] == [(), ("mass",), (), ("mass", "nodule"), ("nodule",), None]
    assert any("1 rows have no label: row 7" in o for o in found.odd)
    assert told(folder, text, Columns(label="mass,nodule,edema", rename="mass=lump")).classes == (
        "lump",
        "nodule",
        "edema",
    )
    with pytest.raises(Wrong, match="neither 0 nor 1") as caught:
        told(folder, text.replace("img/4.png,0", "img/4.png,2"), Columns(label="mass,nodule,edema"))
    assert "row 6" in str(caught.value)
    with pytest.raises(Wrong, match='no column is called "nodul"'):
        told(folder, text, Columns(label="mass,nodul,edema"))


def test_a_vector_where_there_is_no_picture(folder: Path):
    text = "id,radius,texture,site,label\n" + "".join(f"00{k},{k},{k / 2},left,{'ab'[k % 2]}\n" for k in range(4))
    found = told(folder, text)
    assert [r["id"] for r in found.rows] == ["000", "001", "002", "003"]
    assert found.rows[3]["x"].read().tolist() == [3.0, 1.5]
    assert found.rows[3]["x"].names == ("radius", "texture")
    assert found.rows[3]["site"] == "left"
    assert any("site" in o for o in found.odd)
    turned = "texture,radius\n7,8\n"
    again = told(folder, turned, Columns(inputs=("radius", "texture")), bare=True)
    assert again.rows[0]["x"].read().tolist() == [8.0, 7.0]
    with pytest.raises(Wrong, match="no column texture"):
        told(folder, "radius\n1\n", Columns(inputs=("radius", "texture")), bare=True)
    with pytest.raises(Wrong, match='no number in column "radius"') as caught:
        told(folder, text.replace("002,2,", "002,NA,"))
    assert "row 4" in str(caught.value)


def test_frames_and_mappings_keep_identifiers(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    some = {
        "image": [f"img/{k}.png" for k in range(6)],
        "label": list("ababab"),
        "patient": ["007", "07", "7", None, float("nan"), 7],
    }
    for source in (some, pd.DataFrame(some)):
        found = table(source)
        assert [r["patient"] for r in found.rows] == ["007", "07", "7", None, None, "7"]
        assert found.rows[5]["id"] == "img/5.png"
    with pytest.raises(Wrong, match="unequal length"):
        table({"image": ["img/1.png"], "label": []})
    with pytest.raises(Wrong, match="twice"):
        table(pd.DataFrame([["img/1.png", "a", "b"]], columns=["image", "label", "label "]))


def test_patients_from_picture_names_without_a_column(folder: Path):
    for k in range(4):
        (folder / f"img/{k}.png").rename(folder / f"img/P{k // 2}_{k}.png")
    text = "image,label\n" + "".join(f"img/P{k // 2}_{k}.png,{'ab'[k % 2]}\n" for k in range(4))
    assert [r["patient"] for r in told(folder, text).rows] == ["P0", "P0", "P1", "P1"]
    assert not told(folder, text, Columns(patient="none")).patients_known


def test_a_word_for_the_split_that_is_none(folder: Path):
    with pytest.raises(Wrong, match='"holdout" in column "split"') as caught:
        told(folder, "image,label,patient,split,sex\n" + ROWS.replace("val", "holdout"))
    assert "rows 4, 5" in str(caught.value)


def test_labels_against_given_classes(folder: Path):
    text = "image,label\n" + "".join(f"img/{k}.png,{['benign', 'malignent'][k % 2]}\n" for k in range(6))
    with pytest.raises(Wrong, match='label "malignent" \\(3 rows\\) is not among benign, malignant, normal') as caught:
        told(folder, text, Columns(classes="benign,malignant,normal"))
    assert "rows 3, 5, 7" in str(caught.value)
    assert 'Did you mean "malignant"?' in str(caught.value)
    assert "--rename malignent=malignant" in str(caught.value)
    found = told(folder, text, Columns(classes="benign,malignant,normal", rename="malignent=malignant"))
    assert found.classes == ("benign", "malignant", "normal")
    assert found.rows[1]["label"] == "malignant"


def test_what_is_not_used_for_learning_needs_no_label(folder: Path):
    with pytest.raises(Wrong, match="no labels or numbers"):
        told(folder, "image,sex\nimg/1.png,F\n")
    assert told(folder, "image,sex\nimg/1.png,F\n", bare=True).rows[0]["sex"] == "F"
    for text in ("", "image,label\n"):
        with pytest.raises(Wrong, match=r"t\.csv"):
            told(folder, text)


def test_what_is_to_be_predicted_may_lack_the_columns_of_training(folder: Path):
    columns = Columns(image="image", label="what", patient="who", split="part")
    found = told(folder, "image\nimg/1.png\n", columns, bare=True)
    assert [(r["id"], r["patient"]) for r in found.rows] == [("img/1.png", None)]
    assert [r["id"] for r in table(folder / "img", columns, bare=True).rows] == [f"{k}.png" for k in range(6)]
    with pytest.raises(Wrong, match='no column is called "what"'):
        told(folder, "image\nimg/1.png\n", columns)


def test_a_formula_stays_text(folder: Path):
    assert told(folder, "image,label\nimg/1.png,=1+1\nimg/2.png,b\n").rows[0]["label"] == "=1+1"
