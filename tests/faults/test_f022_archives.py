"""F022: bombs, members twice, names that are paths, archives cut short."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from empirisk.data import medmnist
from empirisk.data.medmnist import arrays
from empirisk.errors import Wrong

SOME = {"train_images": np.arange(60, dtype=np.uint8).reshape(5, 3, 4), "train_labels": np.array([0, 1, 0, 1, 0])}


def npy(a: np.ndarray) -> bytes:
    import io

    np.lib.format.write_array(out := io.BytesIO(), a)
    return out.getvalue()


def test_a_bomb_is_refused_before_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, train_images=np.zeros((3000, 64, 64), np.uint8))
    assert 12e6 / path.stat().st_size > 500  # the injection
    assert arrays(path)["train_images"].shape == (3000, 64, 64)  # shapes of organs shrink as well: small ones are taken
    monkeypatch.setattr(medmnist, "RATIO_FROM", 10_000_000)
    with pytest.raises(Wrong, match="bomb") as caught:
        arrays(path)
    assert caught.value.code == 2


def test_a_header_that_promises_more_than_deflate_can(tmp_path: Path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, train_images=np.zeros((2000, 8, 8), np.uint8))
    content = path.read_bytes()
    with zipfile.ZipFile(path) as z:
        info = z.infolist()[0]
    lie = (info.file_size * 1000).to_bytes(4, "little")
    forged = content.replace(info.file_size.to_bytes(4, "little"), lie)
    assert forged != content  # the injection
    path.write_bytes(forged)
    with pytest.raises(Wrong):
        arrays(path)


def test_members_twice(tmp_path: Path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as z, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shift in (0, 1):
            z.writestr("train_images.npy", npy(SOME["train_images"] + np.uint8(shift)))
    with np.load(path) as z:
        assert z["train_images"][0, 0, 0] == 1  # the injection: NumPy takes the last without a word
    with pytest.raises(Wrong, match="more than once"):
        arrays(path)


@pytest.mark.parametrize("name", ["../train_images.npy", "/etc/train_images.npy", "a/../../b.npy", "a\\b.npy", "..npy"])
def test_names_that_are_paths(tmp_path: Path, name: str):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("train_images.npy", npy(SOME["train_images"]))
        z.writestr(name, npy(SOME["train_images"]))
    with pytest.raises(Wrong, match="names that no"):
        arrays(path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_cut_flipped_and_strange_archives(tmp_path: Path):
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, **SOME)
    content = whole.read_bytes()
    for k in range(0, len(content) - 1, 7):
        (tmp_path / "cut.npz").write_bytes(content[:k])
        with pytest.raises(Wrong, match=r"cut\.npz"):
            arrays(tmp_path / "cut.npz")
    flips = 0
    for k in range(40, len(content), 5):
        broken = bytearray(content)
        broken[k] ^= 0x10
        (tmp_path / "flip.npz").write_bytes(broken)
        try:
            found = arrays(tmp_path / "flip.npz")
        except Wrong:
            flips += 1
        else:  # a field that does not matter, or a member's name
            assert all(np.array_equal(a, SOME[n]) for n, a in found.items())
    assert flips > 10
    for k, text in enumerate([b"", b"not a zip", b"PK\5\6" + b"\0" * 18]):
        (tmp_path / f"{k}.npz").write_bytes(text)
        with pytest.raises(Wrong):
            arrays(tmp_path / f"{k}.npz")
    with pytest.raises(Wrong, match="no regular file"):
        arrays(tmp_path)


def test_another_compression_is_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as z:
        z.writestr("train_images.npy", npy(np.zeros((500, 8, 8), np.uint8)))
    assert arrays(tmp_path / "x.npz")["train_images"].shape == (500, 8, 8)
