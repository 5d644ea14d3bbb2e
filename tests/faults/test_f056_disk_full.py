"""F056: no space, no quota, no inodes, read-only or failing, at every write: exit 3 with the sizes, nothing lost."""

import errno
import os
import resource
import shutil
import signal

import pytest
import torch
from injectors import at_call, every_call, forked

from empirisk import files
from empirisk.errors import Wrong
from empirisk.folder import RunFolder


def state(step):
    return {"model": {"w": torch.full((50,), float(step))}, "step": step}


def fresh(folder):
    run = RunFolder(folder)
    with run.lock():
        run.write(step=1)
        run.history([{"epoch": 1}])
        run.save_weights({"w": torch.ones(3)})
        run.write_predictions("val", ["id"], [{"id": "1"}])
        files.write(run.report, "old")
        run.checkpoints.save(1, state(1))
    return run


def again(run):
    run.write(step=2)
    run.history([{"epoch": 1}, {"epoch": 2}])
    run.save_weights({"w": torch.zeros(3)})
    run.write_predictions("val", ["id"], [{"id": "2"}])
    files.write(run.report, "new")
    run.checkpoints.save(2, state(2))


def test_every_write_of_a_run(tmp_path):
    number, run, messages, original = 0, None, set(), fresh(tmp_path / "original")

    def prepare():
        nonlocal number, run
        number += 1
        run = RunFolder(tmp_path / str(number))
        shutil.copytree(original.path, run.path)
        return lambda: again(run)

    for outcome in every_call(prepare, errno.ENOSPC, calls=("write", "mkdir")):
        assert outcome.error.startswith("3 cannot write"), outcome
        assert "free" in outcome.error
        assert "kept" not in outcome.error
        messages.add(outcome.error.split("\n")[2].strip())
        assert run.read()["step"] in {1, 2}
        assert [row["epoch"] for row in run.read_history()] in ([1], [1, 2])
        assert run.report.read_text() in {"old", "new"}
        assert files.read_csv(run.prediction_file("val"))[0]["id"] in {"1", "2"}
        assert run.checkpoints.load() is not None
        assert not list(run.path.rglob(".*.tmp"))
        assert not list(run.path.rglob("*.partial"))
        again(run)
        assert run.checkpoints.load()[0] == 2
    assert number > 8
    assert "the checkpoint step-000001 is good" in messages


def test_quota(tmp_path):
    outcome = at_call(lambda: files.write(tmp_path / "a", "x"), 2, errno.EDQUOT)
    assert outcome.fired == "write"
    assert outcome.error.startswith("3 cannot write")
    assert "quota exceeded: needs 1 bytes, " in outcome.error


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS])
def test_every_call_of_a_checkpoint(tmp_path, code):
    number, points, refused, original = 0, None, 0, RunFolder(tmp_path).checkpoints
    original.save(1, state(1))

    def prepare():
        nonlocal number, points
        number += 1
        points = RunFolder(tmp_path / str(number)).checkpoints
        shutil.copytree(original.path, points.path)
        return lambda: points.save(2, state(2))

    for outcome in every_call(prepare, code):
        refused += bool(outcome.error)
        step, loaded = points.load(say=pytest.fail)
        assert loaded["step"] == step
        assert step in {1, 2}
        if not outcome.error:
            assert step == 2, "nobody was told, so it must be there"
        else:
            assert outcome.error.startswith("3 "), outcome
        assert not list(points.path.rglob("*.partial"))
    assert refused > 8


def test_a_real_limit_of_the_system(tmp_path):
    run = fresh(tmp_path / "x")

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        run.checkpoints.save(2, {"model": {"w": torch.ones(100_000)}})

    said, _ = forked(limited)
    assert said.startswith("Wrong 3 cannot write"), "the limit did not fire"
    assert "File too large: needs 400 kB" in said
    assert "the checkpoint step-000001 is good" in said
    assert run.checkpoints.load()[0] == 1
    assert not list(run.path.rglob(".*.tmp"))


def test_inodes_are_named(tmp_path, monkeypatch):
    real = os.statvfs

    def none_free(path):
        found = list(real(path))
        found[7] = 0  # f_favail
        return os.statvfs_result(found)

    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "statvfs", none_free)
    monkeypatch.setattr(os, "open", full)
    with pytest.raises(Wrong, match="no free inodes") as caught:
        files.write(tmp_path / "a", "x")
    assert caught.value.code == 3
