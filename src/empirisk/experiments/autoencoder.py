"""Image -> a few numbers, taught without labels."""

import dataclasses as dc

from torch import nn

from empirisk.data.reconstructed import Codes, Images
from empirisk.data.table import Data
from empirisk.data.unlabelled import Count
from empirisk.erm import Player
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.models.autoencoder import Autoencoder, LinearAutoencoder
from empirisk.models.layers import Standardised
from empirisk.recipe import Recipe, dashed, refuse_flags, refuse_steps
from empirisk.tasks import autoencoder as tasks
from empirisk.tasks.contrast import contrast_task
from empirisk.unsupervised.contrast import Contrast
from empirisk.unsupervised.pca import PCA
from empirisk.unsupervised.probe import Probed, solve

MODELS = {
    "conv": {"width", "noise", "sparse"}, "linear": {"noise", "sparse"}, "pca": set[str](), "simclr": {"width", "temperature"},
}  # fmt: skip
"""And the flags that each has beside --codes."""


@experiment
def autoencoder(
    data: Data, *, model: str = "conv", codes: int | None = None, width: int | None = None, noise: float | None = None,
    sparse: float | None = None, temperature: float | None = None, recipe: Recipe = Recipe(),
) -> Experiment:  # fmt: skip
    """Embed images without labels: by giving them again through a few numbers, 1/D |x - g(f(x))|^2, or by contrast of two views.

    Parameters
    ----------
    model
        conv: f and g convolutional; linear: z = W x + b; pca: the best linear one, at once; simclr: by contrast, nothing is given again.
    codes
        numbers that an image becomes; None: 32, of simclr 128.
    width
        channels of the first level of conv and simclr; None: 32, of simclr 16.
    noise
        deviation of normal noise on the input that is to be taken out again, in deviations of the training pixels: denoising.
    sparse
        weight of the mean |z_j| of the code, added to the risk.
    temperature
        T of the contrast exp(a b / T); None: .2.
    """
    own = {"width": width, "noise": noise, "sparse": sparse, "temperature": temperature}
    refuse_flags(model, MODELS, **own)
    for flag, value in own.items():
        if value is not None and not 0 < value < float("inf"):
            raise Wrong(f"--{dashed(flag)} is {value}", remedy="it must be above 0")
    if model == "pca":
        refuse_steps("a pca", recipe)
    data = dc.replace(data, truthless=True)
    card, rows = data.card(), data.learn(Count).rows
    if not card.dims:
        raise Wrong("autoencoder is for images, these rows are vectors", remedy="empirisk train clustering DATA")
    contrast = model == "simclr"
    k = codes if codes is not None else 128 if contrast else 32
    kind = data.learn(Codes) if contrast else data.learn(Images, card)
    net = network(model, (card.channels, *card.size), k, width, narrow=not (noise or sparse))
    task = (
        contrast_task(kind, card, temperature or 0.2)
        if isinstance(kind, Codes)
        else tasks.autoencoder(kind, card, k, closed=model == "pca", noise=noise or 0.0)
    )
    loss = task.loss if contrast else tasks.squared(noise or 0.0, sparse or 0.0)
    assert loss is not None
    probed = Standardised(Probed(net, k, len(kind.names), rows=rows), card.mean, card.std)
    recipe = dc.replace(recipe, lr=recipe.lr or 2e-3, batch=recipe.batch or (256 if contrast else None))
    players = [] if model == "pca" else [Player(loss)]
    return Experiment(data.as_pairs(kind), probed, task, players, recipe, solve=solve)


def network(model: str, shape: tuple[int, ...], codes: int, width: int | None, *, narrow: bool) -> nn.Module:
    """The net that embeds, and but for simclr gives again, images of a shape (C, *size).

    `Wrong` (exit 2): a code as long as the image, which would only copy it, unless it is not to be `narrow`.
    """
    channels, *size = shape
    numbers = PCA(shape, codes=1).mu.numel()
    if narrow and codes >= numbers and model != "simclr":
        remedy = f"give fewer than {numbers}, or --noise or --sparse"
        raise Wrong(f"a code of {codes} numbers copies an image of {numbers}", remedy=remedy)
    if model == "pca":
        return PCA(shape, codes=codes)
    if model == "linear":
        return LinearAutoencoder(channels, size, codes=codes)
    if model == "simclr":
        return Contrast(channels, size, codes=codes, width=width or 16)
    return Autoencoder(channels, size, codes=codes, width=width or 32)
