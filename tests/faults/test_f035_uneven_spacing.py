"""F035: distances of slices that differ by less than a thousandth are noise, by more they are refused."""

from pathlib import Path

import pytest
from imaging import series, volume

from empirisk.data import readers
from empirisk.errors import Wrong


def stacked(folder: Path, share: float) -> readers.Series:
    return readers.Series(tuple(map(str, series(folder, volume(5), spacing=2.0, at={3: 6.0 + 2 * share}))))


@pytest.mark.parametrize("share", [0.0, 1e-6, -4e-4, 4e-4])
def test_noise_is_accepted(tmp_path: Path, share: float):
    x = stacked(tmp_path, share)
    assert x.read().shape == (1, 5, 6, 7)
    assert x.geometry().spacing[0] == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("share", [2e-3, 0.05, -0.3])
def test_more_is_refused(tmp_path: Path, share: float):
    with pytest.raises(Wrong, match="unevenly|a gap") as caught:
        stacked(tmp_path, share).read()
    assert caught.value.code == 2
    assert caught.value.remedy
