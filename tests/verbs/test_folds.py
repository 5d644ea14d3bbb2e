"""--folds: every row is judged by a model that never saw its patient, and the answers are pooled."""

import csv
import json

import numpy as np
import pytest

import empirisk as er
from empirisk.data.splits import folded, split
from empirisk.errors import Wrong


def rows(patients=30, each=2, part=""):
    return [
        {"id": f"{p}_{k}", "patient": f"P{p}", "part": part, "label": "ab"[p % 3 == 0]}
        for p in range(patients)
        for k in range(each)
    ]


def test_folds_divide_the_patients_and_keep_the_shares_of_the_classes():
    table = rows()
    parts = [folded(table, f"{k}/5") for k in range(1, 6)]
    held = [{r["patient"] for r in some if r["part"] == "test"} for some in parts]
    assert sum(map(len, held)) == 30
    assert set().union(*held) == {f"P{p}" for p in range(30)}
    for some in parts:
        by = {part: {r["patient"] for r in some if r["part"] == part} for part in ("train", "val", "test")}
        assert not (by["train"] & by["test"] or by["train"] & by["val"] or by["val"] & by["test"])
        assert all(by.values())
        labels = [r["label"] for r in some if r["part"] == "test"]
        assert 0.15 < np.mean([label == "b" for label in labels]) < 0.55


def test_folds_do_not_depend_on_the_order_of_the_rows_and_are_seeded():
    table = rows()
    there = {r["id"]: r["part"] for r in folded(table, "2/5")}
    assert {r["id"]: r["part"] for r in folded(table[::-1], "2/5")} == there
    assert {r["id"]: r["part"] for r in folded(table, "2/5", seed=1)} != there
    assert split(table, fold="2/5") == folded(table, "2/5")


def test_a_given_test_set_stays_shut():
    table = rows(20, part="train") + [
        r | {"id": f"t{r['id']}", "patient": f"T{r['patient']}"} for r in rows(5, part="test")
    ]
    some = folded(table, "1/4")
    assert {r["part"] for r in some if r["id"].startswith("t")} == {""}
    assert {r["part"] for r in some if not r["id"].startswith("t")} == {"train", "val", "test"}


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "half", "1/2/3", ""])
def test_what_is_no_fold_is_refused(fold):
    with pytest.raises(Wrong, match="k/K"):
        folded(rows(), fold)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("folds") / "run"
    e = er.regression("curve:train=20", model="polynomial", degree=3)
    return er.train(e, out, folds=4)


def test_every_row_is_judged_once_by_a_run_that_did_not_see_it(run):
    with run.folder.prediction_file("folds").open() as f:
        cells = list(csv.DictReader(f))
    assert len(cells) == len({c["id"] for c in cells}) == 120  # 20 + 100: the 1,000 test points stay shut
    for k in range(1, 5):
        part = er.load(run.path / f"fold-{k}")
        saved = part.folder.read_split()
        held = {i for i, s in saved.items() if s["part"] == "test"}
        own = {c["id"]: float(c["value"]) for c in cells if c["id"] in held}
        assert 27 <= len(own) <= 33
        e = part.experiment()
        row = next(r for r in e.data.prepared().rows if r["id"] in held)
        assert own[row["id"]] == pytest.approx(e.task.predict(e.model, e.data.x([row]))[0], rel=1e-6)
        assert len(part.folder.read()["opened"]) == 1
        assert part.folder.read()["arguments"]["fold"] == f"{k}/4"


def test_the_pooled_score_is_that_of_the_pooled_answers(run):
    with run.folder.prediction_file("folds").open() as f:
        cells = list(csv.DictReader(f))
    y, f = (np.array([float(c[k]) for c in cells]) for k in ("target", "value"))
    found = run.folder.metrics()["folds"]
    assert found["pooled"]["r2"]["value"] == pytest.approx(1 - np.sum((y - f) ** 2) / np.sum((y - y.mean()) ** 2))
    assert found["pooled"]["r2"]["n"] == 120
    assert found["difference"]["linear"]["r2"]["value"] > 0.1
    assert "Folds" in run.folder.report.read_text()
    assert run.folder.read()["opened"] == []  # the run's own test set


def test_again_they_are_there_and_experiments_without_data_have_none(run, cli, tmp_path, trained):
    code, out, _ = cli(
        "train", "regression", "curve:train=20", "--model", "polynomial", "--degree", 3, "--folds", 4, "--out", run.path
    )
    assert code == 0
    assert "Fold  " not in out
    code, _, err = cli("train", "ensemble", trained, trained, "--folds", 3, "--out", tmp_path / "x")
    assert code == 2
    code, _, err = cli("train", "regression", "curve", "--model", "polynomial", "--folds", 1, "--out", tmp_path / "y")
    assert code == 2
    assert "2 or more" in err


def test_a_document_of_a_run_with_folds(cli, tmp_path):
    words = (
        "train",
        "regression",
        "curve:train=20",
        "--model",
        "polynomial",
        "--folds",
        2,
        "--out",
        tmp_path / "z",
        "--json",
    )
    code, out, _ = cli(*words)
    assert code == 0
    assert set(json.loads(out)["metrics"]["folds"]) == {"pooled", "baseline", "difference"}
