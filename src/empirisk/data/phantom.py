"""Seeded images whose truth is known: one lesion each in a body, p(y | x), the Bayes error and the reader's error exact.

A lesion of diameter d (mm, uniform on [8, 32]), round (s = 0) or spiculated (s = 1) with equal chance, is malignant with

    p(y = 1 | x) = sigmoid(A (d - D0) + B s).

The image shows d and s plainly, so that this is also the posterior given the image. The target is the diameter as a reader
measures it, d + e, e ~ N(0, READER^2). Three images a patient share the anatomy; lesions are independent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from empirisk.data.readers import Stored
from empirisk.data.reports import report
from empirisk.data.rows import Box, Row, Table
from empirisk.data.splits import split
from empirisk.errors import Wrong

A, D0, B = 1.4, 26.0, 16.8
"Of p(y = 1 | x): 1/mm, mm, 1. A spiculated lesion is more likely malignant from 14 mm on, a round one from 26 mm on."
LOW, HIGH = 8.0, 32.0  # Least and largest diameter, mm.
READER = 1.5  # Standard deviation of the reader's diameter, mm.
FIELD = 128.0  # Side of the image, mm.
VISITS = 3  # Images of a patient.
PLANTED = "P017"  # The patient that a planted leak puts into train and test.
NOISE = 0.025  # Standard deviation of the scanner's noise, in shares of white.
LIMITS = {
    "images": (1, 100_000), "dims": (2, 3), "size": (8, 512), "seed": (0, 2**31), "planted": (0, 1), "cnr": (0, 14),
}  # fmt: skip


@dataclass(frozen=True)
class Lesions:
    """What the images are made from, one entry an image."""

    diameter: np.ndarray  # mm, to the third decimal
    spiculated: np.ndarray
    malignant: np.ndarray


def probability(diameter: np.ndarray, spiculated: np.ndarray) -> np.ndarray:
    """p(y = 1 | x) of lesions of these diameters (mm) and shapes (0 or 1)."""
    p: np.ndarray = 1 / (1 + np.exp(-(A * (diameter - D0) + B * spiculated)))
    return p


def sample(n: int, rng: np.random.Generator) -> Lesions:
    """Lesions from the distribution of the set."""
    d, s = np.round(rng.uniform(LOW, HIGH, n), 3), rng.random(n) < 0.5
    return Lesions(d, s, rng.random(n) < probability(d, s))


def expected(f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """E f(d, s) over all lesions, by the midpoint rule."""
    d = LOW + (np.arange(20_000) + 0.5) * (HIGH - LOW) / 20_000
    return float(np.mean([f(d, np.full_like(d, s)) for s in (0, 1)]))


def bayes_error() -> float:
    """E min(p, 1 - p): no classifier errs less often.

    >>> round(bayes_error(), 4)
    0.0413
    """
    return expected(lambda d, s: np.minimum(p := probability(d, s), 1 - p))


def entropy() -> float:
    """E -p log p - (1 - p) log(1 - p), nats: no classifier has a smaller cross-entropy."""
    return expected(lambda d, s: -(p := probability(d, s)) * np.log(p) - (1 - p) * np.log1p(-p))


def least_rmse() -> float:
    """The reader's error in mm: no prediction of the target has a smaller root mean square error."""
    return READER


def p_of(row: Row) -> float:
    """p(malignant | x) of a row, from its truth columns."""
    return float(probability(np.array(float(row["diameter"])), np.array(row["shape"] == "spiculated")))


def table(
    *, images: int = 1200, dims: int = 2, size: int = 64, seed: int = 0, planted: int = 0, without: str = "", cnr: float = 0.0
) -> Table:  # fmt: skip
    """The set: label, target (mm as read), and the truth as text columns diameter, shape, contrast, center (mm from the middle);
    the report's text and caption (its findings), impression, and the terms in findings.

    `planted` gives all rows a split in which one patient is in train and in test; `without` leaves a patient out; `cnr` is the
    lesions' contrast over the noise, the same for all; 0: from 8 to 14.

    Raises Wrong (exit 2): a value outside its limits, or no patient of that name.
    """
    given = {"images": images, "dims": dims, "size": size, "seed": seed, "planted": planted, "cnr": cnr}
    for name, (low, high) in LIMITS.items():
        if not low <= given[name] <= high:
            raise Wrong(f"phantom: {name}={given[name]} is not between {low} and {high}")
    if images * size**dims > 2**30:
        raise Wrong(f"phantom: {images} images of {size}^{dims} are more than 1 GB", remedy="fewer or smaller images")
    rows = list(_rows(images, dims, size, seed, cnr))
    rows = [row for row in (_planted(rows) if planted else rows) if row["patient"] != without]
    patients = len({row["patient"] for row in rows})
    if without and len(rows) == images:
        raise Wrong(f"phantom: there is no patient {without}", remedy=f"patients are P000 to P{patients - 1:03d}")
    grid = "x".join([str(size)] * dims)
    return Table(
        name="phantom", rows=rows, form=f"seeded chest images {grid} of {patients} patients",
        understood=[("phantom", f"seeded, Bayes error {100 * bayes_error():.1f} %", "phantom:size=64,seed=0")],
        classes=("benign", "malignant"), patients_known=True, split_given=bool(planted), licence="CC0",
        source=f"made by empirisk, seed {seed}",
    )  # fmt: skip


def around(mask: np.ndarray) -> tuple[float, ...]:
    """Corners (x1, y1, .., x2, y2, ..) of the box around what is not 0.

    >>> around(np.array([[0, 0, 0], [0, 1, 1]]))
    (1.0, 1.0, 3.0, 2.0)
    """
    axes = [np.flatnonzero(mask.any(tuple(b for b in range(mask.ndim) if b != a))) for a in reversed(range(mask.ndim))]
    return (*(float(a[0]) for a in axes), *(float(a[-1] + 1) for a in axes))


def _planted(rows: list[Row]) -> list[Row]:
    """A split by patient, but for the first image of one patient, which is in train, and the others, which are in test."""
    leak = [row["id"] for row in rows if row["patient"] == PLANTED]
    if len(leak) < 2:
        raise Wrong(f"phantom: planted=1 needs patient {PLANTED}", remedy=f"give at least {VISITS * 18} images")
    apart = split([row for row in rows if row["patient"] != PLANTED])
    parts = {row["id"]: row["part"] for row in apart} | dict.fromkeys(leak, "test") | {leak[0]: "train"}
    return [row | {"part": parts[row["id"]]} for row in rows]


@lru_cache(4)
def _rows(images: int, dims: int, size: int, seed: int, cnr: float) -> tuple[Row, ...]:
    lesions = sample(images, np.random.default_rng([seed, 0]))
    reader = np.random.default_rng([seed, 1]).normal(0, READER, images)
    drawn, writer = _Drawing(images, dims, size, seed, lesions), np.random.default_rng([seed, 3])
    shapes = ["spiculated" if s else "round" for s in lesions.spiculated]
    if cnr:
        drawn.contrast = np.full(images, round(cnr * NOISE, 4))
    parts = [drawn.render(low, min(low + drawn.chunk, images)) for low in range(0, images, drawn.chunk)]
    pixels, masks = (np.concatenate(some) for some in zip(*parts, strict=True))
    return tuple(
        {
            "id": f"P{i // VISITS:03d}_{i % VISITS}", "x": Stored(pixels, i), "patient": f"P{i // VISITS:03d}", "part": "",
            "label": "malignant" if lesions.malignant[i] else "benign", "target": round(float(lesions.diameter[i] + reader[i]), 3),
            "mask": Stored(masks, i), "boxes": (Box("lesion", around(masks[i])),),
            "diameter": f"{lesions.diameter[i]:.3f}", "shape": shapes[i],
            "contrast": f"{drawn.contrast[i]:.3f}", "center": " ".join(f"{c:.2f}" for c in drawn.center[i]),
        } | report(float(lesions.diameter[i]), shapes[i], drawn.center[i], writer)
        for i in range(images)
    )  # fmt: skip


class _Drawing:
    """Anatomy a patient, lesion and scanner an image; lengths in mm from the middle, axes as in the array."""

    def __init__(self, images: int, dims: int, size: int, seed: int, lesions: Lesions) -> None:
        rng = np.random.default_rng([seed, 2])
        self.dims, self.size, self.lesions, self.voxel = dims, size, lesions, FIELD / size
        self.chunk = max(1, 2**18 // size**dims)
        axis = ((np.arange(size) + 0.5) * self.voxel - FIELD / 2).astype(np.float32)
        self.grid = np.stack(np.meshgrid(*[axis] * dims, indexing="ij"), -1).reshape(-1, dims)  # (P, dims)
        n, self.patient = -(-images // VISITS), np.arange(images) // VISITS
        self.body = rng.uniform(46, 58, (n, dims))
        low, high = [0.26, -0.16, 0.06, 0.05], [0.42, -0.07, 0.16, 0.15]
        self.levels = rng.uniform(low, high, (n, 4))  # tissue, lungs, heart, spine
        self.heart = rng.normal(0, 4, (n, dims)) + np.array([8, -8] if dims == 2 else [0, 8, -8])
        self.ribs = rng.uniform([9, 0, 0], [14, 2 * np.pi, 0.006], (n, 3))  # period, phase, curvature
        self.waves = rng.normal(0, 1, (n, 6, dims)) * 0.1  # rad/mm
        self.phases = rng.uniform(0, 2 * np.pi, (n, 6))
        self.shift = rng.normal(0, 1.5, (images, dims))
        self.contrast = np.round(rng.uniform(0.2, 0.35, images), 3)
        self.center = np.round(_in_ball(rng, images, dims) * 26, 2)
        self.turn = rng.normal(size=(images, dims, dims))
        self.bias = rng.uniform(-0.15, 0.15, (images, dims + 1))
        self.noise = rng.integers(0, 2**31, images)

    def render(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Images low to high, (n, 1, *size), and masks of their lesions (where they fill half a pixel), (n, *size), uint8."""
        n, size = high - low, [self.size] * self.dims
        lesion = self.lesion(low, high)
        image = self.anatomy(low, high) + self.contrast[low:high, None] * lesion  # (n, P)
        linear = self.bias[low:high, :-1] @ self.grid.T * (2 / FIELD)
        square = self.bias[low:high, -1:] * ((self.grid * (2 / FIELD)) ** 2).mean(1)
        image *= 1 + linear + square
        for one, seed in zip(image, self.noise[low:high], strict=True):
            one += NOISE * np.random.default_rng(seed).standard_normal(len(self.grid), np.float32)
        grey: np.ndarray = np.clip(image * 255, 0, 255).astype(np.uint8)
        filled = lesion >= np.minimum(0.5, lesion.max(1, keepdims=True))
        return grey.reshape(n, 1, *size), filled.astype(np.uint8).reshape(n, *size)

    def anatomy(self, low: int, high: int) -> np.ndarray:
        """Body, lungs with ribs, heart, spine, and tissue that varies smoothly, (n, P)."""
        who = self.patient[low:high]
        r = self.grid - self.shift[low:high, None].astype(np.float32)  # (n, P, dims)
        y, x = r[..., -2], r[..., -1]
        body = self.body[who].astype(np.float32)[:, None]  # (n, 1, dims)
        tissue, lung, heart, spine = self.levels[who].astype(np.float32).T[..., None]  # (n, 1) each
        half = body[..., -1]
        beside = r.copy()
        beside[..., -1] = np.abs(x) - 0.45 * half
        axes = body * np.array([0.6] * (self.dims - 1) + [0.36], np.float32)
        lungs = _inside(beside / axes, 8)
        period, phase, curve = self.ribs[who].astype(np.float32).T[..., None]
        ribs = np.cos(2 * np.pi * (y + curve * x**2) / period + phase)
        image = tissue + lungs * (lung + 0.04 * ribs)
        image += heart * _inside((r - self.heart[who, None].astype(np.float32)) / 15, 5)
        image += spine * np.exp(-((x / 5) ** 2))
        for wave, shift in zip(self.waves[who].transpose(1, 0, 2), self.phases[who].T, strict=True):
            turn = np.einsum("npd,nd->np", r, wave.astype(np.float32)) + shift[:, None].astype(np.float32)
            image += 0.03 * np.cos(turn)
        found: np.ndarray = image * _inside(r / body, 20)
        return found

    def lesion(self, low: int, high: int) -> np.ndarray:
        """Share of each pixel that the lesion fills, (n, P): a ball, with spikes where it is spiculated."""
        filled = []
        for i in range(low, high):
            away = self.grid - self.center[i].astype(np.float32)
            rho = np.sqrt((away**2).sum(1)) + 1e-6
            edge = self.lesions.diameter[i] / 2
            if self.lesions.spiculated[i]:
                towards = (away / rho[:, None]) @ self.spikes(i).T.astype(np.float32)  # (P, J) cosines
                edge = edge + (3 + 0.5 * edge) * np.exp((40 if self.dims == 2 else 20) * (towards.max(1) - 1))
            filled.append(np.clip((edge - rho) / self.voxel + 0.5, 0, 1))
        return np.stack(filled).astype(np.float32)

    def spikes(self, i: int) -> np.ndarray:
        """Directions of the spikes of lesion i, (J, dims): even, turned as a whole."""
        if self.dims == 2:
            angles = np.arctan2(*self.turn[i, 0]) + np.arange(8) * (2 * np.pi / 8)
            return np.stack([np.cos(angles), np.sin(angles)], 1)
        z = 1 - (2 * np.arange(16) + 1) / 16
        around = np.arange(16) * (np.pi * (3 - 5**0.5))
        ring = np.sqrt(1 - z**2)
        even = np.stack([z, ring * np.cos(around), ring * np.sin(around)], 1)
        turned: np.ndarray = even @ np.linalg.qr(self.turn[i])[0]
        return turned


def _in_ball(rng: np.random.Generator, n: int, dims: int) -> np.ndarray:
    """Points uniform in the unit ball, (n, dims)."""
    direction = rng.normal(size=(n, dims))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points: np.ndarray = direction * rng.random((n, 1)) ** (1 / dims)
    return points


def _inside(r: np.ndarray, sharpness: float) -> np.ndarray:
    """1 inside the unit ball, 0 outside, soft at the edge."""
    soft: np.ndarray = np.clip(0.5 + sharpness * 0.5 * (1 - (r**2).sum(-1)), 0, 1)
    return soft
