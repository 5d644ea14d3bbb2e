"""The verdict on capacity: of known cases it is the known one, and its test is a test."""

import json
import shutil

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.data import embedded
from empirisk.data.targets import Number
from empirisk.errors import Wrong
from empirisk.estimate import mean
from empirisk.verbs.refit import Again, Fit, paired, terms
from empirisk.verbs.say import Say

CPU = torch.device("cpu")
WORDS = {1: "under-fits", 3: "fits", 15: "over-fits"}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    out = tmp_path_factory.mktemp("capacity")
    return {
        d: er.train(er.regression("curve", model="polynomial", degree=d), out / f"c{d}", say=Say(quiet=True))
        for d in WORDS
    }


@pytest.fixture(scope="module")
def found(curves):
    """What `capacity --json` says of degree 1, 3 and 15."""
    import contextlib
    import io

    from empirisk.cli import run

    out = {}
    for degree, made in curves.items():
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert run(["capacity", str(made.path), "--json", "--seeds", "3" if degree == 3 else "1"]) == 0
        out[degree] = json.loads(said.getvalue())
    return out


@pytest.mark.parametrize("degree", WORDS)
def test_degree_1_under_fits_3_fits_and_15_over_fits(found, degree):
    assert found[degree]["verdict"] == WORDS[degree], found[degree]["remedy"]
    assert found[degree]["remedy"]


def test_degree_3_is_nearest_the_bayes_error(curves):
    """By the expected risk: the mean over ten thousand new points."""
    risks = {}
    for degree, run in curves.items():
        e = run.experiment()
        rows = embedded.fresh("curve", 10_000)
        f = np.array(e.task.predict(e.model, e.data.x(rows)))
        risks[degree] = float(np.mean((f - [r["target"] for r in rows]) ** 2))
    bayes = 0.2**2
    assert min(risks.values()) > bayes
    assert min(risks, key=lambda d: risks[d] - bayes) == 3
    assert embedded.least_risk("curve", Number("target", 0.0, 2.0)) == pytest.approx(bayes / 4)


def test_the_points_are_a_row_a_fit(found):
    points = found[3]["points"]
    assert all(set(p) == {"degree", "rows", "seed", "train", "val"} for p in points)
    assert {p["degree"] for p in points} == set(range(1, 16))
    assert {p["rows"] for p in points} == {40, 20, 10}
    assert {p["seed"] for p in points} == {0, 1, 2}
    whole = {p["degree"]: p["train"] for p in points if p["rows"] == 40}
    assert all(whole[d] >= whole[d + 1] - 1e-6 for d in range(1, 15))  # nested spaces


def test_its_figures_are_in_the_run_and_in_the_page(found, curves):
    figures = curves[3].folder.read_figures("capacity")
    assert [f["key"] for f in figures] == ["capacity-degree", "capacity-rows"]
    assert "least possible" in figures[0]["svg"]
    assert figures[0]["columns"] == ["degree", "training error", "validation error", "expected risk"]
    assert "Error over degree" in curves[3].folder.report.read_text()


def test_over_one_axis_alone_and_a_dial_that_the_model_lacks(curves, cli):
    points = json.loads(cli("capacity", curves[3].path, "--over", "rows", "--seeds", 1, "--json")[1])["points"]
    assert {p["degree"] for p in points} == {3}
    points = json.loads(cli("capacity", curves[3].path, "--over", "degree", "--seeds", 1, "--json")[1])["points"]
    assert {p["rows"] for p in points} == {40}
    code, _, err = cli("capacity", curves[3].path, "--over", "width")
    assert code == 2
    assert "--over degree" in err
    assert cli("capacity", curves[3].path, "--seeds", 0)[0] == 2


def test_a_network_has_the_dial_of_its_width(cli, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    weights = (tmp_path / "run/weights.safetensors").read_bytes()
    code, out, err = cli("capacity", tmp_path / "run", "--seeds", 1, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert {p["width"] for p in found["points"]} == {1, 2, 4, 8}
    assert {p["rows"] for p in found["points"]} == {48, 24, 12}
    assert found["verdict"] in WORDS.values()
    assert (tmp_path / "run/weights.safetensors").read_bytes() == weights
    assert "12 fits of 6 steps each; the run had 6" in " ".join(err.split())


def test_the_time_is_kept_and_what_was_not_done_is_said(cli, trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "run")
    teach, taught = Again.teach, []

    def counted(self, *args):
        if len(taught) == 2:
            self.until = 0.0  # the clock has passed it
        taught.append(1)
        return teach(self, *args)

    monkeypatch.setattr(Again, "teach", counted)
    code, out, _ = cli("capacity", tmp_path / "run", "--seeds", 1, "--minutes", 5)
    assert code == 0
    assert "the time is over: 3 of 12 fits were done" in out
    assert len(taught) == 3


def test_the_run_taught_again_as_it_was_has_the_weights_that_it_had(tmp_path):
    e = er.classification("breast-cancer", model="mlp", width=4, epochs=3, seed=5)
    run = er.train(e, tmp_path / "run", say=Say(quiet=True))
    again = Again(run, CPU, seeds=1, minutes=None)
    fit = again.teach(same := again.build(len(again.train), 5), again.steps)
    own = terms(again.own, again.own.data.batches("val", 256, CPU))
    np.testing.assert_allclose(fit.val, own, atol=1e-6)
    assert same.data.rows("train") == again.train


def test_fewer_rows_lie_within_more_and_leave_validation_alone(trained):
    again = Again(er.load(trained), CPU, seeds=2, minutes=None)
    sets = [{r["id"] for r in again.build(n, 0).data.rows("train")} for n in (12, 24)]
    assert sets[0] < sets[1]
    assert [len(s) for s in sets] == [12, 24]
    assert {r["id"] for r in again.build(12, 1).data.rows("train")} != sets[0]
    assert again.build(12, 0).data.rows("val") == again.val


def test_a_loss_of_the_whole_batch_is_asked_row_by_row(trained):
    e = er.load(trained).experiment()
    each = terms(e, e.data.batches("val", 7, CPU))
    import dataclasses

    whole = dataclasses.replace(e.task, loss=lambda m, b, loss=e.task.loss: loss(m, b).mean())
    np.testing.assert_allclose(
        terms(dataclasses.replace(e, task=whole), e.data.batches("val", 7, CPU)), each, atol=1e-6
    )


def test_the_interval_of_a_difference_covers_and_knows_the_seeds():
    """Rows and seeds both vary: where nothing differs, 0 lies inside in about 95 of 100 studies, and few seeds say little."""
    rows = [{"id": str(i), "patient": None} for i in range(60)]
    rng, missed = np.random.default_rng(0), 0
    for _ in range(150):
        values = rng.normal(0, 1, 60) + rng.normal(0, 0.2, (3, 1)) + rng.normal(0, 0.1, (3, 60))
        missed += not paired(list(values), rows).tie
    assert missed / 150 < 0.09
    apart = [np.full(60, 0.1 * s) + 1 for s in range(3)]
    assert paired(apart[:1], rows).low == pytest.approx(1.0)
    assert paired(apart, rows).low < 1.0
    wide, narrow = (paired(list(rng.normal(0, 1, (2, 60))), rows, of=k) for k in (10, 1))
    assert wide.method.endswith("10 comparisons")
    assert paired([np.ones(60)], rows, statistic=mean).value == 1


def test_a_game_and_an_ensemble_are_refused(cli, trained, tmp_path, monkeypatch):
    import dataclasses

    shutil.copytree(trained, tmp_path / "other")
    run = er.load(tmp_path / "other")
    e = run.experiment()
    for change, said in (
        ({"task": dataclasses.replace(e.task, loss=None)}, "game"),
        ({"players": []}, "learns nothing"),
    ):
        monkeypatch.setattr(type(run), "experiment", lambda self, c=change: dataclasses.replace(e, **c))
        with pytest.raises(Wrong, match=said):
            Again(run, CPU, seeds=1, minutes=None)


def test_fit_holds_the_terms_of_three_sets(curves):
    again = Again(curves[3], CPU, seeds=1, minutes=None)
    fit = again.teach(again.build(40, 0), 0)
    assert isinstance(fit, Fit)
    assert [len(v) for v in (fit.train, fit.val, fit.fresh)] == [40, 100, 1000]


def test_of_a_run_in_patches_the_gap_is_of_the_rows_that_were_looked_at(tmp_path):
    """Of many training rows in patches a sample is measured: the gap has one number for each of these, not for all rows."""
    e = er.segmentation("phantom:images=80,size=16", width=4, epochs=1, batch=32)
    again = Again(er.train(e, tmp_path / "run", say=Say(quiet=True)), CPU, seeds=1, minutes=None)
    fit = again.teach(again.build(len(again.train), 0), 2)
    assert len(again.own.data.sample("train", None)) == len(again.train) > len(fit.train) == 32
    assert len(fit.val) == len(again.val)
    gap = again.gap([fit])
    assert gap.value == pytest.approx(fit.val.mean() - fit.train.mean())
    assert gap.low <= gap.value <= gap.high
    assert gap.n == len(fit.train) + len(fit.val)
