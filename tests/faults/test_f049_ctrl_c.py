"""F049: Ctrl-C once saves and exits 130; twice, or ten times, stops now with 130; nothing is lost and no traceback is shown."""

import os
import signal
import subprocess
import sys

import pytest
from running import at_call, child, same, whole

from empirisk import erm
from empirisk.folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("times", [1, 2, 10])
def test_so_many_times_fast(command, tmp_path, times):
    assert whole(command("whole"))[0] == 0
    words, sent = command("run"), []

    def interrupt():
        for _ in range(times):
            sent.append(os.write(1, b"sent\n"))
            os.kill(os.getpid(), signal.SIGINT)

    assert child(words, lambda: at_call(erm, "move", 15, interrupt), tmp_path / "said") == 130
    said = (tmp_path / "said").read_text()
    assert said.count("sent") == min(times, 2)  # the second one stopped it
    assert "Traceback" not in said
    assert ("Saved       go on with the same command" in said) == (times == 1)
    code, words_ = whole(words)
    assert code == 0, words_
    same(tmp_path / "run", tmp_path / "whole")


def test_of_the_whole_process_group_with_workers(command, tmp_path, one_thread):
    assert whole(command("whole", *[]))[0] == 0
    words = [*command("run"), "--workers", 2]
    process = subprocess.Popen(
        [sys.executable, "-m", "empirisk", *map(str, words)], start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1"):
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            break
    said = process.stdout.read()
    process.stdout.close()
    assert process.wait(30) == 130, said
    assert "Traceback" not in said
    assert "Saved" in said
    assert RunFolder(tmp_path / "run").read()["status"] == "stopped"
    code, said = whole(words)
    assert code == 0, said
    same(tmp_path / "run", tmp_path / "whole")


def test_while_reading_it_is_no_traceback_either(command, tmp_path):
    from empirisk.data import forms

    code = child(
        command("run"),
        lambda: at_call(forms, "table", 1, lambda: os.kill(os.getpid(), signal.SIGINT)),
        tmp_path / "said",
    )
    assert code == 130
    assert "Traceback" not in (tmp_path / "said").read_text()
