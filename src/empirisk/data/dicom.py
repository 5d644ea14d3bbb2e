"""DICOM: single objects, multi-frame ones, and series, by pydicom. Only the tags listed here are read; the rest is dropped.

Grey is float32 in its own units: rescale or modality table applied, MONOCHROME1 turned round within the range of its bits so
that more is brighter. Colour (RGB, YBR, palette) is uint8, (3, ...); equal channels are grey. Frames are the axis D; those with
positions are put in the order of these. World axes are turned from LPS+ to RAS+. What a message says holds no value of a tag.
"""

import contextlib
import io
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from empirisk.data.geometry import Geometry, Image, Slice, flipped, ordered
from empirisk.data.raster import grey
from empirisk.data.rows import refused
from empirisk.errors import Wrong
from empirisk.files import read_bytes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_BYTES, MAX_VOXELS = 4 << 30, 1 << 31
PLACE = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "SliceThickness",
         "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames", "Rows", "Columns"]  # fmt: skip
"Where the pixels lie."
PIXELS = ["SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit",
          "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence",
          *(f"{c}PaletteColorLookupTable{k}" for c in ("Red", "Green", "Blue") for k in ("Descriptor", "Data")),
          *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
          "PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]  # fmt: skip
"What they mean."
_QUIET = threading.Lock()


def is_dicom(head: bytes) -> bool:
    """By the first bytes of a file: 128 of any kind, then DICM.

    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"DICM")
    (True, False)
    """
    return head[128:132] == b"DICM"


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """pydicom's exceptions as one Wrong that says their kind alone, as they may quote a patient; its warnings are dropped."""
    try:
        with _QUIET, warnings.catch_warnings():  # one thread at a time, as the filter of warnings is one for all
            warnings.simplefilter("ignore")
            yield
    except Wrong:
        raise
    except Exception as error:
        raise refused(path, f"the DICOM object cannot be read ({type(error).__name__})") from None


def header(path: Path, tags: Sequence[str]) -> "Dataset":
    """These tags of an object, without its pixels; raises Wrong (exit 2) for what is no whole DICOM header."""
    from pydicom import dcmread

    with guarded(path):
        if not path.is_file():
            raise refused(path, "the file is gone, or is no regular file")
        with path.open("rb") as file:
            return dcmread(file, stop_before_pixels=True, specific_tags=list(tags))


def read(paths: Sequence[Path]) -> Image:
    """One object, (C, H, W) or (C, frames, H, W), or the slices of a series in the order of their positions, (C, D, H, W).

    Raises Wrong (exit 2): damaged or cut objects, no pixels, a compression without its decoder (the extra `dicom`
    brings them), colour of 16 bits, objects of unequal size in a series, and whatever `geometry.ordered` refuses.
    """
    objects = [_whole(p) for p in paths]
    arrays = [_pixels(o, p) for o, p in zip(objects, paths, strict=True)]
    shapes = sorted({"x".join(map(str, a.shape)) for a in arrays})
    if len(shapes) > 1 or (len(arrays) > 1 and arrays[0].ndim > 3):
        what = f"the objects of one series are of sizes {' and '.join(shapes[:3])}"
        raise refused(paths[0].parent, what, "choose one with --series")
    order, place = _together(objects, paths)
    if len(arrays) == 1:
        return Image(np.ascontiguousarray(arrays[0][:, order] if order else arrays[0]), place)
    if place is None:
        what = "the objects of one series do not say where they lie"
        raise refused(paths[0].parent, what, "give them one by one")
    return Image(np.stack([arrays[i] for i in order], 1), place)  # (C, D, H, W)


def geometry(paths: Sequence[Path]) -> Geometry | None:
    """The geometry alone, from the headers."""
    return _together([header(p, PLACE) for p in paths], paths)[1]


def _whole(path: Path) -> "Dataset":
    """The listed tags of an object, its pixels among them."""
    from pydicom import dcmread

    try:
        content = read_bytes(path, limit=MAX_BYTES)
    except Wrong as wrong:
        raise refused(path, wrong.where or "the file is too large, or no file") from None
    with guarded(path):
        return dcmread(io.BytesIO(content), specific_tags=[*PLACE, *PIXELS])


def _stored(o: "Dataset", path: Path) -> np.ndarray:
    """The values as they are stored, (H, W) or (frames, H, W), and samples last."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    if not any(name in o for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise refused(path, "the DICOM object has no pixels: it is cut short, or no image")
    n = math.prod(int(o.get(k) or 1) for k in ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"))
    if not 0 < n <= MAX_VOXELS:
        raise refused(path, f"the header tells of {n:,} values, not of 1 to {MAX_VOXELS:,}")
    kind = o.file_meta.TransferSyntaxUID
    try:
        there = get_decoder(kind).is_available
    except NotImplementedError:
        there = False
    if not there:
        remedy = "install the decoders: pip install 'empirisk[dicom]'; or convert it to an uncompressed object"
        raise refused(path, f"the pixels are compressed as {kind.name}, for which there is no decoder here", remedy)
    try:
        return pixel_array(o)
    except RuntimeError:
        what = f"the pixels, compressed as {kind.name}, are damaged, or of a depth that no decoder here takes"
        raise refused(path, what) from None


def _pixels(o: "Dataset", path: Path) -> np.ndarray:
    """(C, H, W) or (C, frames, H, W)."""
    from pydicom.pixels.processing import apply_color_lut

    with guarded(path):
        a = _stored(o, path)
        if str(o.get("PhotometricInterpretation")) == "PALETTE COLOR":
            a = apply_color_lut(a, o)[..., :3]
            a = (a >> 8).astype(np.uint8) if a.dtype == np.uint16 else a
        elif int(o.get("SamplesPerPixel") or 1) == 1:
            return _in_units(a, o, path)[None]
    if a.shape[-1] != 3 or a.dtype != np.uint8:
        what = f"the image has {a.shape[-1]} samples of {8 * a.dtype.itemsize} bits a pixel, colour is read with 3 of 8"
        raise refused(path, what, "convert it to 8-bit colour or grey")
    return grey(np.moveaxis(a, -1, 0))  # (3, [frames,] H, W)


def _in_units(a: np.ndarray, o: "Dataset", path: Path) -> np.ndarray:
    """Stored values (H, W) or (frames, H, W) in the object's units, float32."""
    from pydicom.pixels.processing import apply_modality_lut

    if str(o.get("PhotometricInterpretation")) == "MONOCHROME1" and a.dtype.kind in "ui":
        a = (-1 if o.get("PixelRepresentation") else 2 ** int(o.BitsStored) - 1) - a.astype(np.int64)
    scales = [_grouped(o, k, "PixelValueTransformationSequence") for k in range(len(a) if a.ndim == 3 else 1)]
    if all(scales):
        fields = [[float(s[0].get(n)) for n in ("RescaleSlope", "RescaleIntercept")] for s in scales]
        slope, inter = np.array(fields).T[..., None, None]  # (frames, 1, 1) each
        x = (a * slope + inter).reshape(a.shape)
    else:
        x = apply_modality_lut(a, o)
    x = np.asarray(x, np.float32)
    if not np.isfinite(x).all():
        raise refused(path, "the image has pixels that are not finite numbers", "set them to a number, such as 0")
    return x


def _grouped(o: "Dataset", frame: int, name: str) -> Any:
    """A sequence of an enhanced object, of this frame or of all."""
    for groups, k in ((o.get("PerFrameFunctionalGroupsSequence"), frame), (o.get("SharedFunctionalGroupsSequence"), 0)):
        if groups and len(groups) > k and groups[k].get(name):
            return groups[k].get(name)
    return None


def _together(objects: Sequence["Dataset"], paths: Sequence[Path]) -> tuple[list[int], Geometry | None]:
    """The order of the slices or frames, none where they stay as they are, and where they lie, None where nobody says."""
    frames = int(objects[0].get("NumberOfFrames") or 1) if len(objects) == 1 else 1
    n = len(objects) * frames
    with guarded(paths[0]):
        slices = [placed(o, k, n == 1) for o in objects for k in range(frames)]
    known = [s for s in slices if s]
    if len(known) < n or (frames > 1 and len({s.position for s in known}) == 1):  # of one place: times
        return [], None
    where = [str(p) for p in paths for _ in range(frames)]
    order, affine = ordered(known, where)
    return order if n > 1 else [], Geometry.of(flipped(affine), 3 if n > 1 else 2, "dicom", where[0])


def placed(o: "Dataset", frame: int, alone: bool) -> Slice | None:
    """Where a frame lies. An object alone that says its spacing and nothing else lies at the origin, upright."""

    def of(sequence: str, name: str) -> Any:
        group = _grouped(o, frame, sequence)
        return o.get(name) if group is None else group[0].get(name)

    position = of("PlanePositionSequence", "ImagePositionPatient")
    orientation = of("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = of("PixelMeasuresSequence", "PixelSpacing") or o.get("ImagerPixelSpacing")
    if not spacing or not (alone or (position and orientation)):
        return None
    thickness = float(of("PixelMeasuresSequence", "SliceThickness") or 1) or 1.0
    where, turned = position or (0, 0, 0), orientation or (1, 0, 0, 0, 1, 0)
    return Slice(tuple(map(float, where)), tuple(map(float, turned)), tuple(map(float, spacing)), thickness)
