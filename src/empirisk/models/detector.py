"""A one-stage detector: over a pyramid of any encoder's features the centre of each thing and, at every place, a box; 2D and 3D."""

import functools
import operator
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.models.layers import beheaded, convolution, max_pool, mean_pool, normalisation, shapes_of

STRIDE = 4
"Of the map that answers: the finest of the encoder's that is no finer than this."
RARE = -3.0
"Logit of a centre before training: nearly every cell is none."


class Detector(nn.Module):
    """x -> (n, K + 2 dims, *cells): the logit of a centre of each class, then the logarithm of how far each side of the box lies away.

    The pyramid goes from the coarsest map c_L to the finest c_l,

        p_L = V_L c_L,  p_l = V_l c_l + up(p_{l+1}),

    V a 1x1 convolution, up the nearest neighbour; two branches read p_l. Distances count from the middle of a cell, first those
    towards 0 (x, y, ..), then those away from it, in cells. Lin et al. 2017 (FPN); Zhou et al. 2019 (Objects as points).
    """

    class_layers = "centre.4", "sides.4"

    def __init__(
        self, encoder: nn.Module, maps: Sequence[tuple[int, int]], classes: int, *, dims: int, width: int, dropout: float
    ) -> None:  # fmt: skip
        super().__init__()
        conv, norm = convolution(dims), normalisation("batch", dims)
        self.encoder = encoder
        self.first = next((i for i, (_, stride) in enumerate(maps) if stride >= STRIDE), len(maps) - 1)
        self.lateral = nn.ModuleList([conv(channels, width, 1) for channels, _ in maps[self.first :]])

        def branch(outputs: int) -> nn.Sequential:
            around = conv(width, width, 3, padding=1, bias=False)
            return nn.Sequential(around, norm(width), nn.ReLU(), nn.Dropout(dropout), conv(width, outputs, 1))

        self.smooth = nn.Sequential(conv(width, width, 3, padding=1, bias=False), norm(width), nn.ReLU())
        self.centre, self.sides = branch(classes), branch(2 * dims)
        for module in (self.centre[-1], self.sides[-1]):
            assert isinstance(module, nn.Conv2d | nn.Conv3d)
            assert module.bias is not None
            nn.init.normal_(module.weight, std=0.01)
            nn.init.constant_(module.bias, RARE if module is self.centre[-1] else 1.0)

    def features(self, x: Tensor) -> list[Tensor]:
        """The encoder's maps."""
        maps: list[Tensor] = list(self.encoder.features(x))  # type: ignore[operator]
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): the coarsest map's mean over places."""
        return mean_pool(self.features(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, K + 2 dims, *cells)."""
        maps = self.features(x)[self.first :]
        p = self.lateral[-1](maps[-1])
        for lateral, finer in zip(list(self.lateral)[-2::-1], maps[-2::-1], strict=True):
            p = lateral(finer) + F.interpolate(p, finer.shape[2:], mode="nearest")
        p = self.smooth(p)
        return torch.cat([self.centre(p), self.sides(p)], 1)


def detector(
    encoder: nn.Module, channels: int, classes: int, *, size: Sequence[int], width: int = 64, dropout: float = 0.0
) -> Detector:
    """A detector of `classes` classes over an encoder for images (channels, *size); `width` = channels of the pyramid.

    The encoder's parts that its features never reach, such as its last layer, are left out.

    Raises
    ------
    Wrong
        exit 2: an encoder without features.
    """
    maps = shapes_of(encoder, channels, size) if hasattr(encoder, "features") else []
    if not maps:
        remedy = "take a network with convolutions, such as resnet18"
        raise Wrong(f"model {type(encoder).__name__} has no maps of features to look for boxes in", remedy=remedy)
    finest = [(c, s if isinstance(s, int) else min(s)) for c, s in maps]
    return Detector(beheaded(encoder, channels, size), finest, classes, dims=len(size), width=width, dropout=dropout)


def placed(out: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The output as logits of centres (n, K, S) and corners of boxes (n, S, 2 dims) in shares of the image's sides."""
    size = out.shape[2:]
    logits, away = out[:, :classes].flatten(2), out[:, classes:].flatten(2).transpose(1, 2)
    lines = [(torch.arange(length, device=out.device) + 0.5) / length for length in size]
    middle = torch.stack(torch.meshgrid(*lines, indexing="ij")[::-1], -1).flatten(0, -2).to(out)  # (S, dims), x first
    cell = 1 / torch.tensor(size[::-1], device=out.device).to(out)  # (dims,)
    low, high = (away.clamp(max=7).exp() * cell.repeat(2)).chunk(2, -1)  # (n, S, dims)
    return logits, torch.cat([middle - low, middle + high], -1)


def peaks(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Which cells (n, K, S) of maps of `size` are the largest among their neighbours, diagonal ones too."""
    maps = logits.view(*logits.shape[:2], *size)  # (n, K, S) -> (n, K, *size)
    highest: Tensor = max_pool(len(size))(3, stride=1, padding=1)(maps)
    return (highest == maps).flatten(2)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of boxes (..., 2 dims) that broadcast: GIoU = IoU - |hull without union| / |hull|.

    Rezatofighi et al. 2019, algorithm 1.
    """
    d, tiny = a.shape[-1] // 2, torch.finfo(a.dtype).tiny
    low, high = torch.maximum(a[..., :d], b[..., :d]), torch.minimum(a[..., d:], b[..., d:])
    inside = _product((high - low).clamp(min=0))
    hull = _product(torch.maximum(a[..., d:], b[..., d:]) - torch.minimum(a[..., :d], b[..., :d]))
    union = _product(a[..., d:] - a[..., :d]) + _product(b[..., d:] - b[..., :d]) - inside
    iou = inside / union.clamp(min=tiny)
    return iou, iou - (hull - union) / hull.clamp(min=tiny)


def _product(sides: Tensor) -> Tensor:
    return functools.reduce(operator.mul, sides.unbind(-1))


def alone(corners: Tensor, label: Tensor, most: float) -> Tensor:
    """Non-maximum suppression, many images at once: which boxes (n, k) stay, given in the order of falling score.

    A box goes where it overlaps one of its class that stays before it by more than `most` IoU. corners (n, k, 2 dims), label (n, k).
    """
    rivals = (overlap(corners[:, :, None], corners[:, None])[0] > most) & (label[:, :, None] == label[:, None])
    stays = torch.ones_like(label, dtype=torch.bool)
    for i in range(label.shape[1]):
        stays[:, i + 1 :] &= ~(rivals[:, i, i + 1 :] & stays[:, i, None])
    return stays
