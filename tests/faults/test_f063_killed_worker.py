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


SMALL = ["--model", "resnet18", "--width", "8", "--size", "16", "--norm", "group", "--precision", "float32", "--optimizer", "momentum",
         "--lr", ".002", "--batch", "12"]  # fmt: skip
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "empirisk"]


@pytest.fixture(scope="module")
def words(tiny):
    """Nothing random in the loss, and no statistic over the batch: two processes take the steps of one."""
    return ["train", "classification", str(tiny / "spots.npz"), *SMALL]


@pytest.fixture(scope="module")
def undisturbed(words, tmp_path_factory):
    """The run by plain torchrun, of 8 epochs; of 4 also by one process."""
    folder = tmp_path_factory.mktemp("processes")
    short, whole = (["--epochs", n, "--out"] for n in ("4", "8"))
    done = subprocess.run([*TORCHRUN, *words, *whole, str(folder / "whole")], env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Plan") == 1, "one process speaks"
    for name, begin in {"two": TORCHRUN, "one": [sys.executable, "-m", "empirisk"]}.items():
        subprocess.run([*begin, *words, *short, str(folder / name)], env=ENV, check=True, capture_output=True)
    return folder


def test_two_processes_equal_one_within_rounding(undisturbed):
    one, two = (load_file(undisturbed / name / "weights.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        if name in {"temperature", "threshold"}:  # sought on validation, in steps
            continue
        np.testing.assert_allclose(two[name], tensor, rtol=0, atol=1e-4, err_msg=name)
    a, b = (RunFolder(undisturbed / name).read_history() for name in ("one", "two"))
    np.testing.assert_allclose([r["loss"] for r in b], [r["loss"] for r in a], rtol=1e-5)
    assert RunFolder(undisturbed / "two").read()["machine"]["processes"] == 2


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
    line = [sys.executable, "-m", "empirisk", *words, "--epochs", "8", "--out", str(run), "--processes", "2", "--json"]
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
    assert (run / "weights.safetensors").read_bytes() == (undisturbed / "whole/weights.safetensors").read_bytes()
    assert RunFolder(run).read()["status"] == "finished"
    assert workers(run) == []
    assert json.loads(out)["status"] == "finished"  # one document


MODEL = """
import os, signal
from pathlib import Path
from empirisk.errors import Wrong
from empirisk.models.mlp import linear

def fails(channels, classes, *, size):
    net = linear(channels, classes, size=size)
    net.register_forward_pre_hook(fail)
    return net

def fail(net, x):
    if net.training:
        with Path(os.environ["STARTED"]).open("a") as file:
            file.write(os.environ.get("RANK", "") + "\\n")
        if os.environ["HOW"] == "killed" and os.environ.get("RANK") == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["HOW"] == os.environ.get("RANK"):
            raise Wrong("this worker refuses", where="spots.npz", remedy="leave it", code=3, reason="refusal")
"""


SAID = "empirisk: this worker refuses\n  spots.npz\n  leave it\n"
HOW = [("killed", 4, "the processes ended with code"), ("1", 1, SAID)]
HOW += [("0", 1, SAID)] if os.environ.get("EMPIRISK_SOAK") else []


@pytest.mark.parametrize(("how", "starts", "said"), HOW, ids=[how for how, *_ in HOW])
def test_a_worker_that_dies_is_started_three_times_again_and_one_that_refuses_never(tiny, tmp_path, how, starts, said):
    (tmp_path / "own_failing_model.py").write_text(MODEL)
    line = [sys.executable, "-m", "empirisk", "train", "classification", str(tiny / "spots.npz"), "--model",
            "own_failing_model:fails", "--epochs", "3", "--processes", "2", "--out", str(tmp_path / "run")]  # fmt: skip
    started = tmp_path / "started"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        line, env=ENV | {"STARTED": str(started), "HOW": how, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    assert started.read_text().split().count("1") == starts
    assert done.stderr.count(said) == 1, done.stderr
    assert "Traceback" not in done.stderr or how == "killed", done.stderr  # torchrun tells of a killed one
    assert workers(tmp_path / "run") == []
