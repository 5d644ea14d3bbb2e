"""Each regulariser in or out: the right switches, the right sign, and the time in all."""

import json
import shutil
import time

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.verbs.ablate import Switch, effects, switches
from empirisk.verbs.refit import Again, Fit
from empirisk.verbs.say import Say

CPU = torch.device("cpu")


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_what_is_on_is_taken_out_and_a_few_that_are_off_are_put_in(trained):
    found = {s.name: s for s in switches(Again(er.load(trained), CPU, seeds=1, minutes=None))}
    assert {n for n, s in found.items() if s.on} == {"augment", "weight_decay", "ema"}
    assert {n for n, s in found.items() if not s.on} == {"dropout", "label_smoothing", "mixup"}
    assert found["augment"].changes == {"augment": "none"}
    assert found["ema"].changes == {"ema": 0.0}
    assert found["dropout"].changes == {"dropout": 0.2}
    assert found["dropout"].value == 0.2
    assert found["weight_decay"].value == 0.1


def test_what_the_data_or_the_model_have_no_place_for_is_left_out(tmp_path):
    e = er.classification("breast-cancer", model="linear", epochs=1, adversarial=0.0, label_smoothing=0.1)
    found = switches(Again(er.train(e, tmp_path / "run", say=Say(quiet=True)), CPU, seeds=1, minutes=None))
    names = {s.name for s in found}
    assert "augment" not in names  # vectors have none
    assert {s.name for s in found if s.on} == {"weight_decay", "ema", "label_smoothing"}


def test_an_effect_is_with_less_without(trained):
    again = Again(er.load(trained), CPU, seeds=2, minutes=None)
    n, m = len(again.train), len(again.val)
    rng = np.random.default_rng(0)
    base = [Fit(rng.random(n), rng.random(m), np.empty(0)) for _ in range(2)]
    worse = [Fit(f.train, f.val + 0.5 + 0.01 * rng.random(m), f.fresh) for f in base]
    same = [Fit(f.train + rng.normal(0, 0.1, n), f.val + rng.normal(0, 0.1, m), f.fresh) for f in base]
    every = [Switch("a", True, 1, {}), Switch("b", False, 1, {}), Switch("c", True, 1, {}), Switch("d", True, 1, {})]
    found = {e.switch.name: e for e in effects(again, every, base, [worse, worse, same, []])}
    assert set(found) == {"a", "b", "c"}  # the time did not reach d
    assert found["a"].word == "helps"  # without it the risk was higher
    assert found["b"].word == "hurts"  # with it the risk was higher
    assert found["c"].word == "tie"
    assert found["a"].risk.value == pytest.approx(-0.505, abs=0.01)
    assert found["a"].gap.value == pytest.approx(found["a"].risk.value)
    assert found["b"].gap.value == pytest.approx(-found["a"].gap.value)
    assert "3 comparisons" in found["a"].risk.method


def test_the_command_says_what_each_is_worth_and_draws_it(cli, run):
    weights = (run / "weights.safetensors").read_bytes()
    code, out, err = cli("ablate", run, "--seeds", 2, "--json")
    assert code == 0, err
    found = json.loads(out)["switches"]
    assert {s["name"] for s in found} == {"augment", "weight_decay", "ema", "dropout", "label_smoothing", "mixup"}
    for s in found:
        assert s["risk"]["low"] <= s["risk"]["value"] <= s["risk"]["high"]
        assert s["verdict"] == ("tie" if s["risk"]["tie"] else "helps" if s["risk"]["value"] < 0 else "hurts")
    assert "all together at 95 %" in " ".join(err.split())
    assert "What each regulariser is worth" in (run / "report.html").read_text()
    assert (run / "weights.safetensors").read_bytes() == weights


def test_the_minutes_are_for_all_of_it(cli, run):
    start = time.monotonic()
    code, out, _ = cli("ablate", run, "--minutes", 0.05)
    assert code in {0, 2}
    assert time.monotonic() - start < 30
    assert "fits of" in out


def test_a_closed_form_has_nothing_to_take_out(cli, tmp_path):
    er.train(er.regression("curve", model="polynomial"), tmp_path / "run", say=Say(quiet=True))
    code, _, err = cli("ablate", tmp_path / "run")
    assert code == 2
    assert "capacity" in err
    code, _, err = cli("ablate", tmp_path / "run", "--minutes", -1)
    assert code == 2
