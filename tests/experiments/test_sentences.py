"""Captioning and translation: what is written, that beam and flags do what they say, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

import empirisk as er
from empirisk.data import phantom
from empirisk.data.reports import TERMS
from empirisk.data.words import tokens
from empirisk.errors import Wrong
from empirisk.files import read_csv
from empirisk.metrics.words import findings
from empirisk.tasks import sentences as tasks
from empirisk.verbs.run import answer

IMAGES = "phantom:images=120,size=16"
SMALL = {"state": 16, "batch": 8, "epochs": 4, "lr": 0.01}


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """A run from findings to impression, its test set opened."""
    torch.set_num_threads(1)
    run = er.train(er.translation(IMAGES, **SMALL), tmp_path_factory.mktemp("translated") / "run")
    run.test()
    return run


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    """A run from image to findings."""
    torch.set_num_threads(1)
    e = er.captioning(IMAGES, width=4, encoder=None, **SMALL)
    return er.train(e, tmp_path_factory.mktemp("captioned") / "run")


def test_a_phantom_says_of_itself_what_it_shows():
    for row in phantom.table(images=60, size=16).rows:
        y, x = map(float, row["center"].split())
        size = "large" if float(row["diameter"]) >= 20 else "small"
        terms = {row["shape"], size, "right" if x >= 0 else "left", "lower" if y >= 0 else "upper"}
        assert set(row["findings"].split()) == terms
        said = tokens(row["caption"])
        assert findings(said, TERMS) == terms
        assert row["text"] == row["caption"]


def test_the_loss_is_minus_log_p_of_each_true_word_and_never_of_padding(translated):
    e = translated.experiment()
    x, (words, lengths) = next(iter(e.data.batches("val", 6, torch.device("cpu"))))
    e.model.eval()
    with torch.no_grad():
        terms = tasks.loss(e.model, (x, (words, lengths)))
        longer = torch.nn.functional.pad(words, (0, 3))
        torch.testing.assert_close(tasks.loss(e.model, (x, (longer, lengths))), terms)
        log_p = e.model(x, tasks.shifted(words))[0].log_softmax(-1)
    assert len(terms) == int(lengths.sum())
    mine = [-float(log_p[i, t, words[i, t]]) for i in range(len(words)) for t in range(int(lengths[i]))]
    np.testing.assert_allclose(terms.numpy(), mine, rtol=1e-5)


def test_it_is_judged_beside_the_usual_sentence_and_a_copy(translated):
    metrics = translated.folder.metrics()
    assert list(metrics["baseline"]) == ["most_frequent", "copy"]
    assert next(iter(metrics["test"])) == "bleu4"
    assert {"bleu1", "rouge_l", "exact_match", "finding_f1"} <= metrics["test"].keys()


def test_a_sentence_is_answered_alone_as_among_others_and_by_a_beam_too(translated):
    e = translated.experiment()
    rows = e.data.rows("val")[:5]
    together = answer(e, rows)
    assert together == [answer(e, [row])[0] for row in rows]
    wide = translated.experiment(beam=4)
    assert all(isinstance(said, str) and said for said in answer(wide, rows))


def test_a_table_of_texts_is_translated_and_a_text_file_is_answered_line_by_line(tmp_path):
    lines = [f"{'a' if i % 2 else 'no'} mass {i % 3}.,{'bad' if i % 2 else 'good'} {i % 3}.,P{i}" for i in range(60)]
    (tmp_path / "pairs.csv").write_text("\n".join(["said,meant,patient", *lines]) + "\n")
    torch.set_num_threads(1)
    e = er.translation(str(tmp_path / "pairs.csv"), text="said", caption="meant", **SMALL | {"epochs": 8})
    run = er.train(e, tmp_path / "run")
    (tmp_path / "new.txt").write_text("A mass 1.\nNo mass 2.\n")
    assert len(run.predict(str(tmp_path / "new.txt"))) == 2


def test_an_image_in_a_sentence_out(captioned, tmp_path):
    Image.fromarray(phantom.table(images=1, size=16).rows[0]["x"].read()[0]).save(tmp_path / "new.png")
    (said,) = captioned.predict(str(tmp_path / "new.png"))
    assert isinstance(said, str)
    assert captioned.predict(phantom.table(images=1, size=16).rows[0]["x"].read()) == [said]
    assert list(captioned.folder.metrics()["baseline"]) == ["most_frequent", "nearest"]
    assert next(iter(captioned.folder.metrics()["val"])) == "finding_f1"


def test_the_report_shows_written_and_true_words_and_where_each_looked(captioned):
    e = captioned.experiment()
    rows = e.data.rows("val")
    figures = e.task.show(e, rows, answer(e, rows))
    assert [f.key for f in figures] == ["sentences", "attention"]
    assert figures[0].columns == ("id", "written", "true", "rouge_l")
    assert all(0 < row[2] <= 1 for row in figures[1].rows)
    assert figures[1].svg.count("<img") == len(figures[1].rows)


def test_the_report_lays_written_words_over_those_that_were_read(translated):
    e = translated.experiment()
    rows = e.data.rows("val")
    said = answer(e, rows)
    attention = e.task.show(e, rows, said)[-1]
    assert (attention.key, attention.svg.count("<svg")) == ("attention", tasks.MAPS)
    row, answered = next((r, s) for r, s in zip(rows, said, strict=True) if r["id"] == attention.rows[-1][0])
    _, weights = tasks.looked(e.data.kind, e, row, answered)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert [r[1] for r in attention.rows[-len(weights) :]] == [*tokens(answered), "<end>"]
    assert [r[3] for r in attention.rows[-len(weights) :]] == weights.max(1).tolist()
    long = rows[0] | {"text": "mass " * tasks.LONGEST}
    assert [f.key for f in e.task.show(e, [long], ["mass"])] == ["sentences"]


def test_another_encoder_gives_the_map():
    e = er.captioning(IMAGES, encoder="resnet18", width=4, **SMALL)
    assert type(e.model.encoder.net).__name__ == "ResNet"
    assert all(p.requires_grad for p in e.model.parameters())


@pytest.mark.parametrize(
    ("make", "flags", "said"),
    [
        (er.captioning, {"beam": 0}, "--beam is 0"),
        (er.captioning, {"width": 0}, "--width is 0"),
        (er.translation, {"state": -1}, "--state is -1"),
        (er.translation, {"dropout": 1.0}, "--dropout is 1.0"),
    ],
)
def test_a_size_that_cannot_be_is_refused(make, flags, said):
    with pytest.raises(Wrong, match=said):
        make(IMAGES, **flags)


def test_data_without_sentences_are_refused_with_the_flag_that_names_them():
    for make in (er.captioning, er.translation):
        with pytest.raises(Wrong) as refused:
            make("breast-cancer")
        assert "--caption" in str(refused.value) or "--text" in str(refused.value)


def test_an_empty_text_is_refused_with_its_row(tmp_path):
    (tmp_path / "pairs.csv").write_text("text,caption\na mass.,bad.\n,good.\nno mass.,good.\n")
    with pytest.raises(Wrong) as refused:
        er.translation(str(tmp_path / "pairs.csv"))
    assert "3" in str(refused.value)


def test_what_is_predicted_lies_in_the_table_of_predictions(translated):
    cells = read_csv(translated.path / "predictions/test.csv")
    assert {"id", "patient", "target", "prediction"} <= cells[0].keys()
    assert all(c["target"].startswith(("Suspicious", "Nodule", "Mass", "Probably")) for c in cells)
