"""A command line in a forked child that dies, is told to stop, or meets something else, at the n-th call of a function."""

import contextlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from empirisk.cli import run
from empirisk.folder import RunFolder

TIMES = {"seconds", "images_per_second", "memory_gib"}


def at_call(owner: Any, name: str, n: int, then: Callable[[], object]) -> Callable[[], None]:
    """Replace owner.name by a function that does `then` before its n-th call; the result undoes it."""
    real, count = getattr(owner, name), 0

    def call(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == n:
            then()
        return real(*args, **options)

    setattr(owner, name, call)
    return lambda: setattr(owner, name, real)


def child(words: Sequence[object], prepare: Callable[[], object], said: Path) -> int:
    """The exit code of `empirisk WORDS` in a forked child, or minus the signal that ended it; its words go to a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside torch's idle threads
        pid = os.fork()
    if pid == 0:
        code = 99
        try:
            file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
            torch.set_num_threads(1)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
            prepare()
            code = run([str(w) for w in words])
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(words: Sequence[object], owner: Any, name: str, n: int, said: Path) -> int:
    """As `child`, killed before the n-th call."""
    return child(words, lambda: at_call(owner, name, n, lambda: os.kill(os.getpid(), signal.SIGKILL)), said)


def whole(words: Sequence[object]) -> tuple[int, str]:
    """`empirisk WORDS` here: its exit code and all its words."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run([str(w) for w in words])
    return code, out.getvalue()


def history(folder: Path) -> list[dict[str, float]]:
    """history.csv without what a clock says."""
    return [{k: v for k, v in row.items() if k not in TIMES} for row in RunFolder(folder).read_history()]


def same(a: Path, b: Path) -> None:
    """Two runs are equal to the byte, and nothing half written is left."""
    assert (a / "weights.safetensors").read_bytes() == (b / "weights.safetensors").read_bytes()
    assert history(a) == history(b)
    assert RunFolder(a).read()["status"] == "finished"
    assert not [p for p in a.rglob("*") if p.name.endswith((".tmp", ".partial"))]
    there = [{p.relative_to(run) for p in run.rglob("*") if "checkpoint" not in p.parts} for run in (a, b)]
    assert there[1] <= there[0]
    with RunFolder(a).lock():
        pass
