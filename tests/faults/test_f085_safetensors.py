"""F085: a hostile or broken safetensors file is refused in no time and little memory, whatever the library would do."""

import json
import time
import tracemalloc

import pytest
import torch
from torch import nn

from empirisk.errors import Wrong
from empirisk.folder import RunFolder
from empirisk.folder.tensors import load

GOOD = {
    "weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
    "bias": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
}
DATA = b"\0\0\x80?" * 3


def built(header, data=DATA, size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def changed(**entry):
    return built(GOOD | {"bias": GOOD["bias"] | entry})


CASES = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "header of 2^63": built(GOOD, size=2**63),
    "header past the end": built(GOOD, size=10_000),
    "no header": built(b""),
    "no JSON": built(b"{]}"),
    "a list": built([]),
    "not UTF-8": built(b'{"\xff": 1}'),
    "deep": built(b"[" * 200_000),
    "duplicate key": built(
        b'{"a":{"dtype":"U8","shape":[12],"data_offsets":[0,12]},"a":{"dtype":"U8","shape":[12],"data_offsets":[0,12]}}'
    ),
    "unknown type": changed(dtype="F31"),
    "type of a list": changed(dtype=["F32"]),
    "overlap": changed(data_offsets=[4, 8]),
    "hole": built(GOOD | {"bias": GOOD["bias"] | {"data_offsets": [12, 16]}}, DATA + b"\0" * 4),
    "bytes left over": built(GOOD, DATA + b"\0"),
    "cut": built(GOOD, DATA[:-1]),
    "shape product overflows": changed(shape=[2**62, 2**62, 2**62]),
    "shape product wraps to the right size": changed(shape=[2**63 - 1, 2**63 - 1]),
    "negative shape": changed(shape=[-1, -1]),
    "shape true": changed(shape=[True]),
    "shape 1.0": changed(shape=[1.0]),
    "shape of text": changed(shape="1"),
    "no shape": built(GOOD | {"bias": {"dtype": "F32", "data_offsets": [8, 12]}}),
    "offsets backwards": changed(data_offsets=[12, 8]),
    "three offsets": changed(data_offsets=[8, 12, 12]),
    "entry of text": built(GOOD | {"bias": "x"}),
    "a thousand axes": changed(shape=[1] * 1000),
    "100,000 tensors": built(
        {str(i): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}, b""
    ),
    "NaN": built(GOOD, DATA[:-4] + b"\0\0\xc0\x7f"),
    "infinity": built(GOOD, DATA[:-4] + b"\0\0\x80\x7f"),
    "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
}


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def test_the_reference_is_read(run):
    run.weights.write_bytes(built(GOOD))
    model = nn.Linear(2, 1)
    run.load_weights(model)
    assert model.weight.tolist() == [[1, 1]]
    run.weights.write_bytes(built(GOOD | {"__metadata__": {"format": "pt"}}))
    run.load_weights(model)


@pytest.mark.parametrize("case", CASES)
def test_refused(run, case):
    run.weights.write_bytes(CASES[case])
    model = nn.Linear(2, 1)
    before = model.weight.clone()
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(Wrong, match=r"weights\.safetensors") as caught:
            run.load_weights(model)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == 3
    assert peak < 256 << 20
    assert time.monotonic() - start < 10  # far below a second; a busy machine may not fail this
    assert torch.equal(model.weight, before)


def test_a_file_far_too_large_is_refused_unread(run):
    with run.weights.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Wrong, match="more than"):
        run.load_weights(nn.Linear(2, 1))


def test_every_cut_and_every_flip_of_the_header_is_refused_or_is_a_whole_file():
    raw = built(GOOD)
    for n in range(len(raw)):
        with pytest.raises(Wrong):
            load(raw[:n], "w", code=2)
    refused = 0
    for place in range(len(raw) - len(DATA)):
        for bit in range(8):
            flipped = raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]
            try:
                state = load(flipped, "w", code=2)
            except Wrong:
                refused += 1
            else:
                assert sum(t.numel() * t.element_size() for t in state.values()) == len(DATA)
    assert refused > 500
