"""How far a row is from remembered ones: Mahalanobis' distance, and nearest neighbours."""

import torch
from torch import Tensor, nn

NEAREST, CHUNK = 5, 1024


class Mahalanobis(nn.Module):
    """|(z - mu) A|, A A^T = Sigma^-1: how many deviations z lies from the middle, Sigma shrunk as Ledoit and Wolf (2004) do.

    Buffers `mu` (D,) and `A` (D, D), filled by `fill`.
    """

    mu: Tensor
    A: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(numbers))
        self.register_buffer("A", torch.eye(numbers))

    def fill(self, z: Tensor) -> None:
        """From all training rows z (N, D)."""
        from sklearn.covariance import LedoitWolf

        found = LedoitWolf().fit(z.double().cpu().numpy())
        self.mu.copy_(torch.from_numpy(found.location_))
        self.A.copy_(torch.linalg.cholesky(torch.from_numpy(found.precision_)))

    def forward(self, z: Tensor) -> Tensor:
        """z (n, D) -> (n,)."""
        out: Tensor = torch.linalg.vector_norm((z - self.mu) @ self.A, dim=1)
        return out


class Neighbours(nn.Module):
    """1/5 sum_j |w (z - z_(j))| over the five remembered rows nearest to z, w the inverse deviation of each number.

    Ramaswamy et al. (2000). Buffers, filled by `fill`: `mu` and `w` (D,), `rows` (M, D); of more rows an even sample.
    """

    mu: Tensor
    w: Tensor
    rows: Tensor

    def __init__(self, numbers: int, *, rows: int) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(numbers))
        self.register_buffer("w", torch.ones(numbers))
        self.register_buffer("rows", torch.zeros(rows, numbers))

    def fill(self, z: Tensor) -> None:
        """From all training rows z (N, D); a number without deviation counts nothing."""
        sd = z.std(0, correction=0)
        self.mu.copy_(z.mean(0))
        self.w.copy_(torch.where(sd > 1e-6 * sd.max(), 1 / sd.clamp_min(1e-12), 0))
        self.rows.copy_((self.w * (z - self.mu))[torch.linspace(0, len(z) - 1, len(self.rows)).long()])

    def forward(self, z: Tensor) -> Tensor:
        """z (n, D) -> (n,)."""
        k, out = min(NEAREST, len(self.rows)), list[Tensor]()
        for y in torch.split(self.w * (z - self.mu), CHUNK):
            out.append(torch.cdist(y, self.rows).topk(k, largest=False).values.mean(1))
        return torch.cat(out)
