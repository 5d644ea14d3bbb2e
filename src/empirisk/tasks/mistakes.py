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
        said = (
            f"{'called' if chosen[i, k] else 'missed'} {names[k]} {number(float(p[i, k]))}"
            if multi
            else f"said {names[k]} {number(float(p[i, k]))}"
        )
        words.append((true, (said, f"truth: {'not ' if multi and not y[i, k] else ''}{true}", str(rows[i]["id"]))))
    total = int((y != chosen).any(1).sum())
    return _tiles(
        experiment,
        [rows[i] for i in order],
        [int(label[i]) for i in order],
        words,
        "The surest mistakes",
        f"{len(order)} of {total} mistakes on {len(rows)} rows, those it was surest of.",
    )


def of_numbers(experiment: Experiment, rows: Rows, y: np.ndarray, f: np.ndarray) -> Figure:
    """The answers furthest from the truth."""
    order = [int(i) for i in np.argsort(-np.abs(f - y), kind="stable")[:SHOWN]]
    words = [
        ("answer too high" if f[i] > y[i] else "answer too low", (f"off by {number(float(f[i] - y[i]))}", f"truth {number(float(y[i]))}, answer {number(float(f[i]))}", str(rows[i]["id"])))
        for i in order
    ]  # fmt: skip
    return _tiles(
        experiment,
        [rows[i] for i in order],
        [0] * len(order),
        words,
        "The worst answers",
        f"The {len(order)} furthest from the truth, of {len(rows)}.",
    )


def _tiles(
    experiment: Experiment,
    rows: Rows,
    index: list[int],
    words: Sequence[tuple[str, tuple[str, ...]]],
    title: str,
    text: str,
) -> Figure:
    """Tiles of image and Grad-CAM of the answer given; vectors have words alone."""
    pictures: list[tuple[tuple[str, str], ...]] = [()] * len(rows)
    x = experiment.data.x(rows) if rows else torch.empty(0)
    if rows and x.ndim > 2:
        device = next(iter(experiment.model.parameters()), x).device
        heat = saliency.grad_cam(experiment.model, x.to(device), index).cpu().numpy()
        images = x.numpy()
        slices = " Of each volume the middle slice." if x.ndim == 5 else ""
        text += f" Left the image, right where the model looked for that answer (Grad-CAM): yellow counts most.{slices}"
        pictures = [
            ((picture(images[i]), f"Image: {', '.join(w)}"), (picture(images[i], heat[i]), "Where the model looked"))
            for i, (_, w) in enumerate(words)
        ]
    items = [Tile(pair, lines, group) for pair, (group, lines) in zip(pictures, words, strict=True)]
    table = tuple((w[-1], *w[:-1]) for _, w in words)
    columns = ("id", "answer", "truth") if table else ()
    return Figure(
        "worst",
        title,
        tiles(items, kind="pairs") if items else "<p>No mistake was made.</p>",
        text,
        "mistakes",
        columns,
        table,
        wide=True,
    )
