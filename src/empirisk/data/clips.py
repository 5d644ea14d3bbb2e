"""Videos in pieces for training, each lane going on where it was: truncated back-propagation with the state carried; whole for an answer."""

import bisect
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from empirisk import runtime
from empirisk.data.batches import IN_MEMORY, share
from empirisk.data.card import Card
from empirisk.data.phases import Phases
from empirisk.data.rows import Rows, naming
from empirisk.errors import Wrong
from empirisk.losses import Batch

if TYPE_CHECKING:
    from empirisk.data.table import Data

LEAST = 100  # Steps of an epoch at least: of few videos, it plays all of them several times.
NUMBERS = 2**21  # Of the padded frames that are answered at once, at most; one video goes whole.


class Carry:
    """What goes from piece to piece, S numbers a lane (n, S): the model reads `now` and leaves `next`. A slice writes through."""

    def __init__(self, now: Tensor, following: Tensor) -> None:
        self.now, self.next = now, following

    @classmethod
    def empty(cls, lanes: int, size: int, device: torch.device) -> "Carry":
        """Nothing has been yet."""
        return cls(torch.zeros(lanes, size, device=device), torch.zeros(lanes, size, device=device))

    def __getitem__(self, lanes: slice) -> "Carry":
        return Carry(self.now[lanes], self.next[lanes])


class Play(NamedTuple):
    """A video in a lane: at which step of the run its first piece is, or would have been, and which it is."""

    start: int
    video: int


class Reels:
    """The frames of some rows on the card's grid, held compact as long as memory lasts, in their order; of the others a part is read."""

    def __init__(self, card: Card, kind: Phases, rows: Rows, memory: int = IN_MEMORY) -> None:
        self.card, self.rows = card, rows
        self.elapsed = [kind.elapsed(r) for r in rows]  # (T,) each
        self.lengths = [len(e) for e in self.elapsed]
        self.held: list[np.ndarray] = []
        for i, n in enumerate(self.lengths):
            whole = self._read(i, 0, n)
            memory -= whole.nbytes
            if memory < 0:
                break
            self.held.append(whole)

    def _read(self, i: int, low: int, high: int) -> np.ndarray:
        with naming(self.rows[i]):
            return np.stack([self.card.fit(f) for f in self.rows[i]["x"].part(low, high)])

    def part(self, i: int, low: int, high: int) -> np.ndarray:
        """Frames low to high of row i, (m, *frame)."""
        return self.held[i][low:high] if i < len(self.held) else self._read(i, low, high)

    def padded(self, parts: list[tuple[int, int, int]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (n, L, *frame) in image units, seconds since each video's first frame (n, L), and how many there are (n,).

        Each of the n parts is a row and from which frame to which; what is beyond its end is 0.
        """
        counts = [high - low for _, low, high in parts]
        some = [self.part(*p) for p in parts]
        frames = np.zeros((len(parts), max(counts), *some[0].shape[1:]), some[0].dtype)
        elapsed = np.zeros(frames.shape[:2], np.float32)
        for k, (i, low, high) in enumerate(parts):
            frames[k, : counts[k]], elapsed[k, : counts[k]] = some[k], self.elapsed[i][low:high]
        x = torch.from_numpy(frames).to(device)
        x = x if self.card.range == 1 else x.float().div_(self.card.range)
        return x, torch.from_numpy(elapsed).to(device), torch.tensor(counts, device=device)

    def groups(self, chosen: list[int]) -> Iterator[list[int]]:
        """Rows that are answered together, in their order."""
        some: list[int] = []
        for i in chosen:
            longest = max(self.lengths[k] for k in [*some, i])
            if some and longest * (len(some) + 1) * self.card.channels * max(1, int(np.prod(self.card.size))) > NUMBERS:
                yield some
                some = []
            some.append(i)
        if some:
            yield some


class Lanes:
    """Training batches: B videos side by side, a piece of each at a time; where one ends, the next begins in its lane.

    Videos follow in permutations that the seed draws, and an epoch is as many steps as play all of them `rounds` times on average;
    what a lane holds at a step is a function of (seed, step). Lanes begin apart, not all at the first phase. The state is carried
    through a video, over epochs too, and cleared where one begins. x = (frames, elapsed, lengths, carry), y (n, L), -1 beyond the end.

    Raises Wrong (exit 2) where there are fewer videos than processes.
    """

    def __init__(
        self,
        reels: Reels,
        y: list[np.ndarray],
        *,
        lanes: int,
        piece: int,
        carried: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.reels, self.y, self.piece, self.seed, self.device = reels, y, piece, seed, device
        B = min(lanes, len(y))
        if runtime.world() > B:
            raise Wrong(f"{B} videos cannot be shared by {runtime.world()} processes", remedy="give fewer --processes")
        self.pieces = [-(-n // piece) for n in reels.lengths]
        self.share = share(B)
        self.free = [(0, lane) for lane in range(B)]  # when each lane wants its next video: a heap
        self.plays: list[list[Play]] = [[] for _ in range(B)]
        self.drawn: list[int] = []
        once = sum(self.pieces) / B  # steps
        self.steps = max(1, round(once * max(1, round(LEAST / once))))
        n = len(range(B)[self.share])
        self.carry, self.pending = Carry.empty(n, carried, device), False

    def __len__(self) -> int:
        return self.steps

    def video(self, number: int) -> int:
        """The number-th video that is played, counted over all lanes."""
        while number >= len(self.drawn):
            key = hash((self.seed, len(self.drawn))) & 0x7FFF_FFFF_FFFF_FFFF
            self.drawn += torch.randperm(len(self.y), generator=torch.Generator().manual_seed(key)).tolist()
        return self.drawn[number]

    def playing(self, lane: int, step: int) -> Play:
        """What a lane plays at a step of the run."""
        while self.free[0][0] <= step:
            start, free = heapq.heappop(self.free)
            number = sum(map(len, self.plays))
            video = self.video(number)
            if number < len(self.plays):  # the first of this lane
                start -= self.pieces[video] * free // len(self.plays)
            self.plays[free].append(Play(start, video))
            heapq.heappush(self.free, (start + self.pieces[video], free))
        own = self.plays[lane]
        return own[bisect.bisect_right(own, step, key=lambda p: p.start) - 1]

    def at(self, epoch: int, index: int) -> list[Play]:
        """What all lanes play in a batch."""
        return [self.playing(lane, epoch * self.steps + index) for lane in range(len(self.plays))]

    def names(self, epoch: int, index: int) -> list[str]:
        """The videos of one batch, for a message."""
        return [str(self.reels.rows[p.video]["id"]) for p in self.at(epoch, index)]

    def promote(self) -> None:
        """What the last batch left becomes what the next one reads."""
        if self.pending:
            self.carry.now.copy_(self.carry.next)
            self.pending = False

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from the given one on."""
        for index in range(start, self.steps):
            step, mine = epoch * self.steps + index, self.at(epoch, index)[self.share]
            self.promote()
            begins = [k for k, p in enumerate(mine) if step in {0, p.start}]
            self.carry.now[begins] = 0
            parts = [self.part(p, step) for p in mine]
            x = self.reels.padded(parts, self.device)
            y = torch.full(x[1].shape, -1, dtype=torch.int64)
            for k, (i, low, high) in enumerate(parts):
                y[k, : high - low] = torch.from_numpy(self.y[i][low:high])
            self.pending = True
            yield (*x, self.carry), y.to(self.device)

    def part(self, play: Play, step: int) -> tuple[int, int, int]:
        """The row, and from which frame to which, that a lane shows at a step."""
        low = (step - play.start) * self.piece
        return play.video, low, min(low + self.piece, self.reels.lengths[play.video])

    def state_dict(self) -> dict[str, Tensor]:
        """For the checkpoint: what the next batch reads."""
        self.promote()
        return {"now": self.carry.now.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """From the checkpoint."""
        self.carry.now.copy_(state["now"])
        self.pending = False


@dataclass(frozen=True)
class Clips:
    """The source of videos: in pieces of `piece` frames for training, with `carried` numbers from piece to piece; whole otherwise."""

    kind: Phases
    piece: int
    carried: int
    reels: dict[str, Reels] = field(default_factory=dict, repr=False, compare=False)
    "of train and val, read once"
    unit: str = "video"
    most: int = 2**31

    def of(self, data: "Data", part: str) -> Reels:
        """The frames of train or val."""
        if part not in self.reels:
            self.reels[part] = Reels(data.card(), self.kind, data.rows(part))
        return self.reels[part]

    def stream(self, data: "Data", *, batch: int, seed: int, device: torch.device, workers: int = 0) -> Lanes:
        """Training batches."""
        reels = self.of(data, "train")
        y = [self.kind.encode(r) for r in reels.rows]
        return Lanes(reels, y, lanes=batch, piece=self.piece, carried=self.carried, seed=seed, device=device)

    def chunks(self, data: "Data", rows: Rows, device: torch.device) -> Iterator[Any]:
        """x of these rows in order, some whole videos at a time; their frames are read when it is their turn."""
        for row in rows:
            reels = Reels(data.card(), self.kind, [row])
            yield (*reels.padded([(0, 0, reels.lengths[0])], device), None)

    def batches(
        self, data: "Data", part: str, size: int, device: torch.device, most: int | None = None
    ) -> Iterator[Batch]:
        """Whole rows of train or val in order; with `most` those of `Data.sample`."""
        reels = self.of(data, part)
        for some in reels.groups(data.sample(part, most).tolist()):
            x = reels.padded([(i, 0, reels.lengths[i]) for i in some], device)
            y = torch.full(x[1].shape, -1, dtype=torch.int64)
            for k, i in enumerate(some):
                y[k, : reels.lengths[i]] = torch.from_numpy(self.kind.encode(reels.rows[i]))
            yield (*x, None), y.to(device)

    def pieces(self, data: "Data", row: dict[str, Any], device: torch.device) -> Iterator[Any]:
        """x of one row frame by frame, as it would arrive: one frame is held, and what is carried."""
        carry = Carry.empty(1, self.carried, device)
        card, elapsed = data.card(), self.kind.elapsed(row)
        with naming(row):
            for t, frame in enumerate(row["x"].part(0, len(elapsed))):
                x = torch.from_numpy(card.fit(frame)).to(device)[None, None]  # (1, 1, *frame)
                x = x if card.range == 1 else x.float().div_(card.range)
                yield (
                    x,
                    torch.tensor([[elapsed[t]]], dtype=torch.float32, device=device),
                    torch.ones(1, dtype=torch.int64, device=device),
                    carry,
                )
                carry.now.copy_(carry.next)
