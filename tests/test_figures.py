"""Figures: what is drawn is what was given, everything from outside is escaped, every figure speaks without colour or sight."""

import base64
import io
import json
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from empirisk import figures
from empirisk.figures import Curve, Figure, Tile

HOSTILE = '"><script>alert(1)</script>'


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def drawn(svg: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(svg.partition(",")[2]))).convert("RGB")


def test_a_figure_survives_json_and_what_is_not_finite_becomes_none():
    figure = Figure("k", "t", "<svg/>", "words", "data", ("a", "b"), ((1, math.nan), (np.float64(2.5), "x")), wide=True)
    again = Figure.from_dict(json.loads(json.dumps(figure.to_dict(), allow_nan=False)))
    assert again.rows == ((1, None), (2.5, "x"))
    assert (again.key, again.section, again.columns, again.wide) == ("k", "data", ("a", "b"), True)


def test_a_line_ends_in_the_corners_of_its_axes():
    svg = figures.chart([Curve("", [0, 1], [0, 1])], label="l", x="x", y="y", x_range=(0, 1), y_range=(0, 1))
    d = next(e for e in parsed(svg) if e.get("class") == "line s0").get("d")
    (x0, y0), (x1, y1) = ([float(v) for v in p.split()] for p in d[1:].split("L"))
    assert (x0, x1) == (44, 388)
    assert (y0, y1) == (248, 28)  # SVG counts from the top


def test_a_gap_in_the_numbers_is_a_gap_in_the_line():
    svg = figures.chart([Curve("", [0, 1, 2, 3], [0, 1, math.nan, 1])], label="l", x="x", y="y")
    assert next(e for e in parsed(svg) if e.get("class") == "line s0").get("d").count("M") == 2


@pytest.mark.parametrize("values", [[], [math.nan], [1.0], [0.0, 0.0], [1e-9, 2e-9], [-1e6, 1e6]])
def test_any_numbers_can_be_drawn(values):
    x = list(range(len(values)))
    parsed(figures.chart([Curve("", x, values)], label="l", x="x", y="y"))
    parsed(
        figures.chart(
            [Curve("", x, values, values, values, dots=True)],
            label="l",
            x="x",
            y="y",
            across=[(0.5, "a")],
            marks=[(0, "b")],
        )
    )
    finite = [v for v in values if math.isfinite(v)]
    if finite:
        parsed(figures.histogram(finite, label="l", x="x"))


def test_each_of_eight_curves_has_a_style_of_its_own_and_is_named_in_words():
    curves = [Curve(f"class {i}", [0, 1], [0, i]) for i in range(8)]
    svg = figures.chart(curves, label="l", x="x", y="y")
    assert all(f'class="line s{i}"' in svg and f"class {i}" in svg for i in range(8))


def test_every_svg_has_text_for_those_who_do_not_see_it():
    label = "sensitivity over 1 - specificity"
    for svg in (
        figures.chart([Curve("", [0, 1], [0, 1])], label=label, x="x", y="y"),
        figures.histogram([1, 2, 3], label=label, x="x"),
        figures.intervals([("a", 0.5, 0.4, 0.6), ("b", None, None, None)], label=label, x="x"),
        figures.alignment(["a"], ["b", "c"], np.array([[0.2, 0.8]]), label=label, x="x", y="y"),
    ):
        assert parsed(svg).get("role") == "img"
        assert parsed(svg).get("aria-label") == label


def test_the_areas_of_an_alignment_are_its_weights():
    svg = figures.alignment(["a"], ["b", "c"], np.array([[0.2, 0.8]]), label="l", x="x", y="y")
    squares = [
        np.array(re.findall(r"[-\d.]+", d), float).reshape(4, 2)
        for d in re.findall(r'class="ribbon s0" d="([^"]*)"', svg)
    ]
    wide, tall = np.array([np.ptp(s, axis=0) for s in squares]).T
    np.testing.assert_allclose(wide, tall, atol=0.2)
    assert wide[1] ** 2 / wide[0] ** 2 == pytest.approx(4, rel=0.05)


def test_a_forest_plot_says_undefined_where_there_is_no_value():
    svg = figures.intervals([("model", 0.9, 0.8, 0.95), ("prior", None, None, None)], label="l", x="AUC")
    assert ".900 [.800, .950]" in svg
    assert "undefined" in svg


def test_a_forest_plot_leaves_its_names_room():
    for name in ("pca", "reconstruction"):
        svg = figures.intervals([("a", 0.5, 0.4, 0.6), (name, 0.1, 0.0, 0.2)], label="l", x="x")
        assert name in svg
        starts = [float(x) for x in re.findall(r'class="(?:whisker|dot) \w+" d="M([\d.]+)', svg)]
        assert min(starts) >= 6.5 * len(name)  # 6.5 of a drawing's units a letter


def test_names_from_outside_are_escaped_wherever_they_are_drawn():
    names = [HOSTILE, "b"]
    markup = [
        figures.chart(
            [Curve(n, [0, 1], [0, 1]) for n in names],
            label=HOSTILE,
            x=HOSTILE,
            y=HOSTILE,
            marks=[(0.5, HOSTILE)],
            across=[(0.5, HOSTILE)],
        ),
        figures.histogram([1, 2], label=HOSTILE, x=HOSTILE),
        figures.intervals([(HOSTILE, 0.5, 0.4, 0.6)], label=HOSTILE, x=HOSTILE),
        figures.alignment(names, names, np.full((2, 2), 0.5), label=HOSTILE, x=HOSTILE, y=HOSTILE),
        figures.matrix(names, [[1, 2], [3, 4]], label=HOSTILE, rows="truth", columns="answer"),
        figures.operating([[0.5, 0.9, 0.8, 1, 0.7, 0.6, 0.8]], 0, 0.3, HOSTILE),
        figures.tiles([Tile((("data:,", HOSTILE),), (HOSTILE, HOSTILE), HOSTILE)]),
    ]
    for text in markup:
        assert "<script" not in text
        assert "&lt;script" in text
        assert "style=" not in text  # the page's policy forbids it


def test_a_matrix_holds_the_counts_and_shares_of_the_row():
    html = figures.matrix(["a", "b"], [[3, 1], [0, 0]], label="l", rows="truth", columns="answer")
    assert "<b>3</b><small>75 %</small>" in html
    assert "<b>0</b><small>0 %</small>" in html  # a class that never comes


def test_predictive_values_follow_from_bayes():
    html = figures.operating([[0.5, 0.9, 0.8, 1.0, 0.8, 0.7, 0.9]], 0, 0.1, "ill")
    assert f'data-out="ppv">{figures.number(0.09 / (0.09 + 0.18))}<' in html
    assert f'data-out="npv">{figures.number(0.72 / 0.73)}<' in html
    assert 'data-out="tp">90<' in html


@pytest.mark.parametrize("shape", [(1, 20, 30), (3, 20, 30), (2, 20, 30), (1, 9, 20, 30), (1, 200, 300)])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_any_image_becomes_a_thumbnail_of_its_own_shape(shape, kind):
    image = np.random.default_rng(0).random(shape)
    image = image.astype(kind) if kind == "float32" else (image * np.iinfo(kind).max).astype(kind)
    uri = figures.picture(image, side=60)
    assert uri.startswith("data:image/webp;base64,")
    assert drawn(uri).size == (60, 40)


def test_numbers_of_a_small_range_fill_the_range_of_greys():
    ramp = np.linspace(-0.01, 0.01, 1024, dtype=np.float32).reshape(1, 32, 32)
    seen = np.asarray(drawn(figures.picture(ramp, side=32)))
    assert seen.min() < 5
    assert seen.max() > 250


def test_of_a_volume_the_middle_slice_is_shown():
    volume = np.zeros((1, 5, 8, 8), np.uint8)
    volume[:, 2] = 255
    assert np.asarray(drawn(figures.picture(volume))).min() > 250


def test_where_the_heat_is_low_the_image_stays_and_where_it_is_high_it_turns_yellow():
    grey, heat = np.full((1, 32, 32), 128, np.uint8), np.zeros((32, 32), np.float32)
    heat[:, 16:] = 1
    seen = np.asarray(drawn(figures.picture(grey, heat, side=64))).astype(int)
    assert np.abs(seen[:, :20] - 128).max() < 10
    assert (seen[:, 50:, 0] - seen[:, 50:, 2]).min() > 30


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, ".500"), (-0.5, "−.500"), (0, "0"), (0.0, ".000"), (-0.0, ".000"), (1.0, "1.000"), (12.34, "12.3"), (1234.5, "1,234"), (math.nan, "–"), (np.int64(7), "7")],
)  # fmt: skip
def test_numbers_are_written_alike_everywhere(value, text):
    assert figures.number(value) == text


def test_an_outline_is_as_wide_as_its_stroke_and_stays_inside():
    square = np.zeros((64, 64), bool)
    square[16:48, 16:48] = True
    for stroke in (1, 2):
        uri = figures.picture(np.zeros((1, 64, 64)), side=64, outlines=[(square, (1.0, 1.0, 1.0))], stroke=stroke)
        lit = np.asarray(drawn(uri).convert("L")) > 127
        assert abs(int(lit.sum()) - (32**2 - (32 - 2 * stroke) ** 2)) < 20  # WebP loses a little
