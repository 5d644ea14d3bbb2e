"""`empirisk data`: what was understood of each form, and the next command, which names the right experiment."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from imaging import decathlon, picture, series, voc, volume


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(cli, *words: object) -> dict:
    code, out, err = cli("data", *words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_each_form_names_its_experiment(tmp_path: Path, cli, tiny: Path):
    boxes = {f"{k}": [("cell", 1, 1, 9 + k % 5, 9)] for k in range(12)}
    assert told(cli, voc(tmp_path / "voc", boxes))["next"] == f"empirisk train detection {tmp_path}/voc"
    blobs = decathlon(tmp_path / "blobs", n=12)
    said = told(cli, blobs)
    assert said["next"] == f"empirisk train segmentation {blobs}"
    assert said["form"] == "Decathlon folder"
    assert Path(said["page"]).exists()
    assert "masks or boxes are drawn on them" in Path(said["page"]).read_text()
    assert told(cli, blobs, "--target", "volume")["next"] == f"empirisk train regression {blobs} --target volume"
    assert told(cli, tiny / "photos")["next"] == f"empirisk train classification {tiny / 'photos'}"
    for k in range(12):
        picture(tmp_path / "pairs" / "images" / f"{k}.png", value=k)
        picture(tmp_path / "pairs" / "masks" / f"{k}.png", value=1)
    assert told(cli, tmp_path / "pairs")["next"] == f"empirisk train segmentation {tmp_path}/pairs"


def test_a_dicom_tree_asks_for_its_labels_and_keeps_the_flags(tmp_path: Path, cli):
    for k in range(12):
        series(tmp_path / "tree" / str(k), volume(3, seed=k), uid=f"1.2.{k + 3}", patient=str(k))
    assert told(cli, tmp_path / "tree")["next"].endswith("--labels TABLE.csv --join StudyInstanceUID")
    rows = "".join(f"1.2.{k + 3}.9,{'ab'[k % 2]}\n" for k in range(12))
    (tmp_path / "l.csv").write_text("StudyInstanceUID,finding\n" + rows)
    said = told(
        cli,
        tmp_path / "tree",
        "--labels",
        "l.csv",
        "--join",
        "StudyInstanceUID",
        "--label",
        "finding",
        "--series",
        "CT",
    )
    assert said["next"].startswith(f"empirisk train classification {tmp_path}/tree ")
    assert "--label finding" in said["next"]
    assert "--series CT --labels l.csv --join StudyInstanceUID" in said["next"]
    code, _, err = cli(*said["next"].split()[1:], "--model", "mlp", "--width", 4, "--epochs", 1, "--dry-run")
    assert code == 0, err


def test_what_cannot_be_used_is_listed(tmp_path: Path, cli):
    blobs = decathlon(tmp_path / "blobs", n=12)
    image = blobs / "imagesTr" / "case_3.nii.gz"
    image.write_bytes(image.read_bytes()[:-20])
    code, _, err = cli("data", blobs)
    assert code == 2
    assert "case_3" in err
    assert "--skip-bad 1" in err
    assert "left out, cannot be read: case_3" in " ".join(told(cli, blobs, "--skip-bad", 1)["odd"])
