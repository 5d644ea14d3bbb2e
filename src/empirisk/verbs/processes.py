"""Several processes on this machine: torch.distributed.run starts them and restarts them when one is killed."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from empirisk import runtime
from empirisk.errors import RUN, Wrong
from empirisk.experiment import Experiment
from empirisk.verbs.run import Run
from empirisk.verbs.say import Say
from empirisk.verbs.train import Interrupted, place

RESTARTS = 3


def die_with_parent() -> None:
    """In the child, on Linux: SIGTERM when the parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def spread(
    e: Experiment, out: str | Path | None, *, device: str, workers: int, processes: int, steps: int | None, say: Say
) -> Run:
    """Train `e` with so many processes; the arguments travel in run.json.

    Raises
    ------
    Wrong
        exit 2 if the data cannot be read by another process; exit 3 if the workers failed more than three times.
    """
    if str(e.arguments.get("data", "")).startswith("<"):
        raise Wrong(
            "a table in memory cannot be read by other processes", remedy="write it to a CSV, or train with one process"
        )
    folder, begun = place(e.name, e.arguments, out)
    if begun and folder.read().get("status") == "finished":
        say("Finished", f"{folder.path} already holds this very run", "--out")
        return Run(folder.path)
    if not begun:
        folder.write(experiment=e.name, arguments=e.arguments, status="running", steps=steps)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        f"--max-restarts={RESTARTS}", "-m", "empirisk", "train", "--config", str(folder.path / "run.json"), "--out", str(folder.path),
        "--device", device, "--workers", str(workers), *(["--json"] if say.as_json else []),
    ]  # fmt: skip
    env = os.environ | {
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else a killed worker never rejoins
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes)),
    }
    say("Processes", f"{processes}; a killed one is started again, at most {RESTARTS} times")
    flag = runtime.Signals()
    with flag.caught():
        child = subprocess.Popen(command, env=env, process_group=0, preexec_fn=die_with_parent)  # noqa: PLW1509
        told = False
        while (code := child.poll()) is None:
            if flag and not told:  # each worker is told once, so that it ends after its step
                child.send_signal(signal.SIGTERM)
                told = True
            time.sleep(0.1)
    status = folder.read().get("status")
    if status == "finished":
        return Run(folder.path)
    if flag:
        raise Interrupted(flag.code)
    raise Wrong(
        f"the processes ended with code {code}, the run is {status}", kept=f"the last good checkpoint in {folder.path}",
        remedy="look at the messages above; the same command goes on from there", code=RUN, reason="worker",
    )  # fmt: skip
