"""A run that was killed in mid-epoch, through the command line and from outside, goes on to equal bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from empirisk.folder import RunFolder

LINE = [sys.executable, "-m", "empirisk"]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | {"OMP_NUM_THREADS": "1"}}


def rows(run: Path) -> int:
    file = run / "history.csv"
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


@pytest.fixture(scope="module")
def command(tiny, tmp_path_factory):
    """Words of a run with dropout, augmentation and an average of weights, and the run undisturbed."""
    out = tmp_path_factory.mktemp("resume") / "whole"
    words = ["train", "classification", str(tiny / "spots.npz"), "--model", "resnet18", "--width", "2", "--batch", "4",
             "--epochs", "5", "--seed", "3", "--dropout", ".1", "--ema", ".9", "--out"]  # fmt: skip
    subprocess.run([*LINE, *words, str(out)], check=True, **QUIET)
    return words, out


@pytest.mark.parametrize("workers", ["0", "2"])
def test_killed_in_mid_epoch(command, tmp_path, workers):
    words, whole = command
    line = [*LINE, *words, str(tmp_path / "run"), "--workers", workers]
    process = subprocess.Popen(line, start_new_session=True, **QUIET)
    seen, end = {}, time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        seen.setdefault(rows(tmp_path / "run"), time.monotonic())
        if 2 in seen and time.monotonic() > seen[2] + 0.3 * (seen[2] - seen[1]):  # a third into the third epoch
            break
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL, "it ended before it could be killed"
    assert rows(tmp_path / "run") < 5
    assert RunFolder(tmp_path / "run").read()["status"] == "running"
    subprocess.run(line, check=True, **QUIET)
    assert (tmp_path / "run/weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert rows(tmp_path / "run") == 5
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("Finished")
