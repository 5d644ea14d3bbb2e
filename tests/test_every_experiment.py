"""Every experiment of the list through the same checks, on phantoms: what holds for one holds for all, without exceptions."""

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from empirisk import erm
from empirisk.data import embedded, phantom, phantom_sentences, phantom_video
from empirisk.erm.run import Run as Moving
from empirisk.experiments import EXPERIMENTS, named
from empirisk.metrics import LESS_IS_BETTER
from empirisk.verbs.run import load

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "faults"))
from running import killed, same, whole

from tries import TRIES, of_parents, tries, words

CPU = torch.device("cpu")


def test_every_experiment_of_the_list_is_tried():
    assert {name.split()[0] for name in TRIES} == set(EXPERIMENTS)


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    """Two runs that an ensemble is made of."""
    folder = tmp_path_factory.mktemp("parents")
    for line in of_parents(folder):
        code, said = whole(line)
        assert code == 0, said
    return folder


@pytest.fixture(scope="module", params=tries())
def tried(request, parents, tmp_path_factory):
    """(name, words that train it, a finished float32 run)."""
    line = words(request.param, parents)
    run = tmp_path_factory.mktemp("every") / "float32"
    precision = ["--precision", "float32"] if has(request.param, "precision") else []
    code, said = whole([*line, *precision, "--out", run])
    assert code == 0, said
    return request.param, [*line, *precision], run


@pytest.fixture(scope="module")
def hurried(tried, tmp_path_factory):
    """(a run of the same words in three seconds, and what was said); of a closed form, which has no minutes, the run again."""
    name, line, run = tried
    again = tmp_path_factory.mktemp("hurried") / "run"
    if load(run).experiment().players:
        line = [w for i, w in enumerate(line) if "--epochs" not in line[max(0, i - 1) : i + 1]] + ["--minutes", ".05"]
    code, said = whole([*line, "--out", again])
    assert code == 0, (name, said)
    return again, said


def has(name: str, flag: str) -> bool:
    return flag in inspect.signature(named(name.split()[0])).parameters


def better(run: Path) -> bool:
    """Whether the run beats its first baseline on validation, by the first score."""
    differences = load(run).folder.metrics()["difference"]
    first, found = next(iter(differences.items()))
    metric, d = next(iter(found.items()))
    assert d["value"] is not None, (first, metric, d)
    return (d["value"] > 0) != (metric in LESS_IS_BETTER)


def test_a_dry_run_says_the_plan_and_writes_nothing(tried, tmp_path, monkeypatch):
    _, line, run = tried
    monkeypatch.chdir(tmp_path)
    code, said = whole([*line, "--dry-run"])
    assert code == 0, said
    assert not list(tmp_path.iterdir())
    rows = sum(row["part"] == "train" for row in load(run).folder.read_split().values())
    assert f"split: train {rows:,}, val" in said
    assert said.splitlines()[-1].split() == ["Next", *"the same command without --dry-run".split()]


def test_a_few_seconds_are_enough_for_a_whole_run(tried, hurried):
    """A closed form is as quick as it is; of the others, `--minutes` holds for the fit."""
    run, said = hurried
    folder = load(run).folder
    record = folder.read()
    assert record["status"] == "finished", said
    assert folder.report.exists() and folder.model_card.exists() and folder.prediction_file("val").exists()
    assert folder.metrics()["val"].keys() == load(tried[2]).folder.metrics()["val"].keys()
    assert record["seconds"] < 30  # three, but for one step and one look at validation on a busy machine


def test_two_runs_are_compared_by_paired_differences(tried, hurried):
    code, said = whole(["compare", tried[2], hurried[0]])
    assert code == 0, said
    code, document = whole(["compare", tried[2], hurried[0], "--json"])
    assert code == 0, document
    found = json.loads(document[document.index("{") :])["val"]
    assert found["difference"].keys() <= found["first"].keys() == found["second"].keys()
    name, d = next(iter(found["difference"].items()))
    assert d["value"] == pytest.approx(found["first"][name]["value"] - found["second"][name]["value"], abs=1e-6)
    assert d["low"] <= d["value"] <= d["high"]
    assert name in said


def test_it_beats_its_first_baseline(tried):
    assert better(tried[2])


def test_killed_in_mid_epoch_and_repeated_it_has_the_same_bytes(tried, tmp_path):
    """A closed form takes no step: it is whole at once, and the same."""
    _, line, run = tried
    e = load(run).experiment()
    steps = load(run).folder.read().get("steps") or 0
    code = killed([*line, "--out", tmp_path / "again"], erm, "step", steps // 2 + 1, tmp_path / "said")
    assert code == (-9 if e.players else 0), (tmp_path / "said").read_text()
    code, said = whole([*line, "--out", tmp_path / "again"])
    assert code == 0, said
    same(tmp_path / "again", run)


def test_bf16_begins_as_float32_does_and_beats_the_baseline_too(tried, tmp_path):
    name, line, run = tried
    e = load(run).experiment()
    if e.players:
        first = [begun(run, precision) for precision in ("float32", "bf16")]
        np.testing.assert_allclose(first[1], first[0], rtol=0.02)
        code, said = whole([w if w != "float32" else "bf16" for w in line] + ["--out", tmp_path / "bf16"])
        assert code == 0, said
        assert better(tmp_path / "bf16")
    assert all(t.dtype != torch.bfloat16 for t in load_file(load(run).folder.weights).values()), name


def begun(run: Path, precision: str) -> list[float]:
    """The first batch's risk of each player, before anything has moved; a gradient reaches all that it may move."""
    record = load(run).folder.read()
    e = named(record["experiment"])(**record["arguments"])
    stream = e.data.stream(batch=16, seed=0, device=CPU)
    moving = Moving(e.model, stream, e.players, e.recipe, 1e-3, precision, CPU)
    batch, risks = next(iter(stream(0))), []
    for seat in moving.seats:
        with moving.autocast():
            terms = seat.player.loss(e.model, batch)
        risks.append(float(terms.detach().float().mean()))
        grads = torch.autograd.grad(terms.float().mean(), seat.parameters, allow_unused=True)
        assert all(g is not None and torch.isfinite(g).all() for g in grads)
    return risks


def test_the_test_set_is_judged_with_intervals(tried):
    code, said = whole(["test", tried[2]])
    assert code == 0, said
    found = load(tried[2]).folder.metrics()["test"]
    assert found
    for estimate in found.values():
        assert {"value", "low", "high", "n", "unit", "method"} <= estimate.keys()
        assert estimate["value"] is None or estimate["low"] <= estimate["value"] <= estimate["high"]


def test_a_new_file_is_answered_in_its_own_form_when_the_data_are_gone(tried, tmp_path, monkeypatch):
    name, _, run = tried
    new = (
        tmp_path
        / {"picture": "new.png", "table": "new.csv", "records": "new.csv", "video": "new.mp4", "text": "new.txt"}[
            TRIES[name].new
        ]
    )
    if TRIES[name].new == "picture":
        from PIL import Image

        Image.fromarray(phantom.table(images=3, size=32).rows[0]["x"].read()[0]).save(new)
    elif TRIES[name].new == "video":
        new.write_bytes(phantom_video.table(videos=8, size=16).rows[0]["x"].source)
    else:
        new.write_text(
            {"table": "x\n.25\n", "records": "mean area,mean texture\n600,18\n", "text": "No effusion on the left.\n"}[
                TRIES[name].new
            ]
        )

    def gone(*args, **options):
        raise AssertionError("the training data were read")

    for owner, function in (
        (embedded, "table"),
        (phantom, "table"),
        (phantom_video, "table"),
        (phantom_sentences, "table"),
    ):
        monkeypatch.setattr(owner, function, gone)
    code, said = whole(["predict", run, new])
    assert code == 0, said
    lines = (run / "predictions/new.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("id,patient,target,prediction")
    for cell in lines[1].split(","):
        if cell.startswith("predictions/") or cell.endswith(".png"):
            assert (run / "predictions" / Path(cell).name).exists() or new.name in cell


def test_wrong_data_is_refused_with_a_remedy(tried, tmp_path):
    name, _, _ = tried
    code, said = whole(["train", name.split()[0], *TRIES[name].wrong, *TRIES[name].flags, "--out", tmp_path / "wrong"])
    assert code == 2, said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) >= 2, said
    assert not (tmp_path / "wrong" / "weights.safetensors").exists()
