"""A class for a text: the task of classification, beside the shares of the classes and a bag of words."""

import dataclasses as dc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Verdict
from empirisk.data.words import UNKNOWN, Words, tokens
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure, number
from empirisk.figures.figure import escaped
from empirisk.tasks import baselines, calibration, pictures
from empirisk.tasks.classification import classification, counts, truth, verdicts

SHOWN = 8
"""Right and wrong sentences in the report, of each at most."""


def sequences(words: Words, classes: Classes) -> Task:
    """The task of naming the class of a text."""
    whole = classification(classes)
    return dc.replace(whole, baseline=partial(baseline, words, classes), show=partial(show, words, classes))


def baseline(words: Words, classes: Classes, rows: Rows) -> dict[str, Callable[[Rows], list[Verdict]]]:
    """prior: the shares of the classes. bag: logistic regression on how often each word stands in a text, without its order.

    The bag minimises sum -log softmax(W c + b)_y + |W|^2 / 2 over at most 20,000 training rows, c the counts of the words.
    """
    rows = baselines.some(rows)
    y = truth(classes, rows)
    share = counts(y, classes) / len(rows)
    f = bag(words, classes, rows, y)
    binary = len(classes.names) == 2 and not classes.multi
    cut = calibration.operating_point(f(rows)[:, 1], y == 1, None) if binary else 0.5
    return {
        "prior": lambda new: verdicts(np.tile(share, (len(new), 1)), 0.5, classes, None),
        "bag": lambda new: verdicts(f(new), cut, classes, None),
    }


def bag(words: Words, classes: Classes, rows: Rows, y: np.ndarray) -> Callable[[Rows], np.ndarray]:
    """Rows -> probabilities (n, K) from counts of words; labels of which several may hold one by one."""
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

    def seen(some: Rows) -> Any:
        index = [words.encode(r)[:-1] for r in some]
        at = np.repeat(np.arange(len(some)), [len(i) for i in index]), np.concatenate(index)
        return csr_array(
            (np.ones(len(at[0])), at), shape=(len(some), len(words.names))
        )  # counts of one place are added

    def fitted(y: np.ndarray, K: int) -> Callable[[Any], np.ndarray]:
        present = np.unique(y)
        model = LogisticRegression(max_iter=1000).fit(seen(rows), y) if len(present) > 1 else None

        def predict(x: Any) -> np.ndarray:
            p = np.zeros((x.shape[0], K))
            p[:, present] = 1 if model is None else model.predict_proba(x)
            return p

        return predict

    if not classes.multi:
        one = fitted(y, len(classes.names))
        return lambda new: one(seen(new))
    each = [fitted(y[:, k].astype(int), 2) for k in range(y.shape[1])]
    return lambda new: np.stack([predict(seen(new))[:, 1] for predict in each], 1)


def show(words: Words, classes: Classes, experiment: Experiment, rows: Rows, answers: list[Verdict]) -> list[Figure]:
    """The pictures of classification, mistakes by their texts, and right and wrong sentences with the word that told most."""
    called = [r | {"id": r[words.column]} for r in rows]
    return [
        *pictures.classification(experiment, called, answers, classes),
        _sentences(words, classes, experiment, rows, answers),
    ]


def _sentences(words: Words, classes: Classes, experiment: Experiment, rows: Rows, answers: list[Verdict]) -> Figure:
    """Sentences at even steps of how sure the answer was, right and wrong apart; the word is bold without which it is least sure."""
    right = np.array(
        [classes.text(np.atleast_1d(a.choice)) == said_of(classes, r) for a, r in zip(answers, rows, strict=True)]
    )
    sure = np.array([max(a.p) for a in answers])
    lines, table = "", list[tuple[str, str, str, float, str]]()
    for verdict, which in (("right", right), ("wrong", ~right)):
        order = np.flatnonzero(which)[np.argsort(-sure[which], kind="stable")]
        for i in order[np.unique(np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int))]:
            row, said, true = rows[i], classes.text(np.atleast_1d(answers[i].choice)), said_of(classes, rows[i])
            parts = tokens(row[words.column])
            most = telling(words, experiment, row, answers[i])
            text = " ".join(f"<b>{escaped(w, 80)}</b>" if t == most else escaped(w, 80) for t, w in enumerate(parts))
            lines += f"<tr><td>{verdict}</td><td>{text}</td><td>{escaped(said, 40)} {number(float(sure[i]))}</td><td>{escaped(true, 40)}</td></tr>"
            table.append((verdict, str(row[words.column]), said, float(sure[i]), true))
    text = (
        f"{int(right.sum())} of {len(rows)} are right. From the surest to the least sure; bold is the word without which the model "
        "would be least sure of its answer."
    )
    head = "<tr><th></th><th>sentence</th><th>answer</th><th>truth</th></tr>"
    columns = ("", "sentence", "answer", "probability", "truth")
    svg = f"<table><thead>{head}</thead><tbody>{lines}</tbody></table>"
    return Figure("sentences", "Sentences, right and wrong", svg, text, "mistakes", columns, tuple(table), wide=True)


def said_of(classes: Classes, row: Any) -> str:
    """The truth of a row in words."""
    y = classes.encode(row)
    return classes.text(np.flatnonzero(y) if classes.multi else [y])


@torch.no_grad()
def telling(words: Words, experiment: Experiment, row: Any, answer: Verdict) -> int:
    """Which word it is without which, taken for an unknown one, the probability of the likeliest class is least."""
    model, indices = experiment.model.eval(), torch.from_numpy(words.encode(row))
    n = len(indices) - 1
    x = indices.repeat(n, 1)  # (n, L): each row lacks one word
    x[torch.arange(n), torch.arange(n)] = UNKNOWN
    device = next(model.parameters()).device
    z = model((x.to(device), torch.full((n,), n + 1, device=device))).float()
    return int(
        (z.sigmoid() if isinstance(answer.choice, tuple) else z.softmax(1))[:, int(np.argmax(answer.p))].argmin()
    )
