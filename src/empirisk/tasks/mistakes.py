"""The mistakes that a model was surest of, or furthest off: image, truth, answer, and where it looked."""

from collections.abc import Sequence

import numpy as np
import torch

from empirisk import saliency
from empirisk.data.table import Rows
from empirisk.experiment import Experiment
from empirisk.figures import Figure, Tile, number, picture, tiles

SHOWN = 12
"""Most mistakes."""


def of_classes(
    experiment: Experiment, rows: Rows, y: np.ndarray, p: np.ndarray, chosen: np.ndarray, names: list[str]
) -> Figure:
    """The wrong answers that the model was surest of; of labels those missed or called in error."""
    multi = bool((chosen.sum(1) != 1).any() or (y.sum(1) != 1).any())
    sure = np.where(y != chosen, np.where(chosen, p, 1 - p), 0)
    sure = sure if multi else np.where(chosen, sure, 0)  # of single classes the one that was said
    label, wrong = sure.argmax(1), sure.max(1)
    order = [int(i) for i in np.argsort(-wrong, kind="stable")[:SHOWN] if wrong[i] > 0]
    words = []
    for i in order:
        k = int(label[i])
        true = names[k] if multi else names[int(y[i].argmax())]
        how = "said" if not multi else "called" if chosen[i, k] else "missed"
        truth = f"truth: {'not ' if multi and not y[i, k] else ''}{true}"
        words.append((true, f"{how} {names[k]} {number(float(p[i, k]))}", truth))
    total = int((y != chosen).any(1).sum())
    text = f"{len(order)} of {total} mistakes on {len(rows)} rows, those it was surest of."
    return _tiles(experiment, [rows[i] for i in order], label[order], words, "The surest mistakes", text)


def of_numbers(experiment: Experiment, rows: Rows, y: np.ndarray, f: np.ndarray) -> Figure:
    """The answers furthest from the truth."""
    order = [int(i) for i in np.argsort(-np.abs(f - y), kind="stable")[:SHOWN]]
    words = [
        ("answer too high" if f[i] > y[i] else "answer too low", f"off by {number(f[i] - y[i])}", f"truth {number(y[i])}, answer {number(f[i])}")
        for i in order
    ]  # fmt: skip
    text = f"The {len(order)} furthest from the truth, of {len(rows)}."
    return _tiles(experiment, [rows[i] for i in order], np.zeros(len(order), int), words, "The worst answers", text)


def _tiles(
    experiment: Experiment, rows: Rows, index: np.ndarray, words: Sequence[tuple[str, str, str]], title: str, text: str
) -> Figure:
    """Tiles of image and Grad-CAM of the answer given, each with its (group, answer, truth); vectors have words alone."""
    pictures: list[tuple[tuple[str, str], ...]] = [()] * len(rows)
    x = experiment.data.x(rows) if rows else torch.empty(0)
    if rows and x.ndim > 2:
        device = next(iter(experiment.model.parameters()), x).device
        heat = saliency.grad_cam(experiment.model, x.to(device), torch.from_numpy(index)).cpu().numpy()
        slices = " Of each volume the middle slice." if x.ndim == 5 else ""
        text += f" Left the image, right where the model looked for that answer (Grad-CAM): yellow counts most.{slices}"
        pictures = [
            ((picture(image), f"Image: {said}, {truth}"), (picture(image, map_), "Where the model looked"))
            for image, map_, (_, said, truth) in zip(x.numpy(), heat, words, strict=True)
        ]
    table = tuple((str(row["id"]), said, truth) for row, (_, said, truth) in zip(rows, words, strict=True))
    items = [
        Tile(pair, (said, truth, name), group)
        for pair, (name, said, truth), (group, *_) in zip(pictures, table, words, strict=True)
    ]
    svg = tiles(items, kind="pairs") if items else "<p>No mistake was made.</p>"
    return Figure("worst", title, svg, text, "mistakes", ("id", "answer", "truth") if table else (), table, wide=True)
