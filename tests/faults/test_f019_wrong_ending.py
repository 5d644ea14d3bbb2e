"""F019: a file of another kind named .png never reaches a decoder."""

from pathlib import Path

import pytest
from PIL import Image

from empirisk.data.forms import table
from empirisk.data.readers import picture
from empirisk.errors import Wrong

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n1 1 1 setrgbcolor\n"
KINDS = {
    "EPS": EPS,
    "FITS": b"SIMPLE  =                    T" + b" " * 50,
    "PDF": b"%PDF-1.7\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "PSD": b"8BPS\0\1" + b"\0" * 20,
    "GIF": b"GIF89a" + b"\0" * 20,
    "DICOM": b"\0" * 128 + b"DICM",
    "empty": b"",
}


@pytest.mark.parametrize("kind", KINDS)
def test_refused_by_its_first_bytes(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x.png"
    path.write_bytes(KINDS[kind])
    if kind == "EPS":
        with Image.open(path) as image:
            assert image.format == "EPS"  # the injection: Pillow alone would take it

    def reached(*args: object) -> None:
        raise AssertionError("a decoder was reached")

    monkeypatch.setattr(Image, "open", reached)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.__init__", reached)
    with pytest.raises(Wrong, match=f"{kind}") as caught:
        picture(path)
    assert caught.value.code == 2
    assert str(path) in str(caught.value)
    with pytest.raises(Wrong, match=r"x\.png"):
        table(path)
