"""Small medical images made for the tests: DICOM objects, series, NIfTI files, annotated folders."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

UPRIGHT = (1, 0, 0, 0, 1, 0)


def dicom(
    path: Path, pixels: np.ndarray, *, syntax: str = "1.2.840.10008.1.2.1", data: bytes | None = None, **tags: Any
) -> Path:
    """An object of (H, W), (frames, H, W) or (H, W, 3); `data` are its encapsulated pixels."""
    from pydicom.dataset import Dataset, FileMetaDataset

    o, path = Dataset(), Path(path)
    o.file_meta = FileMetaDataset()
    o.file_meta.TransferSyntaxUID = syntax
    o.file_meta.MediaStorageSOPClassUID = o.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    o.file_meta.MediaStorageSOPInstanceUID = tags.setdefault(
        "SOPInstanceUID", f"1.2.3.{zlib.crc32(str(path).encode())}"
    )
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8
    frames, size = pixels.shape[: pixels.ndim - 2 - colour], pixels.shape[pixels.ndim - 2 - colour :]
    o.Rows, o.Columns, o.SamplesPerPixel = size[0], size[1], 3 if colour else 1
    o.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    o.BitsAllocated = o.BitsStored = 8 * pixels.dtype.itemsize
    o.HighBit, o.PixelRepresentation = o.BitsStored - 1, int(pixels.dtype.kind == "i")
    if colour:
        o.PlanarConfiguration = 0
    if frames:
        o.NumberOfFrames = frames[0]
    o.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2) if data is None else data
    o["PixelData"].VR = "OB" if data is not None or pixels.dtype.itemsize == 1 else "OW"
    for name, value in tags.items():
        setattr(o, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    o.save_as(path, enforce_file_format=True)
    return path


def volume(n: int = 5, size: tuple[int, int] = (6, 7), seed: int = 0) -> np.ndarray:
    """Values of a small CT, (n, H, W), int16."""
    return np.random.default_rng(seed).integers(-1000, 1000, (n, *size)).astype(np.int16)


def series(
    folder: Path, voxels: np.ndarray, *, uid: str = "1.2.3.4", patient: str = "P1", spacing: float = 2.0, leave: tuple[int, ...] = (),
    at: dict[int, float] | None = None, orientation: tuple[float, ...] = UPRIGHT, drift: float = 0.0, **tags: Any,
) -> list[Path]:  # fmt: skip
    """The slices of a volume, named in no order: z = k spacing, or `at[k]`; `drift` mm of y a slice; `leave` are not written."""
    paths = []
    for k in np.random.default_rng(1).permutation(len(voxels)).tolist():
        if k in leave:
            continue
        normal = np.cross(orientation[:3], orientation[3:])
        position = normal * (at or {}).get(k, k * spacing) + np.array([-3.0, -5.0 + k * drift, 7.0])
        paths.append(
            dicom(
                folder / f"{len(paths):03d}", voxels[k], SeriesInstanceUID=uid, StudyInstanceUID=f"{uid}.9", SOPInstanceUID=f"{uid}.{k + 1}",
                PatientID=patient, Modality=tags.get("Modality", "CT"), SeriesNumber=tags.get("SeriesNumber", 3), InstanceNumber=k + 1,
                ImagePositionPatient=position.tolist(), ImageOrientationPatient=list(orientation), PixelSpacing=[0.5, 0.75],
                RescaleSlope=1, RescaleIntercept=-10, **{n: v for n, v in tags.items() if n not in {"Modality", "SeriesNumber"}},
            )
        )  # fmt: skip
    return paths


AFFINE = np.array([[-1.0, 0, 0, 10], [0, 2.0, 0, -20], [0, 0, 3.0, 30], [0, 0, 0, 1]])


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, **header: Any) -> Path:
    """An array (i, j, k, ...) as NIfTI-1, packed if the name says so; other fields of the header as given."""
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(array, affine)
    for name, value in header.items():
        image.header[name] = value
    content = image.to_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def decathlon(folder: Path, n: int = 4, size: tuple[int, int, int] = (6, 7, 8), **about: Any) -> Path:
    """A Decathlon folder of n cases with two structures, the first of k + 1 voxels, the second of 2."""
    rng = np.random.default_rng(0)
    cases = []
    for k in range(n):
        labels = np.zeros(size, np.uint8)
        labels.flat[: k + 1], labels.flat[100:102] = 1, 2
        nifti(folder / "imagesTr" / f"case_{k}.nii.gz", rng.normal(100, 20, size).astype(np.float32))
        nifti(folder / "labelsTr" / f"case_{k}.nii.gz", labels)
        cases.append({"image": f"./imagesTr/case_{k}.nii.gz", "label": f"./labelsTr/case_{k}.nii.gz"})
    base = {"name": "Blobs", "licence": "CC0", "reference": "nobody", "modality": {"0": "CT"}, "numTraining": n,
            "labels": {"0": "background", "1": "head", "2": "tail"}, "training": cases, "test": ["./imagesTs/x.nii.gz"]}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(base | about))
    return folder


def picture(path: Path, size: tuple[int, int] = (20, 30), value: int = 7) -> Path:
    """A grey PNG or JPEG of (H, W)."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


def voc(
    folder: Path,
    boxes: dict[str, list[tuple[Any, ...]]],
    parts: dict[str, list[str]] | None = None,
    size: tuple[int, int] = (20, 30),
) -> Path:
    """name -> [(label, xmin, ymin, xmax, ymax), ...] on pictures of (H, W)."""
    for k, (name, some) in enumerate(boxes.items()):
        picture(folder / "JPEGImages" / f"{name}.jpg", size, 7 + k)
        things = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
            for label, a, b, c, d in some
        )
        text = f"<annotation><filename>../../{name}.jpg</filename><size><width>{size[1]}</width><height>{size[0]}</height></size>{things}</annotation>"
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    for part, names in (parts or {}).items():
        (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(names) + "\n")
    return folder
