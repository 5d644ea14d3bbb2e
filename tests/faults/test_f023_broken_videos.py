"""F023: a video whose header lies of its length, or that is cut, empty or something else, is refused or read by decoding."""

import struct

import numpy as np
import pytest

from empirisk.cli import run
from empirisk.data.video import Film, length, written
from empirisk.errors import Wrong

FRAMES = np.random.default_rng(0).integers(0, 255, (12, 16, 16)).astype(np.uint8)


@pytest.fixture(scope="module")
def mp4():
    return written(FRAMES)


def patched(content: bytes, box: bytes, at: int, value: bytes) -> bytes:
    """The file with the bytes `at` after the name of each box of that name replaced."""
    out, k = bytearray(content), content.find(box)
    assert k > 0
    while k > 0:
        out[k + at : k + at + len(value)] = value
        k = content.find(box, k + 4)
    assert bytes(out) != content  # the injection
    return bytes(out)


@pytest.mark.parametrize(
    ("box", "at", "value"),
    [
        (b"mvhd", 20, struct.pack(">I", 2_000_000_000)),  # duration
        (b"mvhd", 20, struct.pack(">I", 0)),
        (b"mdhd", 20, struct.pack(">I", 0)),
        (b"mdhd", 20, struct.pack(">I", 0xFFFF_FFFF)),
        (b"tkhd", 24, struct.pack(">I", 2_000_000_000)),
    ],
)
def test_what_the_header_says_of_the_length_does_not_matter(mp4, box, at, value):
    lying = patched(mp4, box, at, value)
    film = Film(lying, np.arange(12.0), "lying.mp4")
    np.testing.assert_array_equal(film.read(), Film(mp4, np.arange(12.0), "true.mp4").read())
    assert length(lying, "lying.mp4") == 11


@pytest.mark.parametrize("how", ["nothing", "noise", "half", "no index", "a table"])
def test_what_is_no_whole_video_is_refused_by_name(mp4, how, tmp_path):
    broken = {
        "nothing": b"", "noise": np.random.default_rng(1).bytes(4000), "half": mp4[: len(mp4) // 2],
        "no index": mp4.replace(b"moov", b"xxxx"), "a table": b"video,second,phase\n1,1,a\n",
    }[how]  # fmt: skip
    (tmp_path / "op1.mp4").write_bytes(broken)
    with pytest.raises(Wrong, match=r"op1\.mp4") as caught:
        Film(str(tmp_path / "op1.mp4"), np.arange(12.0), "op1.mp4").read()
    assert caught.value.code == 2
    assert len(str(caught.value).splitlines()) >= 2


def test_on_the_command_line_it_exits_2_before_anything_is_trained(mp4, tmp_path, capsys):
    lines = ["video,second,phase"]
    for i in range(8):
        (tmp_path / f"op{i}.mp4").write_bytes(mp4 if i != 5 else mp4[: len(mp4) // 2])
        lines += [f"op{i}.mp4,{t},{'ab'[t > 5]}" for t in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    assert run(["train", "frames", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "op5.mp4" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()
