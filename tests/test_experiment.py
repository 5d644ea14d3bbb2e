"""The signature of an experiment is its flags, its Python call and its run.json."""

import dataclasses as dc
import inspect
import json
import sys

import pytest
import torch
from torch import nn

import empirisk as er
from empirisk.data.table import Data
from empirisk.errors import Wrong
from empirisk.experiment import experiment, flags, flatten, plain
from empirisk.experiments import EXPERIMENTS, named, rebuild
from empirisk.recipe import Recipe, Regularization
from empirisk.verbs.command import OWN, command

SMALL = {"model": "mlp", "width": 4, "epochs": 1}


class Net(nn.Module):
    """A model of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 2)

    def forward(self, x):
        return self.last(x.flatten(1))


def built(channels, classes):
    """A model by package.module:function."""
    return Net()


@pytest.fixture
def importable(monkeypatch):
    """This file under a name that package.module:function can find."""
    monkeypatch.setitem(sys.modules, "my_package", sys.modules[__name__])
    monkeypatch.setattr(built, "__module__", "my_package")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_flags_python_call_and_run_json_are_one_signature(name, tiny):
    call = inspect.signature(named(name)).parameters
    line = inspect.signature(command(name)).parameters
    assert [p for p in line if p not in {*OWN, "json"}] == list(call)
    for p in call.values():
        assert line[p.name].default == p.default
        assert line[p.name].annotation.__origin__ == p.annotation


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if "data" in inspect.signature(named(name)).parameters])
def test_arguments_are_kept_as_they_were_given(name, tiny):
    call = inspect.signature(named(name)).parameters
    given = {"normal": "benign"} if name == "anomaly" else {}
    of_phantoms = dict.fromkeys(
        ("segmentation", "detection", "anomaly", "captioning", "translation"), "phantom:images=72,size=32"
    )
    own = of_phantoms | {
        "frames": "phantom-video:videos=12,size=16",
        "sequences": "phantom-text:sentences=60",
        "generation": "phantom:images=120,size=16",
    }
    e = named(name)(own.get(name, str(tiny / "ordinal.npz")), **given)
    assert list(e.arguments) == list(call)
    assert {k: v for k, v in e.arguments.items() if k != "data"} == {
        k: given.get(k, p.default) for k, p in call.items() if k != "data"
    }
    assert json.loads(json.dumps(e.arguments)) == e.arguments
    for kind in (Data, Recipe, Regularization):  # whole or, but for what it may have of its own, not at all
        wanted = {f.name for f in flags(kind)}
        assert wanted <= set(call) or (kind is not Data and wanted & set(call) <= {"seed", "dropout"}), kind


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_flag_says_what_it_is(name):
    for p in inspect.signature(command(name)).parameters.values():
        assert p.annotation.__metadata__[0].help, p.name


def test_the_default_instance_is_kept():
    @dc.dataclass(frozen=True)
    class Pair:
        a: int = 1
        b: int = 2

    def f(data: Data, *, pair: Pair = Pair(a=7)) -> None: ...

    signature, groups = flatten(f)
    assert (signature.parameters["a"].default, signature.parameters["b"].default) == (7, 2)
    assert groups["pair"] == (Pair, ["a", "b"])

    @experiment
    def made(data: Data, *, recipe: Recipe = Recipe(lr=0.5, batch=9)) -> er.experiment.Experiment:  # type: ignore[name-defined]
        seen.append(recipe)
        return er.experiment.Experiment(data, nn.Linear(1, 1), None, [], recipe)  # type: ignore[arg-type]

    seen: list[Recipe] = []
    made("x", seed=3)
    assert seen == [Recipe(lr=0.5, batch=9, seed=3)]


def test_an_unknown_argument_names_the_near_one():
    with pytest.raises(Wrong, match="no argument epoch") as caught:
        er.classification("phantom", epoch=3)
    assert "epochs" in str(caught.value)
    assert caught.value.code == 2


def test_initial_weights_are_a_function_of_the_arguments(tiny):
    a, b, c = (er.classification(str(tiny / "spots.npz"), **SMALL, seed=s) for s in (1, 1, 2))
    same = [torch.equal(x, y) for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True)]
    other = [torch.equal(x, y) for x, y in zip(a.model.parameters(), c.model.parameters(), strict=True)]
    assert all(same)
    assert not all(other)


def test_an_experiment_trains_and_writes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    er.classification(str(tiny / "spots.npz"), **SMALL)
    assert not list(tmp_path.iterdir())


def test_plain_names_functions_and_says_what_cannot_be_named():
    assert plain(built).endswith(":built")
    assert plain(lambda: 0) == "<function>"
    assert plain(Net()) == "<Net>"
    assert plain({1: (1, None, True)}) == {"1": [1, None, True]}


def test_a_function_as_model_by_callable_and_by_name_is_one_run(importable, tiny, tmp_path):
    by_name = er.classification(str(tiny / "spots.npz"), model="my_package:built", epochs=1)
    by_callable = er.classification(str(tiny / "spots.npz"), model=built, epochs=1)
    assert by_name.arguments == by_callable.arguments
    assert by_name.arguments["model"] == "my_package:built"
    run = er.train(by_callable, tmp_path / "run")
    assert run.test()["auc"].n == 24
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["arguments"]["model"] == "my_package:built"
    assert er.load(tmp_path / "run").predict(tiny / "spots.npz")


def test_any_module_is_a_model(tiny, tmp_path):
    run = er.train(er.classification(str(tiny / "spots.npz"), model=Net(), epochs=2), tmp_path / "run")
    tested = run.test()
    assert tested["auc"].n == 24
    assert run.folder.read()["arguments"]["model"] == "<Net>"
    with pytest.raises(Wrong, match="made with an object as model") as caught:
        er.load(tmp_path / "run").predict(tiny / "spots.npz")
    assert "load(RUN, model=...)" in str(caught.value)
    again = er.load(tmp_path / "run", model=Net())
    assert again.test()["auc"] == tested["auc"]
    with pytest.raises(Wrong, match="no argument modle"):
        er.load(tmp_path / "run", modle=Net())


def test_a_table_in_memory_trains_tests_and_goes_on(tiny, tmp_path):
    import pandas as pd

    frame = pd.read_csv(tiny / "table.csv", dtype=str)
    frame["image"] = [str(tiny / name) for name in frame["image"]]
    e = er.classification(frame, **SMALL)
    run = er.train(e, tmp_path / "run")
    tested = run.test()
    assert tested["auc"].n == 24
    assert "unknown" not in tested["auc"].method
    assert run.folder.read()["arguments"]["data"].startswith("<")
    assert er.train(er.classification(frame, **SMALL), tmp_path / "run").folder.read()["status"] == "finished"
    loaded = er.load(tmp_path / "run")
    assert len(loaded.predict(str(tiny / "photos/dark"))) > 10  # needs no training data
    with pytest.raises(Wrong, match="table in memory") as caught:
        loaded.test()
    assert "data=TABLE" in str(caught.value)
    assert er.load(tmp_path / "run", data=frame).test()["auc"] == tested["auc"]
    with pytest.raises(Wrong, match="object that is data"):
        er.train(er.classification(frame, **SMALL), tmp_path / "two", processes=2)


def test_rebuild_is_the_same_experiment_and_a_change_of_data_learns_anew(trained, tiny):
    from empirisk.folder import RunFolder

    record, split = RunFolder(trained).read(), RunFolder(trained).read_split()
    e = rebuild(record, split)
    assert e.arguments == record["arguments"]
    assert e.data.facts == record["learned"]
    other = rebuild(record, split, data=str(tiny / "multi.npz"))
    assert len(other.data.facts["classes"]["names"]) == 3
    assert rebuild(record, split, seed=5).data.facts == record["learned"]
