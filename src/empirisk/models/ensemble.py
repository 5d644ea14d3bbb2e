"""Several models as one: the mean of what they say, and how far they are apart."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Ensemble(nn.Module):
    """f(x) = 1/M sum_m f_m(x): the mean of values; of classes and labels the log of the mean of the members' probabilities.

    A member of classes gives logits z_m and holds its own `temperature` T_m: p_m = softmax(z_m / T_m), of labels the sigmoid.
    The ensemble has a `temperature` and a `threshold` of its own, as `Standardised` has.
    """

    temperature: Tensor
    threshold: Tensor

    def __init__(self, members: Sequence[nn.Module], link: Literal["classes", "labels", "values"]) -> None:
        super().__init__()
        self.members, self.link = nn.ModuleList(members), link
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("threshold", torch.tensor(0.5))

    def each(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> (M, n, K) log-probabilities; of labels (M, n, K, 2), of yes and no; values (M, n, K)."""
        if self.link == "values":
            return torch.stack([m(x).float() for m in self.members])
        z = torch.stack([m(x).float() / m.get_buffer("temperature") for m in self.members])
        return z.log_softmax(-1) if self.link == "classes" else torch.stack([F.logsigmoid(z), F.logsigmoid(-z)], -1)

    def joined(self, out: Tensor) -> Tensor:
        """What `each` gave -> logits (n, K), or values (n, K)."""
        if self.link == "values":
            return out.mean(0)
        mean = log_mean(out)
        return mean if self.link == "classes" else mean[..., 0] - mean[..., 1]

    def apart(self, out: Tensor) -> Tensor:
        """What `each` gave -> how far the members are apart (n,).

        The deviation of their values; of classes H(1/M sum_m p_m) - 1/M sum_m H(p_m) in nats, the mutual information of class and
        member, summed over labels: 0 where all say the same. Houlsby et al. (2011), equation 2.
        """
        if self.link == "values":
            return out.std(0).mean(1)
        mean = log_mean(out)
        gain = (out.exp() * out).sum(-1).mean(0) - (mean.exp() * mean).sum(-1)  # (n,), of labels (n, K)
        return gain.clamp(min=0).reshape(len(gain), -1).sum(1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, *size) -> logits or values (n, K)."""
        return self.joined(self.each(x))


class Answered(nn.Module):
    """An ensemble that has been asked already: whatever x, it gives `out`."""

    def __init__(self, model: Ensemble, out: Tensor) -> None:
        super().__init__()
        self.out, self.temperature, self.threshold = out, model.temperature, model.threshold

    def forward(self, x: Tensor) -> Tensor:
        """`out`."""
        return self.out


def log_mean(out: Tensor) -> Tensor:
    """log 1/M sum_m exp(out_m), out (M, ...)."""
    return out.logsumexp(0) - math.log(len(out))
