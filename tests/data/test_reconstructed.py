"""Images that are written again as the ones they are of, and codes that come back from the cells they were written to."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from imaging import AFFINE, nifti
from PIL import Image

from empirisk.data.card import Card
from empirisk.data.readers import File, Stored
from empirisk.data.reconstructed import Code, Codes, Images, Rebuilt, write_image
from empirisk.errors import Wrong

CODE = Code(np.array([0.25, -2.0]), np.array([0.2, 0.8]), np.array([0.4, 0.6]))
NAMES = ("a", "b")


@pytest.mark.parametrize("shape", [(1, 6, 7), (3, 6, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_come_back_as_they_are(tmp_path, shape, dtype):
    if dtype == np.uint16 and shape[0] == 3:
        return  # no such PNG
    like = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    image = like.astype(np.float32) / np.iinfo(dtype).max
    file = write_image(tmp_path, "a", image, Stored(like[None], 0))
    assert file.suffix == ".png"
    assert np.array_equal(File(str(file)).read(), like)


def test_what_is_beyond_the_range_is_cut_off_and_another_size_is_resized(tmp_path):
    like = Stored(np.zeros((1, 1, 8, 8), np.uint8), 0)
    ends = np.stack([np.full((4, 4), v, np.float32) for v in (-0.5,)])
    assert np.asarray(Image.open(write_image(tmp_path, "low", ends, like))).max() == 0
    assert np.asarray(Image.open(write_image(tmp_path, "high", ends + 2, like))).min() == 255
    assert np.asarray(Image.open(write_image(tmp_path, "half", ends + 1, like))).shape == (8, 8)


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 2), (4, 5)])
def test_nifti_keeps_header_affine_and_values(tmp_path: Path, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    path = nifti(tmp_path / "x.nii.gz", values, AFFINE, descrip=b"CANARY")
    x = File(str(path))
    written = write_image(tmp_path / "out", "x", x.read(), x)
    assert written.name == "x.nii.gz"
    np.testing.assert_array_equal(File(str(written)).read(), x.read())
    before, after = nibabel.load(path), nibabel.load(written)
    assert after.shape == before.shape
    assert np.array_equal(after.affine, before.affine)
    assert b"CANARY" not in after.to_bytes()


def test_a_volume_and_floats_that_lie_nowhere_are_nifti(tmp_path):
    for array in (np.ones((1, 1, 3, 4, 5), np.uint8), np.ones((1, 1, 4, 5), np.float32)):
        written = write_image(
            tmp_path,
            f"v{array.ndim}",
            array[0].astype(np.float32) / (255 if array.dtype == np.uint8 else 1),
            Stored(array, 0),
        )
        assert written.name.endswith(".nii.gz")
        assert (File(str(written)).read() == 1).all()


def test_the_range_is_that_of_the_type_or_of_the_training_images():
    card = Card("", 1, (2, 2), (0.0,), (1.0,), 255)
    rows = [{"id": str(i), "x": Stored(np.full((1, 1, 2, 2), i, np.uint8), 0), "label": "ab"[i % 2]} for i in range(4)]
    assert Images.learn(rows, card) == Images(0.0, 1.0, NAMES)
    floats = [{"id": str(i), "x": Stored(np.full((1, 1, 2, 2), i * 5.0, np.float32), 0)} for i in range(4)]
    card = Card("", 1, (2, 2), (0.0,), (1.0,), 1)
    assert Images.learn(floats, card) == Images(0.0, 15.0)
    with pytest.raises(Wrong, match="are 5 everywhere"):
        Images.learn(floats[1:2], card)


def test_one_class_alone_is_none():
    assert Codes.learn([{"label": "a"}, {"label": "a"}]).names == ()
    assert Codes.learn([{"label": "a"}, {"label": "b"}, {}]).names == NAMES


@pytest.mark.parametrize("answer", [CODE, CODE._replace(matched=1.0)])
def test_codes_come_back_from_their_cells(tmp_path, answer):
    cells = Codes(NAMES).write({"id": "0", "label": "b"}, answer, tmp_path)
    assert list(cells)[:2] == ["target", "prediction"]
    assert cells["prediction"] == "b"
    row, back = Codes(NAMES).read({k: str(v) for k, v in cells.items()})
    assert row == {"label": "b"}
    for a, b in zip(answer, back, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(Wrong):
        Codes(NAMES).read({"target": "", "z1": "1"})


def test_images_come_back_but_for_the_pixels(tmp_path):
    kind, image = Images(0.0, 1.0, NAMES), np.full((1, 3, 3), 0.5, np.float32)
    row = {"id": "x/1.png", "x": Stored(np.zeros((1, 1, 3, 3), np.uint8), 0)}
    cells = kind.write(row, Rebuilt(image, 0.125, CODE), tmp_path)
    assert np.asarray(Image.open(tmp_path / cells["prediction"])).max() == 128
    known, back = kind.read({k: str(v) for k, v in cells.items()})
    assert known == {}
    assert back.error == 0.125
    np.testing.assert_array_equal(back.code.z, CODE.z)
    with pytest.raises(Wrong):
        kind.read({"target": ""})
