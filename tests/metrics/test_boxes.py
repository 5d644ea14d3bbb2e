"""Metrics of boxes: by hand, equal to the field's tool, and exact under weights."""

import numpy as np
import pytest

from empirisk.estimate import estimates, values
from empirisk.metrics import boxes
from empirisk.metrics.boxes import IOUS, Marks, average_precision, froc, iou, matched, operating_point, ranked


def marks(corners, label=None, score=None, counted=None) -> Marks:
    c = np.array(corners, float).reshape(-1, len(corners[0]) if len(corners) else 4)
    n = len(c)
    return Marks(
        np.zeros(n, int) if label is None else np.array(label),
        c,
        np.ones(n) if score is None else np.array(score, float),
        np.ones(n, bool) if counted is None else np.array(counted),
    )


def a_set(seed: int, images: int = 12, classes: int = 3, dims: int = 2):
    """True boxes, and answers that are shifted copies of most of them among false ones; some images are empty."""
    rng = np.random.default_rng(seed)
    truths, said = [], []
    for i in range(images):
        n = 0 if i % 5 == 4 else rng.integers(1, 9)
        low = rng.uniform(0, 0.7, (n, dims))
        sides = rng.uniform(0.08, 0.3, (n, dims))
        label = rng.integers(0, classes, n)
        kept = rng.random(n) < 0.85
        shift = rng.normal(0, 0.12, (kept.sum(), 2 * dims)) * np.tile(sides[kept], 2)
        false = rng.uniform(0, 0.7, (rng.integers(0, 6), dims))
        c = np.concatenate(
            [np.concatenate([low, low + sides], 1)[kept] + shift, np.concatenate([false, false + 0.2], 1)]
        )
        k = np.concatenate([label[kept], rng.integers(0, classes, len(false))])
        score = rng.random(len(c))
        truths.append(Marks(label, np.concatenate([low, low + sides], 1), np.ones(n), np.ones(n, bool)))
        said.append(Marks(k, c, score, score > 0.5))
    return truths, said


def one(images: int) -> np.ndarray:
    return np.ones((1, images))


def test_overlap_by_hand_in_two_and_three_dimensions():
    a, b = np.array([[0, 0, 4, 4]]), np.array([[2, 2, 6, 6], [0, 0, 4, 4], [4, 0, 8, 4], [9, 9, 9, 9]])
    assert iou(a, b).tolist() == [[4 / 28, 1.0, 0.0, 0.0]]
    assert iou(np.array([[0, 0, 0, 2, 2, 2]]), np.array([[1, 1, 1, 3, 3, 3]])).tolist() == [[1 / 15]]
    rng = np.random.default_rng(0)
    low = rng.random((5, 3))
    some = np.concatenate([low, low + rng.random((5, 3))], 1)
    stretched = some * np.tile([2.0, 3.0, 0.5], 2)  # shares or pixels: the same
    assert np.allclose(iou(some, some), iou(stretched, stretched))
    assert np.allclose(iou(some, some), iou(some, some).T)


def test_each_truth_is_taken_once_by_the_surest_and_the_most_overlapped_first():
    truth = marks([[0, 0, 10, 10], [0, 4, 10, 14]])
    said = marks([[0, 3, 10, 13], [0, 0, 10, 10], [0, 4, 10, 14]], score=[0.9, 0.8, 0.7])
    assert matched(truth, said, [0.5])[0].tolist() == [True, True, False]  # the surest takes the second truth
    assert matched(truth, said, [0.9])[0].tolist() == [False, True, True]
    assert not matched(truth, said._replace(label=np.array([1, 1, 1])), [0.5]).any()
    assert matched(truth, marks([]), [0.5]).shape == (1, 0)


def test_the_ends():
    truths, _ = a_set(0)
    w, n = one(len(truths)), len(truths)
    best = values(boxes.scores(truths, truths, "abc"), n)
    assert all(best[m] == 1 for m in ("ap50", "ap", "froc", "sensitivity_at_1", "ap50/a"))
    assert best["count_mae"] == 0
    nothing = [
        t._replace(label=t.label[:0], corners=t.corners[:0], score=t.score[:0], counted=t.counted[:0]) for t in truths
    ]
    worst = values(boxes.scores(truths, nothing, "abc"), n)
    assert worst["ap50"] == worst["froc"] == 0
    assert worst["count_mae"] == pytest.approx(np.mean([len(t.label) for t in truths]) / 3)
    assert average_precision(ranked(nothing, truths, 3, [0.5])[0], [0])(w)[0] != 0  # NaN: no truth
    found = estimates(boxes.scores(nothing, truths, "abc"), [None] * n)["ap50"]
    assert (found.value, found.reason) == (None, "no true box")


def test_precision_at_a_hundred_and_one_levels_by_hand():
    truths = [marks([[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5], [6, 6, 7, 7]])]
    said = [marks([[0, 0, 1, 1], [9, 9, 10, 10], [2, 2, 3, 3], [4, 4, 5, 5]], score=[0.9, 0.8, 0.7, 0.6])]
    c = ranked(truths, said, 1, [0.5])[0]
    # recall 1/4 at precision 1: levels 0 to .25; then up to 3/4 at 3/4, the best to come; none beyond
    assert average_precision(c, [0])(one(1))[0] == pytest.approx((26 * 1 + 50 * 0.75) / 101)
    recall, precision = boxes.precision_recall(c, 0)
    assert recall.tolist() == [0, 0.25, 0.5, 0.75]
    assert precision.tolist() == [1, 1, 2 / 3, 0.75]


def coco(truths, said, classes):
    """AP over all overlaps and at .5 of each class, by faster-coco-eval."""
    from faster_coco_eval import COCO, COCOeval_faster

    def box(c):
        return [float(v) for v in (*(100 * c[:2]), *(100 * (c[2:] - c[:2])))]

    images = [{"id": i + 1, "width": 100, "height": 100} for i in range(len(truths))]
    flat = [(i + 1, k, c) for i, t in enumerate(truths) for k, c in zip(t.label, t.corners, strict=True)]
    real = [
        {"id": j + 1, "image_id": i, "category_id": int(k) + 1, "bbox": box(c), "area": float(np.prod(box(c)[2:])), "iscrowd": 0}
        for j, (i, k, c) in enumerate(flat)
    ]  # fmt: skip
    answers = [
        {"image_id": i + 1, "category_id": int(k) + 1, "bbox": box(c), "score": float(s)}
        for i, a in enumerate(said)
        for k, c, s in zip(a.label, a.corners, a.score, strict=True)
    ]
    gt = COCO(
        {
            "info": {},
            "images": images,
            "annotations": real,
            "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)],
        }
    )
    e = COCOeval_faster(gt, gt.loadRes(answers), iouType="bbox", print_function=lambda *a: None)
    e.evaluate()
    e.accumulate()
    precision = e.eval["precision"][:, :, :, 0, -1]  # (T, R, K), all areas, 100 answers
    return precision.mean((0, 1)), precision[0].mean(0)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_tool_of_the_field(seed):
    truths, said = a_set(seed, images=30)
    ap, ap50 = coco(truths, said, 3)
    classes = ranked(truths, said, 3, IOUS)
    w = one(len(truths))
    assert [average_precision(c, range(10))(w)[0] for c in classes] == pytest.approx(ap.tolist(), abs=1e-6)
    assert [average_precision(c, [0])(w)[0] for c in classes] == pytest.approx(ap50.tolist(), abs=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_weight_is_so_many_copies_of_the_image(dims):
    truths, said = a_set(5, dims=dims)
    rng = np.random.default_rng(1)
    w = rng.integers(0, 4, (6, len(truths)))
    scores = boxes.scores(truths, said, "abc")
    weighted = {name: s(w.astype(float)) for name, s in scores.items()}
    for b in range(len(w)):
        again = np.repeat(np.arange(len(truths)), w[b])
        copied = values(boxes.scores([truths[i] for i in again], [said[i] for i in again], "abc"), len(again))
        for name, value in copied.items():
            assert weighted[name][b] == pytest.approx(np.nan if value is None else value, abs=1e-12, nan_ok=True), name


def test_froc_by_hand():
    truths = [marks([[0, 0, 1, 1], [2, 2, 3, 3]]), marks([[0, 0, 1, 1]]), marks([])]
    said = [
        marks([[0, 0, 1, 1], [5, 5, 6, 6], [2, 2, 3, 3]], score=[0.9, 0.8, 0.3]),
        marks([[7, 7, 8, 8], [0, 0, 1, 1]], score=[0.7, 0.6]),
        marks([[1, 1, 2, 2]], score=[0.5]),
    ]
    c = ranked(truths, said, 1, [0.1])[0]
    # by falling score: right, alarm, alarm, right, alarm, right; 3 images
    assert [froc(c, [f])(one(3))[0] for f in (0, 0.5, 2 / 3, 1)] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1])
    assert froc(c, [0, 1])(one(3))[0] == pytest.approx(2 / 3)
    alarms, found = boxes.froc_curve(c)
    assert alarms.tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 2 / 3, 1, 1])
    assert found.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    assert operating_point(c) == 0.3  # F1 = 6/9, the largest
    assert operating_point(ranked(truths, [marks([])] * 3, 1, [0.5])[0]) == 0.5


def test_intervals_hold_the_value_and_one_class_has_no_columns_of_its_own():
    truths, said = a_set(7, images=40, classes=1)
    found = estimates(boxes.scores(truths, said, ["lesion"]), [None] * 40)
    assert list(found) == ["ap50", "ap", "froc", "sensitivity_at_1", "count_mae"]
    for e in found.values():
        assert e.low <= e.value <= e.high
        assert e.n == 40
    assert found["ap"].value < found["ap50"].value
