"""Arrays from an .npz, every number of its headers checked in Python's integers before memory is asked for."""

import math
import os
import re
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from empirisk.errors import Wrong, listed
from empirisk.files import guarded

MEMBER = re.compile(r"(?:(train|val|test)_)?(images|labels)\.npy")
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?)([A-Za-z])(\d*)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), ?\}\s*"
)
MAX_HEADER = 65_536
MAX_RATIO, RATIO_FROM = 100, 256 * 2**20
"An archive that grows more than so many times, to more than so many bytes, is refused as a bomb."
DEFLATE = 1032
"No deflate stream grows more."


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays `{train,val,test}_{images,labels}` or `images`, `labels` of an .npz; other members are not opened.

    Raises
    ------
    Wrong
        exit 2: no archive, cut short, members twice or with a path in their names, Python objects, shapes that the bytes
        do not hold, compression beyond all measure; exit 3: more than the machine's memory.
    """
    if not path.is_file():
        raise Wrong(f"{path} is no regular file" if path.exists() else f"{path} is not there")
    remedy = "the archive is broken: copy or download it again"
    with guarded(str(path), remedy=remedy), zipfile.ZipFile(path) as archive:
        members = {m.filename: m for m in _checked(path, archive)}
        wanted = [n for n in members if MEMBER.fullmatch(n)]
        _check_size(path, [members[n] for n in wanted])
        out = {}
        for name in wanted:
            with archive.open(members[name]) as stream:
                out[name.removesuffix(".npy")] = _array(stream, members[name], f"{path}: {name}")
    if not any(n.endswith("images") for n in out):
        raise Wrong(
            f"the archive has no train_images, val_images or test_images among {listed(sorted(members)) or 'no members'}",
            where=str(path),
        )
    return out


def _checked(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    names = [m.filename for m in members]
    strange = [n for n in names if not re.fullmatch(r"[A-Za-z0-9_. -]+", n) or ".." in n]
    twice = sorted({n for n in names if names.count(n) > 1}) if len(names) <= 1000 else names[:1]
    if strange:
        raise Wrong(
            f"the archive has member names that no .npz has: {listed(strange, 3)}",
            where=str(path),
            remedy="save it anew",
        )
    if twice:
        raise Wrong(
            f"the archive has {len(names)} members, {listed(twice, 3)} more than once",
            where=str(path),
            remedy="save it anew",
        )
    return members


def _check_size(path: Path, members: list[zipfile.ZipInfo]) -> None:
    size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if size > RATIO_FROM and size > MAX_RATIO * packed:
        raise Wrong(
            f"the archive has {packed:,} bytes that grow to {size:,}: refused as a decompression bomb",
            where=str(path), remedy="if it is meant, save it with numpy.savez, uncompressed",
        )  # fmt: skip
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else size
    if size > memory:
        raise Wrong(
            f"the archive needs {size / 1e9:.1f} GB of memory, the machine has {memory / 1e9:.1f}",
            where=str(path), remedy="use a smaller size of the set", code=3, reason="memory",
        )  # fmt: skip


def _array(stream: IO[bytes], member: zipfile.ZipInfo, where: str) -> np.ndarray:
    dtype, shape, fortran, used = _header(stream, where)
    count = math.prod(shape)  # exact: Python's integers do not overflow
    size = count * dtype.itemsize
    if size + used != member.file_size or size > DEFLATE * member.compress_size:
        raise Wrong(
            f"the array's header promises {size:,} bytes of shape {shape}, the archive holds {max(0, member.file_size - used):,}",
            where=where, remedy="the archive is broken: copy or download it again",
        )  # fmt: skip
    flat = np.empty(count, dtype)
    view, at = flat.view(np.uint8), 0
    while at < size and (some := stream.read(min(size - at, 4 * 2**20))):
        view[at : at + len(some)] = np.frombuffer(some, np.uint8)
        at += len(some)
    if at < size or stream.read(1):  # the last read also checks the CRC
        raise Wrong("the array is cut short", where=where, remedy="copy or download it again")
    a = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return a.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], where: str) -> tuple[np.dtype[np.generic], tuple[int, ...], bool, int]:
    """dtype, shape, order and the number of bytes before the data."""
    head = stream.read(8)
    width = {1: 2, 2: 4, 3: 4}.get(head[6] if head[:6] == b"\x93NUMPY" and len(head) == 8 else 0)
    if width is None:
        raise Wrong("the member is no .npy array", where=where)
    length = int.from_bytes(stream.read(width), "little")
    if length > MAX_HEADER:
        raise Wrong(f"the array has a header of {length:,} bytes", where=where)
    found = _HEADER.fullmatch(stream.read(length).decode("latin-1"))
    if not found:
        raise Wrong(
            "the header is not that of a plain array of numbers", where=where, remedy="save numbers, not tuples"
        )
    order, kind, bytes_, fortran, dims = found.groups()
    if kind not in "buif" or bytes_ not in {"1", "2", "4", "8"}:
        what = "Python objects, which could run code" if kind == "O" else f"values of type {kind}{bytes_}"
        raise Wrong(f"the array holds {what}", where=where, remedy="save images and labels as numbers")
    shape = tuple(int(d) for d in dims.replace(" ", "").split(",") if d)
    if len(shape) > 8:
        raise Wrong(f"the array has {len(shape)} dimensions", where=where)
    return np.dtype(f"{order}{kind}{bytes_}"), shape, fortran == "True", 8 + width + length
