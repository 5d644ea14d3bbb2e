"""What is said of new images: a planted copy is found, a collapse is said, real ones are the floor."""

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.errors import Wrong
from empirisk.estimate import values
from empirisk.generative import judge as judges
from empirisk.tasks.generation import New
from empirisk.verbs.say import Say

DATA = "phantom:images=160,size=12"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(experiment of a short run, validation rows, answers by each baseline)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "STEPS", 60)
        short = er.generation(DATA, codes=4, width=8, epochs=15)
        e = er.train(short, tmp_path_factory.mktemp("made") / "run", say=Say(quiet=True)).experiment()
    rows = e.data.rows("val")
    return e, rows, {name: of(rows) for name, of in e.task.baseline(e.data.rows("train")).items()}


def told(e, rows, answers):
    return values(e.task.score(rows, answers), len(rows))


def pictures(e, rows, answers):
    return {f.key: f for f in e.task.show(e, rows, answers)}


def test_noise_is_furthest_then_the_gaussian_and_real_images_are_the_floor(made):
    e, rows, answers = made
    assert list(answers) == ["noise", "gaussian", "mixture", "floor"]
    found = {name: told(e, rows, some) for name, some in answers.items()}
    assert found["noise"]["frechet"] > 3 * found["gaussian"]["frechet"]
    assert found["noise"]["precision"] < found["floor"]["precision"]
    assert found["noise"]["two_sample"] > 0.9 > found["floor"]["two_sample"]
    assert found["gaussian"]["spread"] == pytest.approx(1, abs=0.4)
    assert all(np.array_equal(a.images[0], r["x"].read()) for a, r in zip(answers["floor"], rows, strict=True))


def test_a_planted_copy_is_found_beside_the_training_image_that_it_is_of(made):
    e, rows, answers = made
    copied = e.data.rows("train")[17]
    images = answers["gaussian"][3].images.copy()
    images[2] = copied["x"].read()
    planted = [*answers["gaussian"][:3], New(0.0, images), *answers["gaussian"][4:]]
    figure = pictures(e, rows, planted)["nearest"]
    new, of, distance, nearer = figure.rows[0]
    assert (new, of) == (3 * len(images) + 3, copied["id"])
    assert distance < 1e-3 < figure.rows[1][2]
    assert nearer == 0
    assert "A copy has distance 0" in figure.text
    copies = [New(0.0, np.stack([copied["x"].read()] * len(images)))] * len(rows)
    assert told(e, rows, copies)["near"] == 1


def test_a_collapse_is_said(made):
    e, rows, answers = made
    one = answers["gaussian"][0].images[:1]
    collapsed = [New(0.0, np.repeat(one, len(answers["gaussian"][0].images), 0))] * len(rows)
    assert "They have collapsed" in pictures(e, rows, collapsed)["new"].text
    assert "They have not collapsed" in pictures(e, rows, answers["gaussian"])["new"].text
    found = told(e, rows, collapsed)
    assert found["spread"] == pytest.approx(0, abs=1e-6)
    assert found["recall"] < 0.2


def test_predictions_of_the_same_images_are_the_same_and_the_table_keeps_the_score(made, tmp_path):
    e, rows, _ = made
    x = e.data.x(rows)
    a, b = (e.task.predict(e.model.eval(), x) for _ in range(2))
    assert all(np.array_equal(p.images, q.images) and p.score == q.score for p, q in zip(a, b, strict=True))
    assert a[0].images.dtype == np.uint8
    assert not np.array_equal(a[0].images, a[1].images)
    cells = e.data.kind.write(rows[0], a[0], tmp_path)
    row, back = e.data.kind.read({k: str(v) for k, v in cells.items()})
    assert back == pytest.approx(a[0].score)
    assert list(told(e, rows, [p.score for p in a])) == ["log_likelihood"]
    assert row["label"] == rows[0]["label"]


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ({"model": "vea"}, "--model vea is unknown"),
        ({"adversary": "minimax"}, "--adversary: model vae has no adversary"),
        ({"codes": 0}, "--codes is 0"),
        ({"width": -1}, "--width is -1"),
    ],
)
def test_flags_that_a_model_lacks_are_refused(flags, match):
    with pytest.raises(Wrong, match=match):
        er.generation(DATA, **flags)


def test_images_of_other_channels_are_refused(made, tmp_path, tiny):
    e, _, _ = made
    with pytest.raises(Wrong, match="in colour"):
        list(e.data.chunks(e.data.other(str(tiny / "colour.npz")), torch.device("cpu")))
