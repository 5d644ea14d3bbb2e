"""The demo of every experiment of the list: offline, with a leak refused, and the reader's own command at the end."""

import json

import pytest

from empirisk.experiments import EXPERIMENTS
from empirisk.verbs import demo


def quick(given):
    """Arguments of a demo, with few data and one epoch."""
    if isinstance(given, list):
        return [quick(one) for one in given]
    if not isinstance(given, dict):
        return given
    few = {
        "phantom": "phantom:images=90,size=32",
        "phantom-video": "phantom-video:videos=16,size=16",
        "phantom-text": "phantom-text:sentences=90",
    }
    short = {"epochs": 1} if "epochs" in given else {}
    data = {"data": few[given["data"].partition(":")[0]]} if "data" in given else {}
    return {name: quick(value) for name, value in given.items()} | data | short


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_has_a_demo(experiment, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "GIVEN", quick(demo.GIVEN))
    words = ("demo",) if experiment == demo.FIRST else ("demo", experiment)
    code, said, err = cli(*words)
    assert code == 0, err
    name = "demo" if experiment == demo.FIRST else f"demo-{experiment}"
    assert (tmp_path / "runs" / name / "report.html").exists()
    lines = said.splitlines()
    assert lines[0].startswith("Leak        planted on purpose: ")
    assert "P017" in " ".join(lines[:6])
    assert f"Report      runs/{name}/report.html" in lines
    assert f"Again       empirisk train --config runs/{name}/run.json" in lines
    assert lines[-2:] == [
        "Yours       empirisk data FOLDER",
        f"            empirisk train {experiment} {'RUN RUN' if experiment == 'ensemble' else 'FOLDER'}",
    ]
    assert len(json.loads((tmp_path / "runs" / name / "run.json").read_text())["opened"]) == 1


def test_an_unknown_experiment_is_told_what_there_is(cli):
    code, _, err = cli("demo", "clasification")
    assert code == 2
    assert "classification" in err
