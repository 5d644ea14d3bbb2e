"""An embedding that taught itself by contrast: what its codes tell of classes, and whether two views of an image find each other."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.reconstructed import Code, Codes
from empirisk.data.table import Rows
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure, Tile, album, picture
from empirisk.tasks import codes as told
from empirisk.unsupervised import contrast
from empirisk.unsupervised.probe import Probed

SHOWN, CHUNK = 8, 128
"""Images shown with their views, and with their neighbours; views shown together."""
See = Callable[[Tensor], Tensor]
"""Images (n, C, *size) in image units -> vectors of length 1, (n, D)."""


def contrast_task(kind: Codes, card: Card, T: float) -> Task:
    """The task of lying near one's other view; `T` is the temperature of NT-Xent."""
    return Task(
        loss=contrast.loss(contrast.views(card.dims), T),
        predict=partial(predict, card.dims),
        score=partial(score, kind),
        baseline=partial(baseline, kind, card),
        show=partial(show, card),
        live=False,
    )


def score(kind: Codes, rows: Rows, answers: Sequence[Code]) -> dict[str, Statistic]:
    """What the codes tell of classes, where rows have some, and the share of matched views."""
    return told.scores(kind.names, rows, answers)


@torch.no_grad()
def predict(dims: int, model: nn.Module, x: Tensor) -> list[Code]:
    """The code of each image, what it tells, and whether its two views found each other among those of these images."""
    probed = model.get_submodule("net")
    assert isinstance(probed, Probed)
    found = matched(model, x, dims)
    return [a._replace(matched=m) for a, m in zip(told.tell(model.embed(x), probed.probe), found, strict=True)]  # type: ignore[operator]


def matched(see: See, x: Tensor, dims: int) -> list[float]:
    """1 for each image (n, C, *size) whose views, drawn by a fixed seed, find each other among those of the batch, else 0."""
    a, b = contrast.pair(x, contrast.views(dims), torch.Generator().manual_seed(0))
    return [float(m) for m in contrast.matched(*see(torch.cat([a, b])).chunk(2))]


def baseline(kind: Codes, card: Card, rows: Rows) -> dict[str, Callable[[Rows], list[Code]]]:
    """The pixels as they are, each image brought to mean 0 and length 1; as many principal components as make 32 numbers."""
    rows = told.some(rows, card)
    x = told.read(card, rows)
    pca, pixels = told.fitted(x, 32), _even(x)
    plain, few = told.probed(kind.names, rows, pixels), told.probed(kind.names, rows, pca.embed(x))

    def of(new: Rows, tell: Callable[[Tensor], list[Code]], see: See) -> list[Code]:
        out: list[Code] = []
        for chunk in torch.split(told.read(card, new), CHUNK):
            found = matched(lambda v: F.normalize(see(v)), chunk, card.dims)
            out += [a._replace(matched=m) for a, m in zip(tell(see(chunk)), found, strict=True)]
        return out

    return {"pixels": lambda new: of(new, plain, _even), "pca": lambda new: of(new, few, pca.embed)}


def _even(x: Tensor) -> Tensor:
    """(n, C, *size) -> (n, D) of mean 0 and length 1."""
    return F.normalize(x.flatten(1) - x.flatten(1).mean(1, keepdim=True))


@torch.no_grad()
def show(card: Card, e: Experiment, rows: Rows, answers: list[Code]) -> list[Figure]:
    """What counts as the same image; the nearest other images by the code."""
    return [_views(card, e, rows), _neighbours(rows, answers)]


def _views(card: Card, e: Experiment, rows: Rows) -> Figure:
    """Two views of some images."""
    some = [rows[i] for i in np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).astype(int)]
    x = e.data.x(some)
    a, b = contrast.pair(x, contrast.views(card.dims), torch.Generator().manual_seed(0))
    items = [
        Tile(((picture(i), "the image"), (picture(p), "a view"), (picture(q), "another view")), (str(r["id"]),))
        for r, i, p, q in zip(some, x.numpy(), a.numpy(), b.numpy(), strict=True)
    ]
    text = "An image and two views of it, which the embedding is taught to lay beside each other: a part, a side, light and noise may differ."
    return album("views", "Views", items, text)


def _neighbours(rows: Rows, answers: Sequence[Code]) -> Figure:
    """Some images and of all others here the nearest by the code."""
    z = np.stack([a.z for a in answers])
    items, table = [], []
    for i in np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).astype(int).tolist():
        away = np.linalg.norm(z - z[i], axis=1)
        away[i] = np.inf
        near = [int(j) for j in np.argsort(away, kind="stable")[: min(3, len(rows) - 1)]]
        label = str(rows[i].get("label") or "")
        pictures = tuple((picture(rows[j]["x"].read()), f"image {rows[j]['id']}") for j in (i, *near))
        others = ", ".join(str(rows[j].get("label") or rows[j]["id"]) for j in near)
        items.append(Tile(pictures, (label or str(rows[i]["id"]), f"nearest: {others}"), label))
        table.append((str(rows[i]["id"]), *(str(rows[j]["id"]) for j in near)))
    text = "Left an image, beside it the three nearest of the others by their codes."
    columns = ("id", *(f"nearest {k}" for k in range(1, len(table[0]))))
    return album("neighbours", "Nearest images", items, text, "pictures", columns, table)
