"""F046: kill -9 in any phase: the same command goes on and gives weights equal to the byte."""

import os
import random

import pytest
from running import at_call, killed, same, whole

from empirisk import erm
from empirisk.data import batches, forms
from empirisk.folder import RunFolder
from empirisk.folder.checkpoints import Checkpoints
from empirisk.verbs import train

PHASES = {
    "scan": (forms, "table", 1),
    "cache": (batches.Pixels, "take", 1),
    "first step": (erm, "move", 1),
    "mid-epoch": (erm, "move", 15),
    "validation": (erm, "risk", 4),
    "first writes": (os, "fsync", 3),
    "checkpoint write": (os, "fsync", 20),
    "prune": (Checkpoints, "_prune", 2),
    "predict": (train, "answer", 1),
    "report": (train, "reported", 1),
}
SEEDS = range(20 if os.environ.get("EMPIRISK_SOAK") else 1)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def reference(tiny, tmp_path_factory):
    """The words of a run, the run undisturbed, and how often each phase came."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    words = ["train", "classification", tiny / "spots.npz", "--model", "mlp", "--width", 4, "--epochs", 4, "--batch", 8,
             "--dropout", 0.1, "--ema", 0.9, "--out"]  # fmt: skip
    counts = dict.fromkeys(PHASES, 0)
    undo = []
    for phase, (owner, name, _) in PHASES.items():
        real = getattr(owner, name)

        def counted(*args, real=real, phase=phase, **options):
            counts[phase] += 1
            return real(*args, **options)

        setattr(owner, name, counted)
        undo.append((owner, name, real))
    try:
        code, said = whole([*words, folder])
    finally:
        for owner, name, real in reversed(undo):
            setattr(owner, name, real)
    assert code == 0, said
    return words, folder, counts


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("phase", PHASES)
def test_the_same_command_goes_on(reference, tmp_path, phase, seed):
    words, undisturbed, counts = reference
    owner, name, n = PHASES[phase]
    if seed:
        n = random.Random(f"{phase} {seed}").randint(1, counts[phase])
    run = tmp_path / "run"
    assert killed([*words, run], owner, name, n, tmp_path / "said") == -9, "the injection did not fire"
    code, said = whole([*words, run])
    assert code == 0, said
    same(run, undisturbed)
    assert (run / "predictions/val.csv").read_bytes() == (undisturbed / "predictions/val.csv").read_bytes()


def test_killed_twice(reference, tmp_path):
    words, undisturbed, _ = reference
    run = tmp_path / "run"
    assert killed([*words, run], erm, "move", 9, tmp_path / "said") == -9
    assert killed([*words, run], erm, "move", 7, tmp_path / "said") == -9
    assert whole([*words, run])[0] == 0
    same(run, undisturbed)


@pytest.mark.parametrize("n", range(1, 60 if os.environ.get("EMPIRISK_SOAK") else 2))
def test_killed_while_the_test_set_is_judged(reference, tmp_path, n):
    words, undisturbed, _ = reference
    run = tmp_path / "run"
    assert whole([*words, run])[0] == 0
    calls = 0

    def count():
        nonlocal calls
        calls += 1

    undo = [at_call(os, "rename", i, count) for i in range(1, 60)]
    assert whole(["test", run])[0] == 0
    for back in reversed(undo):
        back()
    if n > calls:
        return
    assert killed(["test", run], os, "rename", min(n + 1, calls), tmp_path / "said") == -9
    assert whole(["test", run])[0] == 0
    same(run, undisturbed)
    assert RunFolder(run).metrics()["test"]["auc"]["n"] == 24
