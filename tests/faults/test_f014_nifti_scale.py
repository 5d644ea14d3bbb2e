"""F014: a scale of 0 or NaN is none, as the format has it; one that is infinite, or makes values so, is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from imaging import nifti

from empirisk.data import readers
from empirisk.errors import Wrong


def patched(folder: Path, slope: float, inter: float) -> Path:
    path = nifti(folder / "x.nii", np.arange(120, dtype=np.int16).reshape(4, 5, 6))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<2f", raw, 112, slope, inter)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(("slope", "inter"), [(0.0, 5.0), (float("nan"), 5.0), (0.0, float("nan"))])
def test_none_is_none(tmp_path: Path, slope: float, inter: float):
    assert readers.read(patched(tmp_path, slope, inter)).array.max() == 119


@pytest.mark.parametrize(
    ("slope", "inter"), [(float("inf"), 0.0), (1.0, float("-inf")), (2.0, float("nan")), (1e38, 0.0)]
)
def test_endless_is_refused(tmp_path: Path, slope: float, inter: float):
    with pytest.raises(Wrong, match="scale of the values|not finite") as caught:
        readers.read(patched(tmp_path, slope, inter))
    assert caught.value.code == 2
    assert "x.nii" in str(caught.value)
