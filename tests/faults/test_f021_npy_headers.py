"""F021: headers of arrays that lie are refused before memory is asked for, whatever the library would have raised."""

import io
import resource
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from empirisk.data.forms import table
from empirisk.data.medmnist import arrays
from empirisk.errors import Wrong


def npy(header: str, body: bytes = b"\0" * 64, version: int = 1, length: int | None = None) -> bytes:
    text = header.encode("latin-1") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def plain(descr: str, shape: str) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"


HEADERS = {
    "object": npy(plain("|O", "(8,)")),
    "2^64": npy(plain("|u1", f"({2**64},)")),
    "product 2^64": npy(plain("<f8", f"({2**32}, {2**32}, 8)")),
    "negative": npy(plain("|u1", "(-5,)")),
    "8 TiB": npy(plain("|u1", f"({8 * 2**40},)")),
    "header 4 GiB": npy(plain("|u1", "(8,)"), version=2, length=2**32 - 1),
    "deep tuple": npy(plain("|u1", "(" * 30_000 + ")" * 30_000)),
    "endless digits": npy(plain("|u1", "(" + "9" * 30_000 + ",)")),
    "code": npy(plain("|u1", "(__import__('os').getpid(),)")),
    "structured": npy(plain("[('a', '<f4')]", "(8,)")),
    "text": npy(plain("<U4", "(8,)")),
    "complex": npy(plain("<c8", "(8,)")),
    "odd float": npy(plain("<f3", "(8,)")),
    "nine dimensions": npy(plain("|u1", "(" + "1, " * 9 + ")")),
    "too little": npy(plain("|u1", "(65,)")),
    "too much": npy(plain("|u1", "(63,)")),
    "no npy": b"GIF89a" * 20,
    "nothing": b"",
    "version 9": npy(plain("|u1", "(64,)"), version=9),
}


@pytest.mark.parametrize("case", HEADERS)
def test_always_one_clear_refusal(tmp_path: Path, case: str):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", HEADERS[case])
    with zipfile.ZipFile(path) as archive:
        assert archive.read("train_images.npy") == HEADERS[case]  # the injection
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Wrong) as caught:
        table(path)
    assert caught.value.code == 2
    assert "x.npz" in str(caught.value)
    assert time.perf_counter() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_what_numpy_writes_is_read(tmp_path: Path):
    a = np.arange(24, dtype=">i4").reshape(2, 3, 4)
    some = {
        "train_images": a,
        "val_images": np.asfortranarray(a),
        "test_images": a[:0],
        "train_labels": np.array([True, False]),
    }
    np.savez_compressed(tmp_path / "x.npz", **some)
    found = arrays(tmp_path / "x.npz")
    assert set(found) == set(some)
    for name, value in some.items():
        assert np.array_equal(found[name], value)
        assert found[name].dtype.isnative


def test_version_2_and_3_headers(tmp_path: Path):
    for version in ((2, 0), (3, 0)):
        out = io.BytesIO()
        np.lib.format.write_array(out, np.arange(6, dtype=np.uint8).reshape(1, 2, 3), version=version)
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("images.npy", out.getvalue())
        assert arrays(tmp_path / "x.npz")["images"].shape == (1, 2, 3)
