"""Rows -> groups that nobody named."""

import dataclasses as dc
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from empirisk.data.table import Data
from empirisk.data.unlabelled import Clusters, Count
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, experiment
from empirisk.experiments.encoder import encoded
from empirisk.recipe import Recipe, refuse_flags
from empirisk.tasks import clustering as tasks
from empirisk.unsupervised.codes import Coded, Coding, solve
from empirisk.unsupervised.hdbscan import Hdbscan
from empirisk.unsupervised.kmeans import Groups, KMeans
from empirisk.unsupervised.mixture import Mixture

MODELS = {"kmeans": {"clusters"}, "mixture": {"clusters"}, "hdbscan": {"smallest"}}
"""And the flags that each has of its own."""


@experiment
def clustering(
    data: Data, *, model: str = "kmeans", clusters: int | None = None, smallest: int | None = None, encoder: str | dict[str, Any] | None = None,
    codes: int | None = None, standardise: bool | None = None, seed: int = 0,
) -> Experiment:  # fmt: skip
    """Group images or rows without labels: by nearest centre, by a Gaussian mixture, or by density; labels only judge.

    Parameters
    ----------
    model
        kmeans: sum_i min_j |z_i - c_j|^2 made least; mixture: sum_k pi_k N(z; mu_k, Sigma_k); hdbscan: what hangs together densely.
    clusters
        how many, of kmeans and mixture; None: the most stable number.
    smallest
        rows of the smallest cluster of hdbscan; None: a twentieth of the training rows, at least 5.
    encoder
        run whose net embeds the images; None: principal components of small pixels, of vectors the columns.
    codes
        numbers that a row is grouped by; None: 20 at most, of vectors all columns.
    standardise
        bring each image to mean 0 and deviation 1 first; None: grey images, not those in colour, whose stain would go.
    seed
        of the starts of kmeans and mixture.
    """
    refuse_flags(model, MODELS, clusters=clusters, smallest=smallest)
    if smallest is not None and smallest < 2:
        raise Wrong(f"--smallest is {smallest}", remedy="it must be 2 or above")
    data = dc.replace(data, truthless=True)
    kind, rows = data.learn(Clusters), data.learn(Count).rows
    pairs, run = data.as_pairs(kind), encoded(encoder, data.card())
    coding = Coding(pairs, run.net, run.load, given=codes, standardise=standardise)
    groups, k = data.learn(Groups, coding.early, clusters), coding.codes.length
    heads: dict[str, Callable[[], nn.Module]] = {
        "kmeans": partial(KMeans, k, groups.number, seed=seed),
        "mixture": partial(Mixture, k, groups.number, seed=seed),
        "hdbscan": partial(Hdbscan, k, rows=rows, smallest=smallest or max(5, rows // 20)),
    }
    return Experiment(
        pairs, Coded(coding.codes, heads[model]()), tasks.clustering(kind, groups, coding), [], Recipe(seed=seed, precision="float32"),
        begin=coding.begin, solve=solve, arguments=run.arguments, parents=run.parents,
    )  # fmt: skip
