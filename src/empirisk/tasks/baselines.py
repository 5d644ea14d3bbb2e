"""The predictors that a deep model must beat: the prior or the mean, a linear model on small pixels, one on hand-designed features."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from empirisk.data.table import Row, Rows
from empirisk.tasks.features import features

MOST = 20_000
"""Training rows that a baseline is fitted to; of more, a seeded sample."""

SMALL = {2: 14, 3: 8}
"""Pixels an axis of the images that `linear` sees, by dimensions."""

STRENGTH = 0.01
"""lambda of the logistic models: mean loss + lambda/2 |w|^2 on standardised inputs, so that the minimiser exists and is one."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Those that ridge regression chooses from."""

Inputs = dict[str, np.ndarray]
Predictor = Callable[[np.ndarray], np.ndarray]


def some(rows: Rows) -> Rows:
    """The rows, or a seeded sample of 20,000 of them in their order."""
    if len(rows) <= MOST:
        return rows
    chosen = np.random.default_rng(0).choice(len(rows), MOST, replace=False)
    return [rows[i] for i in np.sort(chosen)]


def raw(row: Row) -> np.ndarray:
    """A row's image, or vector, as it is stored."""
    return np.asarray(row["x"].read())


class Measured:
    """What the baselines see of rows, by baseline, one row a sample: `linear`, and `features` for 2D. `read`s each row once.

    linear: the area mean on 14 x 14 (2D) or 8 x 8 x 8 (3D) pixels, fewer where images are smaller; vectors as they are.
    Shape and range of the values are learned from at most 500 training rows: the commonest shape, axes from 16 to 64; bytes
    range from 0 to 255, other values as seen.
    """

    def __init__(self, rows: Rows, read: Callable[[Row], np.ndarray] = raw) -> None:
        self.read = read
        shapes, ends, types = [], [], set()
        for row in rows[:: len(rows) // 500 + 1]:
            a = read(row)
            shapes.append(a.shape)
            ends += [float(a.min()), float(a.max())]
            types.add(a.dtype)
        self.channels, *size = max(sorted(set(shapes)), key=shapes.count)
        self.size = tuple(min(max(s, 16), 64) for s in size)
        self.low, high = (0.0, 255.0) if types == {np.dtype(np.uint8)} else (min(ends), max(ends))
        self.scale = max(high - self.low, 1e-6)
        self._rows: Rows = []
        self._inputs: Inputs = {}

    def __call__(self, rows: Rows) -> Inputs:
        """The inputs (N, D) by name. The last answer is kept, as each baseline asks for the same rows."""
        if len(rows) != len(self._rows) or any(a is not b for a, b in zip(rows, self._rows, strict=True)):
            self._rows, self._inputs = list(rows), self._measure(rows)
        return self._inputs

    def _measure(self, rows: Rows) -> Inputs:
        if not self.size:
            return {"linear": np.stack([self.read(r) for r in rows]).astype(np.float64)}
        small = tuple(min(SMALL[len(self.size)], s) for s in self.size)
        out: dict[str, list[np.ndarray]] = {"linear": [], "features": []} if len(self.size) == 2 else {"linear": []}
        for start in range(0, len(rows), 256):
            images = np.stack([self._image(self.read(r)) for r in rows[start : start + 256]])  # (n, C, *size)
            out["linear"].append(F.interpolate(torch.from_numpy(images), small, mode="area").flatten(1).numpy())
            if "features" in out:
                out["features"].append(features(images))
        return {name: np.concatenate(parts).astype(np.float64) for name, parts in out.items()}

    def _image(self, a: np.ndarray) -> np.ndarray:
        """An image (C, *size) in [0, 1], by area means; where the channels are others, their mean in each."""
        a = a.astype(np.float32)
        if a.shape[1:] != self.size:
            a = F.interpolate(torch.from_numpy(a)[None], self.size, mode="area")[0].numpy()
        if len(a) != self.channels:
            a = np.repeat(a.mean(0, keepdims=True), self.channels, 0)
        return np.asarray(np.clip((a - self.low) / self.scale, 0, 1), np.float32)


def standardised(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """(x - mean) / sd by the columns of x; a constant column stays 0."""
    mean, sd = x.mean(0), x.std(0)
    scale = np.where(sd > 1e-9, 1 / np.maximum(sd, 1e-9), 0)
    return lambda new: (new - mean) * scale


def logistic(x: np.ndarray, y: np.ndarray, classes: int) -> Predictor:
    """Logistic regression: the minimiser of mean -log softmax(W x + b)_y + lambda/2 |W|^2 on standardised x.

    x (N, D); y (N,) class numbers. Returns x -> probabilities (N, K); a class that y lacks has probability 0.
    """
    from sklearn.linear_model import LogisticRegression

    present = np.unique(y)
    change = standardised(x)
    if len(present) < 2:
        return lambda new: np.repeat(np.eye(classes)[present], len(new), axis=0)
    model = LogisticRegression(C=1 / (STRENGTH * len(x)), max_iter=500, tol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopping at 500 steps is close enough
        model.fit(change(x), y)

    def predict(new: np.ndarray) -> np.ndarray:
        p = np.zeros((len(new), classes))
        p[:, present] = model.predict_proba(change(new))
        return p

    return predict


def labels(x: np.ndarray, y: np.ndarray) -> Predictor:
    """One logistic regression a label: x (N, D), y (N, K) of 0 and 1. Returns x -> probabilities (N, K)."""
    each = [logistic(x, y[:, k].astype(int), 2) for k in range(y.shape[1])]
    return lambda new: np.stack([predict(new)[:, 1] for predict in each], 1)


def ridge(x: np.ndarray, y: np.ndarray) -> tuple[Predictor, np.ndarray]:
    """Ridge regression: the minimiser of mean (y - w x - b)^2 / 2 + lambda/2 |w|^2 on standardised x.

    lambda is that of .01, .1, .. 100 with the least sum of squares of the left-out residuals e_i / (1 - h_i), e the residuals,
    h the diagonal of the map from y to its fit. Allen (1974), PRESS. x (N, D); y (N,). Returns x -> values (N,) in the unit
    of y, and the left-out residuals (N,).
    """
    change, mean, n = standardised(x), y.mean(), len(y)
    z = change(x)
    values, axes = np.linalg.eigh(z.T @ z / n)
    u = z @ axes  # (N, D)
    found = []
    for strength in STRENGTHS:
        shrink = 1 / (values.clip(0) + strength)
        b = shrink * (u.T @ (y - mean) / n)
        h = 1 / n + u**2 @ shrink / n
        found.append(((y - mean - u @ b) / (1 - h).clip(1e-6), axes @ b))
    residuals, w = min(found, key=lambda one: float(np.square(one[0]).sum()))
    return lambda new: change(new) @ w + mean, residuals
