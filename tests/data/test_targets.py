"""Targets both ways: rows to y, answers to cells and back."""

import json
from pathlib import Path

import numpy as np
import pytest

from empirisk.data.table import of_fields
from empirisk.data.targets import Classes, Number, Verdict
from empirisk.errors import Wrong
from empirisk.files import read_csv, write_csv

ROWS = [{"id": str(k), "label": name, "target": k * 2.0} for k, name in enumerate(["b", "a", "b", "c"])]
SEVERAL = [{"id": "0", "label": ("mass",)}, {"id": "1", "label": ()}, {"id": "2", "label": ("edema", "mass")}]


def through_json(value):
    return of_fields(type(value), json.loads(json.dumps(vars(value))))


def test_classes_are_learned_in_order_and_survive_json():
    assert Classes.learn(ROWS).names == ("a", "b", "c")
    kind = Classes.learn(ROWS, ("c", "b", "a", "d"))
    assert kind.names == ("c", "b", "a", "d")
    assert [int(kind.encode(r)) for r in ROWS] == [1, 2, 1, 0]
    assert kind.encode(ROWS[0]).dtype == np.int64
    assert through_json(kind) == kind
    assert Classes.learn([{"label": str(k)} for k in (10, 9, 2)]).names == ("2", "9", "10")


def test_a_class_by_its_stored_number():
    kind = Classes(("normal", "pneumonia"))
    assert kind.encode({"id": "x", "label": "1"}) == 1
    assert Classes(("1", "0")).encode({"id": "x", "label": "0"}) == 1  # a name goes before a number
    assert kind.index("2") is None


def test_several_labels():
    kind = Classes.learn(SEVERAL, ("mass", "nodule", "edema"))
    assert kind.multi
    assert [kind.encode(r).tolist() for r in SEVERAL] == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert kind.encode(SEVERAL[0]).dtype == np.float32
    assert through_json(kind) == kind
    with pytest.raises(Wrong, match='"mas"') as caught:
        kind.encode({"id": "7", "label": ("mas",)})
    assert 'Did you mean "mass"?' in caught.value.remedy


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "7"}, "7 has no label"),
        ({"id": "7", "label": None}, "7 has no label"),
        ({"id": "7", "label": "d"}, 'label "d" is not among a, b, c'),
        ({"id": "7", "label": ("a",)}, "is not among"),
    ],
)
def test_a_row_without_its_class(row: dict, message: str):
    with pytest.raises(Wrong, match=message) as caught:
        Classes(("a", "b", "c")).encode(row)
    assert caught.value.code == 2


def test_more_classes_than_a_report_can_show_are_refused():
    rows = [{"id": str(k), "label": f"c{k}"} for k in range(1001)]
    assert len(Classes.learn(rows[:1000]).names) == 1000
    with pytest.raises(Wrong, match=r"1,001 classes are more than 1,000\n  c0, c1, c10 and 998 more") as caught:
        Classes.learn(rows)
    assert caught.value.code == 2
    assert "--label" in caught.value.remedy


def test_nothing_to_learn():
    with pytest.raises(Wrong, match="no training row has a label"):
        Classes.learn([{"id": "1"}])
    with pytest.raises(Wrong, match="all training rows are b"):
        Classes.learn([{"id": "1", "label": "b"}] * 3, ("a", "b"))
    with pytest.raises(Wrong, match="no training row has a number"):
        Number.learn([{"id": "1"}])
    with pytest.raises(Wrong, match="all training rows have the number 2"):
        Number.learn([{"id": "1", "target": 2.0}] * 3)


def through_csv(folder: Path, kind, rows, answers):
    cells = [kind.write(r, a, folder) for r, a in zip(rows, answers, strict=True)]
    write_csv(folder / "p.csv", list(cells[0]), cells)
    return [kind.read(line) for line in read_csv(folder / "p.csv")]


def test_classes_are_written_and_read_back(tmp_path: Path):
    kind = Classes(("a", "target", "=c"))
    rows = [{"id": "0", "label": "a"}, {"id": "1"}, {"id": "2", "label": "=c"}]
    answers = [
        Verdict(np.array([0.7, 0.2, 0.1]), 0),
        Verdict(np.array([0.1, 0.5, 0.4]), 2, 0.3),
        Verdict(np.array([1 / 3] * 3), 1),
    ]
    cells = kind.write(rows[1], answers[1], tmp_path)
    assert list(cells) == ["target", "prediction", "a", "p(target)", "=c"]
    assert cells["target"] == ""
    assert cells["prediction"] == "=c"
    back = through_csv(tmp_path, kind, rows, answers)
    for (row, answer), old, said in zip(back, rows, answers, strict=True):
        assert row.get("label") == old.get("label")
        assert answer.choice == said.choice
        assert np.allclose(answer.p, said.p, atol=1e-8)


def test_several_labels_are_written_and_read_back(tmp_path: Path):
    kind = Classes(("mass", "nodule", "edema"), multi=True)
    rows = [*SEVERAL, {"id": "3"}]
    answers = [Verdict(np.array([0.9, 0.1, 0.6]), c) for c in ((0, 2), (), (1,), (0, 1, 2))]
    cells = [kind.write(r, a, tmp_path) for r, a in zip(rows, answers, strict=True)]
    assert [c["target"] for c in cells] == ["mass", "(none)", "mass|edema", ""]
    assert [c["prediction"] for c in cells] == ["mass|edema", "(none)", "nodule", "mass|nodule|edema"]
    back = through_csv(tmp_path, kind, rows, answers)
    assert [a.choice for _, a in back] == [a.choice for a in answers]
    assert [set(r["label"]) if "label" in r else None for r, _ in back] == [{"mass"}, set(), {"mass", "edema"}, None]


def test_numbers(tmp_path: Path):
    kind = Number.learn([*ROWS, {"id": "9"}])
    assert (kind.mean, kind.std) == (3.0, pytest.approx(np.std([0, 2, 4, 6])))
    assert through_json(kind) == kind
    y = [kind.encode(r) for r in ROWS]
    assert y[0].dtype == np.float32
    assert [kind.decode(v) for v in y] == pytest.approx([0, 2, 4, 6], abs=1e-6)
    assert abs(np.mean(y)) < 1e-7
    back = through_csv(tmp_path, kind, [ROWS[1], {"id": "9"}], [2.5, -1e-3])
    assert back == [({"target": 2.0}, 2.5), ({}, -1e-3)]
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "target,prediction,value"
    with pytest.raises(Wrong, match="9 has no number"):
        kind.encode({"id": "9"})


def test_predictions_changed_by_hand():
    kind = Classes(("a", "b"))
    for cells in (
        {"target": "a", "prediction": "a", "a": "0.5"},
        {"target": "a", "prediction": "z", "a": "0.5", "b": "0.5"},
        {"target": "a", "prediction": "a", "a": "x", "b": "0.5"},
    ):
        with pytest.raises(Wrong) as caught:
            kind.read(cells)
        assert caught.value.code == 3
    with pytest.raises(Wrong):
        Number().read({"target": "", "value": ""})
