"""Figures of data and training."""

import numpy as np

from empirisk.report import drawn


class Stored:
    def __init__(self, image):
        self.image = image

    def read(self):
        return self.image


def rows(n, shape=(1, 8, 8), **more):
    return [
        {"id": f"train/{i}", "x": Stored(np.full(shape, i, np.uint8))} | {k: v[i % len(v)] for k, v in more.items()}
        for i in range(n)
    ]


def test_the_gap_at_the_kept_epoch_is_said():
    history = [
        {"epoch": i, "step": i + 1, "loss": 9.0, "train": 0.5 - 0.1 * i, "val": 0.6 - 0.05 * i, "lr": 0.1}
        for i in range(3)
    ]
    risk = drawn.training(history, kept=1)[0]
    assert "At epoch 2 they are .400 and .550: a gap of .150." in risk.text
    assert risk.columns == ("epoch", "training", "validation")
    assert "kept, epoch 2" in risk.svg


def test_without_a_clean_training_risk_each_player_is_drawn():
    history = [{"epoch": 0, "step": 1, "generator": 1.0, "critic": 2.0, "val": 0.5}]
    assert drawn.training(history)[0].columns == ("epoch", "training, generator", "training, critic", "validation")


def test_a_stop_is_marked_and_no_history_draws_nothing():
    history = [{"epoch": i, "step": 10 * (i + 1), "train": 1.0, "val": 1.0} for i in range(3)]
    assert "stopped" in drawn.training(history, stops=[{"step": 15}])[0].svg
    assert drawn.training([]) == []


def test_a_contact_sheet_shows_every_class():
    (sheet,) = drawn.contact_sheet(rows(40, label=["a", "b", ("c", "d"), ()]))
    assert all(f"<b>{name}</b>" in sheet.svg for name in ("a", "b", "c, d"))
    assert sheet.svg.count("<img") <= 24


def test_numbers_have_a_contact_sheet_and_vectors_none():
    (sheet,) = drawn.contact_sheet(rows(30, target=[1.5, "2"]))
    assert "target 1.50" in sheet.svg
    assert drawn.contact_sheet(rows(3, shape=(5,))) == []


def test_twins_stand_side_by_side_the_closest_first():
    images = {f"{p}/{i}": np.full((1, 8, 8), i, np.uint8) for p in ("train", "test") for i in range(20)}
    pairs = [("train/test", f"train/{i}", f"test/{i}", 1 - i / 100, i == 0) for i in range(20)]
    (figure,) = drawn.twins(pairs, images)
    assert figure.svg.count("<li") == drawn.PAIRS
    assert figure.svg.index("identical") < figure.svg.index("correlation .9900")
    assert drawn.twins([], images) == []


def test_kernels_before_and_after_are_drawn_on_one_scale():
    before = np.zeros((3, 1, 5, 5), np.float32)
    before[0, 0, 2, 2] = 1
    figure = drawn.filters(before, before + 0.5 * (before > 0))
    assert figure.section == "training"
    assert figure.svg.count("<img") == 6
    assert "moved by .500 of their length. 3 of 3" in figure.text
    assert drawn.filters(np.ones((40, 3, 2, 3, 3)), np.zeros((40, 3, 2, 3, 3))).svg.count("<img") == 48


def test_masks_or_boxes_are_outlined_where_there_is_no_class():
    from empirisk.data.rows import Box

    size = (8, 8)
    mask = np.zeros(size, np.uint8)
    mask[2:4, 2:6], mask[6, 6] = 1, 3
    row = rows(1)[0] | {"mask": type("M", (), {"read": lambda self: mask})()}
    found = drawn.outlines(row, size, [])
    assert [int(a.sum()) for a, _ in found] == [8, 1]
    assert [ink for _, ink in found] == [drawn.COLOURS[0], drawn.COLOURS[2]]
    boxes = {"boxes": (Box("b", (1, 2, 4, 3)), Box("a", (0, 0, 0.2, 0.2)))}
    found = drawn.outlines(boxes, size, ["a", "b"])
    assert [int(a.sum()) for a, _ in found] == [3, 1]
    assert found[0][0][2, 1:4].all()
    assert drawn.outlines({}, size, []) == []


def test_of_several_columns_the_one_that_is_answered_is_shown():
    mask = Stored(np.eye(8, dtype=np.uint8))
    some = [r | {"mask": mask, "label": "a", "target": 1.5} for r in rows(3)]
    (plain,), (masked,), (number,) = (drawn.contact_sheet(some, column=c) for c in ("", "mask", "target"))
    assert "a" in plain.svg and "masks or boxes" not in plain.text
    assert "masks or boxes are drawn" in masked.text and "target" not in masked.svg
    assert "target 1.50" in number.svg
