"""F012: NIfTI dimensions of 0, negative, more than 7, or beyond all memory, are refused before memory is asked for."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from imaging import nifti

from empirisk.data import readers
from empirisk.errors import Wrong

DIMS = {
    "no axes": (0, 4, 5, 6),
    "eight axes": (8, 4, 5, 6),
    "a negative number of axes": (-3, 4, 5, 6),
    "a length of 0": (3, 4, 0, 6),
    "a negative length": (3, 4, -5, 6),
    "beyond the file": (3, 4, 5, 7),
    "2^31": (3, 32767, 32767, 2),
    "2^105": (7, 32767, 32767, 32767, 32767, 32767, 32767, 32767),
}


@pytest.mark.parametrize("kind", DIMS)
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_refused_before_memory_is_asked_for(tmp_path: Path, kind: str, name: str):
    import gzip

    path = nifti(tmp_path / "x.nii", np.zeros((4, 5, 6), np.int16))
    raw = bytearray(path.read_bytes())
    dim = (*DIMS[kind], 1, 1, 1, 1, 1)[:8]
    struct.pack_into("<8h", raw, 40, *dim)
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(raw)) if name.endswith("gz") else bytes(raw))
    tracemalloc.start()
    with pytest.raises(Wrong) as caught:
        readers.read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == 2
    assert "x.nii" in str(caught.value)
    assert caught.value.remedy
    assert most < 8 << 20


def test_sixty_three_bits_of_the_second_version(tmp_path: Path):
    from nibabel.nifti2 import Nifti2Image

    raw = bytearray(Nifti2Image(np.zeros((4, 5, 6), np.int16), np.eye(4)).to_bytes())
    struct.pack_into("<8q", raw, 16, 3, 2**21, 2**21, 2**21, 1, 1, 1, 1)
    (tmp_path / "x.nii").write_bytes(raw)
    with pytest.raises(Wrong, match="9,223,372,036,854,775,808 voxels"):
        readers.read(tmp_path / "x.nii")
