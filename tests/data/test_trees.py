"""Folders of DICOM objects: series, labels joined by a tag, patients as keyed hashes."""

import re
import stat
from pathlib import Path

import numpy as np
import pytest
from imaging import dicom, series, volume

from empirisk.data import trees
from empirisk.data.forms import Columns, table
from empirisk.errors import Wrong


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Three CT series of two patients, and a report without pixels."""
    folder = tmp_path / "export"
    for k, patient in enumerate(("Smith-007", "smith-7 ", "Jones")):
        series(
            folder / patient.strip() / "ct",
            volume(4, seed=k),
            uid=f"1.2.{k + 5}",
            patient=patient,
            SeriesDescription="Thorax soft",
        )
    report = dicom(folder / "Jones" / "report", np.zeros((2, 2), np.uint8), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    whole = report.read_bytes()
    report.write_bytes(whole[: whole.index(b"\x28\x00\x02\x00")])  # before SamplesPerPixel
    return folder


def test_a_row_a_series_and_a_hash_a_patient(export: Path):
    found = table(export, bare=True)
    assert len(found.rows) == 3
    for row in found.rows:
        assert re.fullmatch(r"[0-9a-f]{12}", row["id"])
        assert re.fullmatch(r"[0-9a-f]{12}", row["patient"])
        assert row["x"].read().shape == (1, 4, 6, 7)
        assert row["modality"] == "CT"
    assert len({r["patient"] for r in found.rows}) == 2  # two spellings of one
    assert found.patients_known
    assert found.form == "DICOM tree"
    words = {what: text for what, text, _ in found.understood}
    assert words["series"] == "3 CT volumes (number 3)"
    assert words["patients"] == "2, as keyed hashes"
    assert "1 DICOM objects have no pixels and are left out" in found.odd
    said = (
        repr([{k: v for k, v in r.items() if k != "x"} for r in found.rows]) + repr(found.understood) + repr(found.odd)
    )
    assert not re.search(r"Smith|Jones|1\.2\.\d|Thorax", said)


def test_the_key_is_the_owners_alone_and_ids_depend_on_it(export: Path):
    first = table(export, bare=True)
    assert stat.S_IMODE(trees.KEY.stat().st_mode) == 0o600
    assert len(trees.KEY.read_bytes()) == 32
    assert not list(trees.KEY.parent.glob("*.tmp")) + list(trees.KEY.parent.glob(".*.tmp"))
    again = table(export, bare=True)
    assert [(r["id"], r["patient"]) for r in first.rows] == [(r["id"], r["patient"]) for r in again.rows]
    trees.KEY.unlink()
    other = table(export, bare=True)
    assert not {r["id"] for r in first.rows} & {r["id"] for r in other.rows}


def labels(folder: Path, text: str) -> str:
    (folder / "labels.csv").write_text(text)
    return str(folder / "labels.csv")


def test_labels_are_joined_by_a_tag(export: Path, here: Path):
    file = labels(
        here,
        "study instance uid,label,sex,split\n1.2.5.9,ill,F,train\n1.2.6.9,ill,F,train\n1.2.7.9,well,M,test\n1.2.8.9,ill,M,test\n",
    )
    found = table(export, Columns(labels=file, join="StudyInstanceUID"))
    assert sorted((r["label"], r["sex"], r["part"]) for r in found.rows) == [
        ("ill", "F", "train"),
        ("ill", "F", "train"),
        ("well", "M", "test"),
    ]
    words = {what: text for what, text, _ in found.understood}
    assert words["labels"] == "3 of 3 by StudyInstanceUID, column label"
    assert "1 of 4 rows of the table have no image" in found.odd
    assert all("1.2." not in str(v) for r in found.rows for k, v in r.items() if k != "x")


def test_another_column_that_would_match_better_is_said(export: Path, here: Path):
    file = labels(here, "PatientID,study,label\nJones,1.2.5.9,ill\nnobody,1.2.6.9,well\nnone,1.2.7.9,well\n")
    found = table(export, Columns(labels=file, join="PatientID"))
    assert "2 of 3 images have no row in the table" in found.odd
    assert "2 of 3 rows of the table have no image" in found.odd
    found = table(export, Columns(labels=file, join="StudyInstanceUID"))  # no column is called so: the one that matches
    assert [r["label"] for r in sorted(found.rows, key=lambda r: r["label"])] == ["ill", "well", "well"]
    with pytest.raises(Wrong, match='no row of the table matches SeriesInstanceUID by column "') as caught:
        table(export, Columns(labels=labels(here, "a,label\nx,ill\ny,well\n"), join="SeriesInstanceUID"))
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"join": "StudyInstanceUID", "labels": "two"}, "two things of one StudyInstanceUID"),
        ({"labels": "two"}, "--labels needs --join"),
        ({"labels": "two", "join": "StudyInstanceUId"}, "is no DICOM tag"),
        ({"series": "MR"}, "no series is 'MR'"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit(export: Path, here: Path, columns: dict, word: str):
    file = labels(here, "StudyInstanceUID,label\n1.2.5.9,ill\n1.2.5.9,well\n")
    with pytest.raises(Wrong, match=word) as caught:
        table(export, Columns(**{k: file if v == "two" else v for k, v in columns.items()}))
    assert caught.value.code == 2
    assert caught.value.remedy


def test_flags_of_dicom_for_something_else(tiny: Path):
    with pytest.raises(Wrong, match="--series, --labels can only be given for a folder of DICOM"):
        table(tiny / "photos", Columns(series="CT", labels="x.csv"))


def test_a_localizer_is_named_and_a_series_can_be_chosen(export: Path):
    for k, patient in enumerate(("Smith-007", "Jones")):
        dicom(export / patient / "scout", volume(1)[0], SeriesInstanceUID=f"1.9.{k}", PatientID=patient, Modality="CT", SeriesNumber=1, SeriesDescription="Scout",
              ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1], PixelSpacing=[1, 1])  # fmt: skip
    with pytest.raises(Wrong, match="volumes beside pictures") as caught:
        table(export, bare=True)
    assert "3 CT volumes (number 3), 2 CT pictures (number 1)" in str(caught.value)
    assert "--series" in caught.value.remedy
    for wanted, n in (("3", 3), ("1", 2), ("soft", 3), ("scout", 2), ("1.9.0", 1)):
        assert len(table(export, Columns(series=wanted), bare=True).rows) == n, wanted


def test_two_directions_in_one_series_are_two_rows(tmp_path: Path):
    series(tmp_path / "a", volume(3), uid="1.2.3")
    series(tmp_path / "b", volume(4), uid="1.2.3", orientation=(0, 1, 0, 0, 0, -1))
    for k, path in enumerate((tmp_path / "b").iterdir()):  # other objects, as they were in one folder
        path.write_bytes(path.read_bytes().replace(f"1.2.3.{k + 1}".encode(), f"1.2.4.{k + 1}".encode()))
    found = table(tmp_path, bare=True)
    assert sorted(r["x"].read().shape[1] for r in found.rows) == [3, 4]


def test_objects_without_a_place_are_pictures_and_no_object_comes_twice(tmp_path: Path):
    for k in range(3):
        dicom(tmp_path / f"{k}", volume(1, seed=k)[0], SeriesInstanceUID="1.2", PatientID=f"{k}", Modality="CR")
    found = table(tmp_path, bare=True)
    assert [r["x"].read().shape for r in found.rows] == [(1, 6, 7)] * 3
    (tmp_path / "copy").write_bytes((tmp_path / "1").read_bytes())
    with pytest.raises(Wrong, match="two files hold one DICOM object"):
        table(tmp_path, bare=True)


def test_a_slice_that_the_series_itself_misses_at_its_end(tmp_path: Path):
    series(tmp_path, volume(5), leave=(4,), ImagesInAcquisition=5)
    with pytest.raises(Wrong, match="4 of 5 slices are there"):
        table(tmp_path, bare=True)


def test_unreadable_objects_are_listed_and_can_be_left_out(export: Path):
    path = dicom(export / "Jones" / "broken", volume(1)[0])
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(Wrong, match="1 of 14 pictures of .* cannot be read") as caught:
        table(export, bare=True)
    assert "Jones/broken" in str(caught.value)  # a path, on the user's own terminal
    found = table(export, bare=True, skip_bad=1)
    assert len(found.rows) == 3
    ((who, why),) = found.unreadable
    assert re.fullmatch(r"[0-9a-f]{12}", who)
    assert "Jones" not in why


def test_of_two_processes_the_first_makes_the_key(export: Path, monkeypatch: pytest.MonkeyPatch):
    real = trees.write

    def late(path: Path, content: bytes) -> str:
        if not trees.KEY.exists():
            trees.KEY.write_bytes(b"k" * 32)  # the other one, between our look and our link
        return real(path, content)

    monkeypatch.setattr(trees, "write", late)
    assert trees.secret_key() == b"k" * 32
    assert sorted(p.name for p in trees.KEY.parent.iterdir()) == [".key"]


def test_a_file_system_without_links_keeps_a_key(export: Path, monkeypatch: pytest.MonkeyPatch):
    def none(*paths: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr("os.link", none)
    assert trees.secret_key() == trees.secret_key()
    assert sorted(p.name for p in trees.KEY.parent.iterdir()) == [".key"]
