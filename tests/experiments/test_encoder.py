"""The net of another run as encoder: what it embeds is grouped, its folder may go, images of another kind are refused."""

import shutil

import numpy as np
import pytest

import empirisk as er
from empirisk.errors import Wrong
from empirisk.verbs.run import load
from empirisk.verbs.say import Say

DATA = "phantom:images=120,size=16"


@pytest.fixture
def encoder(tmp_path):
    return er.train(er.classification(DATA, width=4, epochs=1), tmp_path / "encoder", say=Say(quiet=True)).path


@pytest.mark.parametrize(
    ("experiment", "flags"),
    [
        ("clustering", {"clusters": 2}),
        ("density", {"components": 2}),
        ("density", {"model": "flow", "epochs": 2}),
        ("anomaly", {"normal": "benign", "width": 4, "epochs": 1}),
    ],
)
def test_its_folder_may_go_afterwards(encoder, tmp_path, experiment, flags):
    e = getattr(er, experiment)(DATA, encoder=str(encoder), **flags)
    run = er.train(e, tmp_path / "run", say=Say(quiet=True))
    record = run.folder.read()
    assert list(record["parents"]) == [str(encoder)]
    assert f"--encoder {encoder}" in run.folder.report.read_text()
    x = np.random.default_rng(0).integers(0, 255, (1, 16, 16)).astype(np.uint8)
    before = load(run.path).predict(x)
    shutil.rmtree(encoder)
    after = load(run.path).predict(x)
    number = float if experiment != "clustering" else lambda answer: answer.distance
    assert number(before[0]) == number(after[0])


def test_the_embedding_is_the_encoders(encoder):
    e = er.clustering(DATA, encoder=str(encoder), clusters=2)
    e.begin(e.model)
    other, x = load(encoder).experiment().model.eval(), e.data.x(e.data.rows("val"))
    np.testing.assert_allclose(e.model.codes.look(x).detach(), other.embed(x).detach(), rtol=1e-5, atol=1e-6)


def test_images_of_another_kind_and_what_is_no_run_are_refused(encoder, tmp_path):
    with pytest.raises(Wrong, match="the encoder .* is for size"):
        er.clustering("phantom:images=60,size=24", encoder=str(encoder), clusters=2)
    with pytest.raises(Wrong, match="is for channels 1"):
        er.density("breast-cancer", encoder=str(encoder))
    with pytest.raises(Wrong):
        er.clustering(DATA, encoder=str(tmp_path / "nothing"), clusters=2)
    with pytest.raises(Wrong, match="--standardise beside --encoder"):
        er.clustering(DATA, encoder=str(encoder), clusters=2, standardise=True)


def test_an_encoder_that_was_trained_anew_ends_it(encoder, tmp_path):
    e = er.clustering(DATA, encoder=str(encoder), clusters=2)
    er.train(er.classification(DATA, width=4, epochs=1, seed=1), tmp_path / "other", say=Say(quiet=True))
    shutil.copy(tmp_path / "other/weights.safetensors", encoder / "weights.safetensors")
    with pytest.raises(Wrong, match="trained anew") as wrong:
        er.train(e, tmp_path / "run", say=Say(quiet=True))
    assert wrong.value.code == 3
