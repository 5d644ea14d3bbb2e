"""A self-supervised embedding by contrast: two changed views of one image shall lie together, those of others apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from empirisk.data.augment import Augmentation
from empirisk.data.changes import Flip, Parameters, uniform
from empirisk.data.tones import Intensity, Noise
from empirisk.losses import Batch, Loss
from empirisk.models.autoencoder import need_code
from empirisk.models.layers import Layers, mean_pool, need_images
from empirisk.models.unet import Encoder

STRIDES = (1, 2, 2, 2)
"""Of the levels of the encoder, each twice as wide as the one before."""


@dataclass(frozen=True)
class Crop:
    """A part of the image, its sides a share from `least` to 1 of the image's, brought back to the image's size."""

    dims: int
    least: float = 0.55

    def draw(self, generator: Generator, n: int) -> dict[str, Tensor]:
        """share (n, 1), and place (n, dims) from -1 to 1: which part of what is left over lies before it."""
        return {
            "share": uniform(generator, self.least, 1, n, 1),
            "part": uniform(generator, -1, 1, n, self.dims),
        }

    def matrix(self, p: Parameters, dims: int) -> Tensor:
        """share x_out + (1 - share) part."""
        share, part = p.values["share"], p.values["part"]
        whole = torch.eye(dims + 1).repeat(len(share), 1, 1)
        whole[:, :dims, :dims] *= share[..., None]
        whole[:, :dims, dims] = (1 - share) * part
        return whole


def views(dims: int) -> Augmentation:
    """What may change without the image becoming another: which side is left, a part of it, contrast, brightness, noise."""
    return Augmentation(dims, (Flip(), Crop(dims)), (Intensity(0.4, 0.2), Noise(0.05)))


class Contrast(nn.Module):
    """z = f(x) / |f(x)|, the code that is kept, and h(f(x)) / |h(f(x))|, which the loss sees and nobody afterwards.

    f is the encoder of a U-Net, the mean of its last map over places and one full layer; h two full layers. Chen et al., ICML 2020.
    `Wrong` (exit 2): vectors, a code below 1.
    """

    def __init__(self, channels: int, size: Sequence[int], *, codes: int, width: int = 16) -> None:
        super().__init__()
        need_images("simclr", size)
        need_code(codes)
        make, wide = Layers(len(size), norm="batch", activation="relu"), width * 2 ** (len(STRIDES) - 1)
        self.encoder = Encoder(channels, make, strides=STRIDES, width=width)
        self.f = nn.Linear(wide, codes)
        self.h = nn.Sequential(nn.ReLU(), nn.Linear(codes, wide), nn.ReLU(), nn.Linear(wide, wide // 2))

    def code(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> f(x) (n, k)."""
        z: Tensor = self.f(mean_pool(self.encoder.features(x)[-1]))
        return z

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> z (n, k), of length 1."""
        return F.normalize(self.code(x))

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, width / 2 of the last map), of length 1."""
        return F.normalize(self.h(self.code(x)))


def nt_xent(a: Tensor, b: Tensor, T: float) -> Tensor:
    """The terms [n] of two views a, b (n, D), of length 1, row i of both of image i: the mean over both directions of

        l_ij = -log exp(a_i b_j / T) / sum_{k != i} exp(a_i c_k / T),

    j the other view of i, c all 2 n views. Chen et al. (2020), equation 1.
    """
    n, c = len(a), torch.cat([a, b])
    logits = (c @ c.T / T).fill_diagonal_(-torch.inf)  # (2 n, 2 n)
    other = torch.arange(2 * n, device=c.device).roll(n)
    return F.cross_entropy(logits, other, reduction="none").view(2, n).mean(0)


def pair(x: Tensor, change: Augmentation, generator: Generator) -> tuple[Tensor, Tensor]:
    """Two views of each image (n, C, *size)."""
    with torch.autocast(x.device.type, enabled=False):
        a, b = (change.apply(x, change.draw(generator, len(x))) for _ in range(2))
    return a, b


def loss(change: Augmentation, T: float) -> Loss:
    """NT-Xent of two views of every image of the batch; in evaluation the views are drawn alike each time."""

    def terms(model: nn.Module, batch: Batch) -> Tensor:
        x: Tensor = batch[0]
        generator = torch.default_generator if model.training else torch.Generator().manual_seed(0)
        a, b = model(torch.cat(pair(x, change, generator))).to(x.dtype).chunk(2)
        return nt_xent(a, b, T)

    return terms


def matched(a: Tensor, b: Tensor) -> Tensor:
    """Whether among all views of the batch the nearest to each a_i is b_i, (n,) bool; a and b (n, D), of length 1."""
    c = torch.cat([a, b])
    alike = (a @ c.T).fill_diagonal_(-torch.inf)  # (n, 2 n), but for itself
    return alike.argmax(1) == torch.arange(len(a), 2 * len(a), device=a.device)
