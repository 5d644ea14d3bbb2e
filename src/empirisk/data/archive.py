"""Arrays from an .npz, every number of its headers checked in Python's integers before memory is asked for."""

import math
import re
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from empirisk.errors import Wrong, listed
from empirisk.files import guarded

MEMBER = re.compile(r"(?:(train|val|test)_)?(images|labels)\.npy")
MAX_RATIO, RATIO_FROM = 100, 256 * 2**20
"An archive that grows more than so many times, to more than so many bytes, is refused as a bomb."
CHUNK = 4 * 2**20
_HEADERS = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0, 3: npy.read_array_header_2_0}


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays `{train,val,test}_{images,labels}` or `images`, `labels` of an .npz; other members are not opened.

    Raises Wrong (exit 2): no archive, cut short, members twice or with a path in their names, Python objects, shapes that
    the bytes do not hold, compression beyond all measure.
    """
    if not path.is_file():
        raise Wrong(f"{path} is no regular file" if path.exists() else f"{path} is not there")
    remedy = "the archive is broken: copy or download it again"
    with guarded(str(path), remedy=remedy), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        strange = [n for n in names if not re.fullmatch(r"[A-Za-z0-9_. -]+", n) or ".." in n]
        twice = [n for n, k in Counter(names).items() if k > 1]
        for some, what in ((strange, "names that no .npz has"), (twice, "names that occur more than once")):
            if some:
                raise Wrong(f"the archive has member {what}: {listed(some, 3)}", where=str(path), remedy="save it anew")
        members = {n.removesuffix(".npy"): archive.getinfo(n) for n in names if MEMBER.fullmatch(n)}
        size, packed = (sum(getattr(m, k) for m in members.values()) for k in ("file_size", "compress_size"))
        if size > RATIO_FROM and size > MAX_RATIO * packed:
            what = f"the archive has {packed:,} bytes that grow to {size:,}: refused as a decompression bomb"
            raise Wrong(what, where=str(path), remedy="if it is meant, save it with numpy.savez, uncompressed")
        if not any(n.endswith("images") for n in members):
            what = f"no train_images, val_images or test_images among {listed(names) or 'no members'}"
            raise Wrong(f"the archive has {what}", where=str(path), remedy="save images and labels under these names")
        return {name: _array(archive, member, f"{path}: {name}.npy") for name, member in members.items()}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> np.ndarray:
    """One member, its header read by numpy (no code, no object can be in it) and compared with the bytes that are there."""
    with archive.open(member) as stream:
        shape, fortran, dtype = _HEADERS[npy.read_magic(stream)[0]](stream)
        if dtype.kind not in "buif":
            what = "Python objects, which could run code" if dtype.hasobject else f"values of type {dtype}"
            raise Wrong(f"the array holds {what}", where=where, remedy="save images and labels as numbers")
        size, there = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()  # exact: no overflow
        if size != there:
            what = f"the array's header promises {size:,} bytes of shape {shape}, the archive holds {there:,}"
            raise Wrong(what, where=where, remedy="copy or download it again")
        flat, at = np.empty(size, np.uint8), 0
        while at < size and (some := stream.read(min(size - at, CHUNK))):
            flat[at : at + len(some)] = np.frombuffer(some, np.uint8)
            at += len(some)
        if at < size or stream.read(1):  # the last read also checks the CRC
            raise Wrong("the array is cut short", where=where, remedy="copy or download it again")
    values = flat.view(dtype)
    a = values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
    return a.astype(dtype.newbyteorder("="), copy=False)
