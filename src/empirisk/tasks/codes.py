"""What codes tell, whatever made them: the answer to a row, its scores, and codes that nobody had to learn."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.reconstructed import Code
from empirisk.data.table import Rows
from empirisk.data.unlabelled import Unlabelled
from empirisk.estimate import Statistic, mean
from empirisk.metrics.images import auc_of_known
from empirisk.models.layers import standardised
from empirisk.tasks import baselines
from empirisk.unsupervised.pca import PCA
from empirisk.unsupervised.probe import Probe

NUMBERS = 2**28
"""Pixels of all training rows together that a baseline is fitted to at most; of more an even sample of the rows."""


def tell(z: Tensor, probe: nn.Module | None) -> list[Code]:
    """The answer to each code z (n, k)."""
    nearest, linear = probe(z) if probe is not None else (z.new_zeros(len(z), 0),) * 2
    three = (t.double().cpu().numpy() for t in (z, nearest, linear))
    return [Code(*one) for one in zip(*three, strict=True)]


def scores(names: Sequence[str], rows: Rows, answers: Sequence[Code]) -> dict[str, Statistic]:
    """AUC of the neighbours' votes and of the linear rule where rows have classes; the share of matched views where they were shown."""
    out: dict[str, Statistic] = {}
    if names:
        y = np.array([Unlabelled(tuple(names)).encode(r) for r in rows])
        out = {
            "knn_auc": auc_of_known(y, np.stack([a.nearest for a in answers])),
            "probe_auc": auc_of_known(y, np.stack([a.linear for a in answers])),
        }
    matched = np.array([a.matched for a in answers])
    return out if np.isnan(matched).any() else out | {"matched": mean(matched == 1)}


def some(rows: Rows, card: Card) -> Rows:
    """The rows that a baseline is fitted to."""
    rows = baselines.some(rows)
    return rows[:: -(-len(rows) * card.channels * int(np.prod(card.size)) // NUMBERS)]


def read(card: Card, rows: Rows) -> Tensor:
    """The images of rows as a model sees them behind its first layer, (x - mean) / std per channel, (N, C, *size)."""
    x = torch.from_numpy(np.stack([card.read(r) for r in rows])).float() / card.range
    return standardised(x, torch.tensor(card.mean), torch.tensor(card.std))


def fitted(x: Tensor, codes: int) -> PCA:
    """The leading components of training images x (N, C, *size), fewer where there are fewer images."""
    pca = PCA(x.shape[1:], codes=min(codes, len(x), x[0].numel()))
    pca.fill(x)
    return pca


def probed(names: Sequence[str], rows: Rows, z: Tensor) -> Callable[[Tensor], list[Code]]:
    """What the codes z (N, k) of training rows make codes tell."""
    if not names:
        return lambda new: tell(new, None)
    probe = Probe(z.shape[1], len(names), rows=len(rows))
    probe.fill(z, torch.tensor([int(Unlabelled(tuple(names)).encode(r)) for r in rows]))
    return lambda new: tell(new, probe)
