import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from empirisk import files
from empirisk.errors import Wrong
from empirisk.folder import RunFolder


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "runs" / "x")
    with run.lock():
        run.write(status="running")
    return run


def net(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, 1))


def test_run_json_is_merged(run):
    run.write(status="finished", learned={"classes": ["a", "b"]})
    run.write(seconds=1.5)
    assert run.read() == {"status": "finished", "learned": {"classes": ["a", "b"]}, "seconds": 1.5}


def test_no_run_is_wrong_use_and_a_broken_one_is_a_run_that_cannot_go_on(tmp_path, run):
    with pytest.raises(Wrong, match=r"is no run: it has no run\.json") as caught:
        RunFolder(tmp_path).read()
    assert caught.value.code == 2
    for text in ("{", "[]"):
        (run.path / "run.json").write_text(text)
        with pytest.raises(Wrong, match=r"run\.json") as caught:
            run.read()
        assert caught.value.code == 3


def test_a_list_of_runs_needs_no_torch():
    code = (
        "import sys; from empirisk.folder import RunFolder; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_history_there_and_back(run):
    assert run.read_history() == []
    run.history(
        [{"epoch": 1, "train": 0.5}, {"epoch": 2, "train": 0.25, "val/auc": None}, {"epoch": 3, "val/auc": 0.9}]
    )
    assert (run.path / "history.csv").read_text().splitlines()[0] == "epoch,train,val/auc"
    assert run.read_history() == [{"epoch": 1, "train": 0.5}, {"epoch": 2, "train": 0.25}, {"epoch": 3, "val/auc": 0.9}]
    (run.path / "history.csv").write_text("epoch\nx\n")
    with pytest.raises(Wrong, match=r"history\.csv") as caught:
        run.read_history()
    assert caught.value.code == 3


def test_split_keeps_identifiers_to_the_letter(run):
    ids = ["007", "a,b.png", "=x.png", os.fsdecode(b"\xff.png"), "train/17", "'=x"]
    run.split({"id": i, "patient": None, "part": "train", "sha256": "ab", "x": object()} for i in ids)
    assert list(run.read_split()) == ids
    assert run.read_split()["007"] == {"patient": "", "part": "train", "why": "", "sha256": "ab"}
    (run.path / "split.csv").write_text("id,part\n1,train\n")
    with pytest.raises(Wrong, match=r"split\.csv") as caught:
        run.read_split()
    assert caught.value.code == 3


def test_metrics_figures_and_predictions(run):
    assert run.metrics() == {}
    run.write_metrics(val={"auc": {"value": 0.5}})
    run.write_metrics(test={"auc": {"value": None, "reason": "one class"}})
    assert list(run.metrics()) == ["val", "test"]
    assert run.read_figures("test") == []
    run.write_figures("test", [{"key": "roc"}])
    assert run.read_figures("test") == [{"key": "roc"}]
    path = run.write_predictions("test", ["id", "prediction"], [{"id": "1", "prediction": "a"}])
    assert path == run.prediction_file("test") == run.path / "predictions" / "test.csv"
    assert files.read_csv(path) == [{"id": "1", "prediction": "a"}]


def test_weights_there_and_back_and_read_by_the_library(run):
    from safetensors.torch import load_file

    model = net().to(memory_format=torch.contiguous_format)
    run.save_weights(model.state_dict())
    theirs = load_file(run.weights)
    assert theirs.keys() == model.state_dict().keys()
    assert all(torch.equal(theirs[k], v) for k, v in model.state_dict().items())
    other = net()
    run.load_weights(other)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_weights_of_every_kind(run):
    tied = torch.randn(3)
    state = {
        "bf16": torch.randn(3, 2).bfloat16(),
        "float16": torch.randn(3).half(),
        "float64": torch.randn(()).double(),
        "complex64": torch.randn(2, dtype=torch.complex64),
        "yes": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "int64": torch.tensor(5),
        "uint8": torch.arange(5, dtype=torch.uint8),
        "transposed": torch.randn(3, 2).t(),
        "large": torch.full((1000,), 3e38),
        "tied": tied,
        "again": tied,
    }
    model = nn.Module()
    for name, tensor in state.items():
        model.register_buffer(name, torch.zeros_like(tensor))
    run.save_weights(state)
    run.load_weights(model)
    assert all(torch.equal(model.get_buffer(name), tensor) for name, tensor in state.items())


def test_another_model_is_refused_with_what_differs(run):
    run.save_weights(net(3).state_dict())
    with pytest.raises(
        Wrong, match=r"another model\n  0\.weight: float32 \[3, 2\], not float32 \[4, 2\], .* and 2 more"
    ) as caught:
        run.load_weights(net(4))
    assert caught.value.code == 3
    with pytest.raises(Wrong, match=r"0\.bias: float32 \[3\], not float64 \[3\]"):
        run.load_weights(net(3).double())
    with pytest.raises(Wrong, match=r"2\.bias: float32 \[1\], not nothing"):
        run.load_weights(net(3)[:2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_never_written(run, value):
    model = net()
    run.save_weights(model.state_dict())
    before = run.weights.read_bytes()
    with torch.no_grad():
        model[2].weight[0, 1] = value
    for save in (run.save_weights, lambda state: run.checkpoints.save(1, {"model": state})):
        with pytest.raises(Wrong, match=r"not finite\n  first in .*2\.weight") as caught:
            save(model.state_dict())
        assert (caught.value.code, caught.value.reason) == (3, "diverged")
    assert run.weights.read_bytes() == before
    assert run.checkpoints.load() is None


def trained():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 2, 5, 5)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def test_checkpoint_there_and_back(run):
    model, optimizer = trained()
    generator = torch.Generator().manual_seed(3)
    state = {
        "model": model.state_dict(),
        "optimizers": {"net": optimizer.state_dict()},
        "generator": generator.get_state(),
        "best": float("inf"),
        "low": (float("-inf"), None, True, 2**100, 0.1, "\udcff"),
        "": {"": {"a": []}},
        3: {(1, 2): "tuple key"},
        "a/b": torch.zeros(1),
        "a": {"b": torch.ones(1)},
    }
    assert run.checkpoints.load() is None
    run.checkpoints.save(12, state, shared={"kept": model.state_dict()}, world=2)
    step, back = run.checkpoints.load("cpu")
    assert step == 12
    same(dict(sorted(back.pop("kept").items())), dict(sorted(model.state_dict().items())))
    same(back, state)
    assert back["model"]["0.weight"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(back["generator"], generator.get_state())
    other, fresh = trained()
    fresh.load_state_dict(back["optimizers"]["net"])
    other.load_state_dict(back["model"])
    assert fresh.state_dict()["state"][0]["exp_avg"].stride() == optimizer.state_dict()["state"][0]["exp_avg"].stride()


def same(a, b):
    if isinstance(b, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for key in b:
            same(a[key], b[key])
    elif isinstance(b, list | tuple):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        assert a == b
        assert type(a) is type(b)


def names(run):
    return sorted(p.name for p in (run.path / "checkpoint").iterdir())


def test_two_generations_stay_and_shared_parts_are_written_once_for_each(run):
    points = run.checkpoints
    kept = {"w": torch.ones(5)}
    for step in (1, 2, 3):
        points.save(step, {"n": step}, shared={"kept": kept})
    one, two = sorted(p.name for p in points.path.glob("kept-*"))
    assert names(run) == [one, two, "newest.json", "step-000002", "step-000003"]
    assert (one[:17], one[17:], two[17:]) == (two[:17], "-a.safetensors", "-b.safetensors")
    before = {name: (points.path / name).stat().st_ino for name in (one, two)}
    points.save(4, {"n": 4}, shared={"kept": kept})
    assert {name: (points.path / name).stat().st_ino for name in (one, two)} == before
    points.save(5, {"n": 5}, shared={"kept": {"w": torch.zeros(5)}})
    points.save(6, {"n": 6}, shared={"kept": {"w": torch.zeros(5)}})
    assert not {one, two} & set(names(run))
    assert points.load()[1]["kept"]["w"].tolist() == [0] * 5


def test_the_same_step_again_replaces_no_folder(run):
    for n in range(4):
        run.checkpoints.save(7, {"n": n})
        assert run.checkpoints.load() == (7, {"n": n})
    assert len(list(run.checkpoints.path.glob("step-*"))) == 2


def test_leftovers_are_swept(run):
    run.checkpoints.save(1, {})
    (run.checkpoints.path / "step-000009.partial").mkdir()
    (run.path / ".run.json.aa.tmp").touch()
    (run.checkpoints.path / ".newest.json.aa.tmp").touch()
    with run.lock():
        assert not list(run.path.rglob(".*.tmp"))
    assert run.checkpoints.load() == (1, {})
    run.checkpoints.save(2, {})
    assert names(run) == ["newest.json", "step-000001", "step-000002"]


def test_a_partial_first_checkpoint_is_none(run):
    (run.path / "checkpoint" / "step-000001.partial").mkdir(parents=True)
    assert run.checkpoints.load() is None


def test_a_renamed_but_not_yet_pointed_generation_serves_only_where_there_is_no_other(run):
    run.checkpoints.save(1, {"n": 1})
    shutil.copytree(run.checkpoints.path / "step-000001", run.checkpoints.path / "step-000002")
    (run.checkpoints.path / "step-000002" / "manifest.json").write_text("{")
    assert run.checkpoints.load()[0] == 1
    run.checkpoints.save(2, {"n": 2})
    assert run.checkpoints.load() == (2, {"n": 2})
    assert names(run) == ["newest.json", "step-000001", "step-000002-2"]
    (run.checkpoints.path / "newest.json").unlink()
    assert run.checkpoints.load() == (2, {"n": 2})


def test_another_version_is_named(run):
    run.checkpoints.save(1, {})
    path = run.checkpoints.path / "step-000001" / "manifest.json"
    manifest = json.loads(path.read_text())
    for change in ({"format": 7}, {"files": {}}, {"files": None}, {"shared": []}):
        path.write_text(json.dumps(manifest | change | {"package": "99.3"}))
        with pytest.raises(Wrong, match=r"written by 99\.3, this is ") as caught:
            run.checkpoints.load()
        assert caught.value.code == 3
    del manifest["sha256"]
    seal = hashlib.sha256(json.dumps(manifest | {"package": "0.0.1"}, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(manifest | {"package": "0.0.1", "sha256": seal}))
    assert run.checkpoints.load() == (1, {})


def test_a_state_that_no_checkpoint_can_hold_is_refused_before_anything_is_written(run):
    with pytest.raises(TypeError, match="no set"):
        run.checkpoints.save(1, {"a": {1, 2}})
    assert run.checkpoints.load() is None


def test_a_run_folder_that_was_moved_is_whole(run):
    run.save_weights(net().state_dict())
    run.checkpoints.save(1, {"n": 1}, shared={"kept": {"w": torch.ones(1)}})
    run.path.rename(run.path.with_name("moved"))
    moved = RunFolder(run.path.with_name("moved"))
    moved.load_weights(net())
    assert moved.checkpoints.load()[0] == 1
    assert moved.read()["status"] == "running"
    assert str(run.path).encode() not in b"".join(p.read_bytes() for p in moved.path.rglob("*") if p.is_file())


def test_names(run):
    assert [p.name for p in (run.weights, run.report, run.report_md, run.model_card)] == [
        "weights.safetensors",
        "report.html",
        "report.md",
        "model_card.md",
    ]


def test_the_lock_file_is_private_and_names_the_holder(run):
    with run.lock():
        text = (run.path / ".lock").read_text()
        assert text.startswith(f"pid {os.getpid()} on {socket.gethostname()} since 20")
        with pytest.raises(Wrong, match="in use by pid"), run.lock():
            pass
        with pytest.raises(Wrong, match="in use by pid"), run.lock():
            pass
    with run.lock():
        pass
