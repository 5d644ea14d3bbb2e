"""Anomalies: nets taught on normal images alone, six scores of how strange an image is, and which of them counts."""

from collections.abc import Iterable
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.losses import Batch
from empirisk.models.layers import standardised
from empirisk.unsupervised.bands import blurred, energies
from empirisk.unsupervised.memory import Mahalanobis, Neighbours

SCORES = {
    "reconstruction": "mean squared error of the autoencoder's image",
    "relative": "the same divided by the image's variance",
    "mahalanobis": "distance of the embedding from the middle of the normal ones",
    "neighbours": "mean distance of the embedding from the five nearest normal ones",
    "patches": "largest distance of a part of the image from the nearest normal parts, as the self-taught net sees them",
    "bands": "mean distance from the five nearest normal images of the local energies of three bands",
}
"""Every score of how strange an image is: the larger the stranger."""
CHANGES = ("blurred", "noisy", "shaded", "pasted")
"""What is done to a part of a normal image to see which score notices."""
PLACES, PATCHES, ROWS, LOCAL, HELD = 14, 4000, 5000, 1000, 300
"""Most places a side; patches and rows remembered; rows whose patches are, and by which the scores are compared."""


class Strange(nn.Module):
    """Six scores of an image x among normal ones, and `trust` (6,), by which the one that counts is chosen.

    `autoencoder` gives an image again; `teller` tells which of four turns was made (Gidaris et al. 2018), its last features
    are the embedding and its maps the patches (Roth et al. 2022), unless `see`, the net of another run, embeds. Normal images
    are remembered by `fill`, which also measures `trust`: the mean AUC by which a score tells held-out normal images from the
    same ones with a part that is blurred, noisy, shaded or pasted in. No abnormal image is looked at.
    """

    mean: Tensor
    std: Tensor
    trust: Tensor

    def __init__(
        self, card: Card, autoencoder: nn.Module, teller: nn.Module, see: nn.Module | None, *, rows: int
    ) -> None:
        super().__init__()
        self.autoencoder, self.teller = autoencoder, teller
        self.see = None if see is None else see.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(card.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(card.std, dtype=torch.float32))
        self.register_buffer("trust", torch.zeros(len(SCORES)))
        self.eval()
        with torch.no_grad():
            _, z, patches, bands = self.features(torch.zeros(2, card.channels, *card.size))
        self.train()
        self.mahalanobis, self.neighbours = Mahalanobis(z.shape[1]), Neighbours(z.shape[1], rows=min(rows, ROWS))
        known = min(PATCHES, min(rows, LOCAL) * patches[0, 0].numel())
        self.patches = Neighbours(patches.shape[1], rows=known)
        self.bands = Neighbours(bands.shape[1], rows=min(rows, ROWS))

    def train(self, mode: bool = True) -> Self:
        """As ever, but the net of another run stays as it is."""
        super().train(mode)
        if self.see is not None:
            self.see.eval()
        return self

    def standardise(self, x: Tensor) -> Tensor:
        """(x - mean) / std per channel."""
        return standardised(x, self.mean, self.std)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(n, C, *size) -> both errors of the image given again (n, 2), embedding (n, D), patches (n, F, *places), bands (n, B)."""
        z = self.standardise(x)
        error = (self.autoencoder(z) - z).square().flatten(1).mean(1)
        variance = z.flatten(1).var(1).clamp_min(1e-6)
        maps = self.teller.features(z)  # type: ignore[operator]
        coarse, pool = maps[1:3], F.adaptive_avg_pool2d if x.ndim == 4 else F.adaptive_avg_pool3d
        places = tuple(min(PLACES, s) for s in coarse[0].shape[2:])
        patches = torch.cat([pool(F.interpolate(m, coarse[0].shape[2:]), places) for m in coarse], 1)
        embedding = self.see.embed(x) if self.see is not None else maps[-1].flatten(2).mean(2)  # type: ignore[operator]
        return torch.stack([error, error / variance], 1), embedding.float(), patches.float(), energies(x)

    def apart(self, patches: Tensor) -> Tensor:
        """Patches (n, F, *places) -> how far each is from the remembered ones, (n, *places)."""
        n, places = len(patches), patches.shape[2:]
        each = patches.flatten(2).transpose(1, 2).flatten(0, 1)  # (n, F, *places) -> (n places, F)
        out: Tensor = self.patches(each).reshape(n, *places)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> the scores (n, 6) in the order of `SCORES`."""
        errors, z, patches, bands = self.features(x)
        local = self.apart(patches).flatten(1).amax(1)
        return torch.cat(
            [errors, torch.stack([self.mahalanobis(z), self.neighbours(z), local, self.bands(bands)], 1)], 1
        )

    def remember(self, z: Tensor, patches: Tensor, bands: Tensor) -> None:
        """Fill what remembers normal images: embeddings (N, D), patches (M, F), bands (N, B)."""
        self.mahalanobis.fill(z)
        self.neighbours.fill(z)
        self.patches.fill(patches)
        self.bands.fill(bands)

    @torch.no_grad()
    def fill(self, batches: Iterable[Batch], rows: int) -> None:
        """From batches of `rows` normal training images: every fifth, at most 300, first stands aside to compare the scores."""
        aside, local = (evenly(rows, most) for most in (min(HELD, max(1, rows // 5)), LOCAL))
        found: list[tuple[Tensor, ...]] = []
        images, at = list[Tensor](), 0
        for x, _ in batches:
            _, z, patches, bands = self.features(x)
            out, near = (some[at : at + len(x)].to(x.device) for some in (aside, local))
            each = patches.flatten(2).transpose(1, 2)[near]  # (n, F, *places) -> (n of local, places, F)
            found.append((z, bands, each, out, out[near]))
            images.append(x[out])
            at += len(x)
        z, bands, patches, out, near = (torch.cat(some) for some in zip(*found, strict=True))
        self.remember(z[~out], patches[~near].flatten(0, 1), bands[~out])
        self.trust.copy_(self.noticed(torch.cat(images)))
        self.remember(z, patches.flatten(0, 1), bands)

    def noticed(self, x: Tensor) -> Tensor:
        """Normal images (n, C, *size) that are not remembered -> mean AUC of each score (6,) between them and changed ones."""

        def scores(images: Tensor) -> Tensor:
            return torch.cat([self(some) for some in torch.split(images, 64)])  # (n, 6)

        own, total = scores(x), torch.zeros(len(SCORES), device=x.device)
        for image in changed(x, torch.Generator().manual_seed(0)).values():
            gap = scores(image)[:, None] - own[None]  # (n, n, 6)
            total += ((gap > 0).float() + (gap == 0).float() / 2).mean((0, 1))
        return total / len(CHANGES)


def evenly(n: int, most: int) -> Tensor:
    """Which of n rows are in an even sample of at most `most`, (n,) bool."""
    chosen = torch.zeros(n, dtype=torch.bool)
    chosen[torch.linspace(0, n - 1, min(n, most)).long()] = True
    return chosen


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The terms [n] of the normal images: 1/D |g(f(x)) - x|^2, and the mean over four turns of -log p(turn | turned x).

    y is 0 for normal images. The two parts move nets of their own; neither feels the other.
    """
    y: Tensor = batch[1]
    x: Tensor = batch[0][y == 0]
    if not len(x):
        return torch.sum(x.flatten(1), 1)
    z: Tensor = model.standardise(x)  # type: ignore[operator]
    error = (model.get_submodule("autoencoder")(z).to(z.dtype) - z).square().flatten(1).mean(1)
    turned, which = turns(z)
    logits = model.get_submodule("teller")(turned).to(z.dtype)
    terms: Tensor = error + F.cross_entropy(logits, which, reduction="none").reshape(4, -1).mean(0)
    return terms


def turns(x: Tensor) -> tuple[Tensor, Tensor]:
    """(n, C, *size) -> its four turns (4 n, C, *size) and their numbers (4 n,): quarter turns, or where the sides differ mirrorings.

    The turns are of the last two axes.
    """
    if x.shape[-1] == x.shape[-2]:
        four = [torch.rot90(x, k, (-2, -1)) for k in range(4)]
    else:
        four = [x, x.flip(-1), x.flip(-2), x.flip(-1, -2)]
    return torch.cat(four), torch.arange(4, device=x.device).repeat_interleave(len(x))


def changed(x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Images (n, C, *size) with a part, a fourth to a half of each side, that is blurred, noisy, brighter, or another image's."""
    n, inside = len(x), torch.ones((), dtype=torch.bool)
    for axis, side in enumerate(x.shape[2:], 2):
        long = (side * (0.25 + 0.25 * torch.rand(n, 1, generator=generator))).ceil()  # (n, 1)
        low = ((side - long + 1) * torch.rand(n, 1, generator=generator)).floor()
        at = torch.arange(side)
        shape = [n, *[1] * (x.ndim - 1)]
        shape[axis] = side
        inside = inside & ((at >= low) & (at < low + long)).reshape(shape)
    inside = inside.to(x.device)
    noise = torch.randn(x.shape, generator=generator).to(x)
    sd = x.std(tuple(range(1, x.ndim)), keepdim=True)
    new = {
        "blurred": blurred(x, max(1.0, max(x.shape[2:]) / 14)), "noisy": x + 0.5 * sd * noise, "shaded": x + 0.75 * sd,
        "pasted": x.roll(1, 0),
    }  # fmt: skip
    return {name: torch.where(inside, new[name], x) for name in CHANGES}
