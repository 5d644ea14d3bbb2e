"""A model and a table of your own: python examples/own_model.py TABLE.csv

The table has a column `image` (paths relative to it), `label`, and, where known, `patient` and `split`.
"""

import sys

import torch
from torch import Tensor, nn

import empirisk as er


class Texture(nn.Module):
    """Two convolutions and the mean of what they see: a model need know nothing of empirisk."""

    def __init__(self, channels: int, classes: int, width: int = 8) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.say = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) in standard units -> logits (n, classes)."""
        return self.say(self.see(x).mean((2, 3)))


def texture(channels: int, classes: int, width: int = 8) -> nn.Module:
    """The model by the name own_model:texture, also on the command line; --width reaches it, being in the signature."""
    return Texture(channels, classes, width)


def main(table: str) -> None:
    """Train, open the test set once, answer for new pixels."""
    experiment = er.classification(table, model="own_model:texture", width=8, epochs=20)
    run = er.train(experiment, out="runs/texture")
    for name, e in run.test().items():
        print(f"{name}: {e.value} [{e.low}, {e.high}], n = {e.n}")
    print(er.load("runs/texture").predict(torch.zeros(1, 24, 24, dtype=torch.uint8)))


if __name__ == "__main__":
    main(sys.argv[1])
