"""AP over overlaps from .5 to .95 of 500 images against faster-coco-eval: seconds, alternating, medians, and the largest difference.

Run: python benchmarks/bench_ap.py. Both start from arrays of boxes; theirs is given again without the time to make its tables.
"""

import statistics
import time

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from empirisk.metrics.boxes import IOUS, Marks, average_precision, ranked

IMAGES, CLASSES, REPEATS = 500, 3, 9


def made(seed: int = 0) -> tuple[list[Marks], list[Marks]]:
    """True boxes, and 100 answers an image: shifted copies and false alarms."""
    rng = np.random.default_rng(seed)
    truths, said = [], []
    for _ in range(IMAGES):
        n = int(rng.integers(5, 25))
        low, sides, label = rng.uniform(0, 0.8, (n, 2)), rng.uniform(0.05, 0.2, (n, 2)), rng.integers(0, CLASSES, n)
        corners = np.concatenate([low, low + sides], 1)
        near = corners + rng.normal(0, 0.1, (n, 4)) * np.tile(sides, 2)
        false = rng.uniform(0, 0.8, (100 - n, 2))
        answers = np.concatenate([near, np.concatenate([false, false + rng.uniform(0.05, 0.2, (100 - n, 2))], 1)])
        labels = np.append(label, rng.integers(0, CLASSES, 100 - n))
        score = np.append(rng.beta(3, 1, n), rng.beta(1, 3, 100 - n))
        truths.append(Marks(label, corners, np.ones(n), np.ones(n, bool)))
        said.append(Marks(labels, answers, score, score > 0.5))
    return truths, said


def ours(truths: list[Marks], said: list[Marks]) -> np.ndarray:
    """AP of each class."""
    w = np.ones((1, len(truths)))
    return np.array([average_precision(c, range(10))(w)[0] for c in ranked(truths, said, CLASSES, IOUS)])


def theirs(truths: list[Marks], said: list[Marks]) -> tuple[np.ndarray, float]:
    """AP of each class, and the seconds of evaluate and accumulate alone."""

    def flat(marks: list[Marks]) -> list[dict]:
        out = []
        for i, m in enumerate(marks, 1):
            boxes = np.concatenate([m.corners[:, :2], m.corners[:, 2:] - m.corners[:, :2]], 1) * 1000
            for k, b, s in zip(m.label.tolist(), boxes.tolist(), m.score.tolist(), strict=True):
                box = {"bbox": b, "score": s, "area": b[2] * b[3], "iscrowd": 0}
                out.append({"id": len(out) + 1, "image_id": i, "category_id": k + 1} | box)
        return out

    images = [{"id": i + 1, "width": 1000, "height": 1000} for i in range(IMAGES)]
    categories = [{"id": k + 1, "name": str(k)} for k in range(CLASSES)]
    gt = COCO({"info": {}, "images": images, "annotations": flat(truths), "categories": categories})
    e = COCOeval_faster(gt, gt.loadRes(flat(said)), iouType="bbox", print_function=lambda *a: None)
    start = time.perf_counter()
    e.evaluate()
    e.accumulate()
    return e.eval["precision"][:, :, :, 0, -1].mean((0, 1)), time.perf_counter() - start


def main() -> None:
    """Print both medians, their ratio, and the difference."""
    truths, said = made()
    mine, whole, core = [], [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        a = ours(truths, said)
        mine.append(time.perf_counter() - start)
        start = time.perf_counter()
        b, alone = theirs(truths, said)
        whole.append(time.perf_counter() - start)
        core.append(alone)
    m, t, c = (statistics.median(v) for v in (mine, whole, core))
    print(
        f"empirisk {m:.3f} s, faster-coco-eval {t:.3f} s ({c:.3f} s without its tables): ratio {m / t:.2f} ({m / c:.2f})"
    )
    print(f"largest difference {np.abs(a - b).max():.1e}")


if __name__ == "__main__":
    main()
