"""F081, writing: a file name that is not UTF-8 is written escaped, and read back as the same name."""

import os

import pytest

from empirisk import files
from empirisk.folder import RunFolder

NAME = os.fsdecode(b"\xff\xfe new\nline.png")


def test_every_writer(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        NAME.encode()
    run = RunFolder(tmp_path)
    run.split([{"id": NAME, "part": "train"}])
    run.write(data=NAME)
    files.write(run.report, NAME)
    assert list(run.read_split()) == [NAME]
    assert run.read()["data"] == NAME
    for path in tmp_path.iterdir():
        assert "\\udcff" in path.read_bytes().decode("utf-8")
