"""Kinds without truth: every row counts, classes are only looked at, answers come back from the cells they were written to."""

import json
from pathlib import Path

import numpy as np
import pytest

from empirisk.data.splits import of_one_class
from empirisk.data.table import of_fields
from empirisk.data.unlabelled import Clusters, Count, Member, Score, Unlabelled, classes_of
from empirisk.errors import Wrong

ROWS = [{"id": "0", "label": "b"}, {"id": "1", "label": "a"}, {"id": "2"}]
KINDS = (Unlabelled, Score, Clusters)


@pytest.mark.parametrize("kind", KINDS)
def test_y_is_the_class_where_there_is_one(kind):
    known = kind.learn(ROWS)
    assert known.names == ("a", "b")
    assert [int(known.encode(r)) for r in ROWS] == [1, 0, -1]
    assert known.encode(ROWS[0]).dtype == np.int64
    none = kind.learn([{"id": "0"}])
    assert none.names == ()
    assert int(none.encode({"id": "0"})) == 0
    assert of_fields(kind, json.loads(json.dumps(vars(known)))) == known
    assert known.column == "x"  # no row is left out


def test_several_labels_a_row_are_no_classes():
    assert classes_of([{"label": ("a", "b")}, {"label": ("a",)}]) == ()


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Unlabelled(("a", "b")), np.array([0.5, -2.0])),
        (Score(("a", "b")), -12.25),
        (Clusters(("a", "b")), Member(-1, 0.75, np.array([1.5, 2.0]))),
    ],
)
def test_answers_come_back_from_their_cells(kind, answer):
    for row in ROWS:
        cells = {k: str(v) for k, v in kind.write(row, answer, Path()).items()}
        assert list(cells)[:2] == ["target", "prediction"]
        again, said = kind.read(cells)
        assert again.get("label") == row.get("label")
        for a, b in (
            zip(np.atleast_1d(said), np.atleast_1d(answer), strict=True) if kind.__class__ is not Clusters else ()
        ):
            assert a == b
        if kind.__class__ is Clusters:
            assert said[:2] == answer[:2]
            np.testing.assert_array_equal(said.code, answer.code)
    with pytest.raises(Wrong) as wrong:
        kind.read({"target": "", "prediction": "?", "z1": "x", "score": "x"})
    assert wrong.value.code == 3


def test_rows_are_counted():
    assert Count.learn(ROWS).rows == 3


PARTED = [
    {"id": str(i), "label": label, "part": part}
    for i, (label, part) in enumerate(
        [("no", "train"), ("yes", "train"), ("yes", "val"), ("no", "test"), (None, "train")]
    )
]


def test_training_rows_of_another_class_are_left_out_and_no_others():
    for name in ("no", "0"):
        rows = of_one_class(PARTED, name, ())
        assert [r["part"] for r in rows] == ["train", "", "val", "test", ""]
        assert rows[1]["why"] == "not no"
    assert [r["part"] for r in of_one_class(PARTED, "0", ("yes", "no"))][:2] == ["", "train"]  # as the form orders them


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(Wrong, match="no class is called"):
        of_one_class(PARTED, "maybe", ())
    with pytest.raises(Wrong, match="have no class"):
        of_one_class([{"id": "0", "part": "train"}], "no", ())
    with pytest.raises(Wrong, match="no training row is yes"):
        of_one_class([r | {"part": "val"} if r["label"] == "yes" else r for r in PARTED], "yes", ())
