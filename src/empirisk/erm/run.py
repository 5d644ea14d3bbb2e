"""Everything the next step depends on, its checkpoint, and the epoch that is kept."""

import contextlib
import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from empirisk import files, optimization, runtime
from empirisk.erm.players import Batches, Player, Seat
from empirisk.errors import RUN, Wrong, listed
from empirisk.folder.checkpoints import Checkpoints
from empirisk.optimization import Average
from empirisk.recipe import Recipe

COUNTERS = ("step", "samples", "seconds", "rows", "why")
SMALLER = "try a smaller --lr, --clip 1, or --precision float32"


@dataclass
class EarlyStopping:
    """Keep the epoch of least `metric`; stop once it has not fallen for `patience` epochs (None: never)."""

    metric: str | None = "val"
    patience: int | None = None
    best: float = math.inf
    epoch: int = -1
    kept: dict[str, Tensor] = field(default_factory=dict)

    def update(self, row: dict[str, Any], model: nn.Module) -> bool:
        """Look at an epoch; True: stop. Without a metric the last epoch is kept."""
        if self.metric is None or row[self.metric] < self.best:
            self.best = row[self.metric] if self.metric else self.best
            self.epoch = int(row["epoch"])
            self.kept = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in model.state_dict().items()}
        return self.patience is not None and row["epoch"] - self.epoch >= self.patience


class Run:
    """Everything the next step depends on, and its checkpoint."""

    def __init__(
        self, model: nn.Module, batches: Batches, players: list[Player], recipe: Recipe, lr: float, precision: str,
        device: torch.device, stop: EarlyStopping | None = None, checkpoints: Checkpoints | None = None,
    ) -> None:  # fmt: skip
        self.model, self.batches, self.recipe, self.device = model, batches, recipe, device
        self.dtype = runtime.DTYPES[precision]
        runtime.spread(model.train())
        self.statistics = runtime.running_statistics(model)
        self.seats = [Seat(p, model, recipe, lr) for p in players]
        self.average = Average(model, recipe.ema, sparse=recipe.l1 > 0) if recipe.ema else None
        fp16 = self.dtype is torch.float16
        self.scaler = torch.amp.GradScaler(device.type, init_scale=2.0**10, enabled=fp16)  # of a sum
        self.schedule = optimization.schedule(recipe.schedule)
        self.step, self.samples, self.seconds, self.rows, self.why = 0, 0, 0.0, list[dict[str, Any]](), ""
        self.stop = stop or EarlyStopping(None)
        self.wish: bool | Tensor = False
        self.checkpoints, self.saved, self.cost = checkpoints, time.monotonic(), 0.0

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Lower precision for the loss, if any."""
        return torch.autocast(self.device.type, self.dtype) if self.dtype else contextlib.nullcontext()

    def judged(self) -> nn.Module:
        """The weights that count: the average where there is one."""
        return self.average.module if self.average else self.model

    def asked_to_stop(self) -> bool:
        """Whether a process has got a signal. The wish may lie on a GPU, and looking waits for it: every tenth step only."""
        on_gpu = isinstance(self.wish, Tensor) and self.wish.is_cuda
        return not (on_gpu and self.step % 10) and bool(self.wish)

    def check_finite(self) -> None:
        """A loss that is not finite ends the run: the first move that had one is named, the best epoch so far is saved."""
        epoch = (self.step - 1) // len(self.batches)
        start, bad = epoch * len(self.batches), list[tuple[int, int, str]]()
        for i, seat in enumerate(self.seats):
            found, every = seat.not_finite(), seat.player.every
            if found is not None:  # a player of `every` 2 moves at steps 0, 2, 4 of the run
                bad.append((-(-start // every) * every + found[0] * every, i, found[1]))
        if not bad:
            return
        step, i, what = min(bad)
        seat = self.seats[i]
        norms = [p.grad.norm() for p in seat.parameters if p.grad is not None] or [torch.tensor(math.nan)]
        norm = torch.stack(norms).norm()
        self.rescue()
        raise Wrong(
            f"the {what} of player {seat.player.name!r} is not finite at step {step} "
            f"(epoch {epoch}; norm of the last gradient {float(norm):.3g})",
            where=f"samples {listed(self.batches.names(epoch, step - start), 8)}",
            remedy=f"{SMALLER}; look at these samples with `empirisk data`", code=RUN, reason="divergence",
        )  # fmt: skip

    def due(self, seconds: float = 0.0) -> bool:
        """Whether to save: `seconds` have passed, and saving has cost less than 5 % of the time.

        The clock decides only when: a resumed run is the same whichever checkpoint it finds.
        """
        since = runtime.agree(time.monotonic() - self.saved - 20 * self.cost)
        return self.checkpoints is not None and since >= seconds

    def save(self) -> None:
        """Whole or not at all; replicas are equal, so rank 0 writes its own, and what each rank's stream carries."""
        start = time.monotonic()
        carried = self.batches.state_dict() if hasattr(self.batches, "state_dict") else None
        state = {
            "counters": {k: getattr(self, k) for k in COUNTERS},
            "model": self.model.state_dict(),
            "average": {"module": self.average.module.state_dict(), "n": self.average.n} if self.average else None,
            "seats": [seat.state() for seat in self.seats],
            "scaler": self.scaler.state_dict(),
            "carried": runtime.gather(carried) if carried is not None else None,
        }
        self.write(self.step, state)
        runtime.wait()
        self.saved, self.cost = time.monotonic(), time.monotonic() - start

    def write(self, step: int, state: dict[str, Any]) -> None:
        """The state, and the best epoch beside it; rank 0 alone."""
        best = self.stop.best if math.isfinite(self.stop.best) else None
        state = state | {"stop": {"best": best, "epoch": self.stop.epoch}}
        if self.checkpoints is not None and runtime.rank() == 0:
            kept = {"kept": self.stop.kept} if self.stop.kept else {}
            self.checkpoints.save(step, state, shared=kept, world=runtime.world())

    def rescue(self) -> None:
        """Put a best epoch that is newer than the last checkpoint into it. Going on from there comes to the same."""
        found = self.checkpoints.load("cpu") if self.checkpoints is not None and runtime.rank() == 0 else None
        if found is not None and self.stop.epoch > found[1]["stop"]["epoch"]:
            self.write(found[0], {k: v for k, v in found[1].items() if k != "kept"})
        runtime.wait()

    def resume(self) -> None:
        """Go on from the newest checkpoint that verifies, if there is one."""
        found = self.checkpoints.load(self.device) if self.checkpoints is not None else None
        if found is None:
            return
        state = found[1]
        with files.guarded("the state in the checkpoint", remedy="it is of another model", code=RUN):
            self.step, self.samples, self.seconds, self.rows, self.why = (state["counters"][k] for k in COUNTERS)
            self.model.load_state_dict(state["model"])
            if self.average:
                self.average.module.load_state_dict(state["average"]["module"])
                self.average.n = state["average"]["n"]
            for seat, saved in zip(self.seats, state["seats"], strict=True):
                seat.load(saved)
            self.scaler.load_state_dict(state["scaler"])
            carried = state["carried"]
            if carried is not None and len(carried) == runtime.world():  # else it starts from nothing
                self.batches.load_state_dict(carried[runtime.rank()])  # type: ignore[attr-defined]
            best = state["stop"]["best"]
            self.stop.best, self.stop.epoch = math.inf if best is None else best, state["stop"]["epoch"]
            self.stop.kept = {k: v.cpu() for k, v in state.get("kept", {}).items()}
