"""A phase for each frame of a video, as it is seen: nothing that comes later counts."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.frames import Readings
from empirisk.data.phases import Phases, Told
from empirisk.data.raster import grey
from empirisk.data.table import Rows
from empirisk.estimate import Statistic
from empirisk.experiment import Experiment, Task
from empirisk.figures import Figure, matrix, number, ribbons
from empirisk.losses import Batch
from empirisk.metrics import frames as metrics
from empirisk.tasks.baselines import logistic

SMALL = 14  # Pixels a side of the pictures that the linear baseline sees.
MOST = 5000  # Pictures that it is fitted to.
SHOWN = 6  # Videos with a ribbon.


def frames(kind: Phases) -> Task:
    """The task of telling phases as they come."""
    return Task(
        loss=loss,
        predict=predict,
        score=partial(score, kind),
        baseline=partial(baseline, kind),
        show=partial(show, kind),
        join=joined,
    )


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The terms [m] -log f_y of all frames that there are; y (n, L), -1 beyond a video's end."""
    x, y = batch
    z = model(x)  # (n, L, K)
    there = y >= 0
    return F.cross_entropy(z[there].to(torch.promote_types(z.dtype, torch.float32)), y[there], reduction="none")


@torch.no_grad()
def predict(model: nn.Module, x: Any) -> list[Told]:
    """Probabilities (T, K) of each video of x, without the frames that are not there."""
    p = model(x).float().softmax(2).cpu().numpy()
    return [Told(some[:n]) for some, n in zip(p, x[2].tolist(), strict=True)]


def joined(parts: list[Told]) -> Told:
    """The answer to a video from those to its pieces."""
    return Told(np.concatenate([part.p for part in parts]))


def score(kind: Phases, rows: Rows, answers: list[Told]) -> dict[str, Statistic]:
    """Accuracy first; Jaccard, edit score and accuracy within 10 s; Jaccard of each phase."""
    return metrics.statistics([kind.measure(r, a) for r, a in zip(rows, answers, strict=True)], kind.names)


def baseline(kind: Phases, rows: Rows) -> dict[str, Callable[[Rows], list[Told]]]:
    """prior: the shares of the phases in all training frames. What one frame tells: table, the shares among the training frames of
    the same numbers; of pictures linear, logistic regression on 14 x 14 area means of at most 5,000 training frames.
    """
    K = len(kind.names)
    share = np.bincount(np.concatenate([kind.encode(r) for r in rows]), minlength=K).astype(float)
    share /= share.sum()
    rival = table(kind, rows, share) if isinstance(rows[0]["x"], Readings) else linear(kind, rows)
    return {"prior": lambda new: [Told(np.tile(share, (len(r["x"].seconds), 1))) for r in new]} | rival


def table(kind: Phases, rows: Rows, share: np.ndarray) -> dict[str, Callable[[Rows], list[Told]]]:
    """Numbers seen in a frame -> shares of the phases (K,) among the training frames that have them; `share` where none has."""
    counts: dict[bytes, np.ndarray] = defaultdict(lambda: np.zeros(len(share)))
    for row in rows:
        for values, k in zip(row["x"].read(), kind.encode(row), strict=True):
            counts[values.tobytes()][k] += 1
    shares = {seen: n / n.sum() for seen, n in counts.items()}
    return {"table": lambda new: [Told(np.stack([shares.get(v.tobytes(), share) for v in r["x"].read()])) for r in new]}


def linear(kind: Phases, rows: Rows) -> dict[str, Callable[[Rows], list[Told]]]:
    """Logistic regression on what is seen in one frame."""
    every = -(-sum(len(r["x"].seconds) for r in rows) // MOST)
    x = np.concatenate([small(r, every) for r in rows])
    y = np.concatenate([kind.encode(r)[::every] for r in rows])
    f = logistic(x, y, len(kind.names))
    return {"linear": lambda new: [Told(f(small(r, 1))) for r in new]}


def small(row: Any, every: int) -> np.ndarray:
    """Each `every`-th frame of a video on at most 14 x 14 area means of the mean colour, flat (T', D)."""
    out = []
    for t, frame in enumerate(row["x"].part(0, len(row["x"].seconds))):
        if t % every == 0:
            x = torch.from_numpy(grey(frame).mean(0, dtype=np.float32))[None, None]  # (1, 1, H, W)
            out.append(F.interpolate(x, [min(SMALL, s) for s in x.shape[2:]], mode="area").flatten().numpy())
    return np.stack(out).astype(np.float64)


def show(kind: Phases, experiment: Experiment, rows: Rows, answers: list[Told]) -> list[Figure]:
    """Ribbons, truth above answer, of videos from the worst told to the best, and the matrix of all frames."""
    truth, said = [kind.encode(r) for r in rows], [a.p.argmax(1) for a in answers]
    right = np.array([float((y == a).mean()) for y, a in zip(truth, said, strict=True)])
    order = np.argsort(right, kind="stable")
    chosen = [int(order[i]) for i in np.unique(np.linspace(0, len(order) - 1, SHOWN).astype(int))]
    lanes = []
    for i in chosen:
        seconds = np.asarray(rows[i]["x"].seconds, float)
        for name, phases in ((f"{rows[i]['id']} true", truth[i]), (f"answer {number(right[i])}", said[i])):
            lanes.append((name, _runs(phases, (seconds - seconds[0]) / 60, kind.step / 60)))
    text = (
        f"Above the truth, below what was said at that moment, of {len(chosen)} of {len(rows)} videos from the worst to the best. "
        "The number is the share of right frames. A change that is late by seconds is told from one that is wrong."
    )
    drawing = ribbons(lanes, kind.names, label=text, x="minutes since the first frame")
    counts = np.bincount(
        np.concatenate(truth) * len(kind.names) + np.concatenate(said), minlength=len(kind.names) ** 2
    ).reshape(len(kind.names), -1)
    said_as = "Each row is a true phase; the share of its frames that was told as each phase."
    table = matrix(kind.names, counts.tolist(), label=said_as, rows="true", columns="told")
    runs = tuple((name, kind.names[k], a, b) for name, parts in lanes for k, a, b in parts)
    rows_of = tuple((name, *map(int, row)) for name, row in zip(kind.names, counts, strict=True))
    return [
        Figure(
            "ribbons", "Phases over time", drawing, text, "pictures", ("video", "phase", "from", "to"), runs, wide=True
        ),
        Figure("matrix", "Frames by phase", table, said_as, "pictures", ("phase", *kind.names), rows_of, wide=True),
    ]


def _runs(phases: np.ndarray, at: np.ndarray, step: float) -> list[tuple[int, float, float]]:
    """(phase, from, to) of each stretch of equal frames; `at` (T,) is when a frame begins, `step` how long it lasts."""
    first = np.flatnonzero(np.append(True, phases[1:] != phases[:-1]))
    last = np.append(first[1:], len(phases)) - 1
    return [(int(phases[a]), float(at[a]), float(at[b]) + step) for a, b in zip(first, last, strict=True)]
