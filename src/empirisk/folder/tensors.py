"""Tensors as safetensors, and a nested state as JSON beside them. Nothing here can run what it reads."""

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeGuard

import torch
from torch import Tensor

from empirisk.errors import RUN, Wrong, shown
from empirisk.files import guarded, once

HEADER_LIMIT, MOST_TENSORS = 16 << 20, 50_000
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "C64": torch.complex64,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def dump(tensors: Mapping[str, Tensor]) -> list[bytes | memoryview]:
    """The bytes of a safetensors file, in pieces that share the tensors' memory; tied tensors are written twice."""
    header: dict[str, Any] = {}
    pieces: list[bytes | memoryview] = []
    end = 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        tensor = tensors[name].detach().cpu().contiguous()
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        if end > begin:
            pieces.append(tensor.reshape(-1).view(torch.uint8).numpy().data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *pieces]


def load(raw: bytes, case: str, *, code: int = RUN) -> dict[str, Tensor]:
    """The tensors of a safetensors file; what `check` refuses is `Wrong` (exit `code`), naming the case."""
    from safetensors.torch import load as read

    with guarded(case, code=code):
        check(raw)
        return read(raw)


def check(raw: bytes) -> None:
    """Refuse (ValueError) a header that is too large, not JSON, or whose tensors do not tile the file exactly.

    In Python integers, before the library sees it.
    """
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or size > min(len(raw) - 8, HEADER_LIMIT):
        raise ValueError(f"a header of {size} bytes in a file of {len(raw)}")
    header: dict[str, Any] = json.loads(raw[8 : 8 + size], object_pairs_hook=once)
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise ValueError(f"no header of at most {MOST_TENSORS} tensors")
    rest = len(raw) - 8 - size
    spans = [(0, 0)]
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if not isinstance(entry, dict) or entry.get("dtype") not in DTYPES:
            raise ValueError(f"tensor {name!r} has an unknown type")
        shape, span = entry.get("shape"), entry.get("data_offsets")
        if not _naturals(shape) or not _naturals(span) or len(span) != 2:
            raise ValueError(f"tensor {name!r} has a wrong shape or place")
        if math.prod(shape) * DTYPES[entry["dtype"]].itemsize != span[1] - span[0]:
            raise ValueError(f"tensor {name!r} has not the bytes of its shape")
        spans.append((span[0], span[1]))
    if any(before[1] != after[0] for before, after in pairwise([*sorted(spans), (rest, rest)])):
        raise ValueError("the tensors overlap, leave a hole, or end outside the file")


def _naturals(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and len(value) <= 64 and all(type(n) is int and 0 <= n < 2**63 for n in value)


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or an infinity."""
    floating = {name: t for name, t in tensors.items() if t.is_floating_point() or t.is_complex()}
    doubtful = [name for name, t in floating.items() if not bool(torch.isfinite(t.detach().sum()))]
    return [name for name in doubtful if not bool(torch.isfinite(floating[name]).all())]  # a sum may overflow by itself


def refuse_not_finite(tensors: Mapping[str, Tensor], case: str, *, kept: str = "") -> None:
    """Refuse (exit 3) tensors that hold NaN or an infinity."""
    if bad := not_finite(tensors):
        raise Wrong(
            f"{shown(case)} would hold numbers that are not finite",
            where=f"first in {shown(bad[0])}, {len(bad)} of {len(tensors)} tensors in all",
            kept=kept, remedy="lower --lr, or give --clip 1, and start again", code=RUN, reason="diverged",
        )  # fmt: skip


def flatten(value: Any, tensors: dict[str, Tensor], name: str = "") -> Any:
    """`value` as JSON, its tensors moved to `tensors` by path; what JSON lacks stands as {"": kind, "of": content}."""
    if isinstance(value, Tensor):
        name = f"{name}#{len(tensors)}"  # no two are alike
        tensors[name] = value
        strides = torch.empty_like(value, device="meta").stride()  # channels_last: fused optimisers count on it
        return {"": "tensor", "of": name} | ({} if value.is_contiguous() else {"stride": list(strides)})
    if isinstance(value, dict):
        plain = all(isinstance(key, str) for key in value) and "" not in value
        items = {key: flatten(item, tensors, f"{name}/{key}") for key, item in value.items()}
        return items if plain else {"": "dict", "of": [[flatten(key, tensors), item] for key, item in items.items()]}
    if isinstance(value, list | tuple):
        parts = [flatten(item, tensors, f"{name}/{i}") for i, item in enumerate(value)]
        return parts if isinstance(value, list) else {"": "tuple", "of": parts}
    if isinstance(value, float) and not math.isfinite(value):
        return {"": "float", "of": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint holds no {type(value).__name__} ({shown(name)})")


def unflatten(value: Any, tensors: Mapping[str, Tensor], device: torch.device | str) -> Any:
    """The inverse of `flatten`, tensors on `device`."""
    if isinstance(value, list):
        return [unflatten(item, tensors, device) for item in value]
    if not isinstance(value, dict):
        return value
    kind, content = value.get("", ""), value.get("of", {})
    if kind == "":
        return {key: unflatten(item, tensors, device) for key, item in value.items()}
    if kind == "tensor":
        tensor = tensors[content].to(device)
        if "stride" not in value:
            return tensor
        return torch.empty_strided(tensor.shape, value["stride"], dtype=tensor.dtype, device=device).copy_(tensor)
    if kind == "dict":
        return {unflatten(key, tensors, device): unflatten(item, tensors, device) for key, item in content}
    return float(content) if kind == "float" else tuple(unflatten(item, tensors, device) for item in content)
