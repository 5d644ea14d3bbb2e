"""train --config FILE: a run.json repeats to equal bytes; any other file is flat arguments, an unknown key is an error."""

import json

import pytest

from empirisk.folder import RunFolder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_json_repeats_to_equal_bytes_in_the_next_free_folder(cli, trained, here):
    for name in ("spots", "spots-2"):
        code, out, err = cli("train", "--config", trained / "run.json")
        assert code == 0, err
        assert f"Next        empirisk test runs/{name}" in out
        assert (here / f"runs/{name}/weights.safetensors").read_bytes() == (
            trained / "weights.safetensors"
        ).read_bytes()
    assert RunFolder(here / "runs/spots").read()["arguments"] == RunFolder(trained).read()["arguments"]
    code, _, err = cli("train", f"--config={trained / 'run.json'}", "--out", "mine", "--dry-run")
    assert code == 0, err
    assert not (here / "mine").exists()
    assert cli("train", "--dry-run", "--out", "mine", "--config", trained / "run.json")[0] == 0


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_flat_arguments(cli, tiny, here, ending):
    flat = {
        "experiment": "classification",
        "data": str(tiny / "spots.npz"),
        "model": "mlp",
        "width": 4,
        "epochs": 1,
        "lr": 1,
    }
    text = json.dumps(flat) if ending == "json" else "\n".join(f"{k} = {json.dumps(v)}" for k, v in flat.items())
    (here / f"c.{ending}").write_text(text)
    code, _, err = cli("train", "--config", f"c.{ending}")
    assert code == 0, err
    arguments = RunFolder(here / "runs/spots").read()["arguments"]
    assert (arguments["width"], arguments["lr"], arguments["batch"]) == (4, 1, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"experiment": "classification", "data": "curve", "epoch": 3}', ("unknown key 'epoch'", '"epochs"')),
        ('{"experiment": "classification", "data": "curve", "epochs": "3"}', ('epochs is "3"', "int")),
        ('{"experiment": "classification", "data": "curve", "epochs": true}', ("epochs is true", "int")),
        ('{"experiment": "classification", "data": "curve", "epochs": 1.5}', ("epochs is 1.5", "int")),
        ('{"experiment": "classification", "data": ["curve"]}', ("data is", "str")),
        ('{"experiment": "classification", "data": null}', ("data is null", "str")),
        ('{"experiment": "classification", "data": "curve", "model": 3}', ("model is 3", "str")),
        ('{"experiment": "classification", "model": "mlp"}', ("names no data",)),
        ('{"experiment": "clasification", "data": "curve"}', ("no experiment 'clasification'", '"classification"')),
        ('{"experiment": ["x"], "data": "curve"}', ("no experiment",)),
        ('{"data": "curve"}', ("names no experiment", "classification")),
        ('{"experiment": "regression", "arguments": 3}', ("arguments",)),
        ('{"experiment": "regression", "arguments": {"data": "curve"}, "steps": "many"}', ("steps",)),
        ('{"experiment": "regression", "data": "curve", "data": "phantom"}', ("data",)),
        ("[1, 2]", ("names no experiment",)),
        ("{", ("c.json",)),
        ("[" * 100_000, ("c.json",)),
        ("", ("c.json",)),
    ],
)
def test_a_wrong_file_is_refused_with_the_key(cli, here, text, said):
    (here / "c.json").write_text(text)
    code, out, err = cli("train", "--config", "c.json")
    assert code == 2, err
    for words in said:
        assert words in err
    assert [p.name for p in here.iterdir()] == ["c.json"]


def test_a_config_that_is_not_there(cli):
    code, _, err = cli("train", "--config", "none.json")
    assert code == 2
    assert "none.json" in err
