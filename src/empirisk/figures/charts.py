"""Charts as SVG, of paths and words alone: lines with bands, points with whiskers, histogram, forest plot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from empirisk.figures.figure import escaped, interval, number

Values = Sequence[float] | np.ndarray
Range = tuple[float, float]
STYLES = 8
"""Line styles that can be told apart without colour."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 290, 44, 12, 28, 42
"""Of a drawing, in its own units: about a phone's pixels, so that text stays readable there."""
NAME = 16
"Letters of a name in a forest plot, at most."


@dataclass(frozen=True)
class Curve:
    """A line (or, with `dots`, points) of a chart, with a band (or whiskers) from `low` to `high`."""

    name: str
    x: Values
    y: Values
    low: Values | None = None
    high: Values | None = None
    dots: bool = False
    style: int | None = None
    "of the eight styles of lines; None: by its place"


def chart(
    curves: Sequence[Curve], *, label: str, x: str, y: str, x_range: Range | None = None, y_range: Range | None = None,
    diagonal: bool = False, across: Sequence[tuple[float, str]] = (), marks: Sequence[tuple[float, str]] = (),
    square: bool = False, whole: bool = False, tint: Sequence[tuple[int, float, float, float, float]] = (),
) -> str:  # fmt: skip
    """Lines with bands or points with whiskers over two axes.

    `across` are horizontal, `marks` vertical reference lines, each with a short name; `label` is the text for screen readers; with `whole`
    the ticks of x are whole numbers; `tint` lies under all: (style, left, bottom, right, top), the sides in shares of the axes.
    """
    ends = [v for c in curves for v in (c.y, c.low, c.high) if v is not None]
    height = WIDTH - LEFT - RIGHT + TOP + BOTTOM if square else HEIGHT
    d = _Drawing(x_range or _span(*(c.x for c in curves)), y_range or _span(*ends, [a for a, _ in across]), height)
    for place, *sides in tint:
        left, bottom, right, top = (a + s * (b - a) for s, (a, b) in zip(sides, (d.x, d.y, d.x, d.y), strict=True))
        d.path(f"band s{place % STYLES}", (left, left, right, right), (bottom, top, top, bottom))
    d.axes(x, y, whole=whole)
    if diagonal:
        both = max(d.x[0], d.y[0]), min(d.x[1], d.y[1])
        d.path("reference", both, both)
    for value, _ in across:
        d.path("reference", d.x, (value, value))
    for value, _ in marks:
        d.path("mark", (value, value), d.y)
    styles = [f"s{(i if c.style is None else c.style) % STYLES}" for i, c in enumerate(curves)]
    for curve, style in zip(curves, styles, strict=True):
        d.curve(curve, style)
    for value, name in across:  # words lie over the points, lines under them
        d.text("note end", d.right - 4, d.at(0, value)[1] - 5, name, 40)
    for i, (value, name) in enumerate(marks):
        u = d.at(value, 0)[0]
        kind, beside = ("note end", u - 5) if u > 0.6 * WIDTH else ("note", u + 5)
        d.text(kind, beside, d.top + 12 + 14 * i, name, 40)
    items = ""
    for c, style in zip(curves, styles, strict=True):
        kind, path = ("point", "M14 5L14 5") if c.dots else ("line", "M1 5H27")
        sample = f'<svg viewBox="0 0 28 10" aria-hidden="true"><path class="{kind} {style}" d="{path}"/></svg>'
        items += f"<li>{sample}{escaped(c.name, 60)}</li>"
    return d.svg(label) + (f'<ul class="legend">{items}</ul>' if sum(bool(c.name) for c in curves) > 1 else "")


def histogram(values: Values, *, label: str, x: str) -> str:
    """Counts of `values` in 24 equal bins, with a line at zero where zero is inside."""
    counts, edges = np.histogram(np.asarray(values, float), 24)
    d = _Drawing((float(edges[0]), float(edges[-1])), (0.0, float(max(1, counts.max())) * 1.05), HEIGHT)
    d.axes(x, "count")
    for n, left, right in zip(counts, edges, edges[1:], strict=False):
        d.path("bar", (left, left, right, right), (0, n, n, 0))
    if edges[0] < 0 < edges[-1]:
        d.path("mark", (0, 0), d.y)
    return d.svg(label)


def intervals(rows: Sequence[tuple[str, float | None, float | None, float | None]], *, label: str, x: str) -> str:
    """A forest plot: (name, value, low, high) one under the other; the first is drawn as the one that matters."""
    finite = [v for _, *three in rows for v in three if v is not None and math.isfinite(v)]
    low, high = _span(finite)
    low = max(low, 0.0) if min(finite, default=0) >= 0 else low
    high = min(high, 1.0) if max(finite, default=9) <= 1 else high
    letters = min(NAME, max((len(name) for name, *_ in rows), default=0))
    d = _Drawing(
        (low, high), (0, len(rows)), 34 * len(rows) + 8 + BOTTOM, left=max(78, 7 * letters + 6), right=112, top=8
    )
    d.axes(x)
    for i, (name, value, least, most) in enumerate(rows):
        at, kind = len(rows) - i - 0.5, "main" if i == 0 else "other"
        v = d.at(0, at)[1]
        d.text(f"name {kind}", 0, v + 4, name, NAME)
        if value is None:
            d.text("note", d.left + 6, v + 4, "undefined")
            continue
        if least is not None and most is not None:
            d.path(f"whisker {kind}", (least, most), (at, at))
        d.path(f"dot {kind}", (value, value), (at, at))
        d.text(f"value end {kind}", WIDTH, v + 4, interval(value, least, most))
    return d.svg(label)


def ribbons(
    lanes: Sequence[tuple[str, Sequence[tuple[int, float, float]]]], names: Sequence[str], *, label: str, x: str
) -> str:  # fmt: skip
    """Stretches of time as bars, (which of `names`, from, to), in lanes with a name, in pairs: the second of two lies close below the first."""
    longest = max((b for _, parts in lanes for _, _, b in parts), default=1.0)
    tall = 15 * len(lanes) + 10 * (len(lanes) // 2)
    d = _Drawing((0.0, longest), (0.0, float(tall)), tall + 8 + BOTTOM, left=92, top=8)
    d.axes(x)
    for i, (name, parts) in enumerate(lanes):
        high = tall - 15 * i - 10 * (i // 2)
        d.text("note" if i % 2 else "tick", 0, d.at(0, high - 7)[1] + 4, name, 14)
        for k, a, b in parts:
            d.path(f"ribbon s{k % STYLES}", (a, a, b, b), (high - 13, high, high, high - 13))
    items = ""
    for k, name in enumerate(names):
        sample = (
            f'<svg viewBox="0 0 28 10" aria-hidden="true"><path class="ribbon s{k % STYLES}" d="M1 0H27V10H1Z"/></svg>'
        )
        items += f"<li>{sample}{escaped(name, 60)}</li>"
    return d.svg(label) + f'<ul class="legend">{items}</ul>'


def alignment(said: Sequence[str], given: Sequence[str], weights: np.ndarray, *, label: str, x: str, y: str) -> str:
    """Words said, a row each, over words given, a column each: squares whose areas are the weights (rows, columns), from 0 to 1."""
    left, top = 92, 84
    side = min(22.0, (WIDTH - 8 - left) / len(given))
    tall = max(side, 15.0)
    right, height = WIDTH - left - side * len(given), round(top + tall * len(said)) + BOTTOM
    d = _Drawing((0, side * len(given)), (0, tall * len(said)), height, left, right, top)
    for j, word in enumerate(given):
        at = f'transform="translate({left + side * (j + 0.5) + 4:.1f} {top - 6}) rotate(-90)"'
        d.parts.append(f'<text class="axis" {at}>{escaped(word, 13)}</text>')
    for i, word in enumerate(said):
        v = tall * (len(said) - i - 0.5)
        d.path("grid", d.x, (v, v))
        d.text("end", left - 8, d.at(0, v)[1] + 4, word, 13)
        for j, half in enumerate(0.47 * side * np.sqrt(weights[i])):
            u = side * (j + 0.5)
            d.path("ribbon s0", (u - half, u - half, u + half, u + half), (v - half, v + half, v + half, v - half))
    d.text("axis", 2, 12, y)
    d.text("axis middle", (d.left + d.right) / 2, d.bottom + 20, x)
    return d.svg(label)


class _Drawing:
    """Paths and words over two axes; a point is a path of no length with a round end."""

    def __init__(
        self, x: Range, y: Range, height: int, left: float = LEFT, right: float = RIGHT, top: int = TOP
    ) -> None:
        self.x, self.y, self.height = _wide(*x), _wide(*y), height
        self.left, self.right, self.top, self.bottom = left, WIDTH - right, top, height - BOTTOM
        self.parts: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where (x, y) lies; values beyond the axes are drawn at their edge."""
        u, v = ((float(a) - low) / (high - low) for a, (low, high) in ((x, self.x), (y, self.y)))
        u, v = min(max(u, 0), 1), min(max(v, 0), 1)
        return round(self.left + u * (self.right - self.left), 1), round(self.bottom - v * (self.bottom - self.top), 1)

    def path(self, kind: str, xs: Values, ys: Values) -> None:
        """A path through the points; one that is not a number breaks it."""
        out, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if math.isfinite(x) and math.isfinite(y):
                u, v = self.at(x, y)
                out.append(f"{pen}{u:g} {v:g}")
            pen = "L" if math.isfinite(x) and math.isfinite(y) else "M"
        if out:
            self.parts.append(f'<path class="{kind}" d="{"".join(out)}"/>')

    def text(self, kind: str, u: float, v: float, words: str, limit: int = 60) -> None:
        self.parts.append(f'<text class="{kind}" x="{u:g}" y="{v:g}">{escaped(words, limit)}</text>')

    def curve(self, c: Curve, style: str) -> None:
        """A line with its band, or points with their whiskers."""
        if not c.dots:
            if c.low is not None and c.high is not None:
                self.path(f"band {style}", [*c.x, *c.x[::-1]], [*c.low, *c.high[::-1]])
            self.path(f"line {style}", c.x, c.y)
            return
        size = "" if len(c.x) < 60 else " small"
        for i, (x, y) in enumerate(zip(c.x, c.y, strict=True)):
            if c.low is not None and c.high is not None:
                self.path(f"whisker {style}", (x, x), (c.low[i], c.high[i]))
            self.path(f"point{size} {style}", (x, x), (y, y))

    def axes(self, x: str, y: str | None = None, *, whole: bool = False) -> None:
        """Grid, tick labels and axis names; without `y` of x alone."""
        for tick, words in _ticks(*self.x, least=1.0 if whole else 0.0):
            self.path("grid", (tick, tick), self.y)
            self.text("tick middle", self.at(tick, 0)[0], self.bottom + 16, words)
        for tick, words in _ticks(*self.y) if y is not None else []:
            self.path("grid", self.x, (tick, tick))
            self.text("tick end", self.left - 6, self.at(0, tick)[1] + 4, words)
        self.text("axis middle", (self.left + self.right) / 2, self.height - 5, x)
        if y:
            self.text("axis", 2, 12, y)

    def svg(self, label: str) -> str:
        """The drawing; `label` is the text for screen readers."""
        about = f'viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escaped(label, 2000)}"'
        return f"<svg {about}>{''.join(self.parts)}</svg>"


def _span(*series: Values) -> Range:
    """From least to largest, with a margin."""
    values = np.concatenate([np.empty(0), *(np.asarray(s, float).ravel() for s in series)])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _wide(low: float, high: float) -> Range:
    return (low, high) if high > low else (low - max(abs(low), 1) * 0.05, high + max(abs(high), 1) * 0.05)


def _ticks(low: float, high: float, least: float = 0.0) -> list[tuple[float, str]]:
    """About five round values inside the range, at least `least` apart, with their labels."""
    raw = max((high - low) / 5, least)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return [(v, "0" if abs(v) < step / 2 else number(v, places)) for v in values]
