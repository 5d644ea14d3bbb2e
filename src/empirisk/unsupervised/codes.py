"""From a row to a short vector: what is clustered, and what densities are of."""

from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.table import Data, Rows
from empirisk.data.unlabelled import Count
from empirisk.errors import Wrong, listed
from empirisk.losses import Batch
from empirisk.models.layers import standardised
from empirisk.unsupervised.pca import PCA

SIDE = {2: 32, 3: 16}
"""Most pixels a side of the small images, by dimensions."""
USUAL = 20
"""Numbers of a code, where images or an encoder give more."""
DEPENDENT = 1e-7
"""Least eigenvalue of a correlation matrix below which one column follows from the others."""


class Small(nn.Module):
    """A row by itself: of images area means on at most 32 pixels a side (3D: 16), of vectors all numbers; standardised.

    With `alone` each image is brought to mean 0 and deviation 1, else every channel by mean and deviation of the training rows.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, card: Card, *, alone: bool) -> None:
        super().__init__()
        self.size, self.alone = tuple(min(s, SIDE[card.dims]) for s in card.size), alone and card.dims > 0
        self.register_buffer("mean", torch.tensor(card.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(card.std, dtype=torch.float32))

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, C prod small)."""
        x = F.interpolate(x, self.size, mode="area") if self.size and x.shape[2:] != self.size else x
        if self.alone:
            x = x.flatten(1)
            return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True).clamp_min(1e-6)
        return standardised(x, self.mean, self.std).flatten(1)


class Codes(nn.Module):
    """z = (PCA(see(x)) - mu) / s: what `see` embeds, its k leading components, in one common unit, the root of their mean variance.

    `see` is a module with `embed(x) -> (n, D)`, frozen: `Small`, or the net of another run. With `k` None components are left
    out. Its buffers are filled by `fill`.
    """

    mu: Tensor
    s: Tensor

    def __init__(self, see: nn.Module, numbers: int, *, k: int | None) -> None:
        super().__init__()
        self.see = see.requires_grad_(False).eval()
        self.pca = None if k is None else PCA((numbers,), codes=k)
        self.length = k or numbers
        self.register_buffer("mu", torch.zeros(self.length))
        self.register_buffer("s", torch.ones(()))

    def train(self, mode: bool = True) -> Self:
        """As ever, but what was taught elsewhere stays as it is."""
        super().train(mode)
        self.see.eval()
        return self

    def look(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D)."""
        out: Tensor = self.see.embed(x)  # type: ignore[operator]
        return out

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> z (n, k), in the type of x at any precision."""
        with torch.autocast(x.device.type, enabled=False):
            z = self.look(x)
            return ((z if self.pca is None else self.pca.embed(z)) - self.mu) / self.s

    @torch.no_grad()
    def fill(self, images: Iterable[Tensor], names: Sequence[str] = ()) -> None:
        """Fill the buffers from the training rows, batch by batch; `names` are those of the columns.

        `Wrong` (exit 2): what `PCA.fill` and `refuse_dependent` refuse.
        """
        seen = torch.cat([self.look(x) for x in images])
        if self.pca is not None:
            self.pca.fill(seen)
            seen = self.pca.embed(seen)
        refuse_dependent(seen.double().cpu().numpy(), names)
        self.mu.copy_(seen.mean(0))
        self.s.copy_(seen.var(0, correction=0).mean().sqrt())


class Coded(nn.Module):
    """A model of codes: head(z(x)). `head` says what z is like: to which group it belongs, or log p(z)."""

    def __init__(self, codes: Codes, head: nn.Module) -> None:
        super().__init__()
        self.codes, self.head = codes, head

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> z (n, k)."""
        return self.codes.embed(x)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> what the head says of z, in the type of x at any precision."""
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.head(self.embed(x))
        return out


def refuse_dependent(z: np.ndarray, names: Sequence[str] = ()) -> None:
    """Refuse rows z (N, D) of which a column is constant or follows from the others: `Wrong` (exit 2), naming it.

    There no density is finite, and a distance counts the same thing twice.
    """
    n, D = z.shape
    named = [str(name) for name in names] if len(names) == D else [f"number {j + 1} of the code" for j in range(D)]
    if n <= D:
        raise Wrong(f"{n} training rows of {D} numbers each", remedy=f"give more rows, or --codes below {n}")
    sd = z.std(0)
    if constant := [name for name, s in zip(named, sd, strict=True) if s <= 1e-6 * max(sd.max(), 1e-6)]:
        remedy = "leave it out" if len(names) == D else f"give --codes {D - len(constant)}"
        raise Wrong(f"{listed(constant, 4)}: the same in all training rows", remedy=remedy)
    if D == 1:
        return
    values, axes = np.linalg.eigh(np.corrcoef(z.T))
    if values[0] < DEPENDENT:
        part = [named[j] for j in np.argsort(-np.abs(axes[:, 0]))[:4] if abs(axes[j, 0]) > 0.1]
        what = f"{listed(part, 4)}: one follows from the others"
        raise Wrong(what, remedy="leave one of them out, or give a shorter --codes")


class Coding:
    """How the rows of an experiment become codes, before its model is filled and afterwards.

    `see` is another run's frozen net, and `load` what fills it; without it images are seen as `Small`. A code has the `given`
    length, by default 20 and at most a fifth of the training rows; vectors are taken whole. `Wrong` (exit 2): a length below 1 or
    above what is seen, `standardise` for what is no image.
    """

    def __init__(
        self, data: Data, see: nn.Module | None = None, load: Callable[[nn.Module], None] | None = None, *, given: int | None,
        standardise: bool | None,
    ) -> None:  # fmt: skip
        card = data.card()
        if standardise is not None and (see is not None or not card.dims):
            what = "of vectors" if see is None else "beside --encoder"
            raise Wrong(f"--standardise {what}: it is for images", remedy="leave it out")
        if given is not None and given < 1:
            raise Wrong(f"--codes is {given}", remedy="it must be 1 or above")
        alone = card.channels == 1 if standardise is None else standardise
        whole = see is None and not card.dims
        see = Small(card, alone=alone) if see is None else see
        with torch.no_grad():
            numbers = see.eval().embed(torch.zeros(2, card.channels, *card.size)).shape[1]  # type: ignore[operator]
        usual = max(1, min(USUAL, data.learn(Count).rows // 5))
        k = given or (usual if usual < numbers and not whole else None)
        self.data, self.load, self.names = data, load, card.inputs if k is None else ()
        self.codes = Codes(see, numbers, k=k)

    @torch.no_grad()
    def begin(self, model: nn.Module) -> None:
        """Fill the codes of a `Coded`, or codes alone, from the training rows."""
        codes = model.codes if isinstance(model, Coded) else model
        assert isinstance(codes, Codes)
        if self.load is not None:
            self.load(codes.see)
        codes.fill((x for x, _ in self.data.batches("train", 256, codes.mu.device)), self.names)

    def early(self, rows: Rows) -> np.ndarray:
        """z (N, k) of rows before the model is filled: what is learned from codes, such as how many groups they have."""
        self.begin(self.codes)
        return self(rows)

    @torch.no_grad()
    def __call__(self, rows: Rows) -> np.ndarray:
        """z (N, k) of rows, float64, by the codes as they are."""
        device = self.codes.mu.device
        return torch.cat([self.codes.embed(x).cpu() for x in self.data.chunks(rows, device)]).double().numpy()


@torch.no_grad()
def solve(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Fill the head of a `Coded` from the codes of training batches."""
    assert isinstance(model, Coded)
    model.head.fill(torch.cat([model.embed(x) for x, _ in batches]))  # type: ignore[operator]
