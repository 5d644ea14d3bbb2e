"""F098: names, ids and dates planted in the tags, file names and folder names of DICOM objects are found nowhere afterwards."""

from pathlib import Path

import numpy as np
import pytest
from imaging import dicom
from pydicom.dataset import Dataset

TEXTS = [
    "PatientName", "PatientID", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers",
    "PatientComments", "AdditionalPatientHistory", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician",
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "StudyDescription", "SeriesDescription", "ProtocolName",
    "StudyID", "AccessionNumber", "ImageComments", "DerivationDescription", "MedicalRecordLocator", "EthnicGroup", "Occupation", "DeviceSerialNumber",
    "RequestedProcedureDescription", "PerformedProcedureStepDescription", "ContentCreatorName", "NameOfPhysiciansReadingStudy", "Allergies",
]  # fmt: skip
DATES = ["PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "LastMenstrualDate"]


def canary(k: int) -> str:
    return f"Cnry{k:02d}Zq"


def planted(folder: Path, k: int, bright: bool) -> None:
    """An object with a canary in 40 tags, among them private ones, an overlay, a nested sequence, and in its path."""
    pixels = np.random.default_rng(k).integers(0, 60, (16, 16), np.uint8)
    pixels[4:12, 4:12] += 120 * bright
    person, nested = Dataset(), Dataset()
    person.PersonName, nested.PersonIdentificationCodeSequence = f"{canary(90)}^{k}", [person]
    tags = {name: f"{canary(i)}{k}"[:16] for i, name in enumerate(TEXTS)} | dict.fromkeys(DATES, "19471123")
    tags |= {"PatientID": f"{canary(1)}{k // 2}", "StudyInstanceUID": f"1.2.19471123.{k}", "SOPInstanceUID": f"1.3.19471123.{k}",
             "SeriesInstanceUID": f"1.4.19471123.{k}", "ReferencedImageSequence": [nested], "Modality": "CR"}  # fmt: skip
    path = dicom(folder / f"{canary(91)}" / f"{canary(92)}_{k}.dcm", pixels, **tags)
    from pydicom import dcmread

    o = dcmread(path)
    o.private_block(0x0011, canary(93), create=True).add_new(1, "LO", canary(94))
    o.add_new(0x60000022, "LO", canary(95))
    o.save_as(path)
    raw = path.read_bytes()
    assert raw.count(b"Cnry") >= 35  # the injection
    assert b"19471123" in raw


def found(folder: Path) -> list[str]:
    """Files whose content or name holds a canary."""
    hits = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        hits += [str(path)] if "Cnry" in path.name or b"Cnry" in content or b"19471123" in content else []
    return hits


@pytest.mark.parametrize("broken", [False, True])
def test_nothing_is_left_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli, broken: bool):
    export, work = tmp_path / "export", tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for k in range(36):
        planted(export, k, k % 4 < 2)
    if broken:
        path = next((export / canary(91)).iterdir())
        path.write_bytes(path.read_bytes()[:-100])
    rows = [f"1.2.19471123.{k},{('dark', 'bright')[k % 4 < 2]}" for k in range(36)]
    (tmp_path / "labels.csv").write_text("StudyInstanceUID,label\n" + "\n".join(rows) + "\n")
    skip = ("--skip-bad", 1) if broken else ()
    joined = (export, "--labels", tmp_path / "labels.csv", "--join", "StudyInstanceUID", *skip)
    said = ""
    for words in (
        ("data", *joined),
        ("train", "classification", *joined, "--model", "mlp", "--width", 4, "--epochs", 2, "--out", "runs/x"),
        ("test", "runs/x"),
        ("report", "runs/x"),
        *([] if broken else [("predict", "runs/x", export)]),
    ):
        code, out, err = cli(*words)
        assert code == 0, err
        said += out + err
    assert (work / "runs" / "x" / "metrics.json").exists()
    assert found(work) == []
    assert "Cnry" not in said
    assert "19471123" not in said
