"""F034: a slice is missing: within the series its neighbour is named, at an end the series' own count tells."""

from pathlib import Path

import pytest
from imaging import series, volume

from empirisk.data.forms import table
from empirisk.errors import Wrong


@pytest.mark.parametrize("gone", range(6))
def test_refused_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int):
    monkeypatch.chdir(tmp_path)
    paths = series(tmp_path / "set" / "a", volume(6), leave=(gone,), ImagesInAcquisition=6)
    series(tmp_path / "set" / "b", volume(6), uid="1.2.9", ImagesInAcquisition=6)
    assert len(paths) == 5  # the injection
    with pytest.raises(Wrong, match="1 of 2 pictures .* cannot be used") as caught:
        table(tmp_path / "set", bare=True)
    assert caught.value.code == 2
    assert f"{tmp_path}/set/a: 5 of 6 slices are there" in str(caught.value)
    assert len(table(tmp_path / "set", bare=True, skip_bad=1).rows) == 1


@pytest.mark.parametrize("gone", range(1, 5))
def test_without_a_count_the_gap_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int):
    monkeypatch.chdir(tmp_path)
    series(tmp_path / "set", volume(6), leave=(gone,))
    with pytest.raises(Wrong, match=f"a gap of 2x the spacing after slice {gone} of 5: 1 missing"):
        table(tmp_path / "set", bare=True)
