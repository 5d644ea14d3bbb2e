"""Denoising diffusion: a network that names the noise in an image, and from noise walks back to images.

    q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I),   alpha_bar_t = prod_{s <= t} (1 - beta_s),   t = 1..T

Ho, Jain & Abbeel (2020), "Denoising diffusion probabilistic models".
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.erm import Player
from empirisk.errors import Wrong, near
from empirisk.figures import Figure, Tile, tiles
from empirisk.generative.family import Family, strip
from empirisk.generative.samplers import Denoiser, ancestral, ddim, dpm_solver, noise_like, times
from empirisk.losses import Batch
from empirisk.models.unet import Halved, UNet

T = 1000  # Times of the forward process.
DROPPED = 0.5  # Share of the samples whose class is not told in training: most uses ask for none. Ho & Salimans (2022).
AT = (50, 150, 300, 500)  # Times of the score.
SHOWN, COLUMNS = 3, 8  # Rows of a strip, and its steps.
STEPS, CHUNK = 20, 256  # From noise to images, and images at once.
SCHEDULES = ("linear", "cosine")
PREDICTS = ("eps", "x0", "v")


def schedule(name: str, steps: int = T) -> list[float]:
    """alpha_bar (steps + 1,), alpha_bar_0 = 1.

    linear: beta from 1e-4 to .02 (Ho et al., section 4; scaled by 1000/steps); cosine: alpha_bar_t = f(t)/f(0),
    f(t) = cos^2((t/steps + s)/(1 + s) pi/2), s = .008, beta at most .999 (Nichol & Dhariwal 2021, equation 17).
    `Wrong` (exit 2) for another name.

    >>> [round(schedule(name)[500], 4) for name in SCHEDULES]
    [0.0786, 0.4938]
    """
    if name not in SCHEDULES:
        raise Wrong(f"--noise {name} is unknown", remedy=near(name, SCHEDULES) or "give linear or cosine")
    if name == "linear":
        beta = np.minimum(np.linspace(1e-4, 0.02, steps) * 1000 / steps, 0.999)
    else:
        f = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        beta = np.minimum(1 - f[1:] / f[:-1], 0.999)
    return [1.0, *(float(a) for a in np.cumprod(1 - beta))]


class Diffusion(nn.Module):
    """A network f(x_t, t, c) with its ways to estimate and to sample; x in image units, q on (x - mean) / std.

    `predict` says what f names: eps; x0; or v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0 (Salimans & Ho 2022). One std
    for all channels keeps white noise white. `bounds` (image units) are where estimates of x_0 are clipped to, None: nowhere.
    `guidance` is how far samples of a class that is asked for go beyond it.
    """

    mean: Tensor
    std: Tensor
    alpha_bar: Tensor

    def __init__(
        self, net: nn.Module, mean: Sequence[float], std: float, *, size: Sequence[int], classes: int = 0,
        noise: str = "linear", predict: str = "eps", guidance: float = 0.0, bounds: tuple[float, float] | None = (0.0, 1.0),
    ) -> None:  # fmt: skip
        super().__init__()
        if predict not in PREDICTS:
            raise Wrong(f"--predict {predict} is unknown", remedy=near(predict, PREDICTS) or "give eps, x0 or v")
        if not 0 <= guidance < math.inf:
            raise Wrong(f"--guidance is {guidance}", remedy="it must be 0 or above")
        self.net, self.shape, self.classes, self.guidance = net, (len(mean), *size), classes, guidance
        self.predict, self.bounds, self.levels = predict, bounds, schedule(noise)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, *[1] * len(size)))
        self.register_buffer("std", torch.tensor(std if std > 0 else 1.0))
        self.register_buffer("alpha_bar", torch.tensor(self.levels), persistent=False)

    def standardise(self, x: Tensor) -> Tensor:
        """Image units -> (x - mean) / std."""
        return (x - self.mean) / self.std

    def image(self, x: Tensor) -> Tensor:
        """Back to image units, clipped to the bounds."""
        x = x * self.std + self.mean
        return x if self.bounds is None else x.clamp(*self.bounds)

    def noised(self, x0: Tensor, t: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t, sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t) of times t (n,), the last two (n, 1, ..)."""
        level = self.alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))  # (n,) -> (n, 1, ..)
        alpha, sigma = level.sqrt(), (1 - level).sqrt()
        return alpha * x0 + sigma * eps, alpha, sigma

    def estimate(self, x: Tensor, t: int, c: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t], of f(x_t, t, c) + guidance (f(x_t, t, c) - f(x_t, t)), inside the bounds. Ho & Salimans (2022)."""
        at = torch.full((len(x),), t, device=x.device)
        said = self.net(x, at, c).to(x.dtype)
        if c is not None and self.guidance:
            said = said + self.guidance * (said - self.net(x, at).to(x.dtype))
        alpha, sigma = math.sqrt(self.levels[t]), math.sqrt(1 - self.levels[t])
        x0 = {"eps": lambda: (x - sigma * said) / alpha, "x0": lambda: said, "v": lambda: alpha * x - sigma * said}
        return self.standardise(self.image(x0[self.predict]()))

    def denoiser(self, c: Tensor | None = None) -> Denoiser:
        """(x_t, t) -> eps that belongs to the estimate of x_0; all that a sampler knows of the network."""

        def eps(x: Tensor, t: int) -> Tensor:
            level = self.levels[t]
            return (x - math.sqrt(level) * self.estimate(x, t, c)) / math.sqrt(1 - level)

        return eps

    def time_of(self, sigma: float) -> int:
        """The t whose x_t / sqrt(alpha_bar_t) is x_0 with noise nearest to `sigma`, in image units."""
        ratios = [math.sqrt((1 - a) / a) for a in self.levels]
        return max(1, int(np.argmin(np.abs(np.array(ratios) - sigma / float(self.std)))))

    @torch.no_grad()
    def sample(
        self, n: int, *, generator: torch.Generator, labels: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """n images (n, C, *size) from noise in `steps` (20) of DPM-Solver++, in all 1,000 by Algorithm 2.

        `labels` (n,) int64 are their classes; `Wrong` (exit 2) for those of a model that was told none.
        """
        if labels is not None and not self.classes:
            raise Wrong(
                "this model was told no classes", remedy="leave --label out, or train it on images of two or more"
            )
        at, device, found = times(T, STEPS if steps is None else steps), self.mean.device, list[Tensor]()
        for some in torch.split(torch.arange(n), CHUNK):
            x = noise_like(torch.empty(len(some), *self.shape, device=device), generator)
            f = self.denoiser(None if labels is None else labels[some].to(device))
            if len(at) > T:
                x = ancestral(f, x, at, self.levels, generator=generator)
            else:
                x = dpm_solver(f, x, at, self.levels)
            found.append(self.image(x))
        return torch.cat(found)

    @torch.no_grad()
    def score(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n,): how far the noise is named wrong, at fixed times and with one noise for all images."""
        x0 = self.standardise(x)
        eps = noise_like(x0[:1], torch.Generator().manual_seed(0)).expand_as(x0)
        errors = []
        for t in AT:
            noisy = math.sqrt(self.levels[t]) * x0 + math.sqrt(1 - self.levels[t]) * eps
            errors.append((self.denoiser()(noisy, t) - eps).square().flatten(1).mean(1))
        return torch.stack(errors).mean(0)


def denoising(model: nn.Module, batch: Batch) -> Tensor:
    """Algorithm 1: t ~ U{1..T}, eps ~ N(0, I), |eps - f(sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, t)|^2: (n,), a pixel.

    In evaluation t is spread evenly over the batch and the noise has a fixed seed, so that the risk can be watched. With
    another `predict` the target is x_0 or v. The class c is told where it is known (0 or above), in training of half.
    """
    assert isinstance(model, Diffusion)
    x0, c = model.standardise(batch[0]), batch[1]
    n = len(x0)
    if model.training:
        t = torch.randint(1, T + 1, (n,), device=x0.device)
        eps = torch.randn_like(x0)
        c = torch.where(torch.rand(n, device=x0.device) < DROPPED, -1, c)
    else:
        t = torch.linspace(1, T, n, device=x0.device).round().long()
        eps = noise_like(x0, torch.Generator().manual_seed(0))
    x, alpha, sigma = model.noised(x0, t, eps)
    target = {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[model.predict]
    said = model.net(x, t, torch.where(c < 0, model.classes, c) if model.classes else None).to(target.dtype)
    terms: Tensor = (said - target).square().flatten(1).mean(1)
    return terms


def ddpm(
    card: Card, images: Images, rows: int, *, width: int = 64, noise: str = "cosine", predict: str = "v",
    guidance: float | None = None,
) -> Family:  # fmt: skip
    """A U-Net at half the resolution, down to maps of 3 to 6 places a side, as a diffusion: about 2 M parameters at 28 pixels."""
    half, classes, k = [-(-n // 2) for n in card.size], len(images.names), card.channels * 2**card.dims
    if guidance is not None and not classes:
        raise Wrong("--guidance: these images have no classes", remedy="leave it out")
    levels = max(1, int(math.log2(min(half) / 3)))
    net = UNet(
        k, k, dims=card.dims, size=half, width=width, norm="layer", activation="silu", strides=(1, *[2] * levels), timed=True,
        conditions=classes,
    )  # fmt: skip
    model = Diffusion(
        Halved(net, card.channels, dims=card.dims), card.mean, math.sqrt(float(np.mean(np.square(card.std)))), size=card.size,
        classes=classes, noise=noise, predict=predict, guidance=1.0 if guidance is None else guidance,
        bounds=(images.low, images.high),
    )  # fmt: skip
    return Family(model, [Player(denoising)], denoising, "denoising", lr=2e-3, batch=64, show=show)


@torch.no_grad()
def show(model: nn.Module, x: Tensor) -> list[Figure]:
    """Images dissolved into noise, and noise walked back to new ones, over the same times; x (n, C, *size), a row each."""
    assert isinstance(model, Diffusion)
    x0, generator, at = model.standardise(x[:SHOWN]), torch.Generator().manual_seed(0), times(T, COLUMNS)[::-1]
    eps = noise_like(x0, generator)
    forward = [math.sqrt(model.levels[t]) * x0 + math.sqrt(1 - model.levels[t]) * eps for t in at]
    back = [noise_like(x0, generator)]
    for t, s in itertools.pairwise(at[::-1]):
        between = [t - round((t - s) * i / 5) for i in range(6)]
        back.append(ddim(model.denoiser(), back[-1], between, model.levels))
    new = "New images out of noise, from left to right; nothing of them is a patient"
    return [
        drawn(model, "forward", "Into noise", forward, at, "Images of validation, with more noise from left to right"),
        drawn(model, "reverse", "And back", back, at[::-1], new),
    ]


def drawn(model: Diffusion, name: str, title: str, states: Sequence[Tensor], at: Sequence[int], text: str) -> Figure:
    """A row an image, its states (n, C, *size) at the times `at` side by side."""
    images = torch.stack([model.image(s) for s in states], 1).cpu().numpy()  # (n, states, C, *size)
    rows = tiles([Tile(((strip(row), title),)) for row in images], kind="strips")
    return Figure(name, title, rows, f"{text}: t = {', '.join(map(str, at))}.", "pictures", wide=True)
