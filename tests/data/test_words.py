"""Words to numbers and back, texts of unequal length, and tables of texts."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from empirisk.data import forms
from empirisk.data.readers import Text
from empirisk.data.rows import Columns
from empirisk.data.sources import Grid
from empirisk.data.table import Data
from empirisk.data.words import BEGIN, END, PAD, UNKNOWN, Texts, Words, padded, tokens
from empirisk.errors import Wrong

ROWS = [
    {"id": "a", "text": "No effusion.", "caption": "normal"},
    {"id": "b", "text": "An effusion, no mass", "caption": "effusion"},
]


def test_the_most_frequent_word_comes_first_and_equally_frequent_ones_by_the_alphabet():
    words = Words.learn(ROWS)
    assert words.names == ("<pad>", "<unknown>", "<begin>", "<end>", "effusion", "no", ",", ".", "an", "mass")
    assert Words.learn(ROWS, least=2).names[4:] == ("effusion", "no")
    assert "normal" in Words.learn(ROWS, ("caption", "text")).names
    assert Words.learn(ROWS, ("caption", "text")).column == "caption"


def test_an_unknown_word_is_1_and_every_text_ends():
    words = Words.learn(ROWS)
    assert words.encode({"id": "c", "text": "NO cardiomegaly"}).tolist() == [5, UNKNOWN, END]
    assert words.text([BEGIN, 5, UNKNOWN, PAD, END, 4]) == "no <unknown>"


@given(st.lists(st.sampled_from(["no", "mass", "2.5", "t2-weighted", "left's", ",", "."]), min_size=1))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_what_is_encoded_is_read_back(said):
    text = " ".join(said)
    words = Words.learn([{"id": "a", "text": text}])
    assert tokens(words.text(words.encode({"id": "b", "text": text}))) == said


@pytest.mark.parametrize("text", ["", "   ", "†", None])
def test_a_text_without_a_word_is_refused_by_name(text):
    with pytest.raises(Wrong, match="row 7"):
        Words.learn(ROWS).encode({"id": "row 7", "text": text})


def test_ragged_rows_are_padded_and_a_batch_is_no_longer_than_its_longest():
    values, lengths = padded([np.array([4, 5]), np.array([6]), np.array([7, 8, 9])])
    assert values.tolist() == [[4, 5, 0], [6, 0, 0], [7, 8, 9]]
    assert lengths.tolist() == [2, 1, 3]
    x, n = Texts(Words.learn(ROWS), ROWS).take(torch.tensor([0]), torch.device("cpu"))
    assert x.shape == (1, 4)
    assert n.tolist() == [4]


def test_a_list_of_objects_is_a_table_and_words_go_both_in_and_out(tmp_path):
    rows = [{"q": f"no mass {i}", "said": "none " * (1 + i % 3), "n": i, "who": f"P{i}"} for i in range(40)]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    data = Data(str(tmp_path / "t.json"), text="q", caption="said", patient="who")
    words = data.learn(Words, ("caption", "text"))
    pairs = data.as_pairs(words, source=Grid(words=words.of("text")))
    (x, lengths), (y, m) = next(iter(pairs.stream(batch=8, seed=0, device=torch.device("cpu"))(0)))
    assert x.shape == (8, 4)
    assert lengths.tolist() == [4] * 8
    assert y.shape == (8, 4)
    assert set(m.tolist()) <= {2, 3, 4}
    (_, n), _ = next(iter(pairs.batches("val", 3, torch.device("cpu"))))
    assert n.tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    ("rows", "columns", "says"),
    [
        ([{"text": "a b", "label": 1}, {"text": "  ", "label": 0}], Columns(), "row 2"),
        ([{"text": "a"}, 3], Columns(), "row 2"),
        ([{"text": "a", "to": "b"}, {"text": "c", "to": ""}], Columns(caption="to"), "row 2"),
        ([{"text": "a", "to": "b"}], Columns(text="txt"), 'no column is called "txt"'),
    ],
)
def test_bad_tables_of_texts_are_refused_with_the_row(tmp_path, rows, columns, says):
    (tmp_path / "t.json").write_text(json.dumps(rows))
    with pytest.raises(Wrong, match=says):
        forms.table(str(tmp_path / "t.json"), columns)


def test_each_line_of_a_text_file_is_answered(tmp_path):
    (tmp_path / "t.txt").write_text("No mass, no effusion.\nA mass.\n\n")
    found = forms.table(str(tmp_path / "t.txt"), Columns(text="q", inputs=("text",)), bare=True)
    assert [r["text"] for r in found.rows] == ["No mass, no effusion.", "A mass."]
    assert all(isinstance(r["x"], Text) for r in found.rows)


def test_a_text_is_no_picture_and_its_copies_are_known():
    with pytest.raises(Wrong, match="sequences"):
        Text("a mass").read()
    assert Text("A  mass").content() == Text("a mass ").content() != Text("a mass.").content()
