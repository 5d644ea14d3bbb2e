"""Pictures: each kind by its written rule."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from empirisk.data import raster, readers
from empirisk.data.readers import File, Stored, Vector, picture, scan
from empirisk.errors import Wrong

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], -1)


def saved(path: Path, array: np.ndarray, mode: str | None = None, **how: object) -> np.ndarray:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **how)
    return picture(path)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(
    "array",
    [GREY, GREY.astype(np.uint16) * 300, COLOUR, GREY.astype(np.float32) / 7],
    ids=["grey8", "grey16", "colour8", "float32"],
)
def test_lossless_kinds_come_back_as_they_are(tmp_path: Path, array: np.ndarray, ending: str):
    if array.dtype == np.float32 and ending == "png":
        ending = "tiff"
    x = saved(tmp_path / f"x.{ending}", array)
    assert x.dtype == array.dtype
    assert np.array_equal(x, array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
    assert x.flags["C_CONTIGUOUS"]


def test_compressed_and_big_endian_tiff(tmp_path: Path):
    deep = GREY.astype(np.uint16) * 300
    assert np.array_equal(saved(tmp_path / "a.tif", deep, compression="tiff_lzw")[0], deep)
    Image.fromarray(deep.astype(">u2")).save(tmp_path / "b.tif")
    assert picture(tmp_path / "b.tif").dtype == np.dtype("=u2")
    assert np.array_equal(picture(tmp_path / "b.tif")[0], deep)


def test_black_and_white_becomes_0_and_255(tmp_path: Path):
    x = saved(tmp_path / "x.png", (GREY > 100).astype(np.uint8) * 255, "1")
    assert x.dtype == np.uint8
    assert np.array_equal(x[0], np.where(GREY > 100, 255, 0))


def test_palette_is_replaced_by_its_colours_and_equal_channels_are_grey(tmp_path: Path):
    assert np.array_equal(saved(tmp_path / "c.png", COLOUR, "P", bits=8).shape, (3, 3, 4))
    grey = Image.fromarray(GREY // 20)
    grey.putpalette([v for i in range(256) for v in (255 - i,) * 3])  # the inverse: index 0 is white
    grey.save(tmp_path / "g.png")
    with Image.open(tmp_path / "g.png") as image:
        assert image.mode == "P"
    assert np.array_equal(picture(tmp_path / "g.png")[0], 255 - GREY // 20)
    assert saved(tmp_path / "rgb.png", np.repeat(GREY[..., None], 3, -1)).shape == (1, 3, 4)


def test_transparency_is_laid_on_black(tmp_path: Path):
    alpha = np.where(GREY > 100, 255, 0).astype(np.uint8)
    x = saved(tmp_path / "la.png", np.stack([GREY, alpha], -1))
    assert np.array_equal(x[0], np.where(GREY > 100, GREY, 0))
    x = saved(tmp_path / "rgba.png", np.concatenate([COLOUR, np.full((3, 4, 1), 128, np.uint8)], -1))
    assert x.shape == (3, 3, 4)
    assert abs(x.astype(int) - COLOUR.transpose(2, 0, 1) * (128 / 255)).max() <= 1


def test_told_by_first_bytes_not_by_name(tmp_path: Path):
    Image.fromarray(GREY).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.jpg")
    assert np.array_equal(picture(tmp_path / "x.jpg")[0], GREY)


@pytest.mark.parametrize(
    ("mode", "name", "word"), [("CMYK", "x.jpg", "CMYK"), ("CMYK", "x.tif", "CMYK"), ("LAB", "x.tif", "LAB")]
)
def test_colour_that_needs_a_profile_is_refused(tmp_path: Path, mode: str, name: str, word: str):
    Image.new(mode, (8, 8)).save(tmp_path / name)
    with pytest.raises(Wrong, match=word) as caught:
        picture(tmp_path / name)
    assert caught.value.code == 2
    assert "convert" in caught.value.remedy


def test_several_pages_are_refused(tmp_path: Path):
    pages = [Image.fromarray(GREY) for _ in range(3)]
    for name in ("x.tif", "x.png"):
        pages[0].save(tmp_path / name, save_all=True, append_images=[Image.fromarray(255 - GREY), *pages[1:]])
        with pytest.raises(Wrong, match=r"pages in one") as caught:
            picture(tmp_path / name)
        assert "each page" in caught.value.remedy


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Image.new("1", (20_000, 6_000)).save(tmp_path / "big.png")  # 120 million in 15 kB
    with pytest.raises(Wrong, match="20000 x 6000 pixels"):
        picture(tmp_path / "big.png")
    monkeypatch.setattr(raster, "MAX_PIXELS", 12)
    assert saved(tmp_path / "x.png", GREY).shape == (1, 3, 4)


def test_a_float_that_is_not_finite_is_refused(tmp_path: Path):
    with pytest.raises(Wrong, match="not finite"):
        saved(tmp_path / "x.tif", np.array([[1, np.nan]], np.float32))


def test_references_read_and_a_scan_goes_on_over_faults(tmp_path: Path):
    Image.fromarray(GREY).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("not a picture")
    references = [
        File(str(tmp_path / "good.png")), File(str(tmp_path / "bad.png")), File(str(tmp_path / "none.png")),
        Stored(np.zeros((2, 3, 4, 5), np.uint16), 1), Vector(np.array([1.0, 2.0])),
    ]  # fmt: skip
    good, bad, none, stored, vector = scan(references)
    assert good == ((1, 3, 4), "uint8", "")
    assert "not PNG, JPEG or TIFF" in bad.fault
    assert none.fault == "there is no such file"
    assert stored == ((3, 4, 5), "uint16", "")
    assert vector == ((2,), "float32", "")
    assert len(repr(references[3])) < 60


def test_one_reader_for_every_form(tmp_path: Path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    found = readers.read(tmp_path / "a.png")
    assert np.array_equal(found.array[0], GREY)
    assert found.geometry is None
    np.savez(tmp_path / "one.npz", images=GREY[None])
    assert np.array_equal(readers.read(tmp_path / "one.npz").array, GREY[None])
    np.savez(tmp_path / "two.npz", images=np.stack([GREY, GREY]))
    with pytest.raises(Wrong, match="not one image, but a set") as caught:
        readers.read(tmp_path / "two.npz")
    assert caught.value.remedy
    with pytest.raises(Wrong, match="no such file"):
        readers.read(tmp_path / "none.png")
    assert readers.form(tmp_path) == ""
