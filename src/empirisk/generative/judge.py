"""Who judges new images: an encoder that is taught on training rows by a fixed recipe, and real images that teach nothing."""

import hashlib
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk import erm
from empirisk.data.card import Card
from empirisk.data.rows import Rows
from empirisk.data.splits import group
from empirisk.data.table import Data
from empirisk.errors import Wrong
from empirisk.losses import Batch
from empirisk.models.layers import Layers, Standardised, mean_pool
from empirisk.models.unet import Encoder
from empirisk.recipe import Recipe
from empirisk.unsupervised.pca import PCA
from empirisk.unsupervised.strange import evenly, turns

APART, IMAGES, MOST = 20, 2000, 5000
"""Training rows kept apart at least, new images judged at least, and training rows that are remembered at most."""
STEPS, BATCH, RATE, WIDTH, CODES = 300, 64, 2e-3, 16, 64
"""Of the encoder, whose last maps are 4 WIDTH, and most of the components by which neighbours are found."""


@dataclass(frozen=True)
class Protocol:
    """How many new images a row brings, so that the validation rows together bring 2,000, and how many real ones there are."""

    each: int
    reference: int
    "kept apart"
    train: int

    @property
    def features(self) -> int:
        """By which images are compared: a quarter as many as there are real images, so that their covariance is known; at most 64."""
        return max(2, min(4 * WIDTH, self.reference // 4))

    @classmethod
    def learn(cls, rows: Rows, data: Data) -> Self:
        """Of training rows; raises Wrong (exit 2) where those of validation are not `enough`."""
        found = cls(math.ceil(IMAGES / len(data.rows("val"))), len(data.kept_apart()), len(rows))
        enough(data.rows("val"), found.each, found.features)
        return found


def enough(rows: Rows, each: int, features: int) -> None:
    """Refuse rows that with `each` new images bring no more of them than there are features, or are of one patient: `Wrong` (exit 2)."""
    least, who = max(2, math.ceil((features + 1) / each)), len({group(r) for r in rows})
    if len(rows) < least or who < 2:
        needs = f"{least} images that bring {each} new ones each, of 2 patients or more"
        what = f"the Fréchet distance of {features} features needs {needs}: here are {len(rows)}, of {who}"
        raise Wrong(what, remedy=f"give {least} images or more")


class Judge(nn.Module):
    """`embed` (n, C, *size) -> features (n, D), by which new images are compared with `reference` (R, D), real ones kept apart.

    The encoder tells the classes of training rows, or where there are none the four turns of an image, from the mean of its last
    maps, in deviations of those of training rows; where few images are kept apart, the first D principal components of these, in
    their deviations. `codes` (M, K) of the training rows and `apart` (R, K) are principal components of the pixels, in which nearest
    neighbours are looked for. All is filled by `teach`, and frozen.
    """

    reference: Tensor
    middle: Tensor
    scale: Tensor
    axes: Tensor
    codes: Tensor
    apart: Tensor

    def __init__(self, card: Card, classes: int, protocol: Protocol) -> None:
        super().__init__()
        self.classes, features = classes, 4 * WIDTH
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # whatever the seed of the run
            encoder = Encoder(
                card.channels, Layers(card.dims, norm="group", activation="silu"), strides=(1, 2, 2), width=WIDTH
            )
            head = nn.Linear(features, classes or 4)
        self.net = Standardised(nn.ModuleDict({"encoder": encoder, "head": head}), card.mean, card.std)
        rows, shape = min(protocol.train, MOST), (card.channels, *card.size)
        self.pca = PCA(shape, codes=min(CODES, max(1, rows // 4), math.prod(shape)))
        numbers = len(self.pca.W)
        for name, size in (
            ("reference", (protocol.reference, protocol.features)), ("middle", (features,)), ("scale", (features,)),
            ("axes", (features, protocol.features)), ("codes", (rows, numbers)), ("apart", (protocol.reference, numbers)),
        ):  # fmt: skip
            self.register_buffer(name, torch.zeros(size))
        self.requires_grad_(False)

    def maps(self, z: Tensor) -> Tensor:
        """Standardised images (n, C, *size) -> features (n, D), before they are scaled."""
        return mean_pool(self.net.net["encoder"].features(z)[-1])  # type: ignore[index]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) in image units -> features (n, D)."""
        return (self.maps(self.net.standardise(x)) - self.middle) / self.scale @ self.axes

    def components(self, x: Tensor) -> Tensor:
        """(n, C, *size) in image units -> principal components of the pixels (n, K)."""
        return self.pca.embed(self.net.standardise(x))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The terms [n] of -log p(class | x), 0 where it is unknown; without classes -log p(turn | turned x)."""
        z, y = self.net.standardise(batch[0]), batch[1]
        if not self.classes:
            z, y = turns(z)
        logits: Tensor = self.net.net["head"](self.maps(z))  # type: ignore[index]
        return F.cross_entropy(logits.float(), y, ignore_index=-1, reduction="none")

    def teach(self, data: Data) -> None:
        """Fill all from the training rows of `data` and those that it keeps apart, by a fixed recipe."""
        device = self.middle.device
        batch = BATCH if self.classes else BATCH // 4  # four turns of each
        stream = data.stream(batch=min(batch, len(data.rows("train"))), seed=0, device=device)
        self.net.net.requires_grad_(True)
        player = erm.Player(self.loss, moves=lambda model: self.net.net, name="encoder")
        erm.fit(
            self, stream, [player], recipe=Recipe(ema=0), lr=RATE, steps=STEPS, evaluate=lambda model: {}, watch=None,
            device=device,
        )  # fmt: skip
        self.requires_grad_(False)
        with torch.no_grad():
            self.remember(
                torch.cat([x for x, _ in data.batches("train", 256, device)]), data.x(data.kept_apart()).to(device)
            )

    def remember(self, x: Tensor, apart: Tensor) -> None:
        """The images of the training rows (N, C, *size) and those kept apart (R, C, *size), as features and components."""
        x = x[evenly(len(x), MOST).to(x.device)]
        features = torch.cat([self.maps(self.net.standardise(some)) for some in torch.split(x, 256)])
        self.middle.copy_(features.mean(0))
        self.scale.copy_(features.std(0).clamp_min(1e-6))
        self.axes.copy_(leading((features - self.middle) / self.scale, self.axes.shape[1]))
        self.pca.fill(self.net.standardise(x))
        self.codes.copy_(self.components(x))
        self.reference.copy_(self.embed(apart))
        self.apart.copy_(self.components(apart))

    @property
    def name(self) -> str:
        """Of the protocol: numbers measured by another encoder are not compared with these."""
        state = self.net.state_dict() | {"reference": self.reference}
        digest = hashlib.sha256(b"".join(t.cpu().numpy().tobytes() for t in state.values())).hexdigest()
        return "{} real images kept apart, {} features, encoder {}".format(*self.reference.shape, digest[:8])

    @torch.no_grad()
    def seen(self, x: np.ndarray, range_: float) -> tuple[np.ndarray, np.ndarray]:
        """Images (n, C, *size) in their compact type -> features (n, D) and components (n, K), float64."""
        found = list[tuple[Tensor, Tensor]]()
        for some in torch.split(torch.from_numpy(x), 256):
            images = some.to(self.middle.device).float() / range_
            found.append((self.embed(images), self.components(images)))
        z, codes = (torch.cat(part).double().cpu().numpy() for part in zip(*found, strict=True))
        return z, codes

    def nearest(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Components (n, K) -> how far the nearest training row is (n,), and which of the remembered it is (n,)."""
        known, found = self.codes.double().cpu(), list[tuple[Tensor, Tensor]]()
        for some in torch.split(torch.from_numpy(codes), 512):
            distance, which = torch.cdist(some, known).min(1)
            found.append((distance, which))
        distance, which = (torch.cat(part) for part in zip(*found, strict=True))
        return distance.numpy(), which.numpy()


def leading(z: Tensor, most: int) -> Tensor:
    """The directions (D, most) in which features (N, D) of mean 0 vary most, each over its deviation; all as they are where D = most."""
    if z.shape[1] == most:
        return torch.eye(most).to(z)
    covariance = (z.T @ z).double().cpu() / len(z)
    variance, directions = torch.linalg.eigh(covariance)  # the least first
    found: Tensor = (directions / variance.clamp_min(1e-6).sqrt())[:, -most:]
    return found.flip(1).to(z)
