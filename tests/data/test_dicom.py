"""DICOM: pydicom's own files by pydicom's own values, and each kind by its written rule."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from imaging import dicom, series, volume
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

from empirisk.data import readers
from empirisk.data.readers import File, Series
from empirisk.errors import Wrong

BUNDLED = sorted(Path(p) for p in get_testdata_files() if Path(p).is_relative_to(Path(pydicom.__file__).parent))
IMAGES = [p for p in BUNDLED if p.suffix == ".dcm" and "dicomdirtests" not in p.parts]
NO_PIXELS = (
    "UN_sequence empty_charset_LEI no_meta_group_length priv_SQ reportsi reportsi_with_empty_number_tags rtplan rtplan_truncated"
    " test-SR waveform_ecg"
)  # fmt: skip
REFUSED = dict.fromkeys(NO_PIXELS.split(), "no pixels") | {
    "ExplVR_BigEndNoMeta": "first bytes",  # without DICM after the preamble
    "ExplVR_LitEndNoMeta": "first bytes",
    "no_meta": "first bytes",
    "rtstruct": "first bytes",
    "meta_missing_tsyntax": "AttributeError",  # pydicom reads neither
    "nested_priv_SQ": "AttributeError",
    "badVR": "ValueError",
    "MR_truncated": "ValueError",
    "JPEG2000-embedded-sequence-delimiter": "damaged",
    "JPEG-lossy": "no decoder here takes",  # of 12 bits
    "JPGExtended": "no decoder here takes",
    "SC_rgb_rle_16bit": "3 samples of 16 bits",
    "SC_rgb_rle_16bit_2frame": "3 samples of 16 bits",
    "SC_rgb_rle_32bit": "3 samples of 32 bits",
    "SC_rgb_rle_32bit_2frame": "3 samples of 32 bits",
}
"""Bundled with pydicom and not read -> a word of the reason."""
READ = ("CT_small", "MR_small", "MR_small_RLE", "MR_small_bigendian", "JPEG2000", "MR_small_jp2klossless", "693_J2KI")
"""Uncompressed, RLE and JPEG 2000 single frames, which must be read."""


def expected(path: Path) -> np.ndarray:
    """By pydicom alone: modality table applied, MONOCHROME1 turned round, palette replaced."""
    o = pydicom.dcmread(path)
    a = pixel_array(o)
    if o.PhotometricInterpretation == "PALETTE COLOR":
        a = apply_color_lut(a, o)[..., :3]
        a = a >> 8 if a.dtype == np.uint16 else a
    elif o.SamplesPerPixel == 1:
        if o.PhotometricInterpretation == "MONOCHROME1":
            a = (-1 if o.PixelRepresentation else 2**o.BitsStored - 1) - a.astype(int)
        return np.asarray(apply_modality_lut(a, o), np.float32)[None]
    a = np.moveaxis(a, -1, 0)
    return a[:1] if (a[0] == a[1]).all() and (a[1] == a[2]).all() else a


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", IMAGES, ids=lambda p: p.stem)
def test_values_and_geometry_are_those_of_pydicom(path: Path):
    if path.stem in REFUSED:
        assert path.stem not in READ
        with pytest.raises(Wrong, match=REFUSED[path.stem]) as caught:
            readers.read(path)
        assert caught.value.code == 2
        assert caught.value.remedy
        return
    array, place = readers.read(path)
    assert array.dtype in (np.float32, np.uint8)
    assert np.array_equal(array, expected(path))
    assert File(str(path)).geometry() == place
    o = pydicom.dcmread(path)
    if "ImagePositionPatient" in o and array.ndim == 3:
        x, y, position, (r, c) = (
            o.ImageOrientationPatient[:3],
            o.ImageOrientationPatient[3:],
            o.ImagePositionPatient,
            o.PixelSpacing,
        )
        for row, column in ((0, 0), (5, 0), (3, 4)):  # part 3, equation C.7.6.2.1-1
            there = np.array(position) + np.array(x) * c * column + np.array(y) * r * row
            assert place.matrix @ (0, row, column, 1) == pytest.approx((-there[0], -there[1], there[2], 1))
        assert place.spacing == pytest.approx((float(r), float(c)), rel=1e-4)


def test_a_series_is_put_in_the_order_of_its_positions(tmp_path: Path):
    voxels = volume(5)
    paths = series(tmp_path, voxels, spacing=2.5)
    array, place = Series(tuple(map(str, paths))).read(), Series(tuple(map(str, paths))).geometry()
    assert np.array_equal(array, voxels[None].astype(np.float32) - 10)
    assert place.spacing == (2.5, 0.5, 0.75)
    assert place.matrix @ (2, 0, 0, 1) == pytest.approx((3, 5, 12, 1))  # LPS (-3, -5, 7 + 5) as RAS


def test_the_folder_of_a_series_is_read_as_one_volume(tmp_path: Path):
    voxels = volume(4)
    series(tmp_path / "s", voxels)
    (tmp_path / "s" / "notes.txt").write_text("no object")
    array, place = readers.read(tmp_path / "s")
    assert np.array_equal(array, voxels[None].astype(np.float32) - 10)
    assert place == File(str(tmp_path / "s")).geometry()
    (tmp_path / "empty").mkdir()
    with pytest.raises(Wrong, match="is a folder, not a file") as caught:
        readers.read(tmp_path / "empty")
    assert caught.value.code == 2
    assert File(str(tmp_path / "empty")).geometry() is None


def test_monochrome1_is_turned_round_and_rescaled(tmp_path: Path):
    grey = np.array([[0, 10], [200, 4095]], np.uint16)
    path = dicom(
        tmp_path / "a",
        grey,
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=12,
        HighBit=11,
        RescaleSlope=2,
        RescaleIntercept=1,
    )
    assert np.array_equal(readers.read(path).array[0], (4095 - grey.astype(float)) * 2 + 1)
    signed = np.array([[-2048, 0], [5, 2047]], np.int16)
    path = dicom(tmp_path / "b", signed, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    assert np.array_equal(readers.read(path).array[0], -1 - signed.astype(float))


def test_frames_with_positions_are_put_in_order_and_each_has_its_scale(tmp_path: Path):
    voxels, z = volume(3), (4.0, 0.0, 2.0)
    frames = []
    for k in range(3):
        item, plane, scale = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [0, 0, z[k]]
        scale.RescaleSlope, scale.RescaleIntercept = k + 1, k
        item.PlanePositionSequence, item.PixelValueTransformationSequence = [plane], [scale]
        frames.append(item)
    shared, turn, measure = Dataset(), Dataset(), Dataset()
    turn.ImageOrientationPatient, measure.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.5, 0.75]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turn], [measure]
    path = dicom(
        tmp_path / "a", voxels, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames
    )
    array, place = readers.read(path)
    whole = np.stack([voxels[k].astype(np.float32) * (k + 1) + k for k in (1, 2, 0)])
    assert np.array_equal(array, whole[None])
    assert place.spacing == (2.0, 0.5, 0.75)


def test_frames_without_positions_stay_as_they_are_and_lie_nowhere(tmp_path: Path):
    array, place = readers.read(dicom(tmp_path / "a", volume(3), PixelSpacing=[0.5, 0.75]))
    assert array.shape == (1, 3, 6, 7)
    assert place is None


def test_a_picture_with_a_spacing_alone_has_one(tmp_path: Path):
    place = readers.read(dicom(tmp_path / "a", volume(1)[0], ImagerPixelSpacing=[0.2, 0.1])).geometry
    assert place.spacing == (0.2, 0.1)
    assert readers.read(dicom(tmp_path / "b", volume(1)[0])).geometry is None


def test_colour_and_its_bits(tmp_path: Path):
    colour = np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8)
    assert np.array_equal(readers.read(dicom(tmp_path / "a", colour)).array, colour.transpose(2, 0, 1))
    grey = np.repeat(colour[..., :1], 3, -1)
    assert readers.read(dicom(tmp_path / "b", grey)).array.shape == (1, 4, 5)


def test_objects_that_make_no_series_are_refused(tmp_path: Path):
    paths = series(tmp_path, volume(3))
    other = dicom(
        tmp_path / "other",
        volume(1, (3, 3))[0],
        ImagePositionPatient=[0, 0, 9],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[0.5, 0.75],
    )
    with pytest.raises(Wrong, match="sizes 1x3x3 and 1x6x7"):
        Series((*map(str, paths), str(other))).read()
    bare = [dicom(tmp_path / f"bare{k}", volume(1)[0]) for k in range(2)]
    with pytest.raises(Wrong, match="do not say where"):
        Series(tuple(map(str, bare))).read()


def test_a_compression_without_its_decoder_names_the_extra(tmp_path: Path):
    path = dicom(
        tmp_path / "a",
        np.zeros((4, 4), np.uint8),
        syntax="1.2.840.10008.1.2.4.102",
        data=b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4),
    )
    with pytest.raises(Wrong, match="no decoder") as caught:
        readers.read(path)
    assert "empirisk[dicom]" in caught.value.remedy


def test_a_message_says_no_value_of_a_tag(tmp_path: Path):
    path = dicom(tmp_path / "a", volume(1)[0], PatientName="CANARY^NAME", RescaleSlope=1, RescaleIntercept=0)
    raw = path.read_bytes()
    spoilt = raw.replace(b"MONOCHROME2 ", b"CANARY^MONO ")
    assert spoilt != raw
    path.write_bytes(spoilt)
    with pytest.raises(Wrong) as caught:
        readers.read(path)
    assert "CANARY" not in str(caught.value)
