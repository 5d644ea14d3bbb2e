"""F047: killed at every system call of a write, old or new is there, never torn; the same command goes on."""

import shutil
import signal

import torch
from injectors import every_call

from empirisk import files
from empirisk.folder import RunFolder


def test_checkpoint(tmp_path):
    number, seen = 0, set()

    def prepare():
        nonlocal number, points
        number += 1
        points = RunFolder(tmp_path / str(number)).checkpoints
        shutil.copytree(original.path, points.path)
        return lambda: points.save(3, state(3), shared={"kept": {"w": torch.full((3,), 3)}})

    def state(step):
        return {"model": {"w": torch.full((50,), float(step))}, "step": step}

    points, original = None, RunFolder(tmp_path).checkpoints
    for step in (1, 2):
        original.save(step, state(step), shared={"kept": {"w": torch.full((3,), step)}})
    for outcome in every_call(prepare, "kill"):
        assert outcome.signal == signal.SIGKILL
        complaints = []
        step, loaded = points.load(say=complaints.append)
        assert not complaints
        assert step in {2, 3}
        assert loaded["step"] == step
        assert loaded["model"]["w"].tolist() == [step] * 50
        assert loaded["kept"]["w"].tolist() == [step] * 3
        seen.add(step)
        points.save(4, state(4), shared={"kept": {"w": torch.full((3,), 4)}})
        assert points.load()[0] == 4
        assert not [p for p in points.path.rglob("*") if p.name.endswith((".tmp", ".partial"))]
        assert len(list(points.path.glob("step-*"))) == 2
        assert len(list(points.path.glob("kept-*"))) <= 2
    assert number > 30
    assert seen == {2, 3}


def test_first_checkpoint(tmp_path):
    number = 0

    def prepare():
        nonlocal number, points
        number += 1
        points = RunFolder(tmp_path / str(number)).checkpoints
        points.path.parent.mkdir()
        return lambda: points.save(1, {"w": torch.ones(3)})

    points = None
    for _ in every_call(prepare, "kill"):
        found = points.load()
        assert found is None or (found[0] == 1 and found[1]["w"].tolist() == [1] * 3)
    assert number > 15


def test_one_file(tmp_path):
    path, fired = tmp_path / "history.csv", 0

    def prepare():
        path.write_text("old")
        return lambda: files.write(path, "new " * 10_000)

    for _ in every_call(prepare, "kill"):
        fired += 1
        assert path.read_text() in {"old", "new " * 10_000}
        files.sweep(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]
    assert fired == 6, "open, write, fsync, replace, open and fsync of the folder"
