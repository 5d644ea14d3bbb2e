"""Training into a run folder: where it goes, what is said, what is written."""

import dataclasses as dc
import json
import shutil

import numpy as np
import pytest

import empirisk as er
from empirisk.errors import Wrong
from empirisk.folder import RunFolder

MLP = ("--model", "mlp", "--width", "4")
FILES = {"run.json", "split.csv", "history.csv", "weights.safetensors", "metrics.json", "predictions", "report.html", "report.md", "model_card.md", "checkpoint", ".lock"}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spots(tiny, *more):
    return ("train", "classification", tiny / "spots.npz", *MLP, *more)


def test_a_run_folder_holds_what_the_design_says(trained):
    assert {p.name for p in trained.iterdir()} == FILES | {"figures"}
    record = RunFolder(trained).read()
    for key in (
        "experiment",
        "arguments",
        "learned",
        "parents",
        "data",
        "versions",
        "machine",
        "status",
        "seconds",
        "steps",
        "kept",
        "opened",
    ):
        assert key in record, key
    assert record["status"] == "finished"
    assert record["data"]["n"]["train"] == {"0": 24, "1": 24}
    assert len(record["opened"]) == 1
    assert (record["steps"], record["step"]) == (6, 6)
    rows = RunFolder(trained).read_history()
    assert [r["epoch"] for r in rows] == [0, 1, 2]
    assert {"train", "val", "loss", "lr", "seconds", "images_per_second", "auc"} <= set(rows[0])
    split = RunFolder(trained).read_split()
    assert len(split) == 96
    assert split["test/3"]["part"] == "test"
    metrics = RunFolder(trained).metrics()
    assert set(metrics["baseline"]) == {"prior", "linear", "features"} == set(metrics["difference"])
    assert {"value", "low", "high", "n", "unit", "method"} <= set(metrics["test"]["auc"])
    assert "NaN" not in (trained / "metrics.json").read_text()


def test_no_path_of_the_machine_is_kept_but_that_of_the_data(trained, tiny):
    for file in trained.rglob("*"):
        if file.is_file() and file.suffix in {".json", ".csv", ".safetensors"}:
            assert str(trained).encode() not in file.read_bytes(), file


def test_what_it_says(cli, tiny):
    code, out, _ = cli(*spots(tiny, "--epochs", 2))
    assert code == 0
    labels = [line.split()[0] for line in out.splitlines() if not line.startswith(" ")]
    assert labels == ["Data", "Plan", "Baseline", "epoch", "epoch", "Kept", "Validation", "Report", "Next"]
    assert "Next        empirisk test runs/spots" in out.splitlines()
    assert "2 epochs of 2 steps, 32 samples a step" in out
    assert {line.index(" --") for line in out.splitlines() if " --" in line} == {60}, "flags stand in one column"


def test_a_finished_run_says_so_and_changes_nothing(cli, tiny, here):
    assert cli(*spots(tiny, "--epochs", 1))[0] == 0
    before = {p: p.stat().st_mtime_ns for p in (here / "runs").rglob("*")}
    code, out, _ = cli(*spots(tiny, "--epochs", 1))
    assert code == 0
    assert out.startswith("Finished    runs/spots already holds this very run")
    assert {p: p.stat().st_mtime_ns for p in (here / "runs").rglob("*")} == before


def test_other_arguments_take_the_next_free_name(cli, tiny, here):
    for seed, name in ((0, "spots"), (1, "spots-2"), (2, "spots-3"), (1, "spots-2")):
        code, out, _ = cli(*spots(tiny, "--epochs", 1, "--seed", seed))
        assert code == 0
        assert f"empirisk test runs/{name}\n" in out
    assert sorted(p.name for p in (here / "runs").iterdir()) == ["spots", "spots-2", "spots-3"]


def test_an_explicit_out_with_other_arguments_names_what_differs(cli, tiny):
    assert cli(*spots(tiny, "--epochs", 1, "--out", "a"))[0] == 0
    code, out, err = cli(*spots(tiny, "--epochs", 2, "--lr", 0.1, "--out", "a"))
    assert code == 2
    assert "epochs: 1 there, 2 now" in err
    assert "lr: None there, 0.1 now" in err
    assert "width" not in err


def test_an_out_that_is_no_run_is_left_alone(cli, tiny, here):
    (here / "photos").mkdir()
    (here / "photos/mine.txt").write_text("mine")
    (here / "file").write_text("mine")
    for name in ("photos", "file"):
        code, _, err = cli(*spots(tiny, "--epochs", 1, "--out", name))
        assert code == 2
        assert f"{name} is there and is no run" in err
    assert [p.name for p in (here / "photos").iterdir()] == ["mine.txt"]
    (here / "empty").mkdir()
    assert cli(*spots(tiny, "--epochs", 1, "--out", "empty"))[0] == 0


def test_a_dry_run_writes_nothing(cli, tiny, here):
    code, out, _ = cli(*spots(tiny, "--epochs", 3, "--dry-run"))
    assert code == 0
    assert "3 epochs of 2 steps" in out
    assert "Next        the same command without --dry-run" in out
    assert not list(here.iterdir())
    assert cli(*spots(tiny, "--epochs", 3, "--dry-run", "--out", "x", "--processes", 2))[0] == 0
    assert not list(here.iterdir())


def test_minutes_fix_the_steps_and_are_kept(cli, tiny, here):
    minutes = 0.05
    code, out, _ = cli(*spots(tiny, "--minutes", minutes, "--out", "a"))
    assert code == 0
    record = RunFolder(here / "a").read()
    assert record["seconds"] <= minutes * 60 * 1.1
    assert 2 < record["step"] <= record["steps"]
    assert "Budget      0.05 min for the fit" in out
    code, _, err = cli("train", "--config", "a/run.json", "--out", "b")
    assert code == 0, err
    again = RunFolder(here / "b").read()
    assert again["steps"] == record["steps"]
    if record["step"] == again["step"] == record["steps"]:  # a busy machine may cut one of them off
        assert (here / "a/weights.safetensors").read_bytes() == (here / "b/weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "experiment", "more", "metric"),
    [
        ("spots.npz", "classification", ("--model", "lenet", "--width", 2, "--size", 12), "auc"),
        ("multi.npz", "classification", MLP, "auc"),
        ("ordinal.npz", "regression", MLP, "mae"),
        ("colour.npz", "classification", MLP, "auc"),
        ("cube.npz", "classification", ("--model", "resnet18", "--width", 2), "auc"),
        ("photos", "classification", MLP, "auc"),
        ("table.csv", "classification", MLP, "auc"),
        ("phantom:images=90,size=16", "classification", MLP, "auc"),
        ("phantom:images=90,size=16", "regression", MLP, "mae"),
        ("curve", "regression", (), "mae"),
        ("breast-cancer", "classification", (), "auc"),
    ],
)
def test_every_form_of_data_trains_tests_predicts_and_reports(cli, tiny, here, name, experiment, more, metric):
    data = tiny / name if (tiny / name).exists() else name
    code, _, err = cli("train", experiment, data, *more, "--epochs", 2, "--out", "run")
    assert code == 0, err
    code, out, err = cli("test", "run", "--json")
    assert code == 0, err
    tested = json.loads(out)
    assert next(iter(tested)) == metric
    assert tested[metric]["n"] > 10
    assert tested[metric]["low"] <= tested[metric]["value"] <= tested[metric]["high"]
    code, out, err = cli("predict", "run", data, "--json")
    assert code == 0, err
    assert len(json.loads(out)["rows"]) >= 90
    assert cli("report", "run")[0] == 0
    assert cli("compare", "run", "run")[0] == 0
    page = (here / "run/report.html").read_text()
    assert metric in page.casefold()
    assert len(page) < 3_000_000
    learned = RunFolder(here / "run").read()["learned"]
    if name == "table.csv":  # the given split and the patients
        assert "unknown" not in tested[metric]["method"]
        split = RunFolder(here / "run").read_split()
        assert sum(row["part"] == "train" for row in split.values()) == 48
        assert {row["patient"] for row in split.values() if row["part"] == "test"} == {
            f"P{i:02d}" for i in range(36, 48)
        }
    if name == "ordinal.npz" and experiment == "regression":
        assert learned["number"]["mean"] == pytest.approx(np.mean(np.arange(48) % 5))


def test_a_label_that_is_a_number_is_one_for_regression(cli, tiny):
    assert cli("train", "regression", tiny / "ordinal.npz", "--model", "mlp", "--epochs", 40, "--out", "run")[0] == 0
    _, out, _ = cli("test", "run", "--json")
    tested = json.loads(out)
    assert tested["r2"]["value"] > 0.3


def test_classes_that_are_words_are_no_numbers(cli, tiny):
    code, _, err = cli("train", "regression", tiny / "photos", "--epochs", 1)
    assert code == 2
    assert "number" in err


def test_classes_go_by_name_and_in_the_given_order(cli, tiny, here):
    code, _, err = cli("train", "classification", tiny / "photos", *MLP, "--epochs", 1, "--classes", "bright,dark")
    assert code == 0, err
    assert RunFolder(here / "runs/photos").read()["learned"]["classes"]["names"] == ["bright", "dark"]


def test_the_temperature_and_threshold_are_of_validation(trained):
    from safetensors.numpy import load_file

    weights = load_file(trained / "weights.safetensors")
    assert weights["temperature"] > 0
    assert 0 < weights["threshold"] < 1


def test_python_and_command_train_the_same_weights(cli, tiny, here):
    assert cli(*spots(tiny, "--epochs", 2, "--out", "line"))[0] == 0
    run = er.train(er.classification(str(tiny / "spots.npz"), model="mlp", width=4, epochs=2), "python")
    assert (here / "line/weights.safetensors").read_bytes() == (run.path / "weights.safetensors").read_bytes()
    a, b = RunFolder(here / "line").read(), RunFolder(run.path).read()
    assert a["arguments"] == b["arguments"]
    assert a["learned"] == b["learned"]


def test_a_copy_of_the_data_trains_the_same_weights(cli, tiny, here):
    shutil.copy(tiny / "spots.npz", here / "copy.npz")
    assert cli(*spots(tiny, "--epochs", 1, "--out", "a"))[0] == 0
    assert cli("train", "classification", "copy.npz", *MLP, "--epochs", 1, "--out", "b")[0] == 0
    assert (here / "a/weights.safetensors").read_bytes() == (here / "b/weights.safetensors").read_bytes()


def test_an_experiment_that_could_not_be_opened_again_is_refused_before_the_first_step(tmp_path):
    e = dc.replace(er.regression("curve", epochs=1), name="doubled")
    with pytest.raises(Wrong, match="no experiment 'doubled'") as caught:
        er.train(e, out=tmp_path / "run")
    assert "a line in its list" in caught.value.remedy
    assert not (tmp_path / "run").exists()
