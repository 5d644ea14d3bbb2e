"""NIfTI-1 and -2 in one file, .nii or .nii.gz: header checked in Python's integers, values and geometry as nibabel has them.

Array axes are reversed, (i, j, k) -> (k, j, i), so that the last is x; a fourth axis becomes channels; one slice is (C, H, W).
Voxels are float32, scaled by scl_slope and scl_inter (a slope of 0 or NaN: unscaled). Refused with a remedy: pairs of .hdr and
.img, colour and complex voxels, time beside channels, and whatever the bytes do not hold.
"""

import contextlib
import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from empirisk.data.geometry import Geometry, Image, reversed_axes
from empirisk.data.rows import BROKEN, refused
from empirisk.files import guarded, read_bytes

MAX_BYTES, MAX_VOXELS, SLACK = 8 << 30, 1 << 31, 1 << 20
"Of a file; of an image; bytes that may stand after the voxels, and 16 times as many before them."
_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
"Of a voxel by NIfTI's code of its type: the real ones."


class Header(NamedTuple):
    """What holds before memory is asked for."""

    kind: Any  # nibabel's class of the image
    fields: Any  # nibabel's header
    shape: tuple[int, ...]  # (i, j, k), or (i, j, k, channels)
    end: int  # byte after the last voxel


def is_nifti(head: bytes) -> bool:
    """By the first bytes of a file, packed or not; a gzip of something else is not.

    >>> is_nifti(struct.pack("<i", 348) + bytes(340) + b"n+1" + bytes(1)), is_nifti(b"PK")
    (True, False)
    """
    head = unpacked(head)
    return len(head) >= 348 and (head[344:347] in {b"n+1", b"ni1"} or head[4:7] in {b"n+2", b"ni2"})


def unpacked(head: bytes) -> bytes:
    """The first bytes of what a gzip holds, whatever its checksum; other bytes as they are."""
    if not head.startswith(b"\x1f\x8b"):
        return head
    for some in (head, head[:-8]):  # of a small file these are all, the checksum among them
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(31).decompress(some, 1024)
    return b""


def read(path: Path) -> Image:
    """The image in a file, (C, D, H, W) or (C, H, W), float32, and its geometry.

    Raises Wrong (exit 2): what `checked` refuses, a cut or damaged file, values that are not finite.
    """
    header, array = _loaded(path, np.float32)
    if not np.isfinite(array).all():
        raise refused(path, "the image has voxels that are not finite numbers", "set them to a number, such as 0")
    array = array if array.ndim == 4 else array[None]  # (C, D, H, W)
    array = array[:, 0] if array.shape[1] == 1 else array
    return Image(np.ascontiguousarray(array), _geometry(header, path))


def read_labels(path: Path) -> np.ndarray:
    """A label map, (D, H, W) or (H, W), in the type of its file; refuses what `read` refuses, and channels."""
    header, array = _loaded(path)
    if len(header.shape) == 4:
        raise refused(path, f"the label map has {header.shape[3]} channels", "save one map of whole numbers")
    return np.ascontiguousarray(array[0] if len(array) == 1 else array)


def geometry(path: Path) -> Geometry:
    """The geometry alone, from the first bytes of the file."""
    return _geometry(header(path), path)


def header(path: Path) -> Header:
    """The header alone, from the first bytes of the file; refuses (exit 2) what `checked` refuses."""
    if not path.is_file():
        raise refused(path, "the file is gone", "bring it back: it was there when the data were scanned")
    with guarded(str(path), remedy=BROKEN), path.open("rb") as file:
        return checked(unpacked(file.read(4096)), path)


def _loaded(path: Path, dtype: Any = None) -> tuple[Header, np.ndarray]:
    """The header, and the scaled voxels ([c,] k, j, i); of a gzip no more is unpacked than its header implies and a megabyte."""
    content = read_bytes(path, limit=MAX_BYTES)
    if content.startswith(b"\x1f\x8b"):
        end, plain = checked(unpacked(content[: 1 << 16]), path).end, bytearray()
        with guarded(str(path), remedy=BROKEN), gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            while len(plain) <= end + SLACK and (more := stream.read(SLACK)):  # never the room that a header asks for
                plain += more
        if len(plain) > end + SLACK:
            what = f"the file holds more than the {end:,} bytes that its header tells of"
            raise refused(path, what, "refused as a decompression bomb: write it anew")
        content = bytes(plain)
    header = checked(content, path, len(content))
    with guarded(str(path), remedy=BROKEN), np.errstate(over="ignore", invalid="ignore"):  # the result is looked at
        array = np.asarray(header.kind.from_bytes(content).dataobj, dtype)
    return header, array.reshape(header.shape).T


def checked(head: bytes, path: Path, size: int | None = None) -> Header:
    """The header in the first bytes of a file, compared with its `size` where that is known.

    Raises Wrong (exit 2): no single-file NIfTI, axes or sizes that no image has, a type that is not read, a data
    start or voxels outside of the file, a scale that is infinite.
    """
    from nibabel.nifti1 import Nifti1Image
    from nibabel.nifti2 import Nifti2Image

    kinds: tuple[tuple[Any, int], ...] = (Nifti1Image, 348), (Nifti2Image, 540)
    forms = {struct.pack(f"{way}i", n): (kind, n, way) for kind, n in kinds for way in "<>"}
    kind, length, way = forms.get(head[:4], (None, 0, ""))
    if kind is None or len(head) < length:
        raise refused(path, f"the file ends within its header, after {len(head)} bytes, or has none of NIfTI")
    h = kind.header_class(head[:length], way, check=False)
    axes, *dim = h["dim"].tolist()
    shape, code, start = dim[: max(0, axes)], int(h["datatype"]), float(h["vox_offset"])
    slope, inter = float(h["scl_slope"]), float(h["scl_inter"])
    if h["magic"].item()[:3] in {b"ni1", b"ni2"}:
        raise refused(path, "this is the header of a pair, .hdr and .img", "save both as one .nii.gz")
    if not 1 <= axes <= 7 or min(shape) < 1:
        raise refused(path, f"the header tells of {axes} axes of lengths {', '.join(map(str, shape)) or 'none'}")
    if code not in _BYTES:
        raise refused(path, f"the voxels are of NIfTI's type {code}, no plain number", "save them as int16 or float32")
    if (voxels := math.prod(shape)) > MAX_VOXELS:
        raise refused(path, f"the header tells of {voxels:,} voxels, more than {MAX_VOXELS:,}", "cut or shrink it")
    if not length + 4 <= start <= (16 * SLACK if size is None else min(size, 16 * SLACK)):  # NaN too
        raise refused(path, f"the data start {start:g} is outside the file or within its header")
    if math.isinf(slope) or math.isinf(inter) or (slope and not math.isnan(slope) and math.isnan(inter)):
        raise refused(path, f"the scale of the values is {slope:g} and {inter:g}")
    end = int(start) + voxels * _BYTES[code]
    if size is not None and end > size:
        raise refused(path, f"the file is cut short: its header tells of {end:,} bytes, {size:,} are there")
    more = [n for n in shape[3:] if n > 1]
    if len(more) > 1:
        raise refused(path, f"the image has axes {'x'.join(map(str, shape))}", "save times apart, or channels apart")
    return Header(kind, h, (*(*shape, 1, 1)[:3], *more), end)


def _geometry(header: Header, path: Path) -> Geometry:
    """sform where its code is set, else qform, else the spacing, as nibabel chooses; in mm, axes in the array's order."""
    unit = {1: 1000.0, 3: 0.001}.get(int(header.fields["xyzt_units"]) & 7, 1.0)
    affine = np.diag([unit, unit, unit, 1.0]) @ header.fields.get_best_affine()
    return Geometry.of(reversed_axes(affine), 2 if header.shape[2] == 1 else 3, "nifti", str(path))
