"""Words as answers: of an image, or of other words."""

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.table import Row, Rows
from empirisk.data.words import BEGIN, END, SPECIAL, Words, tokens
from empirisk.errors import Wrong
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure, Tile, alignment, picture, tiles
from empirisk.losses import Batch
from empirisk.metrics import words as metrics
from empirisk.models.decoder import chosen
from empirisk.tasks import baselines

SHOWN = 12
"""Rows that the report shows, from the worst to the best."""
MAPS = 3
"""Of these with a picture a word."""
LONGEST = 24
"""Words and end of a text at most whose attention is drawn."""
LINE = 44
"""Letters of a line of the report."""


@dataclass(frozen=True)
class Sentences:
    """What sentences of the training rows are like: the column they stand in, words of the longest, words that name a finding."""

    column: str
    most: int
    terms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Lists, as JSON gives them, become tuples."""
        object.__setattr__(self, "terms", tuple(self.terms))

    @classmethod
    def learn(cls, rows: Rows, columns: Sequence[str]) -> Self:
        """Of the first of these columns that a row has, and of the column findings; `Wrong` (exit 2) where there is none."""
        column = next((c for c in columns if any(r.get(c) for r in rows)), None)
        if column is None:
            raise Wrong("no training row has a caption", remedy="name the column of the words to write with --caption")
        terms = {term for r in rows for term in tokens(r.get("findings") or "")}
        return cls(column, max(len(tokens(r.get(column) or "")) for r in rows), tuple(sorted(terms)))


def refuse_sizes(**sizes: int) -> None:
    """`Wrong` (exit 2), naming the flag, for a size below 1."""
    for flag, value in sizes.items():
        if value < 1:
            raise Wrong(f"--{flag} is {value}", remedy="it must be 1 or above")


def sentences(
    kind: Words, known: Sentences, *, beam: int, first: str, rivals: Callable[[Rows], dict[str, Callable[[Rows], list[str]]]]
) -> Task:  # fmt: skip
    """The task of writing a sentence; the score called `first` comes first. `rivals` are those of the most frequent sentence."""
    return Task(
        loss=loss,
        predict=partial(predict, kind, known.most + 1, beam),
        score=partial(score, kind, known.terms, first),
        baseline=lambda rows: {"most_frequent": most_frequent(kind, rows)} | rivals(rows),
        show=partial(show, kind),
    )


def shifted(words: Tensor) -> Tensor:
    """The begin, and all words (n, L) but the last: what a decoder has read before each word."""
    return F.pad(words[:, :-1], (1, 0), value=BEGIN)


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The terms -log p(w_t | w_1 .. w_{t-1}, x), one a word and its end, of all rows in turn."""
    x, (words, lengths) = batch
    there = torch.arange(words.shape[1], device=words.device) < lengths[:, None]
    logits = model(x, shifted(words))[0][there]  # (terms, V)
    return F.cross_entropy(logits.float(), words[there], reduction="none")


@torch.no_grad()
def predict(kind: Words, most: int, beam: int, model: Any, x: Any) -> list[str]:
    """The sentence of each row, at most one word longer than any of training."""
    return [kind.text(row) for row in chosen(model.decoder, model.remember(x), most=most, k=beam).tolist()]


def score(kind: Words, terms: Sequence[str], first: str, rows: Rows, answers: list[str]) -> dict[str, Statistic]:
    """BLEU-1 to 4, ROUGE-L, exact matches; where findings are known, their F1."""
    truths = [tokens(r[kind.column]) for r in rows]
    found = metrics.scores(truths, [tokens(a) for a in answers], terms)
    first = first if first in found else "bleu4"
    return {first: found[first]} | found


def most_frequent(kind: Words, rows: Rows) -> Callable[[Rows], list[str]]:
    """The sentence that most training rows have, whatever x is."""
    (usual, _), *_ = Counter(r[kind.column] for r in rows).most_common(1)
    return lambda new: [usual] * len(new)


def nearest(kind: Words, read: Callable[[Row], np.ndarray], rows: Rows) -> dict[str, Callable[[Rows], list[str]]]:
    """The sentence of the training image that is nearest in small pixels."""
    rows = baselines.some(rows)
    measured = baselines.Measured(rows, read)
    x = measured(rows)["linear"]

    def said(new: Rows) -> list[str]:
        z = measured(new)["linear"]
        apart = (x**2).sum(1) - 2 * z @ x.T  # (n, N) squared distances less |z|^2
        return [rows[i][kind.column] for i in apart.argmin(1)]

    return {"nearest": said}


def copied(rows: Rows) -> dict[str, Callable[[Rows], list[str]]]:
    """What was read, as it is."""
    return {"copy": lambda new: [r["text"] for r in new]}


def show(kind: Words, experiment: Experiment, rows: Rows, answers: list[str]) -> list[Figure]:
    """Sentences with their truth, from the worst to the best, and for images where each word looked."""
    truths, said = [tokens(r[kind.column]) for r in rows], [tokens(a) for a in answers]
    near = [metrics.common(t, a) * 2 / max(len(t) + len(a), 1) for t, a in zip(truths, said, strict=True)]
    order = np.argsort(near, kind="stable")
    some = [int(order[i]) for i in np.unique(np.linspace(0, len(order) - 1, SHOWN).astype(int))]
    chosen_rows, seen = [rows[i] for i in some], experiment.data.card().dims > 0
    images = experiment.data.x(chosen_rows).numpy() if seen else []
    pictures = [((picture(image), f"Image of {r['id']}"),) for r, image in zip(chosen_rows, images, strict=False)]
    items, table = [], []
    for k, (i, row) in enumerate(zip(some, chosen_rows, strict=True)):
        told = {"written": answers[i], "true": row[kind.column]} | ({} if seen else {"read": row["text"]})
        lines = [line for name, text in told.items() for line in textwrap.wrap(f"{name}: {text}", LINE)]
        items.append(Tile(pictures[k] if seen else (), (str(row["id"]), *lines)))
        table.append((str(row["id"]), *told.values(), near[i]))
    text = f"{len(some)} of {len(rows)} rows, from the one written worst to the best, by the longest common subsequence of words."
    columns = ("id", "written", "true", *(() if seen else ("read",)), "rouge_l")
    written = Figure(
        "sentences", "Written and true", tiles(items, kind="pairs"), text, "pictures", columns, tuple(table), wide=True
    )
    said_of = [(rows[i], answers[i]) for i in some if said[i]]
    return [written, *(attended if seen else aligned)(kind, experiment, said_of)]


@torch.no_grad()
def looked(kind: Words, experiment: Experiment, row: Row, said: str) -> tuple[Any, np.ndarray]:
    """x of a row, and how much each place of it counts for each word that was said and for the end (L, P)."""
    x, device = experiment.data.x([row]), next(experiment.model.parameters()).device
    index = torch.from_numpy(kind.encode(row | {kind.column: said}))[None].to(device)
    moved = tuple(v.to(device) for v in x) if isinstance(x, tuple) else x.to(device)
    return x, experiment.model(moved, shifted(index))[1][0].float().cpu().numpy()


def attended(kind: Words, experiment: Experiment, said_of: list[tuple[Row, str]]) -> list[Figure]:
    """For each word that was said of some images the image with where the decoder looked."""
    model: Any = experiment.model
    items, table = [], []
    for row, said in said_of[-MAPS:]:
        image, weights = looked(kind, experiment, row, said)
        for word, a in zip(tokens(said), weights, strict=False):  # the end of the sentence has no word
            heat = (
                picture(image[0].numpy(), (a / a.max()).reshape(model.places), side=96),
                f"Where the model looked at {word}",
            )
            items.append(Tile((heat,), (word,), str(row["id"])))
            table.append((str(row["id"]), word, float(a.max())))
    text = (
        "Where the decoder looked at each word that it wrote: yellow counts most, each map by its own largest weight. "
        "It has a summary of the whole image at every word too, so a word may rest on what no map shows."
    )
    columns = ("id", "word", "largest weight")
    return [
        Figure("attention", "Attention, word by word", tiles(items), text, "pictures", columns, tuple(table), wide=True)
    ]


def aligned(kind: Words, experiment: Experiment, said_of: list[tuple[Row, str]]) -> list[Figure]:
    """For each word that was written of some texts how much each word that was read counted."""
    drawn, table = "", []
    for row, said in [pair for pair in said_of if max(len(tokens(pair[0]["text"])), len(tokens(pair[1]))) < LONGEST][
        -MAPS:
    ]:
        name, (words, read) = str(row["id"]), ([*tokens(text), SPECIAL[END]] for text in (said, row["text"]))
        _, weights = looked(kind, experiment, row, said)
        drawn += alignment(
            words, read, weights, label=f"Attention to the words of {name}", x=f"read, {name}", y="written"
        )
        table += [(name, word, read[a.argmax()], float(a.max())) for word, a in zip(words, weights, strict=True)]
    text = (
        "What the decoder looked at when it wrote each word: the areas of a row's squares are its weights, together 1. "
        "Of each word that was read it knows the words before and after, too."
    )
    columns = ("id", "written", "looked at most", "weight")
    figure = Figure("attention", "Attention, word by word", drawn, text, "pictures", columns, tuple(table), wide=True)
    return [figure] if drawn else []
