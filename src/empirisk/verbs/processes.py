"""Several processes on this machine: torch.distributed.run starts them and restarts them when one is killed."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from empirisk import runtime
from empirisk.errors import RUN, Wrong, listed
from empirisk.experiment import Experiment
from empirisk.files import make_folder
from empirisk.verbs.place import finished, place
from empirisk.verbs.run import Run
from empirisk.verbs.say import Say
from empirisk.verbs.train import Interrupted

RESTARTS = 3


def die_with_parent() -> None:
    """In the child, on Linux: SIGTERM when the parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def spread(
    e: Experiment, out: str | Path | None, *, device: str, workers: int, processes: int, fixed: dict[str, Any], say: Say
) -> Run:
    """Train `e` with so many processes; the arguments travel in run.json.

    `Wrong` (exit 2) if the data cannot be read by another process; (exit 3) if the workers failed more than three times; what a
    worker refused.
    """
    if e.objects:
        remedy = "a table as CSV, a model as package.module:function; or train with one process"
        raise Wrong(f"other processes cannot be given the object that is {listed(list(e.objects))}", remedy=remedy)
    folder, begun = place(e.name, e.arguments, out)
    if begun and finished(folder):
        say("Finished", f"{folder.path} already holds this very run", "--out")
        return Run(folder.path)
    if not begun:
        make_folder(folder.path, parents=True)
        folder.write(experiment=e.name, arguments=e.arguments, status="running", **fixed)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        f"--max-restarts={RESTARTS}", "-m", "empirisk", "train", "--config", str(folder.path / "run.json"), "--out", str(folder.path),
        "--device", device, "--workers", str(workers),
    ]  # fmt: skip
    say("Processes", f"{processes}; a killed one is started again, at most {RESTARTS} times")
    with tempfile.TemporaryDirectory() as held:
        word = Path(held) / "word.json"
        env = os.environ | {
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else a killed worker never rejoins
            "OMP_NUM_THREADS": str(runtime.threads_of(processes)), "EMPIRISK_WORD": str(word),
        }  # fmt: skip
        code, flag = watched(
            command, env, stdout=2 if say.as_json else None
        )  # stdout is kept for the one JSON document
        if word.exists():
            left = json.loads(word.read_text("utf-8"))
            text = left.pop("text")
            wrong = Wrong(**left)
            wrong.args = (text,)
            raise wrong
    if finished(folder):
        return Run(folder.path)
    if flag:
        raise Interrupted(flag.code)
    raise Wrong(
        f"the processes ended with code {code}, the run is {folder.read().get('status')}",
        kept=f"the last good checkpoint in {folder.path}",
        remedy="look at the messages above; the same command goes on from there", code=RUN, reason="worker",
    )  # fmt: skip


def watched(command: list[str], env: dict[str, str], stdout: int | None) -> tuple[int, runtime.Signals]:
    """Run the command to its end; a signal is handed on once, so that each worker ends after its step."""
    flag, told = runtime.Signals(), False
    with flag.caught():
        child = subprocess.Popen(command, env=env, process_group=0, preexec_fn=die_with_parent, stdout=stdout)  # noqa: PLW1509
        while (code := child.poll()) is None:
            if flag and not told:
                child.send_signal(signal.SIGTERM)
                told = True
            time.sleep(0.1)
    return code, flag
