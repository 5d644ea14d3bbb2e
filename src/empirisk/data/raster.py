"""Pictures: PNG, JPEG and TIFF, told by their first bytes, never by their names.

Rules, so that nothing happens silently: an EXIF rotation is applied, so the array is as the picture is shown; 16-bit grey
stays 16-bit; black-and-white becomes 0 and 255; a palette is replaced by its colours; transparency is laid on black; colour
whose channels are equal is grey, (1, H, W), else (3, H, W). Refused with a remedy: CMYK, YCbCr and Lab, 16-bit colour (Pillow
would keep 8 bits), several pages, more than 100 million pixels, a file that ends before its picture does.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from empirisk.data.rows import BROKEN, refused
from empirisk.files import guarded, read_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 512 * 2**20  # Of one picture file.
MAX_PIXELS = 100_000_000  # Of one picture, read from its header before anything is decoded.
_PICTURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_PICTURES |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF")
_OTHERS = {
    b"GIF8": "GIF", b"BM": "BMP", b"%PDF": "PDF", b"%!PS": "EPS or PostScript", b"\xc5\xd0\xd3\xc6": "EPS",
    b"SIMPLE  =": "FITS", b"8BPS": "PSD", b"<svg": "SVG", b"<?xml": "XML or SVG", b"RIFF": "WebP or video",
    b"PK": "zip archive", b"\x1f\x8b": "gzip archive", b"\x93NUMPY": "npy array", b"\0\0\0\x0cjP": "JPEG 2000",
    b"\x89HDF": "HDF5",
}  # fmt: skip
CONVERT = "convert it to PNG (8-bit, or 16-bit grey), JPEG or TIFF"


def sniff(head: bytes) -> str:
    r"""PNG, JPEG or TIFF by the first bytes of a file, "" for anything else.

    >>> sniff(b"\x89PNG\r\n\x1a\n..."), sniff(b"%PDF-1.7")
    ('PNG', '')
    """
    return next((kind for magic, kind in _PICTURES.items() if head.startswith(magic)), "")


def picture(path: Path) -> np.ndarray:
    """The picture in a file by the rules above, (C, H, W), uint8, uint16 or float32.

    Raises Wrong (exit 2): no regular file, not PNG, JPEG or TIFF, cut short, too large, or of a kind that is
    refused.
    """
    with _decoded(path) as image:
        return _array(path, image)


def indices(path: Path) -> np.ndarray:
    """A label map (H, W): grey as stored, of a palette its indices, black-and-white 0 and 1; colour is refused (exit 2)."""
    with _decoded(path) as image:
        array = np.asarray(image)[None] if image.mode in {"P", "1"} else _array(path, image)  # (C, H, W)
    if len(array) > 1:
        remedy = "save whole numbers, 0 the background, as grey or with a palette"
        raise refused(path, "the label map is in colour", remedy)
    found: np.ndarray = array[0]
    return found


@contextlib.contextmanager
def _decoded(path: Path) -> Iterator["Image"]:
    """The picture as Pillow has it, turned as it is shown; no registry of Pillow, no guess by an ending."""
    from PIL import ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

    content = read_bytes(path, limit=MAX_BYTES)
    form = sniff(content[:16])
    if not form:
        kind = next((kind for magic, kind in _OTHERS.items() if content.startswith(magic)), "")
        kind = "DICOM" if content[128:132] == b"DICM" else kind
        what = f"is {kind}, not PNG, JPEG or TIFF" if kind else "is not PNG, JPEG or TIFF by its first bytes"
        raise refused(path, f"the file {what if content else 'is empty'}", CONVERT)
    if _cut(content, form):
        raise refused(path, f"the {form} is cut short")
    openers: dict[str, type[ImageFile.ImageFile]] = {
        "PNG": PngImagePlugin.PngImageFile, "JPEG": JpegImagePlugin.JpegImageFile, "TIFF": TiffImagePlugin.TiffImageFile,
    }  # fmt: skip
    with guarded(str(path), remedy=BROKEN), openers[form](io.BytesIO(content)) as image:
        _check_kind(path, image, form, content)
        image.load()
        turned = image.getexif().get(0x0112, 1) in range(2, 9)
        yield ImageOps.exif_transpose(image) if turned else image


def _cut(content: bytes, form: str) -> bool:
    """A PNG ends with its IEND chunk, a JPEG with an EOI marker after its first scan; a cut one would be filled with grey."""
    if form != "JPEG":
        return form == "PNG" and b"IEND\xae\x42\x60\x82" not in content
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] not in {b"\xda", b""}:
        padding = content[at + 1] == 0xFF  # else a segment, with its length
        at += 1 if padding else 2 + int.from_bytes(content[at + 2 : at + 4])
    return content.find(b"\xff\xd9", at) < 0


def _check_kind(path: Path, image: "Image", form: str, content: bytes) -> None:
    """From the header alone, before anything is decoded."""
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        raise refused(path, f"the picture has {width} x {height} pixels, more than {MAX_PIXELS:,}", "cut or shrink it")
    pages = 1 if form == "JPEG" else getattr(image, "n_frames", 1)
    if pages > 1:
        raise refused(path, f"there are {pages} pages in one {form}", "save each page as a picture of its own")
    deep = form == "PNG" and content[24] == 16 and content[25] != 0  # bit depth, colour type of IHDR
    if form == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]  # BitsPerSample
        deep = len(bits) > 1 and max(bits) > 8
    if deep:
        what = "the picture is in 16-bit colour, of which 8 bits would be lost"
        raise refused(path, what, "convert it to 8-bit colour or 16-bit grey")
    if image.mode in {"CMYK", "YCbCr", "LAB", "HSV"}:
        what = f"the picture is in {image.mode} colour, whose look depends on a profile"
        raise refused(path, what, "convert it to RGB or grey")


def _array(path: Path, image: "Image") -> np.ndarray:
    """(C, H, W) of a decoded picture, by its Pillow mode."""
    mode = image.mode
    if mode in {"P", "PA"}:
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode == "1":
        image = image.convert("L")
    a = np.asarray(image)  # (H, W) or (H, W, bands)
    if image.mode in {"LA", "RGBA"}:
        opacity = a[..., -1:].astype(np.uint16)
        a = ((a[..., :-1] * opacity + 127) // 255).astype(np.uint8)
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        raise refused(path, "the picture has pixels that are not finite numbers", "mend the picture")
    if image.mode not in {"L", "LA", "RGB", "RGBA", "F", "I"} and not image.mode.startswith("I;16"):
        raise refused(path, f"the picture has pixels of the kind {image.mode}", CONVERT)
    if a.dtype not in (np.uint8, np.float32):
        a = a.astype(np.uint16 if a.dtype.itemsize == 2 else np.float32)
    return np.ascontiguousarray(grey(a[None] if a.ndim == 2 else np.moveaxis(a, -1, 0)))  # (C, H, W)


def grey(a: np.ndarray) -> np.ndarray:
    """(3, *size) with equal channels -> (1, *size); anything else as it is."""
    same = a.ndim > 2 and len(a) == 3 and (a[0] == a[1]).all() and (a[1] == a[2]).all()
    return a[:1] if same else a
