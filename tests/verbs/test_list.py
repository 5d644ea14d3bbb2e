"""Runs as a leaderboard; a broken run does not hide the others."""

import json
import shutil
import subprocess
import sys

from empirisk import models


def test_no_runs_yet(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("list")
    assert code == 0
    assert "begin with: empirisk demo" in out
    assert json.loads(cli("list", "--json")[1]) == []


def test_the_best_run_is_first(cli, trained, tmp_path):
    for name, value in (("a", 0.6), ("b", 0.9), ("c", None), ("d", 0.7)):
        shutil.copytree(trained, tmp_path / name)
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        metrics["test"]["auc"] |= (
            {"value": value} if value else {"value": None, "low": None, "high": None, "reason": "one class"}
        )
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    code, out, _ = cli("list", "--root", tmp_path, "--json")
    assert code == 0
    assert [r["run"].rsplit("/", 1)[1] for r in json.loads(out)] == ["b", "d", "a", "c"]
    lines = cli("list", "--root", tmp_path)[1].splitlines()
    assert lines[0].split() == ["run", "status", "number", "95", "%", "interval", "n"]
    assert "test auc .900" in lines[1]
    assert "undefined" in lines[4]


def test_a_number_of_which_less_is_better_ranks_the_other_way(cli, tmp_path):
    for name, value in (("a", 2.0), ("b", 1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"experiment": "regression", "status": "finished"}))
        mae = {"value": value, "low": value, "high": value, "n": 9}
        (tmp_path / name / "metrics.json").write_text(json.dumps({"val": {"mae": mae}}))
    assert [r["run"][-1] for r in json.loads(cli("list", "--root", tmp_path, "--json")[1])] == ["b", "a"]


def test_a_run_that_has_only_begun_or_is_broken_is_listed(cli, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "good")
    for name, text in (("begun", '{"experiment": "classification", "status": "running"}'), ("broken", '{"experi')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    code, out, _ = cli("list", "--root", tmp_path)
    assert code == 0
    assert "good" in out
    assert "running" in out
    assert "broken" in out


def test_models_experiments_and_datasets_need_no_torch():
    for what in ("models", "activations", "experiments", "datasets", "metrics"):
        code = f"import sys; from empirisk.cli import run; assert run(['list', {what!r}]) == 0; assert 'torch' not in sys.modules"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) >= 2


def test_models_as_json_have_what_was_counted(cli, monkeypatch):
    monkeypatch.setattr(models, "MODELS", {k: models.MODELS[k] for k in ("lenet", "vgg16", "unet")})
    found = json.loads(cli("list", "models", "--json")[1])
    assert found["vgg16"]["parameters"] == 138_357_544
    assert found["vgg16"]["multiply_adds"] == 15_470_264_320
    assert (found["lenet"]["size"], found["lenet"]["parameters"]) == ([32, 32], 61_706)
    assert all(entry["line"] for entry in found.values())
