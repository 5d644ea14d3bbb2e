"""Text -> class: order counts where a count of words cannot tell; new words, new files, labels of which several hold."""

import json

import numpy as np
import pytest

from empirisk.data import phantom_sentences
from empirisk.data.targets import Classes
from empirisk.data.words import Words
from empirisk.errors import Wrong
from empirisk.experiments import sequences as experiments
from empirisk.tasks import sequences
from empirisk.verbs.run import load
from empirisk.verbs.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A reader of sentences in which a finding is there or denied."""
    out = tmp_path_factory.mktemp("sequences") / "run"
    train(experiments.sequences("phantom-text", epochs=10, width=32, lr=1e-2, unknown=0.1), out)
    return out


def test_negation_is_read_where_a_bag_of_words_must_guess(run):
    load(run).test()
    metrics = load(run).folder.metrics()
    assert metrics["test"]["accuracy"]["value"] > 0.97
    assert metrics["baseline"]["bag"]["accuracy"]["value"] < phantom_sentences.BAG + 0.1
    assert metrics["difference"]["bag"]["accuracy"]["low"] > 0.05


def test_a_bag_of_words_is_right_in_three_of_four_at_best():
    rows = phantom_sentences.table(sentences=6000, seed=1).rows
    denied = np.array([sum(w in {"no", "not"} for w in r["text"].lower().replace(".", "").split()) for r in rows])
    y = np.array([r["label"] == "effusion" for r in rows])
    assert y[denied == 0].all()
    assert not y[denied == 2].any()
    best = sum(max((y & (denied == n)).sum(), (~y & (denied == n)).sum()) for n in range(3)) / len(y)
    assert abs(best - phantom_sentences.BAG) < 0.02
    assert max(denied) == 2


def test_new_sentences_are_answered_from_every_form_of_file(run, tmp_path):
    said = ["There is no nodule and a large effusion is seen on the left.", "No effusion; zyzzyva on the right."]
    (tmp_path / "t.txt").write_text("\n".join(said))
    (tmp_path / "c.csv").write_text("Sentence,n\n" + "\n".join(f'"{s}",1' for s in said))
    (tmp_path / "j.json").write_text(json.dumps([{"text": s} for s in said]))
    for name in ("t.txt", "c.csv", "j.json"):
        assert [a.choice for a in load(run).predict(tmp_path / name)] == [1, 0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.txt", "no mass\n\nan effusion\n", "row 2"),
        ("c.csv", "text\n...\n", "row 2"),
        ("n.csv", "a,b\n1,2\n", "no column of texts"),
    ],
)
def test_what_has_no_words_is_refused_by_name(run, tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(Wrong, match=says):
        load(run).predict(tmp_path / name)


def test_the_page_shows_sentences_right_and_wrong(run):
    page = (run / "report.html").read_text()
    assert "Sentences, right and wrong" in page
    e = load(run).experiment()
    words = e.data.learn(Words)
    row = {"id": "a", "text": "No effusion, a large nodule."}
    said = e.task.predict(e.model, next(e.data.chunks([row], next(e.model.parameters()).device)))[0]
    assert sequences.telling(words, e, row, said) in {0, 1}


def test_several_labels_may_hold():
    rows = [{"id": str(i), "text": t, "label": label} for i, (t, label) in enumerate(
        [("effusion", ("effusion",)), ("nodule", ("nodule",)), ("nodule effusion", ("effusion", "nodule")), ("clear", ())] * 9
    )]  # fmt: skip
    words, kind = Words.learn(rows), Classes.learn(rows, ("effusion", "nodule"))
    said = sequences.baseline(words, kind, rows)["bag"](rows)
    assert [kind.text(a.choice) for a in said[:4]] == ["effusion", "nodule", "effusion|nodule", "(none)"]


@pytest.mark.parametrize(
    "flags", [{"width": 0}, {"dropout": 1.0}, {"unknown": -0.1}, {"model": "rnn"}, {"pool": "max"}]
)
def test_what_cannot_be_meant_is_refused(flags):
    with pytest.raises(Wrong):
        experiments.sequences("phantom-text:sentences=60", **flags)
