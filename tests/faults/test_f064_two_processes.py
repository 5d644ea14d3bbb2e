"""F064: the second process on a run gets exit 3 with who holds it; a dead owner is known by the kernel, not by age."""

import os
import signal
import time

import pytest
from injectors import forked, holding

from empirisk.errors import Wrong
from empirisk.folder import RunFolder


def hold(run):
    def work(ready):
        with run.lock():
            ready()
            signal.pause()

    return work


def test_second_process_is_told_who(tmp_path):
    run = RunFolder(tmp_path / "x")
    with holding(hold(run)) as child:
        for _ in range(2):
            with pytest.raises(Wrong, match=rf"in use by pid {child} on \S+ since \d") as caught, run.lock():
                pass
            assert (caught.value.code, caught.value.reason) == (3, "locked")
        old = time.time() - 10 * 365 * 86400
        os.utime(run.path / ".lock", (old, old))
        with pytest.raises(Wrong, match="in use"), run.lock():
            pass
    with run.lock():  # killed: the kernel let it go
        assert str(os.getpid()) in (run.path / ".lock").read_text()


def test_a_name_of_another_host_alone_locks_nothing(tmp_path):
    run = RunFolder(tmp_path / "x")
    run.path.mkdir()
    (run.path / ".lock").write_text("pid 1 on elsewhere since 2020\n")
    with run.lock():
        pass


def test_a_holder_with_a_hostile_or_empty_name_is_shown_escaped(tmp_path):
    run = RunFolder(tmp_path / "x")
    with run.lock():
        (run.path / ".lock").write_bytes(b"\x1b[31m\xff\xfe" + b"x" * 10_000)
        with pytest.raises(Wrong, match=r"in use by \\x1b") as caught, run.lock():
            pass
        assert "\x1b" not in str(caught.value)
        (run.path / ".lock").write_bytes(b"")
        with pytest.raises(Wrong, match="in use by another process"), run.lock():
            pass


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    run = RunFolder(tmp_path / "x")

    def work(ready):
        with run.lock():
            worker = os.fork()  # a data worker that outlives its parent
            if worker == 0:
                signal.pause()
                os._exit(0)
            (tmp_path / "worker").write_text(str(worker))
            ready()
            signal.pause()

    with holding(work):
        with pytest.raises(Wrong, match="in use"), run.lock():
            pass
    worker = int((tmp_path / "worker").read_text())
    os.kill(worker, 0)  # alive
    try:
        with run.lock():
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_leaving_the_block_in_a_forked_child_does_not_free_the_parents_lock(tmp_path):
    run = RunFolder(tmp_path / "x")

    def leaves():
        block.__exit__(None, None, None)
        return "left"

    block = run.lock()
    block.__enter__()
    assert forked(leaves) == ("left", 0)
    said, _ = forked(lambda: run.lock().__enter__())
    assert said.startswith("Wrong 3"), said
    block.__exit__(None, None, None)
    with run.lock():
        pass


def test_a_link_planted_at_the_lock_is_refused(tmp_path):
    run = RunFolder(tmp_path / "x")
    run.path.mkdir()
    (tmp_path / "target").write_text("untouched")
    (run.path / ".lock").symlink_to(tmp_path / "target")
    with pytest.raises(Wrong) as caught, run.lock():
        pass
    assert caught.value.code == 3
    assert (tmp_path / "target").read_text() == "untouched"
