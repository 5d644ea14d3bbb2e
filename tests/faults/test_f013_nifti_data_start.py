"""F013: a data start that is no number, within the header or beyond the file."""

import struct
from pathlib import Path

import numpy as np
import pytest
from imaging import nifti

from empirisk.data import readers
from empirisk.errors import Wrong


@pytest.mark.parametrize("start", [float("nan"), float("inf"), -1.0, 0.0, 348.0, 351.0, 5000.0, 1e30])
def test_refused(tmp_path: Path, start: float):
    path = nifti(tmp_path / "x.nii", np.arange(120, dtype=np.int16).reshape(4, 5, 6))
    raw = bytearray(path.read_bytes())
    assert struct.unpack_from("<f", raw, 108)[0] == 352
    struct.pack_into("<f", raw, 108, start)
    path.write_bytes(raw)
    with pytest.raises(Wrong, match="data start .* outside the file or within its header") as caught:
        readers.read(path)
    assert caught.value.code == 2
    assert caught.value.where == str(path)


def test_room_for_extensions_is_allowed(tmp_path: Path):
    path = nifti(tmp_path / "x.nii", np.arange(120, dtype=np.int16).reshape(4, 5, 6))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<f", raw, 108, 368)
    path.write_bytes(raw[:352] + bytes(16) + raw[352:])
    assert readers.read(path).array[0, 5, 4, 3] == 119
