"""Classes in an order: one number f(x) and where the thresholds between the classes lie on its line."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Cumulative(nn.Module):
    """P(y > k) = sigmoid(f(x) - theta_k) with theta_1 < .. < theta_{K-1}: the log-probabilities of K ordered classes.

    `net` gives f: (n, C, *size) -> (n, 1), and theta_k = theta_1 + sum_{j<k} log(1 + exp r_j), so that the thresholds stay in
    order whatever step is taken. At first all classes are equally likely where f(x) = 0. McCullagh (1980), section 2.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        even = torch.logit(torch.arange(1, classes) / classes)  # (K - 1,)
        self.first = nn.Parameter(even[:1].clone())
        self.rest = nn.Parameter(torch.log(torch.expm1(even.diff())))  # r (K - 2,)

    def thresholds(self) -> Tensor:
        """theta (K - 1,), rising."""
        return torch.cat([self.first, self.first + F.softplus(self.rest).cumsum(0)])

    def link(self, f: Tensor) -> Tensor:
        """f (n, 1) -> log p (n, K), in float32 or finer.

        p_k = s(a_k) - s(a_{k-1}) with a = theta - f, s the sigmoid; its log is log s(a_k) + log s(-a_{k-1}) +
        log(1 - exp(theta_{k-1} - theta_k)), which neither cancels nor overflows.
        """
        theta = self.thresholds()
        a = theta - f.to(torch.promote_types(f.dtype, torch.float32))  # (n, K - 1)
        below, above = F.logsigmoid(a), F.logsigmoid(-a)
        between = below[:, 1:] + above[:, :-1] + torch.log(-torch.expm1(-theta.diff()))
        return torch.cat([below[:, :1], between, above[:, -1:]], 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> log p (n, K)."""
        return self.link(self.net(x))

    def features(self, x: Tensor) -> list[Tensor]:
        """The net's maps."""
        return list(self.net.features(x))  # type: ignore[operator]

    def embed(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (n, D): what the net's last layer sees."""
        found: Tensor = self.net.embed(x)  # type: ignore[operator]
        return found

    def heads(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """Each of the net's heads as log-probabilities over the same thresholds, with its weight."""
        heads = getattr(self.net, "heads", None)
        return [(w, self.link(f)) for w, f in (heads(x) if heads else [(1.0, self.net(x))])]
