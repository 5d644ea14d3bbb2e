"""The two types that every part meets in. The loss sees the model, so classifier, VAE, GAN and DDPM have one type."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

Batch = tuple[Any, Any]
"""(x, y): tensors or tuples of tensors. Rows travel beside it, never in it."""

Loss = Callable[[nn.Module, Batch], Tensor]
"""Its terms, a vector [n] whose mean is the risk; or that mean, a scalar, which then counts for len(x) terms."""
