"""Charts as SVG: lines with bands, points with whiskers, histogram, forest plot."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from empirisk.figures.figure import digits, escaped, number

Values = Sequence[float] | np.ndarray
STYLES = 8
"""Line styles that can be told apart without colour."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 290, 44, 12, 28, 42
"""Of a drawing, in its own units: about a phone's pixels, so that text stays readable there."""


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


def chart(
    curves: Sequence[Curve],
    *,
    label: str,
    x: str,
    y: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    across: Sequence[tuple[float, str]] = (),
    marks: Sequence[tuple[float, str]] = (),
    square: bool = False,
    whole: bool = False,
) -> str:
    """Lines with bands or points with whiskers over two axes.

    `across` are horizontal, `marks` vertical reference lines, each with a short name; `label` is the text for screen readers; with `whole`
    the ticks of x are whole numbers.
    """
    axes = _Axes(
        x_range or _span([c.x for c in curves]),
        y_range or _span([v for c in curves for v in (c.y, c.low, c.high) if v is not None], [a for a, _ in across]),
        height=WIDTH - LEFT - RIGHT + TOP + BOTTOM if square else HEIGHT,
    )
    parts = [axes.frame(x, y, whole=whole)]
    if diagonal:
        low, high = max(axes.x[0], axes.y[0]), min(axes.x[1], axes.y[1])
        parts.append(f'<path class="reference" d="{axes.path([low, high], [low, high])}"/>')
    notes = []  # words lie over the points, lines under them
    for value, name in across:
        a, b = axes.at(axes.x[0], value), axes.at(axes.x[1], value)
        parts.append(f'<path class="reference" d="M{a[0]} {a[1]}H{b[0]}"/>')
        notes.append(f'<text class="note end" x="{b[0] - 4}" y="{a[1] - 5}">{escaped(name, 40)}</text>')
    for i, (value, name) in enumerate(marks):
        a, b = axes.at(value, axes.y[0]), axes.at(value, axes.y[1])
        end, u = (" end", a[0] - 5) if a[0] > WIDTH * 0.6 else ("", a[0] + 5)
        parts.append(f'<path class="mark" d="M{a[0]} {a[1]}V{b[1]}"/>')
        notes.append(f'<text class="note{end}" x="{u}" y="{b[1] + 12 + 14 * i}">{escaped(name, 40)}</text>')
    for i, curve in enumerate(curves):
        style = (i if curve.style is None else curve.style) % STYLES
        parts.append(_points(axes, curve, style) if curve.dots else _line(axes, curve, style))
    names = [(c.name, i if c.style is None else c.style, c.dots) for i, c in enumerate(curves)]
    drawn = _svg("".join(parts + notes), label, WIDTH, axes.height)
    return drawn + (legend(names) if len([n for n, _, _ in names if n]) > 1 else "")


def histogram(values: Values, *, label: str, x: str, bins: int = 24) -> str:
    """Counts of `values` in equal bins, with a line at zero where zero is inside."""
    counts, edges = np.histogram(np.asarray(values, float), bins)
    axes = _Axes((float(edges[0]), float(edges[-1])), (0.0, float(max(1, counts.max())) * 1.05))
    bars = []
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        (x0, y0), (x1, y1) = axes.at(left, count), axes.at(right, 0)
        bars.append(f'<rect class="bar" x="{x0}" y="{y0}" width="{max(x1 - x0 - 1, 0.5):.1f}" height="{y1 - y0:.1f}"/>')
    if edges[0] < 0 < edges[-1]:
        at = axes.at(0, axes.y[1])
        bars.append(f'<path class="mark" d="M{at[0]} {at[1]}V{axes.at(0, 0)[1]}"/>')
    return _svg(axes.frame(x, "count") + "".join(bars), label, WIDTH, axes.height)


def intervals(rows: Sequence[tuple[str, float | None, float | None, float | None]], *, label: str, x: str) -> str:
    """A forest plot: (name, value, low, high) one under the other; the first is drawn as the one that matters."""
    finite = [v for _, *three in rows for v in three if v is not None and math.isfinite(v)]
    low, high = _span([finite])
    low, high = (
        (max(low, 0.0) if min(finite, default=0) >= 0 else low),
        (min(high, 1) if max(finite, default=9) <= 1 else high),
    )
    step, top = 34, 8
    axes = _Axes((low, high), (0, 1), height=len(rows) * step + top + BOTTOM, left=78, right=112, width=WIDTH, top=top)
    parts = [axes.frame(x, "", grid_y=False)]
    for i, (name, value, *ends) in enumerate(rows):
        middle, main = top + step * i + step / 2, "main" if i == 0 else "other"
        parts.append(f'<text class="name {main}" x="0" y="{middle + 4}">{escaped(name, 12)}</text>')
        if value is None:
            parts.append(f'<text class="note" x="{axes.left + 6}" y="{middle + 4}">undefined</text>')
            continue
        at, places, said = axes.at(value, 0)[0], digits(value), ""
        if ends[0] is not None and ends[1] is not None:
            parts.append(
                f'<path class="whisker {main}" d="M{axes.at(ends[0], 0)[0]} {middle}H{axes.at(ends[1], 0)[0]}"/>'
            )
            said = f" [{number(ends[0], places)}, {number(ends[1], places)}]"
        parts.append(f'<circle class="dot {main}" cx="{at}" cy="{middle}" r="{4 if i == 0 else 3.2}"/>')
        parts.append(
            f'<text class="value end {main}" x="{axes.width}" y="{middle + 4}">{number(value, places)}{said}</text>'
        )
    return _svg("".join(parts), label, axes.width, axes.height)


def legend(names: Iterable[tuple[str, int, bool]]) -> str:
    """(name, style, dots) as a wrapping list of samples with words."""
    items = []
    for name, style, dots in names:
        sample = '<circle class="point {0}" cx="14" cy="5" r="4"/>' if dots else '<path class="line {0}" d="M1 5H27"/>'
        svg = f'<svg viewBox="0 0 28 10" aria-hidden="true">{sample.format(f"s{style % STYLES}")}</svg>'
        items.append(f"<li>{svg}{escaped(name, 60)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


@dataclass
class _Axes:
    """From values to a drawing's units."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    width: int = WIDTH
    top: int = TOP
    inner: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.x, self.y = (_wide(*self.x), _wide(*self.y))
        self.inner = (self.width - self.left - self.right, self.height - self.top - BOTTOM)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where (x, y) lies; values beyond the axes are drawn at their edge."""
        u = min(max((float(x) - self.x[0]) / (self.x[1] - self.x[0]), 0), 1)
        v = min(max((float(y) - self.y[0]) / (self.y[1] - self.y[0]), 0), 1)
        return round(self.left + u * self.inner[0], 1), round(self.top + (1 - v) * self.inner[1], 1)

    def path(self, xs: Values, ys: Values) -> str:
        """An SVG path through the points; one that is not a number breaks the line."""
        out, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            u, v = self.at(x, y)
            out.append(f"{pen}{u:g} {v:g}")
            pen = "L"
        return "".join(out)

    def frame(self, x: str, y: str, *, grid_y: bool = True, whole: bool = False) -> str:
        """Grid, tick labels and axis names."""
        bottom, parts = self.top + self.inner[1], []
        for tick, text in _ticks(*self.x, least=1.0 if whole else 0.0):
            u = self.at(tick, self.y[0])[0]
            parts.append(f'<path class="grid" d="M{u} {self.top}V{bottom}"/>')
            parts.append(f'<text class="tick middle" x="{u}" y="{bottom + 16}">{text}</text>')
        for tick, text in _ticks(*self.y) if grid_y else []:
            v = self.at(self.x[0], tick)[1]
            parts.append(f'<path class="grid" d="M{self.left} {v}H{self.width - self.right}"/>')
            parts.append(f'<text class="tick end" x="{self.left - 6}" y="{v + 4}">{text}</text>')
        middle = self.left + self.inner[0] / 2
        parts.append(f'<text class="axis middle" x="{middle}" y="{self.height - 5}">{escaped(x, 60)}</text>')
        if y:
            parts.append(f'<text class="axis" x="2" y="12">{escaped(y, 60)}</text>')
        return "".join(parts)


def _line(axes: _Axes, curve: Curve, style: int) -> str:
    band = ""
    if curve.low is not None and curve.high is not None:
        there, back = axes.path(curve.x, curve.low), axes.path(list(curve.x)[::-1], list(curve.high)[::-1])
        band = f'<path class="band s{style}" d="{there}{back.replace("M", "L", 1)}Z"/>' if there and back else ""
    return f'{band}<path class="line s{style}" d="{axes.path(curve.x, curve.y)}"/>'


def _points(axes: _Axes, curve: Curve, style: int) -> str:
    out = []
    for i, (x, y) in enumerate(zip(curve.x, curve.y, strict=True)):
        u, v = axes.at(x, y)
        if curve.low is not None and curve.high is not None:
            out.append(
                f'<path class="whisker s{style}" d="M{u} {axes.at(x, curve.low[i])[1]}V{axes.at(x, curve.high[i])[1]}"/>'
            )
        out.append(f'<circle class="point s{style}" cx="{u}" cy="{v}" r="{3.5 if len(curve.x) < 60 else 2.4}"/>')
    return "".join(out)


def _svg(inside: str, label: str, width: int, height: int) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escaped(label, 2000)}">{inside}</svg>'


def _span(series: Sequence[Values], more: Sequence[float] = ()) -> tuple[float, float]:
    values = np.concatenate([np.asarray(s, float).ravel() for s in series] + [np.asarray(more, float)])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _wide(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - max(abs(low), 1) * 0.05, high + max(abs(high), 1) * 0.05)


def _ticks(low: float, high: float, least: float = 0.0) -> list[tuple[float, str]]:
    """About five round values inside the range, at least `least` apart, with their labels."""
    raw = max((high - low) / 5, least)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step - 1e-9)
    values = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(v, "0" if abs(v) < step / 2 else number(v, places)) for v in values]
