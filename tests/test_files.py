import errno
import hashlib
import json
import os
import stat
import struct
import warnings

import numpy as np
import pytest

from empirisk import files
from empirisk.errors import Wrong


def test_write_is_whole_private_and_hashed(tmp_path):
    path = tmp_path / "a.bin"
    assert files.write(path, b"old") == hashlib.sha256(b"old").hexdigest()
    assert files.write(path, [b"ne", memoryview(b"w"), b""]) == hashlib.sha256(b"new").hexdigest() == files.sha256(path)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["a.bin"]
    files.write(path, iter([b"once"]))
    files.write(tmp_path / "t.txt", "é\udcff")
    assert (path.read_bytes(), (tmp_path / "t.txt").read_bytes()) == (b"once", b"\xc3\xa9\\udcff")


def test_write_replaces_a_link_and_leaves_its_target(tmp_path):
    (tmp_path / "target").write_text("untouched")
    (tmp_path / "out").symlink_to("target")
    files.write(tmp_path / "out", "new")
    assert (tmp_path / "target").read_text() == "untouched"
    assert not (tmp_path / "out").is_symlink()


def test_failed_write_leaves_the_old_file_and_no_leftover(tmp_path):
    path = tmp_path / "a"
    files.write(path, "old")

    class Odd(bytes):
        def __len__(self):
            return 3

    with pytest.raises(TypeError):
        files.write(path, [b"x", "text"])
    with pytest.raises(ValueError):
        files.write_json(path, float("nan"))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_long_and_odd_names(tmp_path):
    for name in ("é" * 120, "x" * 250, os.fsdecode(b"\xff.csv"), "new\nline"):
        files.write(tmp_path / name, "1")
        assert (tmp_path / name).read_text() == "1"


def test_fsync_that_fails_once_writes_a_new_file(tmp_path, monkeypatch):
    real, seen = os.fsync, []

    def fails_once(file):
        seen.append(os.fstat(file).st_ino)
        if len(seen) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fails_once)
    files.write(tmp_path / "a", "content")
    assert len(seen) == 3, "one that fails, one of the new file, one of the folder"
    assert (tmp_path / "a").read_text() == "content"
    assert os.listdir(tmp_path) == ["a"]
    seen.clear()
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(Wrong, match="Input/output error") as caught:
        files.write(tmp_path / "a", "other")
    assert caught.value.code == 3
    assert (tmp_path / "a").read_text() == "content"


def test_sweep_takes_leftovers_only(tmp_path):
    for name in (".a.12.tmp", "a.tmp", ".lock", "b"):
        (tmp_path / name).touch()
    files.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".lock", "a.tmp", "b"]
    files.sweep(tmp_path / "absent")


def test_json_there_and_back(tmp_path):
    value = {"a": [1, 0.1, None, True, "\udcff <é>"], "big": 2**130, "": {}}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Expecting value"),
        ("{", "Expecting"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("[NaN]", "NaN"),
        ("[" * 65 + "]" * 65, "deeper than 64"),
        ("[" * 100_000, "RecursionError"),
        ('{"a":' * 100_000, "RecursionError"),
        ("1" * 5000, "digits"),
        (b"\xff\xfe\x00", "UnicodeDecodeError"),
    ],
)
def test_json_that_is_refused(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Wrong, match=says) as caught:
        files.read_json(path, code=3)
    assert caught.value.code == 3
    assert str(path) in str(caught.value)


def test_json_of_64_levels_and_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + b"[" * 64 + b"]" * 64)
    assert files.read_json(tmp_path / "a.json")


def test_too_large_json_is_refused_unread(tmp_path):
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(Wrong, match=r"1100 GB, more than the 67.1 MB"):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "dangling", "loop", "nul", "closed"])
def test_only_regular_files_are_read(tmp_path, kind, monkeypatch):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to("x")
    elif kind == "nul":
        path = tmp_path / "a\0b"
    elif kind == "closed":
        path.touch()

        def refuse(*args):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    for read in (lambda: files.read_bytes(path, limit=10), lambda: files.sha256(path)):
        with pytest.raises(Wrong, match=r"x|b") as caught:
            read()
        assert caught.value.code == 2


def test_a_link_of_the_user_is_followed_and_the_limit_is_exact(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    assert files.read_bytes(tmp_path / "link", limit=5) == b"12345"
    with pytest.raises(Wrong, match="5 bytes, more than the 4 bytes"):
        files.read_bytes(tmp_path / "link", limit=4)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        RecursionError("deep"),
        OverflowError("x"),
        MemoryError(),
        struct.error("s"),
        UserWarning("w"),
        StopIteration(),
        KeyError("k"),
    ],
)
def test_guarded_makes_one_message_of_any_exception(error):
    with (
        pytest.raises(Wrong, match=r"case 7 cannot be read\n  " + type(error).__name__) as caught,
        files.guarded("case 7", remedy="leave it out", code=3),
    ):
        raise error
    assert (caught.value.code, caught.value.remedy, caught.value.__cause__) == (3, "leave it out", error)


@pytest.mark.parametrize("error", [Wrong("mine", code=3), KeyboardInterrupt(), SystemExit(1)])
def test_guarded_lets_these_pass(error):
    with pytest.raises(type(error)) as caught, files.guarded("case"):
        raise error
    assert caught.value is error


def test_csv_there_and_back(tmp_path):
    texts = [
        "007",
        "plain",
        "a,b",
        'say "x"',
        "two\nlines",
        "a\rb",
        "=1+1",
        "+x",
        "-x",
        "@x",
        "\tx",
        "\rx",
        "'=x",
        "''@",
        "'",
        "-1.5",
        "x\udcffy",
        "é",
        " ",
        "",
        "\ufeff",
    ]
    rows = [{"id": text, "=head": text} for text in texts]
    files.write_csv(tmp_path / "a.csv", ["id", "=head"], rows)
    assert files.read_csv(tmp_path / "a.csv") == rows


def test_csv_numbers(tmp_path):
    values = [
        1,
        True,
        0.1,
        np.float32(0.1),
        np.int64(-7),
        -1e-12,
        1e300,
        None,
        float("nan"),
        float("-inf"),
        123456789012,
    ]
    files.write_csv(tmp_path / "a.csv", ["v", "w"], [{"v": v} for v in values])
    cells = [row["v"] for row in files.read_csv(tmp_path / "a.csv")]
    assert cells == ["1", "1", "0.1", "0.100000001", "-7", "-1e-12", "1e+300", "", "", "", "123456789012"]


@pytest.mark.parametrize("text", ["a,b\n1\n", "a,b\n1,2,3\n", "a,b\n1,2\n3", "a\n\x00\n1,2\n", "a,b\n\n", b"a\n\xff\n"])
def test_csv_that_is_not_whole_is_refused(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Wrong, match="a.csv") as caught:
        files.read_csv(tmp_path / "a.csv")
    assert caught.value.code == 3


def test_csv_agrees_with_pandas(tmp_path):
    import pandas

    rows = [{"id": 'a,\n"b"', "p": 0.25}, {"id": "c", "p": None}]
    files.write_csv(tmp_path / "a.csv", ["id", "p"], rows)
    frame = pandas.read_csv(tmp_path / "a.csv")
    assert list(frame["id"]) == ['a,\n"b"', "c"]
    assert frame["p"][0] == 0.25
    assert frame["p"].isna()[1]


def test_free_name_and_folders(tmp_path):
    path = tmp_path / "run"
    assert files.free_name(path) == path
    files.make_folder(path)
    files.make_folder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (tmp_path / "run-2").symlink_to("nowhere")
    assert files.free_name(path) == tmp_path / "run-3"
    with pytest.raises(Wrong, match="is gone") as caught:
        files.make_folder(tmp_path / "no" / "no")
    assert caught.value.code == 3
    (tmp_path / "file").touch()
    with pytest.raises(Wrong, match="File exists"):
        files.make_folder(tmp_path / "file")


def test_no_warning_escapes_the_opener(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files.write_json(tmp_path / "a.json", [])
        json.loads(files.read_bytes(tmp_path / "a.json", limit=100))
