"""An ensemble is a run like others: the mean of its members, and nothing of their folders is needed afterwards."""

import contextlib
import csv
import io
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import empirisk as er
from empirisk.cli import run as command
from empirisk.data.targets import Verdict
from empirisk.errors import Wrong
from empirisk.files import sha256
from empirisk.models.ensemble import Ensemble

CPU = torch.device("cpu")


def trained(*words):
    with contextlib.redirect_stdout(io.StringIO()):
        assert command([str(w) for w in words]) == 0


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """Members a and b of spots, others that cannot join, and the tested ensemble `both`."""
    out = tmp_path_factory.mktemp("ensemble")
    small = ("--model", "mlp", "--width", 4, "--epochs", 4)
    for name, experiment, data, more in (
        ("a", "classification", "spots.npz", ()), ("b", "classification", "spots.npz", ("--seed", 1)),
        ("five", "classification", "ordinal.npz", ()), ("number", "regression", "ordinal.npz", ()),
        ("number2", "regression", "ordinal.npz", ("--seed", 1)), ("large", "classification", "spots.npz", ("--size", 16)),
        ("m1", "classification", "multi.npz", ()), ("m2", "classification", "multi.npz", ("--seed", 1)),
        ("p1", "classification", "photos", ()), ("p2", "classification", "photos", ("--split-seed", 1)),
    ):  # fmt: skip
        trained("train", experiment, tiny / data, *small, *more, "--out", out / name)
    trained("train", "ensemble", out / "a", out / "b", "--out", out / "both")
    trained("test", out / "both")
    return out


def rows_of(run, stem="test"):
    with (run / "predictions" / f"{stem}.csv").open() as f:
        return list(csv.DictReader(f))


def test_its_probabilities_are_the_means_of_its_members(folder):
    """Before the ensemble's own temperature: the mean of the members' calibrated probabilities."""
    e = er.load(folder / "both").experiment()
    e.model.temperature.fill_(1.0)
    rows = e.data.rows("val")
    x = e.data.x(rows)
    mean = np.mean(
        [[a.p for a in m.task.predict(m.model, x)] for m in (er.load(folder / n).experiment() for n in "ab")], 0
    )
    np.testing.assert_allclose([a.p for a in e.task.predict(e.model.eval(), x)], mean, atol=1e-6)


def test_its_cross_entropy_is_at_most_the_mean_of_its_members(folder):
    e = er.load(folder / "both").experiment()
    losses = []
    for name in "ab":
        m = er.load(folder / name).experiment()
        rows = m.data.rows("val")
        p = np.array([a.p for a in m.task.predict(m.model, m.data.x(rows))])
        losses.append(-np.log(p[np.arange(len(rows)), m.data.y(rows).numpy()]))
    loss = torch.cat([e.task.loss(e.model.eval(), b) for b in e.data.batches("val", 99, CPU)]).detach().numpy()
    assert (loss <= np.mean(losses, 0) + 1e-6).all()  # row by row, by Jensen
    assert loss.mean() < np.mean(losses)


def test_its_parents_are_recorded_by_value_and_their_weights_copied(folder):
    record = er.load(folder / "both").folder.read()
    assert record["parents"] == {str(folder / n): sha256(folder / n / "weights.safetensors") for n in "ab"}
    both = load_file(folder / "both" / "weights.safetensors")
    for i, name in enumerate("ab"):
        for key, tensor in load_file(folder / name / "weights.safetensors").items():
            assert torch.equal(both[f"members.{i}.{key}"], tensor)


def test_without_its_parents_it_predicts_tests_and_reports(folder, cli, tiny, tmp_path):
    shutil.copytree(folder / "both", tmp_path / "moved")
    for name in "ab":
        (folder / name).rename(folder / f"{name}-gone")
    try:
        code, _, err = cli("predict", tmp_path / "moved", tiny / "photos/dark/P00_0.png")
        assert code == 0, err
        assert "disagreement" in rows_of(tmp_path / "moved", "P00_0")[0]
        code, out, err = cli("test", tmp_path / "moved", "--json")
        assert code == 0, err
        assert json.loads(out)["auc"]["n"] == 24
        assert cli("report", tmp_path / "moved")[0] == 0
        assert "train ensemble" in (tmp_path / "moved" / "report.html").read_text()
    finally:
        for name in "ab":
            (folder / f"{name}-gone").rename(folder / name)


def test_it_says_how_far_the_members_disagree(folder):
    cells = rows_of(folder / "both")
    d = np.array([float(c["disagreement"]) for c in cells])
    assert (d >= 0).all()
    assert (d <= np.log(2)).all()
    assert d.max() > 0
    figures = json.loads((folder / "both" / "figures" / "test.json").read_text())
    assert "disagreement" in [f["key"] for f in figures]


def test_it_compares_with_a_member(folder, cli):
    code, out, err = cli("compare", folder / "both", folder / "a", "--json")
    assert code == 0, err
    assert json.loads(out)["val"]["difference"]["log_loss"]["value"] < 0.5


def test_numbers_and_labels_are_averaged_too(folder, cli):
    for name, members in {"numbers": ("number", "number2"), "labels": ("m1", "m2")}.items():
        code, _, err = cli("train", "ensemble", *(folder / m for m in members), "--out", folder / name)
        assert code == 0, err
        e, ms = er.load(folder / name).experiment(), [er.load(folder / m).experiment() for m in members]
        e.model.temperature.fill_(1.0)
        x = e.data.x(e.data.rows("val"))
        said, theirs = e.task.predict(e.model.eval(), x), [m.task.predict(m.model, x) for m in ms]
        if name == "numbers":
            np.testing.assert_allclose(said, np.mean(theirs, 0), rtol=1e-5)
            apart = [a.more["disagreement"] for a in said]
            np.testing.assert_allclose(apart, np.std(theirs, 0, ddof=1), rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_allclose([a.p for a in said], np.mean([[a.p for a in t] for t in theirs], 0), atol=1e-6)


def test_members_that_say_the_same_do_not_disagree_and_sure_opposites_do_fully():
    class Says(torch.nn.Module):
        def __init__(self, z):
            super().__init__()
            self.z = torch.tensor(z)
            self.register_buffer("temperature", torch.tensor(1.0))

        def forward(self, x):
            return self.z

    def apart(link, *z):
        model = Ensemble([Says([v]) for v in z], link)
        return model.apart(model.each(torch.zeros(1, 1))).tolist()

    assert apart("classes", [1.0, 2.0], [1.0, 2.0]) == pytest.approx([0.0], abs=1e-6)
    assert apart("classes", [50.0, 0.0], [0.0, 50.0]) == pytest.approx([np.log(2)], abs=1e-5)
    assert apart("labels", [50.0, 50.0, 0.3], [-50.0, 50.0, 0.3]) == pytest.approx([np.log(2)], abs=1e-5)
    assert apart("values", [1.0], [3.0]) == pytest.approx([np.sqrt(2)])


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (("a", "five"), "names"), (("a", "number"), "experiment regression, not classification"), (("a", "large"), "size"),
        (("p1", "p2"), "another split"), (("a",), "two different runs"), (("a", "a"), "two different runs"),
        (("a", "nothing"), "no run"),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_joined_are_refused(folder, cli, tmp_path, members, said):
    code, _, err = cli("train", "ensemble", *(folder / m for m in members), "--out", tmp_path / "x")
    assert code == 2
    assert said in err
    assert not (tmp_path / "x" / "weights.safetensors").exists()


def test_a_member_trained_anew_between_is_noticed(folder, tmp_path):
    for name in "ab":
        shutil.copytree(folder / name, tmp_path / name)
    e = er.ensemble([str(tmp_path / "a"), str(tmp_path / "b")])
    shutil.copy(folder / "a" / "weights.safetensors", tmp_path / "b" / "weights.safetensors")
    with pytest.raises(Wrong, match="trained anew"):
        er.train(e, tmp_path / "both")


def test_the_same_command_again_finds_it_finished_and_another_gives_the_same_bytes(folder, cli):
    code, out, _ = cli("train", "ensemble", folder / "a", folder / "b", "--out", folder / "both")
    assert code == 0
    assert "already holds this very run" in out
    assert cli("train", "ensemble", folder / "a", folder / "b", "--out", folder / "again")[0] == 0
    assert (folder / "again/weights.safetensors").read_bytes() == (folder / "both/weights.safetensors").read_bytes()
    code, _, err = cli("train", "--config", folder / "both" / "run.json", "--out", folder / "config")
    assert code == 0, err
    assert (folder / "config/weights.safetensors").read_bytes() == (folder / "both/weights.safetensors").read_bytes()


def test_its_first_layer_moved_nowhere_and_is_not_drawn(tiny, tmp_path):
    for seed in ("0", "1"):
        words = (tiny / "spots.npz", "--model", "lenet", "--size", 16, "--epochs", 1, "--seed", seed)
        trained("train", "classification", *words, "--out", tmp_path / seed)
        assert (tmp_path / seed / "figures" / "filters.json").exists()
    trained("train", "ensemble", tmp_path / "0", tmp_path / "1", "--out", tmp_path / "both")
    assert not (tmp_path / "both" / "figures" / "filters.json").exists()


def test_a_vote_is_a_verdict(folder):
    e = er.load(folder / "both").experiment()
    vote = e.task.predict(e.model.eval(), e.data.x(e.data.rows("val")))[0]
    assert isinstance(vote, Verdict)
    assert set(vote.more) == {"disagreement"}
