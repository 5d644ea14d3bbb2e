"""The net of another run, frozen: what it sees in an image, for experiments that learn from that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from empirisk.data.card import Card
from empirisk.errors import Wrong, shown
from empirisk.experiments import rebuild
from empirisk.experiments.ensemble import fill, parent


@dataclass(frozen=True)
class Encoded:
    """A frozen net with `embed(x) -> (n, D)`, what fills it from its run's folder, and the run by value; of no run nothing."""

    net: nn.Module | None = None
    load: Callable[[nn.Module], None] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    "the run by value, as run.json holds it: its folder may go"
    parents: dict[str, str] = field(default_factory=dict)


def encoded(run: str | dict[str, Any] | None, card: Card) -> Encoded:
    """The net of a run as encoder of the images of a card, x in image units.

    `Wrong` (exit 2): no trained run, other channels, sizes or units than the images have, a net without `embed`; (exit 3), when
    loaded: weights that are no longer what they were.
    """
    if run is None:
        return Encoded()
    given = parent(run)
    e = rebuild(given, {})
    there, name = e.data.card(), shown(given["path"])
    for what in ("channels", "size", "range"):
        if getattr(there, what) != getattr(card, what):
            asked = f"the encoder {name} is for {what} {getattr(there, what)}, these images have {getattr(card, what)}"
            raise Wrong(asked, remedy="train it on such images, or give --size as it had it")
    if not hasattr(e.model, "embed"):
        raise Wrong(f"the model of {name} has no embed", remedy="give a run of a network that embeds images")
    with torch.no_grad():
        e.model.eval().embed(torch.zeros(2, card.channels, *card.size))  # type: ignore[operator]

    net = e.model.requires_grad_(False).eval()
    return Encoded(net, partial(fill, given), {"encoder": given}, {given["path"]: given["sha256"]})
