"""The test set is opened by one verb, stamped, and changes no weight."""

import csv
import io
import json
import shutil
import urllib.parse

import numpy as np
import pytest

import empirisk as er
from empirisk.errors import Wrong
from empirisk.folder import RunFolder


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_each_opening_is_stamped_and_repeats(cli, run):
    before = (run / "weights.safetensors").read_bytes(), RunFolder(run).metrics()["test"]
    code, out, _ = cli("test", run, "--json")
    assert code == 0
    assert (run / "weights.safetensors").read_bytes() == before[0]
    assert json.loads(out) == RunFolder(run).metrics()["test"] == before[1]
    opened = RunFolder(run).read()["opened"]
    assert len(opened) == 2
    assert all(stamp["time"] for stamp in opened)
    assert "the test set has been opened 3 times" in cli("test", run)[1]


def test_it_writes_predictions_figures_and_the_page(run):
    table = (run / "predictions/test.csv").read_text().splitlines()
    assert table[0] == "id,patient,target,prediction,0,1"
    assert len(table) == 25
    assert all(line.startswith("test/") for line in table[1:])
    assert json.loads((run / "figures/test.json").read_text())
    page = (run / "report.html").read_text()
    link = page[page.index("data:text/csv", page.index('download="metrics.csv"')) :].partition('"')[0]
    saved = list(csv.DictReader(io.StringIO(urllib.parse.unquote(link.partition(",")[2]))))
    of_test = [row for row in saved if row["set"].startswith("test") and "/" not in row["metric"]]
    assert {"auc", "ece"} <= {row["metric"] for row in of_test}  # all of it, to the last


def test_the_report_never_opens_the_test_set(cli, run, monkeypatch):
    from empirisk.data.table import Data

    def opened(self):
        raise AssertionError("opened")

    monkeypatch.setattr(Data, "test", opened)
    with pytest.raises(AssertionError, match="opened"):
        er.load(run).test()
    assert cli("report", run)[0] == 0
    assert cli("compare", run, run)[0] == 0


def test_another_set_is_judged_whole_and_is_no_opening(cli, run, tiny, tmp_path):
    shutil.copy(tiny / "spots.npz", tmp_path / "other.npz")
    stamps = RunFolder(run).read()["opened"]
    code, out, err = cli("test", run, "--data", tmp_path / "other.npz", "--json")
    assert code == 0, err
    assert json.loads(out)["auc"]["n"] == 96
    metrics = RunFolder(run).metrics()
    assert metrics["other"]["other"]["auc"]["n"] == 96
    assert metrics["test"]["auc"]["n"] == 24
    assert len((run / "predictions/other.csv").read_text().splitlines()) == 97
    assert RunFolder(run).read()["opened"] == stamps


def test_another_set_without_labels_or_with_other_classes_is_refused(cli, run, tiny, tmp_path):
    shutil.copytree(tiny / "photos/dark", tmp_path / "bare")
    code, _, err = cli("test", run, "--data", tmp_path / "bare")
    assert code == 2
    assert "label" in err
    code, _, err = cli("test", run, "--data", tiny / "photos")
    assert code == 2
    assert 'label "bright" is not among 0, 1' in err


def test_an_operating_point_is_found_on_validation(cli, run):
    code, out, err = cli("test", run, "--at", "sensitivity=.95", "--json")
    assert code == 0, err
    assert RunFolder(run).read()["opened"][-1]["at"] == "sensitivity=.95"
    high = json.loads(out)["sensitivity"]["value"]
    low = json.loads(cli("test", run, "--at", "specificity=.95", "--json")[1])["sensitivity"]["value"]
    assert high >= low
    for wrong in ("sensitivity=2", "recall=.9", "x"):
        code, _, err = cli("test", run, "--at", wrong)
        assert code == 2
        assert wrong.split("=")[0] in err


def test_a_number_has_no_operating_point(cli, tiny, tmp_path):
    assert (
        cli("train", "regression", tiny / "ordinal.npz", "--model", "linear", "--epochs", 1, "--out", tmp_path / "r")[0]
        == 0
    )
    code, _, err = cli("test", tmp_path / "r", "--at", "sensitivity=.9")
    assert code == 2
    assert "no operating point" in err


def test_a_set_without_a_test_part_says_what_to_do(cli, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = (rng.integers(0, 100, (40, 8, 8)) + 80 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", train_images=x[:30], train_labels=y[:30], val_images=x[30:], val_labels=y[30:])
    code, _, err = cli(
        "train", "classification", tmp_path / "a.npz", "--model", "mlp", "--epochs", 1, "--out", tmp_path / "r"
    )
    assert code == 0, err
    code, out, err = cli("test", tmp_path / "r", "--json")
    assert code == 0, err  # one held-out part: it is the test set, validation is carved out of train
    assert json.loads(out)["auc"]["n"] == 10


def test_twins_are_told_of_and_left_out_once_more(cli, tmp_path):
    rng = np.random.default_rng(0)
    y = {p: np.arange(n) % 2 for p, n in (("train", 48), ("val", 24), ("test", 24))}
    x = {p: (rng.integers(0, 100, (len(v), 8, 8)) + 80 * v[:, None, None]).astype(np.uint8) for p, v in y.items()}
    x["test"][:4] = x["train"][:4] + 1  # near-twins
    x["test"][4] = x["train"][4]  # identical
    np.savez(tmp_path / "t.npz", **{f"{p}_images": v for p, v in x.items()}, **{f"{p}_labels": v for p, v in y.items()})
    code, out, _ = cli(
        "train", "classification", tmp_path / "t.npz", "--model", "mlp", "--epochs", 1, "--out", tmp_path / "r"
    )
    assert code == 0
    assert "1 training images are identical to a held-out one and are left out: train/4" in " ".join(out.split())
    code, out, _ = cli("test", tmp_path / "r")
    assert "without near-twins: auc" in out
    metrics = RunFolder(tmp_path / "r").metrics()
    assert (metrics["test"]["auc"]["n"], metrics["without_twins"]["auc"]["n"]) == (24, 19)
    split = RunFolder(tmp_path / "r").read_split()
    assert split["train/4"]["part"] == ""
    assert split["train/4"]["why"]


def test_gone_data_cannot_be_opened(run, tiny, tmp_path):
    text = (run / "run.json").read_text().replace(str(tiny / "spots.npz"), str(tmp_path / "gone.npz"))
    (run / "run.json").write_text(text)
    with pytest.raises(Wrong, match="gone.npz is not there"):
        er.load(run).test()


def test_scores_print_as_a_small_table():
    from empirisk.estimate import Estimate
    from empirisk.verbs.run import Scores

    shown = repr(
        Scores({"auc": Estimate(0.962, 0.934, 0.983, 180), "f1": Estimate(None, None, None, 3, reason="no case")})
    )
    first, second = shown.splitlines()
    assert "auc" in first and ".962 [.934, .983]" in first and "n = 180 images" in first
    assert "undefined (no case)" in second
