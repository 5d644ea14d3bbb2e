"""Small games for the tests of the engine: each is a stream, a model and its players, fitted by `play`.

Run as a program it is one of the processes that train together: every game is played, and what came of it written to a file.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=1234 python games.py FOLDER
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from empirisk import erm, models, runtime
from empirisk.data.augment import augmentation
from empirisk.data.batches import Pixels, Stream, edges, pick, share
from empirisk.errors import Wrong
from empirisk.recipe import Recipe


class Rows:
    """Rows of tensors in an order that each epoch draws, each process its share; no images, so any dtype."""

    def __init__(self, x: Any, y: Any, batch: int) -> None:
        self.x, self.y, self.n = x, y, len(y)
        self.cuts = edges(self.n, batch, max(2, runtime.world()))

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def order(self, epoch: int) -> Tensor:
        return torch.randperm(self.n, generator=torch.Generator().manual_seed(epoch))

    def names(self, epoch: int, index: int) -> list[str]:
        return [f"row-{int(i)}" for i in self.order(epoch)[self.cuts[index] : self.cuts[index + 1]]]

    def __call__(self, epoch: int, start: int = 0) -> Iterator[Any]:
        order = self.order(epoch)
        for low, high in list(zip(self.cuts, self.cuts[1:], strict=False))[start:]:
            mine = order[low:high][share(high - low)]
            yield pick(self.x, mine), pick(self.y, mine)


def drawn(*size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


def net(norm: bool = False) -> nn.Module:
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(7)] if norm else []
    return nn.Sequential(nn.Linear(4, 7), *middle, nn.Tanh(), nn.Linear(7, 3)).double()


def cross_entropy(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


def of_tokens(model: nn.Module, batch: Any) -> Tensor:
    """As many terms a sample as its label says: the number of terms differs from batch to batch."""
    terms = cross_entropy(model, batch)
    return terms.repeat_interleave(batch[1])


class Gan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.G = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 4)).double()
        self.D = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def critic(gan: nn.Module, batch: Any) -> Tensor:
    """Wasserstein with a gradient penalty: a double backward."""
    x, z, e = batch[0]
    fake = gan.G(z).detach()
    between = (e * x + (1 - e) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(gan.D(between).sum(), between, create_graph=True)
    return (gan.D(fake) - gan.D(x)).flatten() + 10 * (slope.norm(dim=1) - 1) ** 2


def generator(gan: nn.Module, batch: Any) -> Tensor:
    return -gan.D(gan.G(batch[0][1])).flatten()


def pictures(workers: int = 0, batch: int = 8, change: str = "flip,affine,noise", n: int = 27) -> Stream:
    x = np.random.default_rng(0).integers(0, 256, (n, 1, 16, 16)).astype(np.uint8)
    pixels = Pixels(lambda i: x[i], n, scale=255, workers=workers)
    return Stream(
        pixels, torch.arange(n) % 3, [f"p/{i}" for i in range(n)], batch=batch, seed=3,
        change=augmentation(change, 2), device=torch.device("cpu"),
    )  # fmt: skip


def small_resnet(norm: str = "group") -> nn.Module:
    torch.manual_seed(0)
    return models.build("resnet18", channels=1, classes=3, dims=2, size=(16, 16), width=4, norm=norm)


@dataclass
class Game:
    """What `fit` is given; `play` plays it."""

    model: Callable[[], nn.Module] = net
    players: list[erm.Player] = field(default_factory=lambda: [erm.Player(cross_entropy)])
    stream: Callable[[], Any] = lambda: Rows(drawn(13, 4), torch.arange(13) % 3, 5)
    recipe: dict[str, Any] = field(default_factory=dict)
    lr: float = 0.05
    steps: int = 8

    def play(self, **options: Any) -> tuple[nn.Module, erm.Fitted]:
        changes = options.pop("recipe", {})
        model, stream = self.model(), options.pop("stream", None) or self.stream()
        options.setdefault("evaluate", lambda model: {"val": erm.risk(model, stream(0), self.players[0].loss)})
        fitted = erm.fit(
            model, stream, self.players, recipe=Recipe(**(PLAIN | self.recipe | changes)), lr=self.lr,
            steps=self.steps, **options,
        )  # fmt: skip
        return model, fitted


PLAIN = {"schedule": "cosine", "weight_decay": 0.01, "ema": 0.0}
"A recipe of its own, so that new defaults change no test."


def mean(loss: Any) -> Any:
    return lambda model, batch: loss(model, batch).mean()


TWO = [erm.Player(critic, lambda m: m.D, "D", clip=1.0), erm.Player(generator, lambda m: m.G, "G", every=2)]
GAMES = {
    "vector": Game(),
    "scalar": Game(players=[erm.Player(mean(cross_entropy))]),
    "tokens": Game(players=[erm.Player(of_tokens)]),
    "average, clip": Game(recipe={"ema": 0.9, "clip": 0.1, "optimizer": "momentum"}),
    "two players": Game(
        Gan, TWO, lambda: Rows((drawn(13, 4), drawn(13, 2, seed=1), drawn(13, 1, seed=2)), torch.zeros(13), 5), lr=0.01
    ),
    "group norm": Game(
        small_resnet, stream=lambda: pictures(change="flip,affine"), recipe={"optimizer": "momentum"}, lr=1e-2
    ),  # with noise a unit lies on the kink of its ReLU, where rounding decides
    "batch norm": Game(lambda: net(norm=True), stream=lambda: Rows(drawn(14, 4), torch.arange(14) % 3, 5)),
    "batch norm, one step": Game(
        lambda: net(norm=True), stream=lambda: Rows(drawn(14, 4), torch.arange(14) % 3, 5), steps=1
    ),
}


def said(fitted: erm.Fitted) -> list[dict[str, Any]]:
    """Its rows without what the clock says."""
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in fitted.rows]


CLOCK = {"seconds", "images_per_second", "memory_gib"}


def half_reached(model: nn.Module, batch: Any) -> Tensor:
    """Process 0 reaches the first layer, the others only the last."""
    inner = model[0](batch[0])
    return model[2](torch.tanh(inner if runtime.rank() == 0 else inner.detach())).square().sum(1)


def main(folder: Path) -> None:
    with runtime.together("cpu"):
        rank = runtime.rank()
        heard: dict[str, Any] = {"threads": torch.get_num_threads(), "world": runtime.world(), "rank": rank}
        for name, game in GAMES.items():
            model, fitted = game.play(evaluate=lambda m: {"val": 1.0}, recipe={"accumulate": 1 + (name == "tokens")})
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / f"{name}-{rank}.safetensors")
            heard[name] = said(fitted)
        heard["agree"] = runtime.agree(10.0 + rank)
        heard["gather"] = runtime.gather({"rank": rank})
        # one of the two is asked to stop, both stop after the same step
        asked = runtime.Signals()
        stopped = GAMES["vector"].play(
            signals=asked, tell=lambda run: setattr(asked, "code", 130 * (rank == 1 and run.step == 2))
        )
        heard["stopped"] = stopped[1].step, stopped[1].stopped
        # gradients of two precisions in one message, one of them missing here
        a, b = nn.Parameter(torch.zeros(2, dtype=torch.bfloat16)), nn.Parameter(torch.zeros(2))
        a.grad = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
        b.grad = None if rank else torch.tensor([1e-4, 1.0 + 1e-6])
        statistic = torch.tensor([float(rank)])
        total, n, stop = runtime.all_reduce([a, b], [statistic], torch.tensor(1.5), 1000 + rank, rank == 1)
        heard["all_reduce"] = [a.grad.tolist(), b.grad.tolist(), statistic.tolist(), float(total), float(n), bool(stop)]
        Game(net, [erm.Player(half_reached)]).play()  # reached somewhere: fine
        try:
            pictures(batch=1)
        except Wrong as wrong:
            heard["too small"] = str(wrong)
        heard["steps"] = erm.steps_within(
            0.5, net(), Rows(drawn(13, 4), torch.arange(13) % 3, 5), [erm.Player(cross_entropy)], recipe=Recipe(), lr=0.1,
            evaluate=lambda m: {}, precision="float32", device=torch.device("cpu"),
        )  # fmt: skip
        (folder / f"heard-{rank}.json").write_text(json.dumps(heard))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)  # as the command line does: gloo's threads may abort an interpreter that is going away (pytorch#179291)
