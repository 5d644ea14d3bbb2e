"""Every activation by name: its values are torch's own functions, the picture draws these values and their derivatives."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from empirisk.figures import charts
from empirisk.models.activations import ACTIVATIONS, END, HIGH, LOW, list_activations, plot
from empirisk.models.layers import nonlinearity

TORCHS = {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "prelu": lambda z: F.prelu(z, torch.tensor([0.25], dtype=z.dtype)), "elu": F.elu,
    "selu": F.selu, "gelu": F.gelu, "silu": F.silu, "mish": F.mish, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "softplus": F.softplus, "softsign": F.softsign, "hardswish": F.hardswish, "identity": lambda z: z,
}  # fmt: skip


@pytest.fixture(scope="module")
def figure():
    return plot()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_derivatives_are_those_of_torchs_function(figure, name):
    table = dict(zip(figure.columns, np.array(figure.rows).T, strict=True))
    z = torch.from_numpy(table["z"]).requires_grad_()
    y = TORCHS[name](z)
    np.testing.assert_allclose(table[name], y.detach(), atol=1e-12)
    np.testing.assert_allclose(table[f"{name}'"], torch.autograd.grad(y.sum(), z)[0], atol=1e-12)
    torch.testing.assert_close(nonlinearity(name)().double()(z.detach().clone()), y.detach())
    away = np.abs(table["z"]) > 0.15  # a kink has no derivative
    slope = np.gradient(table[name], table["z"])
    calm = away & (np.abs(np.abs(table["z"]) - 3) > 0.15) & (np.abs(table["z"]) < END)
    np.testing.assert_allclose(table[f"{name}'"][calm], slope[calm], atol=8e-3)


def test_one_drawing_holds_a_panel_of_each_and_its_points_are_the_values(figure):
    """Each path is turned back from the drawing's units, which have one decimal, to the axes'."""
    assert set(ACTIVATIONS) == set(TORCHS)
    assert figure.svg.startswith("<svg ")
    assert figure.svg.count("<svg ") == figure.svg.count("</svg>") == 1 + len(ACTIVATIONS)
    table = dict(zip(figure.columns, np.array(figure.rows).T, strict=True))
    panels = figure.svg.split("<svg ")[2:]
    u = (charts.LEFT, charts.WIDTH - charts.RIGHT)
    v = (charts.HEIGHT - charts.BOTTOM, charts.TOP)
    for name, panel in zip(ACTIVATIONS, panels, strict=True):
        assert f">{name}</text>" in panel
        for style, key in (("s0", name), ("s1", f"{name}'")):
            (path,) = re.findall(rf'<path class="line {style}" d="([^"]+)"', panel)
            points = np.array([[float(a) for a in p.split()] for p in re.findall(r"[ML]([^ML]+)", path)])
            x = -END + 2 * END * (points[:, 0] - u[0]) / (u[1] - u[0])
            y = LOW + (HIGH - LOW) * (points[:, 1] - v[0]) / (v[1] - v[0])
            np.testing.assert_allclose(x, table["z"], atol=0.002)
            np.testing.assert_allclose(y, table[key], atol=0.0025)


def test_each_is_listed_with_its_formula(cli):
    code, out, _ = cli("list", "activations")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(ACTIVATIONS)
    assert "phi(z) = max(z, 0)" in out
    assert all(line.startswith("phi(z) = ") for line in list_activations().values())
