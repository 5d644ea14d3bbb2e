"""F074: a run folder renamed or deleted under a training run ends it with exit 3, once; a moved or copied one goes on."""

import shutil

import pytest
from running import at_call, killed, same, whole

from empirisk import erm

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("how", ["renamed", "deleted"])
def test_while_it_trains(command, tmp_path, how):
    run, fired = tmp_path / "run", []

    def away():
        fired.append(how)
        run.rename(tmp_path / "elsewhere") if how == "renamed" else shutil.rmtree(run)

    undo = at_call(erm, "move", 9, away)
    try:
        code, said = whole(command("run"))
    finally:
        undo()
    assert fired
    assert code == 3, said
    assert said.count("empirisk:") == 1
    assert "Traceback" not in said
    assert len(said[said.index("empirisk:") :].splitlines()) <= 5
    assert not run.exists()  # not made again in part


def test_a_moved_run_goes_on(command, tmp_path):
    assert whole(command("whole"))[0] == 0
    assert killed(command("run"), erm, "move", 15, tmp_path / "said") == -9
    (tmp_path / "run").rename(tmp_path / "moved")
    code, said = whole(command("moved"))
    assert code == 0, said
    same(tmp_path / "moved", tmp_path / "whole")


def test_a_copied_run_goes_on(command, tmp_path):
    assert whole(command("whole"))[0] == 0
    assert killed(command("run"), erm, "move", 15, tmp_path / "said") == -9
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert whole(command("copy"))[0] == 0
    same(tmp_path / "copy", tmp_path / "whole")
