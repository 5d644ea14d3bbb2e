"""--lr find: found before the first step, written down, taken again by a run that goes on and by --config."""

import json

import pytest

from empirisk import erm
from empirisk.folder import RunFolder

FOUND = ("--model", "mlp", "--width", "4", "--epochs", "3", "--lr", "find")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_found_once_and_repeated_to_the_byte(cli, tiny, here, monkeypatch):
    words = ("train", "classification", tiny / "spots.npz", *FOUND)
    code, out, err = cli(*words)
    assert code == 0, err
    assert "Rate" in out
    record = RunFolder(here / "runs/spots").read()
    assert record["arguments"]["lr"] == "find"
    assert 1e-7 <= record["lr"] <= 1
    assert record["recipe"]["lr"] == record["lr"]
    largest = max(float(row["lr"]) for row in RunFolder(here / "runs/spots").read_history())
    assert largest <= record["lr"]
    assert cli(*words)[1].startswith("Finished")

    def again(*args, **options):
        raise AssertionError("it was found before")

    monkeypatch.setattr(erm, "rate_found", again)
    code, _, err = cli("train", "--config", here / "runs/spots/run.json")
    assert code == 0, err
    same = [(here / f"runs/{name}/weights.safetensors").read_bytes() for name in ("spots", "spots-2")]
    assert same[0] == same[1]
    changed = json.loads((here / "runs/spots/run.json").read_text())
    changed["lr"] = record["lr"] / 10
    changed["status"] = "stopped"
    (here / "other.json").write_text(json.dumps(changed))
    code, _, err = cli("train", "--config", here / "other.json")
    assert code == 0, err
    assert RunFolder(here / "runs/spots-3").read()["lr"] == record["lr"] / 10


def test_a_stopped_run_goes_on_with_its_rate(cli, tiny, here, monkeypatch):
    words = ("train", "classification", tiny / "spots.npz", *FOUND)
    assert cli(*words, "--out", "whole")[0] == 0
    step, taken = erm.step, []

    class Death(BaseException):
        pass

    def dies(run, *rest):
        taken.append(run.step)
        if taken.count(0) > 1 and run.step == 3:  # in the fit, after the range test
            raise Death
        step(run, *rest)

    monkeypatch.setattr(erm, "step", dies)
    with pytest.raises(Death):
        cli(*words, "--out", "killed")
    monkeypatch.setattr(erm, "step", step)
    monkeypatch.setattr(erm, "rate_found", lambda *a, **k: pytest.fail("it was found before"))
    assert cli(*words, "--out", "killed")[0] == 0
    assert (here / "killed/weights.safetensors").read_bytes() == (here / "whole/weights.safetensors").read_bytes()


def test_words_that_are_no_rate(cli, tiny):
    code, _, err = cli("train", "classification", tiny / "spots.npz", "--model", "mlp", "--lr", "fast")
    assert code == 2
    assert "--lr is fast" in err
    assert "find" in err
