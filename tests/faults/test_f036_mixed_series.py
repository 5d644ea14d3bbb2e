"""F036: double positions, two series in a folder, a localizer, mixed directions."""

from pathlib import Path

import pytest
from imaging import dicom, series, volume

from empirisk.data.forms import Columns, table
from empirisk.errors import Wrong


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_two_slices_at_one_position(tmp_path: Path):
    series(tmp_path / "set", volume(5), at={2: 2.0})
    with pytest.raises(Wrong, match="two slices lie at one position, 2 and 3 of 5") as caught:
        table(tmp_path / "set", bare=True)
    assert caught.value.code == 2


def test_two_series_in_one_folder_are_two_rows(tmp_path: Path):
    series(tmp_path / "set", volume(5), uid="1.2.3", SeriesNumber=1)
    for path in (tmp_path / "set").iterdir():
        path.rename(path.with_name(f"other{path.name}"))
    series(tmp_path / "set", volume(4), uid="1.2.4", SeriesNumber=2)
    assert sorted(r["x"].read().shape[1] for r in table(tmp_path / "set", bare=True).rows) == [4, 5]


def test_a_localizer_makes_it_ambiguous_and_is_listed(tmp_path: Path):
    series(tmp_path / "set", volume(5))
    dicom(tmp_path / "set" / "scout", volume(1)[0], SeriesInstanceUID="1.2.3.4", Modality="CT", SeriesNumber=3, ImagePositionPatient=[0, 0, 0],
          ImageOrientationPatient=[0, 1, 0, 0, 0, -1], PixelSpacing=[1, 1])  # fmt: skip
    with pytest.raises(Wrong, match="volumes beside pictures") as caught:
        table(tmp_path / "set", bare=True)
    assert caught.value.code == 2
    assert "1 CT volumes" in caught.value.where
    assert "1 CT pictures" in caught.value.where


def test_a_tilted_gantry(tmp_path: Path):
    series(tmp_path / "set", volume(5), drift=0.5)
    with pytest.raises(Wrong, match=r"tilted by 14\.0 degrees"):
        table(tmp_path / "set", bare=True)
    with pytest.raises(Wrong, match="no series is"):
        table(tmp_path / "set", Columns(series="9"), bare=True)
