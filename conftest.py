"""README and docs are run: python blocks as they stand, console blocks line by line, in a folder with small data."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a fork of a process with a pool of threads may hang

import contextlib
import doctest
import glob
import io
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

collect_ignore = ["docs/conf.py", "docs/pictures.py"]
ROOT = Path(__file__).parent
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def small_data(folder: Path) -> None:
    """photos/CLASS/P000_0.png, findings.csv beside it, new/1.png to 3.png, and a table with a mistyped label."""
    from PIL import Image

    from empirisk.data import phantom

    lines = ["image,label,diameter,patient"]
    for row in phantom.table(images=90, size=24).rows:
        file = folder / "photos" / row["label"] / f"{row['id']}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row["x"].read()[0]).save(file)
        lines.append(f"{file.relative_to(folder)},{row['label']},{row['target']},{row['patient']}")
    (folder / "findings.csv").write_text("\n".join(lines) + "\n")
    (folder / "mistyped.csv").write_text("\n".join(lines).replace("malignant,", "malignent,", 1) + "\n")
    (folder / "new").mkdir()
    for i, row in enumerate(phantom.table(images=3, size=24, seed=1).rows):
        Image.fromarray(row["x"].read()[0]).save(folder / "new" / f"{i + 1}.png")
    shutil.copy(ROOT / "examples" / "own_model.py", folder)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """A temporary working folder with small data, where one epoch, or five steps, are a whole training."""
    from empirisk import erm
    from empirisk.recipe import Recipe

    with working() as folder, contextlib.ExitStack() as stack:
        small_data(folder)
        stack.enter_context(mock.patch.object(Recipe, "epochs_for", return_value=1))
        stack.enter_context(mock.patch.object(erm, "steps_within", return_value=5))
        yield


@contextlib.contextmanager
def working() -> Iterator[Path]:
    """A temporary working folder, where nothing is shortened; blocks can import what lies there, and docs/pictures.py."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {"COLUMNS": "80", "PYTHONPATH": folder}))
        stack.enter_context(mock.patch("sys.path", [folder, str(ROOT / "docs"), *sys.path]))
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def begin(namespace: dict[str, Any]) -> None:
    """Before the first block of a document."""
    namespace["_open"] = contextlib.ExitStack()
    namespace["_open"].enter_context(prepared())


def begin_course(namespace: dict[str, Any]) -> None:
    """Before the first block of a chapter of the course, whose trainings are whole."""
    namespace["_open"] = contextlib.ExitStack()
    namespace["_open"].enter_context(working())


def end(namespace: dict[str, Any]) -> None:
    """After the last block of a document."""
    namespace["_open"].close()


def words(line: str) -> list[str]:
    """A command line as a shell splits it, patterns replaced by the files they match."""
    return [name for word in shlex.split(line) for name in (sorted(glob.glob(word)) or [word])]


def ran(line: str) -> tuple[int, str]:
    """Exit code and output of one line: `empirisk ...` is called in this process, a `make` target has only to exist."""
    argv = words(line)
    if argv[0] == "make":
        done = subprocess.run(["make", "-n", "-C", str(ROOT), *argv[1:]], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr
    if argv[0] != "empirisk":
        return 127, f"{argv[0]} is no command that the documentation may show"
    from empirisk.cli import run

    heard = io.StringIO()
    aside = io.StringIO() if "--json" in argv else heard
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(aside):
        try:
            code = run(argv[1:])
        except Exception:  # shown as what the command printed
            code = 1
            traceback.print_exc()
    return code, heard.getvalue()


def console(example: Example) -> str | None:
    """Run each `$ line` of a block; what stands below it must be what is printed, `...` for whatever differs.

    A command that fails must say so: its shown output begins with "empirisk: ", or `$ echo $?` follows.
    """
    checker, code, said, excused = doctest.OutputChecker(), 0, "", True
    for part in re.split(r"(?m)^\$ ", example.parsed)[1:]:
        line, _, shown = part.partition("\n")
        asked = line == "echo $?"
        if code and not excused and not asked:
            return f"exit code {code}\n{said}"
        code, said = (0, str(code)) if asked else ran(line)
        if (shown.strip() or asked) and not checker.check_output(shown, said + "\n" * asked, OUTPUT):
            return f"$ {line}\nshown:\n{shown}\nprinted:\n{said}"
        excused = shown.startswith("empirisk: ")
    return f"exit code {code}\n{said}" if code and not excused else None


def run_as(setup: Callable[[dict[str, Any]], None], *patterns: str) -> Sybil:
    """The blocks of these files, each file begun by `setup`."""
    parsers = [PythonCodeBlockParser(doctest_optionflags=OUTPUT), CodeBlockParser("console", console)]
    return Sybil(parsers=parsers, patterns=patterns, setup=setup, teardown=end)


pytest_collect_file = (run_as(begin, "README.md", "docs/*.md") + run_as(begin_course, "docs/course/*.md")).pytest()
