"""F020: a JPEG cut short, EXIF rotation, 16-bit colour: nothing is lost in silence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from empirisk.data.readers import picture
from empirisk.errors import Wrong

RNG = np.random.default_rng(0)
SMOOTH = np.asarray(Image.fromarray(RNG.integers(0, 255, (6, 9, 3), np.uint8)).resize((48, 32)))


@pytest.mark.parametrize("how", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("gone", [1, 2, 500])
def test_a_jpeg_cut_by_one_byte_or_more(tmp_path: Path, gone: int, how: dict[str, bool]):
    path = tmp_path / "x.jpg"
    thumbnail = Image.Exif()
    Image.fromarray(SMOOTH).save(path, exif=thumbnail, comment=b"\xff\xd9 an end inside of a segment", **how)
    whole = path.read_bytes()
    assert picture(path).shape == (3, 32, 48)
    path.write_bytes(whole[:-gone])
    assert path.stat().st_size == len(whole) - gone  # the injection
    with pytest.raises(Wrong, match="cut short") as caught:
        picture(path)
    assert caught.value.code == 2
    path.write_bytes(whole + b"\0" * 100)  # padding after the end does no harm
    assert picture(path).shape == (3, 32, 48)


@pytest.mark.parametrize("gone", [1, 12, 60])
def test_a_png_cut(tmp_path: Path, gone: int):
    path = tmp_path / "x.png"
    Image.fromarray(SMOOTH).save(path)
    path.write_bytes(path.read_bytes()[:-gone])
    with pytest.raises(Wrong, match="cut short"):
        picture(path)


def test_a_flipped_byte_inside_a_png(tmp_path: Path):
    path = tmp_path / "x.png"
    Image.fromarray(SMOOTH).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(Wrong, match="cannot be read"):
        picture(path)


def test_a_tiff_cut(tmp_path: Path):
    path = tmp_path / "x.tif"
    Image.fromarray(SMOOTH).save(path)
    assert picture(path).shape == (3, 32, 48)
    for kept in (8, 100, len(path.read_bytes()) // 2):
        (tmp_path / "y.tif").write_bytes(path.read_bytes()[:kept])
        with pytest.raises(Wrong, match="cannot be read"):
            picture(tmp_path / "y.tif")


@pytest.mark.parametrize("ending", ["jpg", "tif", "png"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation_is_applied_once(tmp_path: Path, turn: int, ending: str):
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"x.{ending}"
    Image.fromarray(SMOOTH).save(path, exif=exif, **({"quality": 95} if ending == "jpg" else {}))
    turns = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }  # fmt: skip
    expected = turns[turn](SMOOTH).transpose(2, 0, 1)
    assert picture(path).shape == expected.shape
    assert abs(picture(path).astype(int) - expected).mean() < (6 if ending == "jpg" else 1e-9)


def test_sixteen_bit_grey_is_kept_and_sixteen_bit_colour_refused(tmp_path: Path):
    deep = RNG.integers(0, 65536, (5, 7), np.uint16)
    Image.fromarray(deep).save(tmp_path / "x.png")
    assert picture(tmp_path / "x.png").dtype == np.uint16
    assert np.array_equal(picture(tmp_path / "x.png")[0], deep)
    write_colour_16(tmp_path / "c.png", 4, 3)
    with Image.open(tmp_path / "c.png") as image:
        assert np.asarray(image).dtype == np.uint8  # the injection: Pillow alone drops 8 bits
    with pytest.raises(Wrong, match="16-bit colour"):
        picture(tmp_path / "c.png")


def write_colour_16(path: Path, width: int, height: int) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(6 * width) for _ in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
