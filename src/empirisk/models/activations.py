"""The activations phi by name, each with its formula, and their picture. Reading the list imports nothing heavy."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from empirisk.figures import Figure


class Phi(NamedTuple):
    """An activation: its layer in torch.nn, and phi(z)."""

    layer: str
    formula: str


ACTIVATIONS = {
    "relu": Phi("ReLU", "max(z, 0)"),
    "leaky_relu": Phi("LeakyReLU", "z above 0, else .01 z"),
    "prelu": Phi("PReLU", "z above 0, else a z; a is learned, .25 at first"),
    "elu": Phi("ELU", "z above 0, else exp z - 1"),
    "selu": Phi("SELU", "1.0507 z above 0, else 1.7581 (exp z - 1)"),
    "gelu": Phi("GELU", "z P(Z <= z), Z from N(0, 1)"),
    "silu": Phi("SiLU", "z / (1 + exp(-z))"),
    "mish": Phi("Mish", "z tanh(log(1 + exp z))"),
    "tanh": Phi("Tanh", "(exp z - exp(-z)) / (exp z + exp(-z))"),
    "sigmoid": Phi("Sigmoid", "1 / (1 + exp(-z))"),
    "softplus": Phi("Softplus", "log(1 + exp z)"),
    "softsign": Phi("Softsign", "z / (1 + |z|)"),
    "hardswish": Phi("Hardswish", "z min(max(z + 3, 0), 6) / 6"),
    "identity": Phi("Identity", "z: without another, a network of full layers is linear"),
}
"""Every named activation. To add one: one line here."""
END, LOW, HIGH, COLUMNS = 4.0, -4.0, 4.4, 2
"""z goes from -END to END, the ordinate from LOW to HIGH; panels side by side."""


def list_activations() -> dict[str, str]:
    """Every name with its formula."""
    return {name: f"phi(z) = {phi.formula}" for name, phi in ACTIVATIONS.items()}


def plot() -> "Figure":
    """Every phi and its derivative over z in [-4, 4], a panel each on equal axes; the values are those of the layers."""
    import torch
    from torch import nn

    from empirisk.figures import Curve, Figure, chart, escaped
    from empirisk.figures.charts import HEIGHT, WIDTH

    z = torch.linspace(-END, END, 81, dtype=torch.float64).requires_grad_()
    table, panels = {"z": z.detach().numpy()}, ""
    for i, (name, (layer, formula)) in enumerate(ACTIVATIONS.items()):
        y = getattr(nn, layer)().double()(z)
        (slope,) = torch.autograd.grad(y.sum(), z)
        table |= {name: y.detach().numpy(), f"{name}'": slope.numpy()}
        lines = [Curve("", table["z"], table[key]) for key in (name, f"{name}'")]
        panel = chart(lines, label=f"{name}: {formula}", x="z", y=name, x_range=(-END, END), y_range=(LOW, HIGH))
        at = f'x="{WIDTH * (i % COLUMNS)}" y="{HEIGHT * (i // COLUMNS)}" width="{WIDTH}" height="{HEIGHT}"'
        panels += panel.replace("<svg ", f"<svg {at} ", 1)
    text = "Each activation phi(z), and in the second style its derivative, by which back-propagation multiplies."
    box = f"0 0 {WIDTH * COLUMNS} {HEIGHT * -(-len(ACTIVATIONS) // COLUMNS)}"
    svg = f'<svg viewBox="{box}" role="img" aria-label="{escaped(text)}">{panels}</svg>'
    rows = tuple(tuple(map(float, row)) for row in zip(*table.values(), strict=True))
    return Figure("activations", "Activations", svg, text, columns=tuple(table), rows=rows, wide=True)
