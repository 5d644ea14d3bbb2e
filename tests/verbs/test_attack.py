"""Attacks stay within epsilon, raise the loss in the known order, and are the same at every call."""

import json
import shutil

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.verbs.attack import ATTACKS, EPSILONS, attacked, changed
from empirisk.verbs.say import Say

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A network that knows spots well, so that there is something to lose."""
    e = er.classification(str(tiny / "spots.npz"), model="mlp", width=16, epochs=40)
    return er.train(e, tmp_path_factory.mktemp("attack") / "run", say=Say(quiet=True))


@pytest.fixture(scope="module")
def found(run):
    e = run.experiment()
    rows, said, images = attacked(e, CPU)
    return e, rows, said, images


def test_no_pixel_changes_by_more_than_epsilon_and_images_stay_images(run):
    e = run.experiment()
    e.model.eval()
    batch = next(iter(e.data.batches("val", 8, CPU)))
    for attack in ATTACKS:
        assert torch.equal(changed(e, batch, attack, 0.0), batch[0])
        for epsilon in EPSILONS[1:]:
            moved = changed(e, batch, attack, epsilon)
            assert (moved - batch[0]).abs().max() <= epsilon + 1e-6
            assert (moved - batch[0]).abs().max() > 0
            assert moved.min() >= 0
            assert moved.max() <= 1


def test_pgd_is_never_the_weaker_one_and_both_raise_the_loss_more_than_noise(run):
    e = run.experiment()
    e.model.eval()
    batch = next(iter(e.data.batches("val", 24, CPU)))
    with torch.no_grad():
        loss = {a: e.task.loss(e.model, (changed(e, batch, a, 8 / 255), batch[1])) for a in ATTACKS}
        before = e.task.loss(e.model, batch)
    assert loss["fgsm"].mean() > before.mean()
    assert loss["fgsm"].mean() > loss["noise"].mean()
    assert (loss["pgd"] >= loss["fgsm"] - 1e-6).all()  # image by image


def test_of_a_loss_without_terms_the_worse_batch_is_taken(run):
    import dataclasses

    e = run.experiment()
    e.model.eval()
    batch = next(iter(e.data.batches("val", 8, CPU)))
    whole = dataclasses.replace(e.task, loss=lambda m, b, loss=e.task.loss: loss(m, b).mean())
    moved = changed(dataclasses.replace(e, task=whole), batch, "pgd", 4 / 255)
    with torch.no_grad():
        once = changed(e, batch, "fgsm", 4 / 255)
        assert e.task.loss(e.model, (moved, batch[1])).mean() >= e.task.loss(e.model, (once, batch[1])).mean() - 1e-6


def test_every_attack_is_at_the_same_epsilons_and_repeats(found, run):
    e, rows, said, images = found
    assert set(said) == {(a, eps) for a in ATTACKS for eps in EPSILONS}
    assert all(len(answers) == len(rows) == 24 for answers in said.values())
    again = attacked(run.experiment(), CPU)[1]
    for key, answers in said.items():
        np.testing.assert_array_equal([a.p for a in answers], [a.p for a in again[key]])
    clean = [a.p for a in said["noise", 0.0]]
    np.testing.assert_array_equal(clean, [a.p for a in said["pgd", 0.0]])
    assert set(images) == set(EPSILONS)


def test_the_command_gives_numbers_and_draws(run, cli, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    code, out, err = cli("attack", tmp_path / "run", "--json")
    assert code == 0, err
    points = json.loads(out)["points"]
    at = {(p["attack"], p["epsilon"]): p["scores"] for p in points}
    assert len(at) == len(ATTACKS) * len(EPSILONS)
    assert all(isinstance(v, float) for s in at.values() for v in s.values())
    top = max(EPSILONS)
    assert at["pgd", top]["accuracy"] <= at["fgsm", top]["accuracy"] + 0.01
    assert at["fgsm", top]["accuracy"] <= at["fgsm", 0.0]["accuracy"]
    assert at["fgsm", 0.0] == at["pgd", 0.0] == at["noise", 0.0]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Under attack" in page
    assert "pgd: ten steps" in page
    assert "0.5/255" in cli("attack", tmp_path / "run")[1]


def test_vectors_are_refused(cli, tmp_path):
    er.train(er.classification("breast-cancer", model="linear", epochs=1), tmp_path / "run", say=Say(quiet=True))
    code, _, err = cli("attack", tmp_path / "run")
    assert code == 2
    assert "as numbers" in err
