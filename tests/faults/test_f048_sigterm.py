"""F048: SIGTERM in a step: the step is finished, all is saved, exit 143; the same command goes on to equal bytes."""

import os
import signal
import time

import pytest
from running import at_call, child, same, whole

from empirisk import erm
from empirisk.folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_step_is_finished_and_saved(command, tmp_path):
    assert whole(command("whole"))[0] == 0
    words, began = command("run"), time.monotonic()
    code = child(
        words, lambda: at_call(erm, "move", 15, lambda: os.kill(os.getpid(), signal.SIGTERM)), tmp_path / "said"
    )
    assert code == 143
    assert time.monotonic() - began < 30
    said = (tmp_path / "said").read_text()
    assert "finishing this step" in said
    assert "Saved       go on with the same command" in said
    assert "Traceback" not in said
    record = RunFolder(tmp_path / "run").read()
    assert record["status"] == "stopped"
    assert record["step"] in {15, 16}  # the step that was going, and the one that looked before it
    assert record["stops"] == [{"step": record["step"]}]
    page = (tmp_path / "run/report.html").read_text()
    assert "stopped" in page
    assert (tmp_path / "run/weights.safetensors").exists()  # of the best epoch so far
    code, said = whole(words)
    assert code == 0, said
    same(tmp_path / "run", tmp_path / "whole")
    assert RunFolder(tmp_path / "run").read()["stops"] == record["stops"]


def test_before_the_first_epoch_has_ended(command, tmp_path):
    assert whole(command("whole"))[0] == 0
    words = command("run")
    code = child(
        words, lambda: at_call(erm, "move", 2, lambda: os.kill(os.getpid(), signal.SIGTERM)), tmp_path / "said"
    )
    assert code == 143
    assert RunFolder(tmp_path / "run").read()["status"] == "stopped"
    for verb in ("test", "report"):
        code, said = whole([verb, tmp_path / "run"])
        assert code == 2
        assert "no weights yet" in said
    assert whole(words)[0] == 0
    same(tmp_path / "run", tmp_path / "whole")
