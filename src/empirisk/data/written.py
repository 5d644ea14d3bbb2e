"""A label map goes back in the form and the geometry of the image it belongs to."""

import gzip
import io
from pathlib import Path

import numpy as np

from empirisk.data.geometry import Geometry, reversed_axes
from empirisk.data.nifti import header
from empirisk.data.readers import Reference
from empirisk.files import make_folder, write


def write_mask(folder: Path, stem: str, labels: np.ndarray, reference: Reference) -> Path:
    """Write labels (D, H, W) or (H, W), whole numbers from 0 to 65,535, as folder/stem.nii.gz or folder/stem.png.

    NIfTI where the image has a geometry (of a NIfTI file with its own header: affines, codes, units, number of axes) and for
    every volume; else PNG of 8 bits, or of 16 where a number is above 255. Reading it back gives the same numbers.

    Raises Wrong (exit 3) if it cannot be written; exit 2 if the image of which it takes the header is gone.
    """
    from PIL import Image

    labels = np.asarray(labels)
    labels = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    make_folder(folder, parents=True)
    known = reference.geometry()
    if known is None and labels.ndim == 2:
        path, out = folder / f"{stem}.png", io.BytesIO()
        Image.fromarray(labels).save(out, "PNG")
        write(path, out.getvalue())
    else:
        path = folder / f"{stem}.nii.gz"
        write(path, gzip.compress(_nifti(labels, known), compresslevel=6, mtime=0))
    return path


def _nifti(labels: np.ndarray, known: Geometry | None) -> bytes:
    """The bytes of a NIfTI file, the header that of the image where it came from one, in the world of `known`."""
    from nibabel.nifti1 import Nifti1Image

    array = (labels if labels.ndim == 3 else labels[None]).T  # (i, j, k)
    if known is not None and known.form == "nifti":
        kind, mine, *_ = header(Path(known.source))
        axes = min(int(mine["dim"][0]), 3)
        array = array.reshape(array.shape[:axes])  # (i, j) of a picture in two axes
        affine = mine.get_best_affine()
        mine.set_data_dtype(labels.dtype)
        mine.set_slope_inter(1, 0)
        mine["vox_offset"] = 0
        for text in {"descrip", "aux_file", "db_name", "intent_name"} & set(mine.keys()):  # may tell of the patient
            mine[text] = b""
        image = kind(array, affine, mine)
    else:
        affine = np.eye(4) if known is None else reversed_axes(known.matrix)
        image = Nifti1Image(array, affine)
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
    found: bytes = image.to_bytes()
    return found
