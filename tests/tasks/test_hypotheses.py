"""Pictures of a hypothesis on one number and on two: the fit, the U curve, the decision regions."""

import re

import numpy as np
import pytest

import empirisk as er
from empirisk.data import embedded
from empirisk.errors import Wrong
from empirisk.tasks import hypotheses
from empirisk.verbs.run import answer
from empirisk.verbs.say import Say

TWO = "breast-cancer:inputs=mean_area|mean_texture"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("hypotheses")
    made = {
        "linear": er.classification(TWO, model="linear", epochs=20),
        "mlp": er.classification(TWO, model="mlp", width=16, epochs=20),
    }
    made["cubic"] = er.regression("curve", model="polynomial", degree=3)
    made["net"] = er.regression("curve", model="mlp", width=8, epochs=3)
    return {name: er.train(e, out / name, say=Say(quiet=True)) for name, e in made.items()}


def test_two_inputs_are_picked_by_name():
    row = embedded.table(TWO).rows[0]
    whole = embedded.table("breast-cancer").rows[0]
    assert row["x"].names == ("mean area", "mean texture")
    assert row["x"].read().tolist() == [
        dict(zip(whole["x"].names, whole["x"].read(), strict=True))[n] for n in row["x"].names
    ]
    with pytest.raises(Wrong, match="mean area"):
        embedded.table("breast-cancer:inputs=mean_aera|mean_texture")


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_the_regions_are_where_the_model_decides(runs, name):
    e = runs[name].experiment()
    rows = e.data.rows("val")
    (figure,) = hypotheses.of_two_numbers(e, rows, e.data.kind)
    said = [a.choice for a in answer(e, rows)]
    right = sum(c == e.data.kind.encode(r) for c, r in zip(said, rows, strict=True))
    assert f"{right} lie in a region of their own" in figure.text
    assert len(figure.rows) == len(rows)
    assert figure.svg.count('class="band s') >= 2 * hypotheses.STEPS * 0.5
    assert "Decision regions" in runs[name].folder.report.read_text()


def test_a_linear_model_has_a_straight_border(runs):
    """Along each row of cells the class changes once at most, always in one direction, and the place moves evenly."""
    e = runs["linear"].experiment()
    x = np.array([r["x"].read() for r in e.data.rows("val")], float)
    low, high = x.min(0), x.max(0)
    grid = np.stack(np.meshgrid(*(np.linspace(a, b, 200) for a, b in zip(low, high, strict=True))), -1)
    cells = hypotheses._chosen(e, grid.reshape(-1, 2)).reshape(200, 200)
    assert (np.abs(np.diff(cells, axis=1)).sum(1) <= 1).all()
    at = np.array([np.flatnonzero(np.diff(row))[0] for row in cells if np.diff(row).any()])
    assert len(at) > 50
    assert np.abs(np.diff(at, 2)).max() <= 1


def test_runs_of_cells_fill_the_plane():
    cells = np.array([[0, 0, 1], [1, 1, 1]])
    found = hypotheses.runs(cells)
    assert [r[0] for r in found] == [0, 1, 1]
    assert sum((right - left) * (top - bottom) for _, left, bottom, right, top in found) == pytest.approx(1)


def test_three_inputs_or_an_image_have_no_plane(runs, trained):
    e = er.load(trained).experiment()
    assert hypotheses.of_two_numbers(e, e.data.rows("val"), e.data.kind) == []
    assert hypotheses.of_one_number(e, e.data.rows("val"), e.data.kind) == []


def test_the_fit_shows_the_run_the_three_degrees_and_the_truth(runs):
    e = runs["cubic"].experiment()
    rows = e.data.rows("val")
    fit, u = hypotheses.of_one_number(e, rows, e.data.kind)
    names = re.findall(r"</svg>([^<]+)</li>", fit.svg)
    assert names == ["training points", "degree 3", "degree 1", "degree 15", "truth without noise"]
    x, f = np.array(fit.rows).T
    assert np.abs(f - np.sin(2 * np.pi * x)).mean() < 0.2
    same = hypotheses.polynomial_of(e, 3)
    np.testing.assert_allclose(same(e.data.x(rows)).detach(), e.model(e.data.x(rows)).detach(), atol=1e-5)
    table = np.array(u.rows)
    assert table[:, 0].tolist() == list(range(1, 16))
    assert (np.diff(table[:, 1]) <= 1e-7).all()
    best = int(table[table[:, 2].argmin(), 0])
    assert 3 <= best <= 9
    assert f"least at degree {best}" in u.text


def test_another_model_of_one_number_shows_its_fit_alone(runs):
    e = runs["net"].experiment()
    found = hypotheses.of_one_number(e, e.data.rows("val"), e.data.kind)
    assert [f.key for f in found] == ["fit"]
