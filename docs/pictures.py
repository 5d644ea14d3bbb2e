"""What `draw` in a block of the course does: check that the block still draws the committed picture.

`make pictures` (EMPIRISK_DRAW=1) writes them anew instead. A picture is one SVG that stands alone, in the style of the report.
"""

import base64
import html
import io
import os
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np

from empirisk.figures import Figure

FOLDER = Path(__file__).parent / "course" / "pictures"
MOST = 60_000
"""Bytes of a picture."""
WIDE, SIDE, GAP = 640, 104, 14
"""Of pictures side by side: the width of all, the side of one, what lies between, in units of the drawing."""


def draw(name: str, drawing: Figure | str, *, within: float = 2.0) -> None:
    """Check that `drawing`, a figure or its markup, is course/pictures/NAME.svg, to `within` units of some 400.

    What is trained may be drawn a little otherwise on another processor, so that its blocks allow more.
    """
    svg, file = alone(drawing.svg if isinstance(drawing, Figure) else drawing), FOLDER / f"{name}.svg"
    assert len(svg.encode()) < MOST, f"{name}.svg has {len(svg.encode()):,} bytes"
    if os.environ.get("EMPIRISK_DRAW"):
        file.write_text(svg, "utf-8")
    off = apart(svg, file.read_text("utf-8"))
    assert off <= within, f"{name}.svg is drawn otherwise, by {off:.3g} units; if that is meant: make pictures"


def figures(run: str) -> dict[str, Figure]:
    """The figures of a run's report by their key."""
    import empirisk as er
    from empirisk.verbs.report import context

    opened = er.load(run)
    return {f.key: f for f in context(opened, opened.experiment()).figures}


def alone(markup: str) -> str:
    """The markup of a chart or of tiles as an SVG document with its own style, on white."""
    whole, body = tiled(markup) if '<ul class="tiles' in markup else charted(markup)
    css = (files("empirisk.report") / "page.css").read_text("utf-8")
    style = "\n".join([css[: css.index("}") + 1], *re.findall(r"(?m)^svg .*$", css)])
    width, height = whole
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -8 {width + 24} {height + 16}" width="{1.3 * (width + 24):g}">'
        f'<style>{style}</style><rect x="-12" y="-8" width="{width + 24}" height="{height + 16}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def charted(markup: str) -> tuple[tuple[int, int], str]:
    """Size and parts of a chart, its legend below it."""
    drawn, _, _ = markup.partition("<ul")  # charts may lie in a chart, the legend stands after them
    chart = re.match(r'<svg viewBox="0 0 (\d+) (\d+)"[^>]*>(.*)</svg>', drawn, re.DOTALL)
    assert chart, "no chart"
    width, height = int(chart[1]), int(chart[2])
    parts, u, v = [chart[3].replace("><", ">\n<")], 8.0, height + 16.0
    items = re.findall(r"<li><svg[^>]*>(<path[^>]*/>)</svg>(.*?)</li>", markup)
    for sample, words in items:
        wide = 36 + 6.6 * len(html.unescape(words))
        if u > 8 and u + wide > width:
            u, v = 8.0, v + 20
        parts.append(
            f'<g transform="translate({u:g} {v - 9:g})">{sample}</g><text x="{u + 34:g}" y="{v:g}">{words}</text>'
        )
        u += wide + 16
    return (width, int(v) + 8 if items else height), "\n".join(parts)


class Tiles(HTMLParser):
    """The items of a list of tiles: sources of their pictures, and lines of words."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[list[str], list[str]]] = []
        self.reads = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tile, a picture, or a line."""
        if tag == "li":
            self.items.append(([], []))
        elif tag == "img":
            self.items[-1][0].append(dict(attrs)["src"] or "")
        self.reads = tag in {"b", "span"}

    def handle_endtag(self, tag: str) -> None:
        """No line goes on beyond its end."""
        self.reads = False

    def handle_data(self, data: str) -> None:
        """Words of a line."""
        if self.reads and data:
            self.items[-1][1].append(data)


def tiled(markup: str) -> tuple[tuple[int, int], str]:
    """Size and parts of pictures side by side, their words below each."""
    parser = Tiles()
    parser.feed(markup)
    many = max(len(images) for images, _ in parser.items)
    wide, rows = many * (SIDE + 3) - 3, max(len(lines) for _, lines in parser.items)
    columns, high = max(1, (WIDE + GAP) // (wide + GAP)), SIDE + 15 * rows + GAP
    parts = []
    for i, (images, lines) in enumerate(parser.items):
        u, v = i % columns * (wide + GAP), i // columns * high
        for j, source in enumerate(images):
            parts.append(f'<image x="{u + j * (SIDE + 3)}" y="{v}" width="{SIDE}" height="{SIDE}" href="{source}"/>')
        for j, line in enumerate(lines):
            short = line if len(line) <= wide / 5.6 else line[: int(wide / 5.6) - 1] + "…"
            kind = "word" if j else "word main"
            parts.append(f'<text class="{kind}" x="{u}" y="{v + SIDE + 14 + 15 * j}">{html.escape(short)}</text>')
    used = min(columns, len(parser.items)) * (wide + GAP) - GAP
    return (used, -(-len(parser.items) // columns) * high - GAP), "\n".join(parts)


def apart(one: str, other: str) -> float:
    """How far two pictures are from each other: in lines and points the largest distance, in images the largest difference of
    their coarse means, in hundredths of white; infinite where they are made of other parts or say other words.
    """  # fmt: skip
    from scipy.spatial import cKDTree

    a, b = paths(one), paths(other)
    seen, there = thumbs(one), thumbs(other)
    if a.keys() != b.keys() or words(one) != words(other) or len(seen) != len(there):
        return float("inf")
    off = [float(np.abs(x - y).max()) for x, y in zip(seen, there, strict=True)]
    off += [float(cKDTree(p).query(q)[0].max()) for k in a for p, q in ((a[k], b[k]), (b[k], a[k]))]
    return max(off, default=0.0)


def words(svg: str) -> list[str]:
    """What a picture says, but for its numbers."""
    said = re.findall(r'<text(?! class="tick)[^>]*>(.*?)</text>', svg)
    return sorted(re.sub(r"[−-]?[\d.,]+", "#", text) for text in said)


def paths(svg: str) -> dict[str, np.ndarray]:
    """Points (n, 2) along all lines of a kind, at most 2 units from one to the next."""
    found: dict[str, list[np.ndarray]] = {}
    for kind, d in re.findall(r'<path class="([^"]*)" d="([^"]*)"', svg):
        last = np.zeros(2)
        for pen, x, y in re.findall(r"([ML])([-\d.]+) ([-\d.]+)", d) if kind != "grid" else ():
            point = np.array([float(x), float(y)])
            steps = 1 if pen == "M" else max(1, int(np.linalg.norm(point - last) / 2) + 1)
            shares = np.arange(1, steps + 1)[:, None] / steps
            found.setdefault(kind, []).append(point[None] if pen == "M" else last + shares * (point - last))
            last = point
    return {kind: np.concatenate(points) for kind, points in found.items()}


def thumbs(svg: str) -> list[np.ndarray]:
    """Means (6, 6) of each image in hundredths of white."""
    from PIL import Image

    found = re.findall(r'<image [^>]*href="data:image/webp;base64,([^"]+)"', svg)
    small = (
        Image.open(io.BytesIO(base64.b64decode(data))).convert("L").resize((6, 6), Image.Resampling.BOX)
        for data in found
    )
    return [np.asarray(image, float) / 2.55 for image in small]
