"""NIfTI: nibabel's own files by nibabel's own values, and each kind by its written rule."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from imaging import AFFINE, nifti

from empirisk.data import readers
from empirisk.data.readers import File, Labels
from empirisk.errors import Wrong

BUNDLED = Path(nibabel.__file__).parent / "tests" / "data"
REFUSED = {
    "analyze.hdr": "not PNG",
    "nifti1.hdr": "pair",
    "nifti2.hdr": "pair",
    "row_major.dconn.nii": "axes",
    "resampled_anat_moved.nii": "not finite",  # NaN around the head
}  # fmt: skip
"Bundled with nibabel and not read -> a word of the reason. All other forms there are no NIfTI."
NIFTI = {".nii", ".gz", ".hdr"}


@pytest.mark.parametrize(
    "path", sorted(p for p in BUNDLED.iterdir() if p.suffix in NIFTI and "BRIK" not in p.name), ids=lambda p: p.name
)
def test_values_and_geometry_are_those_of_nibabel(path: Path):
    if path.name in REFUSED:
        with pytest.raises(Wrong, match=REFUSED[path.name]) as caught:
            readers.read(path)
        assert caught.value.code == 2
        assert caught.value.remedy
        return
    image, (array, place) = nibabel.load(path), readers.read(path)
    values = np.asarray(image.dataobj, np.float32)
    assert array.dtype == np.float32
    assert np.array_equal(array, values.T.reshape(array.shape))
    assert place.matrix[:, [2, 1, 0, 3]] == pytest.approx(image.affine)
    assert place.spacing == pytest.approx(tuple(np.linalg.norm(image.affine[:3, :3], axis=0)[::-1]), rel=1e-6)
    assert File(str(path)).geometry() == place


@pytest.mark.parametrize("path", sorted(p for p in BUNDLED.iterdir() if p.suffix not in NIFTI), ids=lambda p: p.name)
def test_other_forms_are_refused_by_their_first_bytes(path: Path):
    if path.suffix == ".dcm":
        assert readers.read(path).array.ndim == 3
        return
    with pytest.raises(Wrong) as caught:
        readers.read(path)
    assert caught.value.code == 2


def test_axes_are_reversed_so_that_the_last_is_x(tmp_path: Path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # (i, j, k)
    found, place = readers.read(nifti(tmp_path / "a.nii.gz", array))
    assert found.shape == (1, 4, 3, 2)
    assert found[0, 3, 2, 1] == array[1, 2, 3]
    assert place.spacing == (3.0, 2.0, 1.0)
    assert place.matrix @ (3, 2, 1, 1) == pytest.approx(AFFINE @ (1, 2, 3, 1))
    assert place.form == "nifti"


def test_a_slice_is_a_picture_and_a_fourth_axis_are_channels(tmp_path: Path):
    one = np.arange(6, dtype=np.uint8)
    for shape in ((2, 3), (2, 3, 1)):
        found, place = readers.read(nifti(tmp_path / "a.nii", one.reshape(shape)))
        assert found.shape == (1, 3, 2)
        assert place.spacing == (2.0, 1.0)
        assert Labels(str(tmp_path / "a.nii")).read().shape == (3, 2)
    found, _ = readers.read(nifti(tmp_path / "b.nii", np.arange(48, dtype=np.int16).reshape(2, 3, 4, 2)))
    assert found.shape == (2, 4, 3, 2)
    assert found[1, 0, 0, 0] == 1
    found, _ = readers.read(nifti(tmp_path / "c.nii", np.zeros((2, 3, 4, 1, 3), np.int16)))
    assert found.shape == (3, 4, 3, 2)
    with pytest.raises(Wrong, match="axes 2x3x4x2x3"):
        readers.read(nifti(tmp_path / "d.nii", np.zeros((2, 3, 4, 2, 3), np.int16)))


def test_scale_byte_order_and_second_version(tmp_path: Path):
    from nibabel.nifti1 import Nifti1Header, Nifti1Image
    from nibabel.nifti2 import Nifti2Image

    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scaled = readers.read(nifti(tmp_path / "a.nii", array, scl_slope=0.5, scl_inter=-3)).array
    assert np.array_equal(scaled[0], array.T * 0.5 - 3)
    big = Nifti1Image(array, AFFINE, Nifti1Header(endianness=">"))
    (tmp_path / "b.nii").write_bytes(big.to_bytes())
    assert np.array_equal(readers.read(tmp_path / "b.nii").array[0], array.T)
    (tmp_path / "c.nii").write_bytes(Nifti2Image(array, AFFINE).to_bytes())
    found, place = readers.read(tmp_path / "c.nii")
    assert np.array_equal(found[0], array.T)
    assert place == readers.File(str(tmp_path / "c.nii")).geometry()


def test_units_become_millimetres(tmp_path: Path):
    path = nifti(tmp_path / "a.nii", np.zeros((2, 3, 4), np.uint8), xyzt_units=3)
    assert readers.read(path).geometry.spacing == pytest.approx((0.003, 0.002, 0.001))


def test_told_by_first_bytes_and_refused_with_a_remedy(tmp_path: Path):
    nifti(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.uint8)).rename(tmp_path / "a.png")
    assert readers.form(tmp_path / "a.png") == "NIfTI"
    colour = np.zeros((2, 3, 4), [(c, "u1") for c in "RGB"])
    for name, array, word in (("c", np.zeros((2, 3, 4), np.complex64), "type 32"), ("d", colour, "type 128")):
        with pytest.raises(Wrong, match=word) as caught:
            readers.read(nifti(tmp_path / f"{name}.nii", array))
        assert caught.value.remedy
    with pytest.raises(Wrong, match="not finite"):
        readers.read(nifti(tmp_path / "e.nii", np.full((2, 3, 4), np.nan, np.float32)))


def test_labels_are_whole_numbers(tmp_path: Path):
    for dtype in (np.uint8, np.int16, np.float32, np.int32):
        path = nifti(tmp_path / "a.nii.gz", np.full((2, 3, 4), 7, dtype))
        found = Labels(str(path)).read()
        assert found.dtype == np.uint8
        assert found.shape == (4, 3, 2)
        assert (found == 7).all()
    assert Labels(str(nifti(tmp_path / "b.nii", np.full((2, 3, 4), 300, np.int16)))).read().dtype == np.uint16
    for bad in (-1, 0.5, 70000, np.nan):
        with pytest.raises(Wrong, match="no labels") as caught:
            Labels(str(nifti(tmp_path / "c.nii", np.full((2, 3, 4), bad, np.float32)))).read()
        assert caught.value.code == 2
    with pytest.raises(Wrong, match="2 channels"):
        Labels(str(nifti(tmp_path / "d.nii", np.zeros((2, 3, 4, 2), np.uint8)))).read()
