"""F015: a packed NIfTI that is a bomb, cut, or of a wrong checksum; the checksum is compared to the end."""

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from imaging import nifti

from empirisk.data import readers
from empirisk.data.forms import table
from empirisk.errors import Wrong


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    return nifti(tmp_path / "x.nii.gz", rng.integers(0, 1000, (4, 5, 6)).astype(np.int16))


def refused(path: Path) -> Wrong:
    with pytest.raises(Wrong) as caught:
        readers.read(path)
    assert caught.value.code == 2
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_cut_at_every_byte(path: Path):
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        refused(path)


def test_every_bit_of_the_checksum(path: Path):
    whole = path.read_bytes()
    for bit in range(32):
        spoilt = bytearray(whole)
        spoilt[-8 + bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoilt)
        assert "CRC" in str(refused(path))


def test_a_bomb_is_stopped_by_what_the_header_implies(path: Path):
    plain = gzip.decompress(path.read_bytes())
    packer = zlib.compressobj(9, wbits=31)
    content = packer.compress(plain) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    path.write_bytes(content)
    assert len(content) < 1 << 20  # 300 MB in less than one
    tracemalloc.start()
    assert "more than the" in str(refused(path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 << 20


def test_two_members_are_one_file(path: Path):
    plain = gzip.decompress(path.read_bytes())
    before = readers.read(path).array
    path.write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:]))
    assert np.array_equal(readers.read(path).array, before)
    path.write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:])[:-1])
    refused(path)


def test_a_plain_file_cut_short(tmp_path: Path):
    path = nifti(tmp_path / "x.nii", np.zeros((4, 5, 6), np.int16))
    path.write_bytes(path.read_bytes()[:-1])
    assert "cut short" in str(refused(path))


def test_a_scan_lists_it(tmp_path: Path, path: Path):
    nifti(tmp_path / "set" / "good.nii.gz", np.ones((4, 5, 6), np.int16))
    (tmp_path / "set" / "bad.nii.gz").write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Wrong, match=r"1 of 2 pictures .*cannot be read"):
        table(tmp_path / "set", bare=True)
    assert [i for i, _ in table(tmp_path / "set", bare=True, skip_bad=1).unreadable] == ["bad.nii.gz"]
