"""Paired differences over the same rows; ties are called so."""

import json

import pytest

from empirisk.folder import RunFolder


@pytest.fixture(scope="module")
def other(tiny, tmp_path_factory):
    from empirisk.cli import run

    folder = tmp_path_factory.mktemp("other")
    for name, data, more in (
        ("better", "spots.npz", ["--epochs", "40"]), ("split", "photos", ["--epochs", "1"]), ("multi", "multi.npz", ["--epochs", "1"]),
    ):  # fmt: skip
        assert (
            run(["train", "classification", str(tiny / data), "--model", "mlp", *more, "--out", str(folder / name)])
            == 0
        )
    assert (
        run(
            [
                "train",
                "regression",
                str(tiny / "ordinal.npz"),
                "--model",
                "mlp",
                "--epochs",
                "1",
                "--out",
                str(folder / "number"),
            ]
        )
        == 0
    )
    return folder


def test_a_run_against_itself_is_a_tie_in_everything(cli, trained):
    code, out, _ = cli("compare", trained, trained, "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"val", "test"}
    for part in found.values():
        assert part["first"] == part["second"]
        for d in part["difference"].values():
            assert d["value"] == 0
            assert d["tie"] is True
    _, out, _ = cli("compare", trained, trained)
    assert out.count("\n= ") >= 10


def test_the_stored_answers_give_the_numbers_that_test_gave(cli, trained):
    found = json.loads(cli("compare", trained, trained, "--json")[1])["test"]["first"]
    before = RunFolder(trained).metrics()["test"]
    assert {"auc", "accuracy", "brier"} <= set(found)
    for name, e in found.items():
        assert e["value"] == pytest.approx(before[name]["value"], abs=1e-5), name


def test_a_difference_has_the_sign_of_first_minus_second(cli, trained, other):
    code, out, _ = cli("compare", other / "better", trained, "--json")
    found = json.loads(out)["val"]
    assert code == 0
    assert set(json.loads(out)) == {"val"}  # the other run was not tested
    assert found["difference"]["auc"]["value"] == pytest.approx(
        found["first"]["auc"]["value"] - found["second"]["auc"]["value"]
    )
    assert found["difference"]["log_loss"]["value"] < 0
    assert found["difference"]["log_loss"]["tie"] is False


@pytest.mark.parametrize(("name", "said"), [("split", "other rows"), ("multi", "other"), ("number", "regression")])
def test_runs_that_cannot_be_paired_are_refused(cli, trained, other, name, said):
    code, out, err = cli("compare", trained, other / name)
    assert code == 2
    assert said in err
    assert out == ""
