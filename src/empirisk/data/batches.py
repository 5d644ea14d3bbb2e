"""Batches: a pure function of (seed, epoch, index), drawn for the whole batch; each process takes its slice."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from empirisk import runtime
from empirisk.data.augment import Augmentation
from empirisk.data.changes import Parameters
from empirisk.data.words import Texts
from empirisk.errors import Wrong
from empirisk.losses import Batch

IN_MEMORY = 2 * 2**30
"""Bytes up to which a split is held as one compact tensor; a fixed rule, so that it changes no rounding."""


def edges(n: int, size: int, least: int) -> list[int]:
    """Where batches begin and end; a last batch of fewer than `least` samples is folded into the one before.

    >>> edges(545, 32, 2)[-2:]
    [512, 545]
    """
    cuts = [*range(0, n, size), n]
    if len(cuts) > 2 and cuts[-1] - cuts[-2] < least:
        del cuts[-2]
    return cuts


class Reading(Dataset[Tensor]):
    """Images read one by one, for workers; what is wrong with one comes back as words, since an exception loses them."""

    def __init__(self, read: Callable[[int], np.ndarray]) -> None:
        self.read = read

    def __getitem__(self, index: int) -> Any:
        try:
            return torch.from_numpy(self.read(index))
        except Wrong as wrong:
            return vars(wrong)


class Pixels:
    """The x of some rows: one compact tensor where it fits, else read batch by batch."""

    def __init__(
        self, read: Callable[[int], np.ndarray], n: int, *, scale: float, workers: int, memory: int = IN_MEMORY
    ) -> None:
        self.read, self.n, self.scale, self.workers = read, n, scale, workers
        first = read(0)
        self.held: Tensor | None = None
        if workers == 0 and n * first.nbytes <= memory:
            whole = np.empty((n, *first.shape), first.dtype)
            for i in range(n):
                whole[i] = read(i)
            self.held = torch.from_numpy(whole)

    def on(self, device: torch.device) -> "Pixels":
        """The held tensor moves to the device once."""
        if self.held is not None:
            self.held = self.held.to(device)
        return self

    def take(self, index: Tensor, device: torch.device) -> Tensor:
        """Float x in image units, (n, C, *size)."""
        if self.held is not None:
            return self.scaled(self.held.index_select(0, index.to(self.held.device)))
        return self.scaled(torch.stack([torch.from_numpy(self.read(int(i))) for i in index]).to(device))

    def scaled(self, x: Tensor) -> Tensor:
        """Integers to [0, 1]; floats as they are."""
        return x if self.scale == 1 and x.dtype == torch.float32 else x.float().div_(self.scale)

    def stream(self, indices: Sequence[Tensor], device: torch.device) -> Iterator[Tensor]:
        """x of each index list in order, decoded by workers where there are some."""
        if self.workers == 0:
            yield from (self.take(i, device) for i in indices)
            return

        def begun(worker: int) -> None:  # Ctrl-C goes to every process of the terminal; it is the first that answers it
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        loader = DataLoader(
            Reading(self.read), batch_sampler=[i.tolist() for i in indices], num_workers=self.workers,
            multiprocessing_context="fork", generator=torch.Generator().manual_seed(0), pin_memory=device.type == "cuda",
            collate_fn=lambda images: next((i for i in images if isinstance(i, dict)), None) or default_collate(images),
            worker_init_fn=begun,
        )  # fmt: skip
        for x in loader:
            if isinstance(x, dict):
                raise Wrong(**x)
            yield self.scaled(x.to(device, non_blocking=True))


Along = Callable[[Augmentation, Any, Parameters], Any]
"""How y moves with x, for one that lies on it: lambda change, mask, p: change.apply_mask(mask, p)."""


class Order:
    """Which rows are in which batch, a function of (seed, epoch, index), and what this process takes of each.

    Raises Wrong (exit 2) where a batch has fewer samples than there are processes.
    """

    def __init__(self, ids: Sequence[str], batch: int, seed: int) -> None:
        self.ids, self.seed = ids, seed
        self.cuts = edges(len(ids), batch, max(2, runtime.world()))
        if min(batch, len(ids)) < runtime.world():
            text = f"a batch of {min(batch, len(ids))} cannot be shared by {runtime.world()} processes"
            raise Wrong(text, remedy="give a larger --batch, or fewer --processes")

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __call__(self, epoch: int) -> Tensor:
        """A permutation of the rows, a function of (seed, epoch)."""
        return torch.randperm(len(self.ids), generator=self.generator(epoch, 0))

    def generator(self, epoch: int, index: int) -> torch.Generator:
        """What batch `index` - 1 draws from; the order itself is drawn from 0."""
        return torch.Generator().manual_seed(hash((self.seed, epoch, index)) & 0x7FFF_FFFF_FFFF_FFFF)

    def names(self, epoch: int, index: int) -> list[str]:
        """The rows of one batch, for a message."""
        return [self.ids[int(i)] for i in self(epoch)[self.cuts[index] : self.cuts[index + 1]]]

    def batches(self, epoch: int, start: int) -> list[tuple[int, Tensor, int, slice]]:
        """Of each batch from the given one on: its number, this process's rows, how many all have, which of them these are."""
        order, out = self(epoch), []
        for i in range(start, len(self)):
            whole = order[self.cuts[i] : self.cuts[i + 1]]
            out.append((i, whole[part := share(len(whole))], len(whole), part))
        return out


class Stream:
    """Training batches of an epoch, this process's share, augmented on the device."""

    def __init__(
        self, x: Pixels | Texts, y: Any, ids: Sequence[str], *, batch: int, seed: int, change: Augmentation | None,
        device: torch.device, along: Along | None = None,
    ) -> None:  # fmt: skip
        self.x, self.y, self.order = x.on(device), runtime.to(y, device), Order(ids, batch, seed)
        self.change, self.along, self.device, self.names = change, along, device, self.order.names

    def __len__(self) -> int:
        return len(self.order)

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the given one on."""
        batches = self.order.batches(epoch, start)
        xs = self.x.stream([index for _, index, *_ in batches], self.device)
        for x, (i, index, n, part) in zip(xs, batches, strict=True):
            y = pick(self.y, index)
            if self.change is not None:
                parameters = self.change.draw(self.order.generator(epoch, i + 1), n)[part]
                x, y = changed(x, y, self.change, self.along, parameters)
            yield x, y


def changed(x: Any, y: Any, change: Augmentation, along: Along | None, parameters: Parameters) -> Batch:
    """x augmented, and y moved along with it."""
    return change.apply(x, parameters), along(change, y, parameters) if along else y


def share(n: int) -> slice:
    """This process's slice of a batch of n."""
    rank, world = runtime.rank(), runtime.world()
    return slice(n * rank // world, n * (rank + 1) // world)


def pick(y: Any, index: Tensor) -> Any:
    """Rows of nested tensors."""
    if isinstance(y, (tuple, list)):
        return type(y)(pick(v, index) for v in y)
    return y.index_select(0, index.to(y.device)) if isinstance(y, Tensor) else y
