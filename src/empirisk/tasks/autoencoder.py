"""An image through a few numbers and back: how much of it is left, and what the numbers tell."""

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from empirisk.data.card import Card
from empirisk.data.reconstructed import Code, Images, Rebuilt
from empirisk.data.table import Rows
from empirisk.estimate import Statistic, mean
from empirisk.experiment import Experiment, Task
from empirisk.figures import Curve, Figure, Tile, album, chart, histogram, number, picture
from empirisk.losses import Batch, Loss
from empirisk.metrics.images import psnr
from empirisk.tasks import codes as told
from empirisk.unsupervised.pca import PCA
from empirisk.unsupervised.probe import Probed

SIZES = (2, 4, 8, 16, 32, 64, 128)
"""Numbers of a code whose error is drawn."""
SHOWN, MEASURED = 12, 300
"""Images shown, and images whose error as JPEG is measured."""
QUALITIES = range(5, 96, 10)


def autoencoder(kind: Images, card: Card, codes: int, *, closed: bool, noise: float = 0.0) -> Task:
    """The task of giving an image again. `closed`: the model is the PCA, which then is no rival of its own."""
    return Task(
        loss=squared(),
        predict=predict,
        score=partial(score, kind),
        baseline=partial(baseline, kind, card, codes, closed=closed),
        show=partial(show, kind, card, noise),
        live=False,
    )


def squared(noise: float = 0.0, sparse: float = 0.0) -> Loss:
    """The terms [n] of 1/D |x - g(f(x + noise eps))|^2 + sparse 1/k |f(x)|_1, x in deviations of the training pixels.

    With noise it is a denoising autoencoder (Vincent et al. 2008), with the second term a sparse one (Goodfellow et al. 2016,
    section 14.2.1). x (n, C, *size) in image units.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        x: Tensor = model.standardise(batch[0])  # type: ignore[operator]
        seen = x + noise * torch.randn_like(x) if noise else x
        net = model.get_submodule("net.net")
        z: Tensor = net.embed(seen)  # type: ignore[operator]
        again: Tensor = net.decode(z)  # type: ignore[operator]
        terms = (again.to(x.dtype) - x).square().flatten(1).mean(1)
        return terms + sparse * z.to(x.dtype).abs().mean(1) if sparse else terms

    return loss


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> list[Rebuilt]:
    """The image again in image units, how far it is from x, and what its code tells."""
    probed = model.get_submodule("net")
    assert isinstance(probed, Probed)
    z: Tensor = model.embed(x)  # type: ignore[operator]
    again: Tensor = model.restore(probed.net.decode(z))  # type: ignore[operator]
    errors = (again - x).double().square().flatten(1).mean(1)
    return [Rebuilt(*one) for one in zip(again.cpu().numpy(), errors.tolist(), told.tell(z, probed.probe), strict=True)]


def score(kind: Images, rows: Rows, answers: Sequence[Rebuilt]) -> dict[str, Statistic]:
    """PSNR, mean squared error, and where rows have classes what the codes tell of them."""
    errors = np.array([a.error for a in answers])
    found: dict[str, Statistic] = {"psnr": psnr(errors, kind.high - kind.low), "mse": mean(errors)}
    return found | told.scores(kind.names, rows, [a.code for a in answers])


def baseline(
    kind: Images, card: Card, codes: int, rows: Rows, *, closed: bool = False
) -> dict[str, Callable[[Rows], list[Rebuilt]]]:
    """The mean image of the training rows; their principal components, as many as the code has numbers."""
    rows = told.some(rows, card)
    x = told.read(card, rows)
    middle, pca = x.mean(0, keepdim=True), told.fitted(x, codes)
    nothing, coded = (
        told.probed(kind.names, rows, torch.zeros(len(rows), 1)),
        told.probed(kind.names, rows, pca.embed(x)),
    )

    def constant(new: Rows) -> list[Rebuilt]:
        x = told.read(card, new)
        return rebuilt(card, x, middle.expand_as(x), nothing, torch.zeros(len(x), 1))

    def linear(new: Rows) -> list[Rebuilt]:
        x = told.read(card, new)
        z = pca.embed(x)
        return rebuilt(card, x, pca.decode(z), coded, z)

    return {"mean": constant} | ({} if closed else {"pca": linear})


def rebuilt(card: Card, x: Tensor, again: Tensor, tell: Callable[[Tensor], list[Code]], z: Tensor) -> list[Rebuilt]:
    """The answers of a baseline from images and images again (n, C, *size), both standardised."""
    shape = (-1, *[1] * card.dims)
    std, middle = (torch.tensor(v).view(shape) for v in (card.std, card.mean))
    errors = ((again - x) * std).double().square().flatten(1).mean(1)
    images = (again * std + middle).numpy()
    return [Rebuilt(*one) for one in zip(images, errors.tolist(), tell(z), strict=True)]


def show(kind: Images, card: Card, noise: float, e: Experiment, rows: Rows, answers: list[Rebuilt]) -> list[Figure]:
    """Images beside what was made of them; the error against the size of the code beside PCA and JPEG; the code's numbers."""
    cleaned = [_cleaned(e, rows, noise)] if noise else []
    return [_pairs(kind, rows, answers), *cleaned, *_sizes(e, card, rows, answers), _numbers(answers)]


def _pairs(kind: Images, rows: Rows, answers: Sequence[Rebuilt]) -> Figure:
    """From the image that was given again best to the worst."""
    errors = np.array([a.error for a in answers])
    order = np.argsort(errors, kind="stable")[np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).astype(int)]
    items, table = [], []
    for i in order.tolist():
        decibel = float(psnr(errors[i : i + 1], kind.high - kind.low)(np.ones((1, 1)))[0])
        again = picture(answers[i].image.clip(kind.low, kind.high))
        words = f"PSNR {number(decibel)} dB", str(rows[i]["id"])
        items.append(Tile(((picture(rows[i]["x"].read()), "the image"), (again, "the image again")), words))
        table.append((str(rows[i]["id"]), float(errors[i]), decibel))
    text = f"Left the image, right what was made of its code; {len(items)} of {len(rows)}, evenly from the best to the worst."
    return album("again", "Images again", items, text, "pictures", ("id", "squared error", "PSNR"), table)


@torch.no_grad()
def _cleaned(e: Experiment, rows: Rows, noise: float) -> Figure:
    """Images with the noise that was trained against, and what was made of them."""
    some = [rows[i] for i in np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).astype(int)]
    x = e.data.x(some).to(next(e.model.buffers()).device)
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    noisy = e.model.restore(e.model.standardise(x) + noise * eps)  # type: ignore[operator]
    made = [a.image for a in predict(e.model, noisy)]
    before, after = (float((a - x).square().mean()) for a in (noisy, torch.from_numpy(np.stack(made)).to(x)))
    items = [
        Tile(((picture(a), "with noise"), (picture(b), "made of it")), (str(r["id"]),))
        for r, a, b in zip(some, noisy.cpu().numpy(), made, strict=True)
    ]
    text = f"Left with noise, right what was made of it. The mean squared error went from {before:.3g} to {after:.3g}."
    return album("cleaned", "Noise taken out", items, text)


def _sizes(e: Experiment, card: Card, rows: Rows, answers: Sequence[Rebuilt]) -> list[Figure]:
    """The error of this model, of PCA and of JPEG against the numbers of a code, 4 bytes each."""
    train = told.some(e.data.rows("train"), card)
    x, new = told.read(card, train), told.read(card, rows)
    most = told.fitted(x, SIZES[-1])
    std = torch.tensor(card.std).view(-1, *[1] * card.dims)
    points: dict[str, list[tuple[float, float]]] = {"PCA": [], "JPEG of as many bytes": jpeg(card, rows)}
    for k in (k for k in SIZES if k <= len(most.W)):
        some = PCA(x.shape[1:], codes=k)
        some.mu, some.W = most.mu, most.W[:k]
        points["PCA"].append((k, float(((some(new) - new) * std).square().mean())))
    points["this model"] = [(float(len(answers[0].code.z)), float(np.mean([a.error for a in answers])))]
    points = {name: found for name, found in points.items() if found}
    top = 1.1 * max(error for _, error in (*points["PCA"], *points["this model"]))
    curves = [Curve(n, [k for k, _ in p], [error for _, error in p], dots=n == "this model") for n, p in points.items()]
    text = (
        f"Mean squared error on {len(rows)} images against the numbers of a code of 4 bytes each; the components are of the "
        "training images. A JPEG is counted without its tables, which all images share."
    )
    svg = chart(
        curves, label=text, x="numbers of the code", y="squared error", x_range=(0, SIZES[-1] + 4), y_range=(0, top)
    )
    table = tuple((name, k, error) for name, found in points.items() for k, error in found)
    columns = ("what", "numbers", "squared error")
    return [Figure("size", "Error against the size of the code", svg, text, "pictures", columns, table)]


def jpeg(card: Card, rows: Rows) -> list[tuple[float, float]]:
    """(numbers of 4 bytes, mean squared error) of pictures of 8 bits saved as JPEG at several qualities; none for other images.

    The bytes of an even grey picture of that size and quality, tables and header, are not counted.
    """
    from PIL import Image

    if card.dims != 2 or card.range != 255 or card.channels not in {1, 3}:
        return []
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MEASURED)).astype(int)
    arrays = [card.read(rows[i]) for i in chosen]
    arrays = [a[0] if len(a) == 1 else a.transpose(1, 2, 0) for a in arrays]

    def saved(array: np.ndarray, quality: int) -> bytes:
        out = io.BytesIO()
        Image.fromarray(array).save(out, "JPEG", quality=quality)
        return out.getvalue()

    points = []
    for quality in QUALITIES:
        empty = len(saved(np.full_like(arrays[0], 128), quality))
        files = [saved(a, quality) for a in arrays]
        errors = [
            float(np.square((np.asarray(Image.open(io.BytesIO(f)), float) - a) / 255).mean())
            for f, a in zip(files, arrays, strict=True)
        ]
        points.append((float(np.mean([len(f) - empty for f in files])) / 4, float(np.mean(errors))))
    return [p for p in points if p[0] <= SIZES[-1]]


def _numbers(answers: Sequence[Rebuilt]) -> Figure:
    """All numbers of the codes: of a sparse code most are near 0."""
    z = np.stack([a.code.z for a in answers])
    near = float((np.abs(z) < 0.1 * z.std()).mean())
    text = (
        f"The numbers of {len(z)} codes of {z.shape[1]}: {100 * near:.0f} % lie within a tenth of their deviation of 0."
    )
    return Figure("numbers", "Numbers of the codes", histogram(z.ravel(), label=text, x="number of a code"), text)
