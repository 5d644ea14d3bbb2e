"""Principal component analysis: the k directions along which rows differ most."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from empirisk.errors import Wrong
from empirisk.losses import Batch


class PCA(nn.Module):
    """z = W (x - mu), x ~ mu + W^T z; the rows of W (k, D) are orthonormal: the k leading eigenvectors of the rows' covariance.

    Of all linear maps to k numbers and back it has the least mean squared error (Pearson 1901). Its buffers `mu` (D,),
    `W` (k, D) and `variance` (k,), that of each z_j over the training rows, are filled by `solve`.
    `Wrong` (exit 2) for a code below 1, or longer than x.
    """

    mu: Tensor
    W: Tensor
    variance: Tensor

    def __init__(self, shape: Sequence[int], *, codes: int) -> None:
        super().__init__()
        self.shape, numbers = tuple(shape), math.prod(shape)
        if not 1 <= codes <= numbers:
            raise Wrong(f"a code of {codes} for rows of {numbers} numbers", remedy=f"give 1 to {numbers}")
        self.register_buffer("mu", torch.zeros(numbers))
        self.register_buffer("W", torch.zeros(codes, numbers))
        self.register_buffer("variance", torch.ones(codes))

    def embed(self, x: Tensor) -> Tensor:
        """(n, *shape) -> z (n, k)."""
        return (x.flatten(1) - self.mu) @ self.W.T

    def decode(self, z: Tensor) -> Tensor:
        """z (n, k) -> (n, *shape)."""
        return (self.mu + z @ self.W).reshape(-1, *self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """(n, *shape) -> the nearest point of the plane, (n, *shape)."""
        return self.decode(self.embed(x))

    @torch.no_grad()
    def fill(self, x: Tensor) -> None:
        """Fill the buffers from all rows x (N, *shape).

        `Wrong` (exit 2): fewer rows than the code has numbers, and rows that are all alike.
        """
        from sklearn import decomposition

        rows, codes = x.flatten(1).cpu().numpy(), len(self.W)
        if len(rows) < codes:
            raise Wrong(
                f"a code of {codes} needs {codes} training rows, here are {len(rows)}", remedy="give a shorter one"
            )
        if not (rows != rows[0]).any():
            raise Wrong("the training rows are all alike", remedy="nothing can be learned from that; look at the data")
        found = decomposition.PCA(codes, random_state=0).fit(rows)
        for buffer, value in (
            (self.mu, found.mean_),
            (self.W, found.components_),
            (self.variance, found.explained_variance_),
        ):
            buffer.copy_(torch.from_numpy(value))


def solve(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Fill `model.net`, a `PCA` behind `Standardised`, from batches of training rows."""
    pca = model.get_submodule("net")
    assert isinstance(pca, PCA)
    pca.fill(torch.cat([model.standardise(x).cpu() for x, _ in batches]))  # type: ignore[operator]
