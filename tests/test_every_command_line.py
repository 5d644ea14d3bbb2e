"""Every experiment from outside: the command line, two processes, and the report of a real run in a browser.

`make test` tries classification, segmentation, captioning and diffusion, `make soak` all experiments of the list.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from empirisk.folder import RunFolder

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "faults"))
from running import whole

from browser import WIDTHS, chromium, faults, show
from tries import of_parents, tries, words

SOAK = bool(os.environ.get("EMPIRISK_SOAK"))
ENV = os.environ | {"OMP_NUM_THREADS": "1"}
TRIED = [
    name for name in tries() if SOAK or name in {"classification", "segmentation", "captioning", "generation ddpm"}
]


def empirisk(*said: object) -> str:
    """What one command prints in a process of its own."""
    line = [sys.executable, "-m", "empirisk", *(str(w) for w in said)]
    done = subprocess.run(line, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parents")
    for line in of_parents(folder) if "ensemble" in TRIED else ():
        assert whole(line)[0] == 0
    return folder


@pytest.fixture(scope="module", params=TRIED)
def spread(request, parents, tmp_path_factory):
    """(words that train it, a run trained by two processes, tested)."""
    line, run = words(request.param, parents), tmp_path_factory.mktemp("every") / "two"
    if "--epochs" in line and not SOAK:
        line[line.index("--epochs") + 1] = "2"
    record = json.loads(empirisk(*line, "--out", run, "--processes", 2, "--json"))
    assert record["status"] == "finished"
    assert whole(["test", run])[0] == 0
    return line, run


def test_two_processes_take_the_steps_of_one(spread, tmp_path):
    line, run = spread
    code, said = whole([*line, "--out", tmp_path / "one"])
    assert code == 0, said
    one, two = RunFolder(tmp_path / "one"), RunFolder(run)
    assert two.read()["machine"]["processes"] == 2
    assert two.read()["steps"] == one.read()["steps"]
    if not one.read()["steps"]:  # a closed form
        assert two.weights.read_bytes() == one.weights.read_bytes()
    for a, b in zip(one.read_history()[:1], two.read_history()[:1], strict=True):  # bf16 rounding grows with every step
        assert a.keys() == b.keys()
        for name in {"train", "generator", "discriminator"} & a.keys():  # a game draws its noise anew in each process
            np.testing.assert_allclose(b[name], a[name], rtol=0.05 if name == "train" else 0.5)


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_its_report_is_whole_in_a_browser(spread, driver, width):
    show(driver, RunFolder(spread[1]).report, width)
    assert faults(driver, width) == []
