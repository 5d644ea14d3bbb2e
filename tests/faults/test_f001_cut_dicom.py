"""F001: a DICOM object cut at every byte is refused, or its pixels are whole."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from imaging import dicom

from empirisk.data import readers
from empirisk.data.forms import table
from empirisk.errors import Wrong

GREY = (np.arange(64, dtype=np.uint8) * 3).reshape(8, 8)


def reference(path: Path, kind: str) -> Path:
    from PIL import Image
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless, RLELossless

    if kind == "plain":
        return dicom(path, GREY)
    if kind == "rle":
        o = dcmread(dicom(path, GREY))
        o.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        o.save_as(path)
        return path
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "JPEG2000", no_jp2=True, irreversible=False)
    return dicom(path, GREY, syntax=JPEG2000Lossless, data=encapsulate([out.getvalue()]))


@pytest.mark.parametrize("kind", ["plain", "rle", "jpeg2000"])
def test_cut_at_every_byte(tmp_path: Path, kind: str):
    path = reference(tmp_path / "x.dcm", kind)
    whole = path.read_bytes()
    assert np.array_equal(readers.read(path).array[0], GREY)
    refused = 0
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        try:
            found = readers.read(path).array
        except Wrong as wrong:
            assert wrong.code == 2
            assert wrong.remedy
            refused += 1
        else:
            assert np.array_equal(found[0], GREY), n
    assert refused > len(whole) - 80  # the injection fired: only what stands after the pixels may be gone


def test_a_scan_lists_them_and_goes_on_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for k in range(4):
        path = dicom(tmp_path / "set" / f"{k}.dcm", GREY + k, SOPInstanceUID=f"1.2.{k}")
    shutil.copy(path, tmp_path / "whole")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Wrong, match=r"1 of 4 pictures .* cannot be read") as caught:
        table(tmp_path / "set", bare=True)
    assert "3.dcm" in str(caught.value)
    assert "--skip-bad 1" in str(caught.value)
    assert len(table(tmp_path / "set", bare=True, skip_bad=1).rows) == 3
