"""Faults of the system, injected in a forked child: nothing in the product knows of them."""

import contextlib
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from empirisk.errors import Wrong

CALLS = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir")


@dataclass(frozen=True)
class Outcome:
    fired: str  # the call that was hit, or nothing
    error: str  # the message of a Wrong, with its exit code before it
    signal: int  # that ended the child


def forked(work: Callable[[], object]) -> tuple[str, int]:
    """What `work` says in a forked child, and the signal that ended it; anything but Wrong fails the test."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside torch's idle threads
        child = os.fork()
    if child == 0:
        said = ""
        try:
            said = str(work() or "")
        except Wrong as error:
            said = f"Wrong {error.code} {error}"
        except BaseException as error:
            said = f"CRASH {type(error).__name__}: {error}"
        finally:
            _write(writer, said.encode("utf-8", "backslashreplace"))
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert "CRASH" not in said, said
    return said, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


_write = os.write


def at_call(work: Callable[[], object], n: int, fault: int | str, calls: tuple[str, ...] = CALLS) -> Outcome:
    """Run `work` in a child whose n-th system call is cut off by SIGKILL ("kill") or fails with an errno."""

    def broken() -> str:
        count, fired = 0, ""

        def wrap(name: str, real: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **options: object) -> object:
                nonlocal count, fired
                count += 1
                if count != n:
                    return real(*args, **options)
                fired = name
                if name == "write":  # torn: half of it arrives
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])  # type: ignore[arg-type, call-overload]
                if fault == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(fault, os.strerror(int(fault)))

            return call

        for name in calls:
            setattr(os, name, wrap(name, getattr(os, name)))
        error = ""
        try:
            work()
        except Wrong as wrong:
            error = f"{wrong.code} {wrong}"
        return f"{fired}\n{error}"

    said, ended = forked(broken)
    fired, _, error = said.partition("\n")
    return Outcome("killed" if ended else fired, error, ended)


def every_call(
    prepare: Callable[[], Callable[[], object]], fault: int | str, calls: tuple[str, ...] = CALLS
) -> Iterator[Outcome]:
    """The fault at the first, second, ... call of fresh work, until one run ends without meeting it."""
    for n in range(1, 1000):
        outcome = at_call(prepare(), n, fault, calls)
        if not outcome.fired:
            return
        yield outcome
    raise AssertionError("the work never ended")


@contextlib.contextmanager
def holding(work: Callable[[Callable[[], None]], object]) -> Iterator[int]:
    """A child that runs `work(ready)`; the block begins at its call of ready(), and ends it by SIGKILL."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work(lambda: _write(writer, b"1"))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb", buffering=0) as pipe:
        assert pipe.read(1) == b"1"
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
