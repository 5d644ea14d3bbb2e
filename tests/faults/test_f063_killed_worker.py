"""F063 (killed): of two processes one is killed; the run recovers by itself and is equal to the byte to one undisturbed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from empirisk.folder import RunFolder

ENV = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


@pytest.fixture(scope="module")
def words(tiny):
    """Nothing random in the loss, and no statistic over the batch: two processes take the steps of one."""
    return ["train", "classification", str(tiny / "spots.npz"), "--model", "resnet18", "--width", "8", "--size", "16", "--norm", "group",
            "--precision", "float32", "--optimizer", "momentum", "--lr", ".002", "--batch", "12", "--epochs", "8", "--out"]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(words, tmp_path_factory):
    """The run by plain torchrun, and by one process."""
    folder = tmp_path_factory.mktemp("processes")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "empirisk"]
    done = subprocess.run([*torchrun, *words, str(folder / "torchrun")], env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Plan") == 1, "one process speaks"
    subprocess.run(
        [sys.executable, "-m", "empirisk", *words, str(folder / "one")], env=ENV, check=True, capture_output=True
    )
    return folder


def test_two_processes_equal_one_within_rounding(undisturbed):
    one, two = (load_file(undisturbed / name / "weights.safetensors") for name in ("one", "torchrun"))
    for name, tensor in one.items():
        if name in {"temperature", "threshold"}:  # sought on validation, in steps
            continue
        np.testing.assert_allclose(two[name], tensor, rtol=0, atol=1e-3, err_msg=name)
    a, b = (RunFolder(undisturbed / name).read_history() for name in ("one", "torchrun"))
    np.testing.assert_allclose([r["loss"] for r in b][:4], [r["loss"] for r in a][:4], rtol=1e-5)
    assert RunFolder(undisturbed / "torchrun").read()["machine"]["processes"] == 2


def workers(run: Path) -> list[int]:
    """Process ids of the workers that train into `run`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if (
            str(run).encode() in line
            and b"torch.distributed.run" not in line
            and re.search(rb"(^|\0)RANK=\d", environment)
        ):
            found.append((int(re.search(rb"(?:^|\0)RANK=(\d+)", environment)[1]), int(entry.name)))
    return [pid for _, pid in sorted(found)]


@pytest.mark.parametrize("rank", [0, 1] if os.environ.get("EMPIRISK_SOAK") else [1])
def test_a_killed_worker_is_started_again(words, undisturbed, tmp_path, rank):
    run = tmp_path / "run"
    line = [sys.executable, "-m", "empirisk", *words, str(run), "--processes", "2", "--json"]
    process = subprocess.Popen(line, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end, killed = time.monotonic() + 120, 0
    while process.poll() is None and time.monotonic() < end:
        if (run / "history.csv").exists() and len((run / "history.csv").read_text().splitlines()) > 3:
            killed = workers(run)[rank]
            os.kill(killed, signal.SIGKILL)
            break
    out, err = process.communicate(timeout=120)
    assert killed, err
    assert process.returncode == 0, err
    assert (run / "weights.safetensors").read_bytes() == (undisturbed / "torchrun/weights.safetensors").read_bytes()
    assert RunFolder(run).read()["status"] == "finished"
    assert workers(run) == []
    assert json.loads(out)["status"] == "finished"  # one document
