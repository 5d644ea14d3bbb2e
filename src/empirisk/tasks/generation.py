"""New images: what is an answer, and how alike to real ones they are, by one named protocol."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.data.table import Rows
from empirisk.estimate import Statistic, mean
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure, Tile, number, picture, tiles
from empirisk.generative.family import Family
from empirisk.generative.judge import MOST, Judge, enough
from empirisk.metrics import samples
from empirisk.unsupervised.mixture import Mixture
from empirisk.unsupervised.strange import evenly

SHOWN, PAIRS, HELD, FEW = 24, 8, 300, 0.3
"""New images shown, pairs shown, held-out images that a family draws from, and the spread below which new images have collapsed."""
COMPONENTS = 10
"""Of the mixture that is a baseline, at most."""


class New(NamedTuple):
    """The answer of a generator to one image."""

    score: float
    "what it says of the image"
    images: np.ndarray
    "new ones (k, C, *size), in the compact type of the card"

    def __float__(self) -> float:
        return self.score


def generation(family: Family, card: Card, kind: Images, judge: Judge, each: int) -> Task:
    """The task of making images, `each` a row; `judge` sees new and real ones."""
    return Task(
        loss=family.loss,
        predict=partial(predict, card, kind, each),
        score=partial(score, card, judge, family.score),
        baseline=partial(baseline, card, kind, judge, each),
        show=partial(show, card, judge, family),
        follow=family.follow,
        live=False,
    )


@torch.no_grad()
def predict(card: Card, kind: Images, each: int, model: nn.Module, x: Tensor) -> list[New]:
    """The score of each image, and new images, drawn from the bytes of x."""
    seed = int.from_bytes(hashlib.sha256(x.cpu().numpy().tobytes()).digest()[:7])
    generator = torch.Generator().manual_seed(seed)
    made: Tensor = model.sample(len(x) * each, generator=generator)  # type: ignore[operator]
    scores: Tensor = model.score(x)  # type: ignore[operator]
    images = kind.stored(card, made)
    return [New(*one) for one in zip(scores.tolist(), images.reshape(len(x), each, *images.shape[1:]), strict=True)]


def score(card: Card, judge: Judge, name: str, rows: Rows, answers: Sequence[Any]) -> dict[str, Statistic]:
    """How alike to real ones the new images are, then the mean of what the model says of the real; of answers without images only that.

    Raises Wrong (exit 2): fewer rows than `enough`; baselines, of which nothing is said, need no more than they have.
    """
    said = np.array([float(a) for a in answers])
    own: dict[str, Statistic] = {} if np.isnan(said).any() else {name: mean(said)}
    if not isinstance(answers[0], New):
        return own
    images = np.stack([a.images for a in answers])  # (N, k, C, *size)
    if own:
        enough(rows, images.shape[1], judge.reference.shape[1])
    z, codes = (v.reshape(*images.shape[:2], -1) for v in judge.seen(images.reshape(-1, *images.shape[2:]), card.range))
    real, apart = (t.double().cpu().numpy() for t in (judge.reference, judge.apart))
    far, by = (
        judge.nearest(codes.reshape(-1, codes.shape[-1]))[0].reshape(codes.shape[:2]),
        f"{z.shape[0] * z.shape[1]} new and {judge.name}",
    )
    found: dict[str, Statistic] = {
        "frechet": samples.frechet(z, real, by),
        "precision": samples.precision(z, real, by),
        "recall": samples.recall(z, real, by),
        "two_sample": samples.two_sample(z, real, by),
        "near": samples.near(far, judge.nearest(apart)[0], by),
        "spread": samples.spread(codes, apart, by),
    }
    return found | own


def baseline(card: Card, kind: Images, judge: Judge, each: int, rows: Rows) -> dict[str, Callable[[Rows], list[New]]]:
    """Noise of the pixels' mean and deviation; a Gaussian and a mixture of the principal components; as a floor real images."""

    def made(draw: Callable[[int, torch.Generator], Tensor]) -> Callable[[Rows], list[New]]:
        def answers(new: Rows) -> list[New]:
            z = draw(len(new) * each, torch.Generator().manual_seed(0))
            images = kind.stored(card, judge.net.restore(z.to(judge.codes)))
            return [New(float("nan"), some) for some in images.reshape(len(new), each, *images.shape[1:])]

        return answers

    def fitted(components: int) -> Callable[[int, torch.Generator], Tensor]:
        found = Mixture(judge.codes.shape[1], components).to(judge.codes.device)
        found.fill(judge.codes)
        return lambda n, generator: judge.pca.decode(found.sample(n, generator))

    components = max(1, min(COMPONENTS, len(judge.codes) // (2 * judge.codes.shape[1])))
    return {
        "noise": made(lambda n, generator: torch.randn(n, card.channels, *card.size, generator=generator)),
        "gaussian": made(fitted(1)),
        "mixture": made(fitted(components)),
        "floor": lambda new: [New(float("nan"), card.read(r)[None]) for r in new],
    }


def show(card: Card, judge: Judge, family: Family, e: Experiment, rows: Rows, answers: list[New]) -> list[Figure]:
    """New images, the new and the training images that are nearest to each other, and the family's own pictures."""
    some = e.data.x([rows[i] for i in np.linspace(0, len(rows) - 1, min(len(rows), HELD)).astype(int)])
    own = family.show(e.model, some.to(judge.codes.device)) if family.show else []
    images = np.concatenate([a.images for a in answers])
    codes = judge.seen(images, card.range)[1]
    return [_new(card, judge, images, codes), *_pairs(card, judge, e, images, codes), *own]


def _new(card: Card, judge: Judge, images: np.ndarray, codes: np.ndarray) -> Figure:
    """New images, and whether they have collapsed."""
    chosen = np.linspace(0, len(images) - 1, min(len(images), SHOWN)).astype(int)
    items = [Tile(((picture(images[i] / card.range), "a new image"),), (f"new {i + 1}",)) for i in chosen.tolist()]
    real = judge.apart.double().cpu().numpy()
    spread = float(codes.var(0).sum() / max(real.var(0).sum(), 1e-12))
    said = "They have collapsed: they are nearly alike" if spread < FEW else "They have not collapsed"
    text = f"{len(items)} of {len(images)}, evenly. {said}: their variance is {number(spread)} of that of real ones."
    return Figure("new", "New images", tiles(items), text, "pictures", wide=True)


def _pairs(card: Card, judge: Judge, e: Experiment, images: np.ndarray, codes: np.ndarray) -> list[Figure]:
    """The new images that are nearest to a training image beside that; held-out ones tell how near is usual. None where those are gone."""
    far, which = judge.nearest(codes)
    own = np.sort(judge.nearest(judge.apart.double().cpu().numpy())[0])
    train = e.data.rows("train")
    known, items, table = np.flatnonzero(evenly(len(train), MOST).numpy()), list[Tile](), list[tuple[Any, ...]]()
    for i in np.argsort(far, kind="stable")[:PAIRS].tolist():
        row = train[int(known[which[i]])]
        nearer = float(np.mean(own < far[i]))
        pair = (
            (picture(images[i] / card.range), "a new image"),
            (picture(row["x"].read()), "the nearest training image"),
        )
        words = f"distance {number(float(far[i]))}", f"{100 * nearer:.0f} % of real ones are nearer", str(row["id"])
        items.append(Tile(pair, words))
        table.append((i + 1, str(row["id"]), float(far[i]), nearer))
    text = (
        f"Left a new image, right the training image that is nearest to it by {codes.shape[1]} principal components: the {len(items)} nearest "
        f"of {len(images):,}. Of {len(own)} real images kept apart the nearest lies {number(float(own[0]))} from a training image, half within "
        f"{number(float(np.median(own)))}. A copy has distance 0."
    )
    columns = ("new image", "training image", "distance", "share of real ones that are nearer")
    svg = tiles(items, kind="pairs")
    return [Figure("nearest", "Nearest to a training image", svg, text, "pictures", columns, tuple(table), wide=True)]
