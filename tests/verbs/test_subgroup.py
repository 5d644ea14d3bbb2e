"""Scores by subgroup, each with its interval; a wrong column is refused before the test set is opened."""

import json
import shutil

import numpy as np
import pytest

import empirisk as er
from empirisk.errors import Wrong
from empirisk.verbs.test import groups


@pytest.fixture(scope="module")
def table(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("subgroup") / "run"
    return er.train(er.classification(str(tiny / "table.csv"), model="mlp", width=4, epochs=3), out)


@pytest.fixture
def run(table, tmp_path):
    shutil.copytree(table.path, tmp_path / "run")
    return tmp_path / "run"


def test_each_value_has_its_scores(run, cli):
    code, out, err = cli("test", run, "--subgroup", "sex", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert set(found["subgroups"]) == {"sex=F", "sex=M"}
    n = {k: s["accuracy"]["n"] for k, s in found["subgroups"].items()}
    assert sum(n.values()) == found["accuracy"]["n"] == 24
    whole = sum(s["accuracy"]["value"] * n[k] for k, s in found["subgroups"].items()) / 24
    assert whole == pytest.approx(found["accuracy"]["value"])
    assert all(
        s["accuracy"]["low"] <= s["accuracy"]["value"] <= s["accuracy"]["high"] for s in found["subgroups"].values()
    )
    assert "sex=F" in (run / "report.html").read_text()
    assert "sex=F" in cli("test", run, "--subgroup", "sex")[1]


def test_a_wrong_column_opens_nothing(run, cli):
    for column, said in (("sexx", 'Did you mean "sex"?'), ("patient", "values")):
        code, _, err = cli("test", run, "--subgroup", column)
        assert code == 2
        assert said in err
    assert er.load(run).folder.read()["opened"] == []
    assert cli("test", run, "--subgroup", "sex", "--data", run)[0] == 2


def test_groups_of_several_columns_and_empty_cells():
    rows = [{"id": str(i), "sex": "FM"[i % 2], "site": "" if i == 0 else "a"} for i in range(4)]
    found = groups(rows, "sex, site")
    assert {k: np.flatnonzero(v).tolist() for k, v in found.items()} == {
        "sex=F": [0, 2], "sex=M": [1, 3], "site=a": [1, 2, 3], "site=unknown": [0],
    }  # fmt: skip
    with pytest.raises(Wrong, match="no column"):
        groups(rows, "id")
