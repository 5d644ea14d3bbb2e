"""What a network of masks must beat: where structures usually are, and a threshold on the intensity of each image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from empirisk.data.masks import Masks, Segmented
from empirisk.data.table import Rows
from empirisk.tasks import things

GRID = {2: 64, 3: 32}
"Pixels a side of the common grid, by the number of dimensions."
MOST = 100
"Training rows that are looked at, evenly many."
STEPS = 20
"Thresholds tried for each structure."
SPECK = 16
"Pixels of the smallest connected part that is taken for a thing."


@dataclass(frozen=True)
class PriorMap:
    """The share of training rows in which a pixel of the common grid is a structure (K, *grid), and the threshold of each (K,)."""

    share: Tensor
    threshold: Tensor

    @classmethod
    def learn(cls, rows: Rows, masks: Masks) -> "PriorMap":
        """Thresholds give the best mean Dice on the training rows themselves, on that grid."""
        some = rows[:: -(-len(rows) // MOST)]
        maps = torch.stack([on_grid(masks.labels(r), len(masks.names)) for r in some])  # (N, K, *grid)
        share, thresholds = maps.mean(0), []
        for k in range(len(masks.names)):
            true = (maps[:, k] >= 0.5).flatten(1).float()  # (N, P)
            tried = share[k].max() * (torch.arange(STEPS) + 0.5) / STEPS
            said = (share[k].flatten() >= tried[:, None]).float()  # (STEPS, P)
            both = 2 * said @ true.T / (said.sum(1)[:, None] + true.sum(1)).clamp_min(1)  # (STEPS, N)
            thresholds.append(tried[both.mean(1).argmax()])
        return cls(share, torch.stack(thresholds))

    def answer(self, size: tuple[int, ...]) -> np.ndarray:
        """Labels (*size): the structure most frequent there among those above their thresholds."""
        mode = "bilinear" if len(size) == 2 else "trilinear"
        share = F.interpolate(self.share[None], size, mode=mode)[0]  # (K, *size)
        over = (share >= self.threshold.view(-1, *[1] * len(size))) & (share > 0)
        best, which = torch.where(over, share, -1.0).max(0)
        return torch.where(best >= 0, which + 1, 0).to(torch.uint8).numpy()


def on_grid(labels: np.ndarray, structures: int) -> Tensor:
    """Labels (*size) as the share of each structure in each pixel of the common grid (K, *grid)."""
    size = (GRID[labels.ndim],) * labels.ndim
    parts = np.stack([labels == k for k in range(1, structures + 1)]).astype(np.float32)
    return F.interpolate(torch.from_numpy(parts)[None], size, mode="area")[0]


def otsu(image: np.ndarray) -> np.ndarray:
    """The smaller of the two parts of an image (C, *size), of bool: its mean over channels cut where they differ most.

    t maximises w_0 w_1 (m_0 - m_1)^2 over 256 bins, w the shares of both parts, m their means. Otsu, IEEE TSMC 9 (1979).
    """
    grey = image.mean(0)
    count, edges = np.histogram(grey, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    w, m = np.cumsum(count)[:-1], np.cumsum(count * middle)[:-1]
    n, whole = count.sum(), (count * middle).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.nan_to_num((whole * w - n * m) ** 2 / (w * (n - w)))
    bright = np.asarray(grey >= edges[1:][between.argmax()])
    return bright if bright.mean() <= 0.5 else ~bright


def baseline(masks: Masks, rows: Rows) -> dict[str, Callable[[Rows], list[Segmented]]]:
    """prior_map; of one structure in 2D also otsu."""
    prior = PriorMap.learn(rows, masks)
    out: dict[str, Callable[[Rows], list[Segmented]]] = {
        "prior_map": lambda new: [answered(masks, prior.answer(tuple(r["x"].read().shape[1:]))) for r in new]
    }
    if len(masks.names) == 1 and prior.share.ndim == 3:
        out["otsu"] = lambda new: [answered(masks, otsu(r["x"].read()).astype(np.uint8)) for r in new]
    return out


def answered(masks: Masks, labels: np.ndarray) -> Segmented:
    """Labels as an answer; where things are told apart each connected part but specks is one, all equally sure."""
    if not masks.instances:
        return Segmented(labels)
    from scipy import ndimage

    found = things.large(ndimage.label(labels > 0)[0], SPECK)
    return Segmented(labels, found, np.ones(int(found.max(initial=0))))
