"""What validation still decides once the weights are kept: the temperature, and the threshold of a binary answer."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.losses import Batch

WIDEST = 20.0
"""The largest temperature, and the smallest is one over it."""


def wanted(at: str) -> tuple[str, float]:
    """The operating point that `at` asks for, as its measure and the least value of it.

    `Wrong` (exit 2) for anything but sensitivity=S or specificity=S with 0 < S <= 1.

    >>> wanted("sensitivity=.95")
    ('sensitivity', 0.95)
    """
    measure, _, text = at.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if measure.strip() not in {"sensitivity", "specificity"} or not 0 < value <= 1:
        remedy = "give sensitivity=.95 or specificity=.9, above 0 and at most 1"
        raise Wrong(f'--at "{at}" is no operating point', remedy=remedy)
    return measure.strip(), value


def operating_point(p: np.ndarray, y: np.ndarray, at: str | None) -> float:
    """The threshold t on the probability of the positive class, positive where p >= t.

    Youden's J = sensitivity + specificity - 1 at its largest; or the best specificity at no less than the wanted
    sensitivity, or the reverse. t lies midway between neighbouring p, in float32, as probabilities are. .5 where only one
    class is present. Youden, Cancer 3 (1950).
    """
    p, y = np.asarray(p, np.float32), np.asarray(y, bool)
    if y.all() or not y.any():
        return 0.5
    level, index = np.unique(p, return_inverse=True)
    positives, negatives = np.bincount(index[y], minlength=len(level)), np.bincount(index[~y], minlength=len(level))
    sensitivity = 1 - np.concatenate([[0], np.cumsum(positives)]) / positives.sum()  # at "positive from level i on"
    specificity = np.concatenate([[0], np.cumsum(negatives)]) / negatives.sum()  # (levels + 1,)
    good = sensitivity + specificity
    if at is not None:
        measure, least = wanted(at)
        kept, other = (sensitivity, specificity) if measure == "sensitivity" else (specificity, sensitivity)
        good = np.where(kept >= least - 1e-12, other, -1)
    middle = (level[:-1] + level[1:]) / np.float32(2)
    between = np.where(middle > level[:-1], middle, level[1:])
    cuts = [*level[:1], *between, np.nextafter(level[-1], np.float32(2))]  # (levels + 1,)
    return float(cuts[int(np.argmax(good))])


def log_loss(logits: Tensor, y: Tensor, multi: bool) -> Tensor:
    """The terms [n] of -sum y log f: of the softmax over exclusive classes, or summed over the sigmoids of labels.

    logits (n, K); y (n,) class numbers, or (n, K) of 0 and 1 for labels.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if multi:
        return F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="none").sum(1)
    return F.cross_entropy(logits, y.reshape(-1).long(), reduction="none")


def temperature(logits: Tensor, y: Tensor, multi: bool) -> float:
    """T = argmin over [1/20, 20] of the log loss of softmax(z / T); 1 where every case is right, as T = 0 would be least.

    Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    from scipy.optimize import minimize_scalar

    z = logits.double()
    if ((z > 0) == (y > 0) if multi else z.argmax(1) == y.reshape(-1)).all():
        return 1.0
    risk, end = lambda log_t: float(log_loss(z / np.exp(log_t), y, multi).mean()), np.log(WIDEST)
    return float(np.exp(minimize_scalar(risk, bounds=(-end, end), method="bounded", options={"xatol": 1e-5}).x))


@torch.no_grad()
def seen(model: nn.Module, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Logits (N, K) and truth of all batches on the CPU, the model in eval and float32; its mode comes back."""
    training = model.training
    model.eval()
    try:
        pairs = [(model(x).float().cpu(), y.cpu()) for x, y in batches]
    finally:
        model.train(training)
    pairs = pairs or [(torch.zeros(0, 1), torch.zeros(0, dtype=torch.long))]
    return torch.cat([z for z, _ in pairs]), torch.cat([y for _, y in pairs])
