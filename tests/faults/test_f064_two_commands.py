"""F064, through the command line: a run in use is left alone, and who holds it is named."""

import signal

import pytest
from injectors import holding
from running import whole

from empirisk.folder import RunFolder


def test_train_and_test_refuse_a_run_in_use(command, tmp_path, tiny):
    words = command("run")
    assert whole(words)[0] == 0

    def hold(ready):
        with RunFolder(tmp_path / "run").lock():
            ready()
            signal.pause()

    (tmp_path / "run/model_card.md").unlink()  # so that there is something left to do
    with holding(hold) as pid:
        for refused in (words, ["test", tmp_path / "run"]):
            code, said = whole(refused)
            assert code == 3, said
            assert f"is in use by pid {pid} on " in said
            assert "wait for it, or give another --out" in said
    assert whole(words)[0] == 0


@pytest.mark.parametrize("verb", ["report", "predict"])
def test_reading_does_not_need_the_lock(command, tmp_path, tiny, verb):
    assert whole(command("run"))[0] == 0
    more = [tiny / "spots.npz"] if verb == "predict" else []
    with RunFolder(tmp_path / "run").lock():
        assert whole([verb, tmp_path / "run", *more])[0] == 0
