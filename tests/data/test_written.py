"""Label maps go back in the form and the geometry of their image, bit for bit."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from imaging import AFFINE, dicom, nifti, picture, series, volume

from empirisk.data.readers import File, Labels, Series, Stored
from empirisk.data.written import stem_of, told_apart, write_mask
from empirisk.errors import Wrong


def some(shape, top=3):
    return np.random.default_rng(0).integers(0, top + 1, shape).astype(np.int64)


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 1), (4, 5), (4, 5, 6, 2)])
@pytest.mark.parametrize("top", [3, 300])
def test_nifti_keeps_header_affine_and_axes(tmp_path: Path, shape: tuple[int, ...], top: int):
    turned = AFFINE.copy()
    turned[:3, :3] = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0] * (1, 2, 3)
    path = nifti(
        tmp_path / "x.nii.gz",
        np.zeros(shape, np.int16),
        turned,
        descrip=b"CANARY",
        qform_code=0,
        sform_code=2,
        xyzt_units=2,
    )
    x = File(str(path))
    labels = some(x.read().shape[1:], top)
    written = write_mask(tmp_path / "out", "x", labels, x)
    assert written == tmp_path / "out" / "x.nii.gz"
    assert np.array_equal(Labels(str(written)).read(), labels)
    before, after = nibabel.load(path), nibabel.load(written)
    assert after.shape == before.shape[:3]
    assert np.array_equal(after.affine, before.affine)
    assert after.get_data_dtype() == (np.uint8 if top < 256 else np.uint16)
    for field in ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "xyzt_units"):
        assert np.array_equal(after.header[field], before.header[field]), field
    assert b"CANARY" not in nibabel.load(written).to_bytes()
    assert Labels(str(written)).geometry().affine == x.geometry().affine


def test_a_dicom_series_gives_nifti_in_its_place(tmp_path: Path):
    x = Series(tuple(map(str, series(tmp_path / "s", volume(4), orientation=(0, 1, 0, 0, 0, -1)))))
    labels = some((4, 6, 7))
    written = write_mask(tmp_path, "x", labels, x)
    assert np.array_equal(Labels(str(written)).read(), labels)
    assert Labels(str(written)).geometry().matrix == pytest.approx(x.geometry().matrix)


@pytest.mark.parametrize("top", [1, 255, 256, 65535])
def test_pictures_give_png_of_8_or_16_bits(tmp_path: Path, top: int):
    labels = some((20, 30), top)
    labels[0, 0] = top
    for x in (File(str(picture(tmp_path / "x.png"))), Stored(np.zeros((1, 1, 20, 30), np.uint8), 0)):
        written = write_mask(tmp_path / "out", "a.b", labels, x)
        assert written.name == "a.b.png"
        assert np.array_equal(Labels(str(written)).read(), labels)
        assert Labels(str(written)).read().dtype == (np.uint8 if top < 256 else np.uint16)


def test_a_volume_that_lies_nowhere_is_nifti_all_the_same(tmp_path: Path):
    labels = some((4, 5, 6))
    written = write_mask(tmp_path, "x", labels, Stored(np.zeros((1, 1, 4, 5, 6), np.uint8), 0))
    assert np.array_equal(Labels(str(written)).read(), labels)
    written = write_mask(tmp_path, "y", labels, File(str(dicom(tmp_path / "m", volume(4, (5, 6))))))
    assert np.array_equal(Labels(str(written)).read(), labels)


def test_the_image_may_not_be_gone(tmp_path: Path):
    path = nifti(tmp_path / "x.nii.gz", np.zeros((4, 5, 6), np.int16))
    place = File(str(path))
    path.unlink()
    assert place.geometry() is None  # nobody knows any more: written without it
    assert write_mask(tmp_path, "x", some((6, 5, 4)), place).exists()


def test_a_map_that_is_none_is_refused(tmp_path: Path):
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 9, (4, 5, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(Wrong, match="in colour") as caught:
        Labels(str(tmp_path / "c.png")).read()
    assert caught.value.remedy


def test_a_palette_is_read_as_its_indices_and_black_and_white_as_0_and_1(tmp_path: Path):
    from PIL import Image

    indices = np.arange(20, dtype=np.uint8).reshape(4, 5) % 4
    image = Image.fromarray(indices)
    image.putpalette([9, 8, 7] * 256)
    image.save(tmp_path / "p.png")
    assert np.array_equal(Labels(str(tmp_path / "p.png")).read(), indices)
    Image.fromarray(indices * 80).convert("1").save(tmp_path / "b.png")
    assert set(np.unique(Labels(str(tmp_path / "b.png")).read())) <= {0, 1}


def test_images_whose_names_differ_by_their_ending_alone_have_a_file_each():
    rows = [{"id": name} for name in ("a.png", "a.jpg", "b.png", "x/c.png", "x-c.png")]
    stems = [stem_of(r["id"]) for r in told_apart(rows)]
    assert len(set(stems)) == len(rows)
    assert stems[2] == "b"
    assert all(stem.startswith("a-") for stem in stems[:2])
    assert [stem_of(r["id"]) for r in told_apart(rows[1:3])] == ["a", "b"]
