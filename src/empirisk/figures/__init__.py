"""Drawing primitives for the report: own SVG and HTML, so that a task can draw and the page need not know tasks.

Colours (Okabe-Ito) and dashes are classes `s0` ... `s7` that the page's style sheet fills in for light, dark and print;
there is no style attribute and no script, so that the page's content security policy can forbid both.
Everything that comes from outside (names of classes and files) passes through `escaped`.
"""

from empirisk.figures.charts import Curve, alignment, chart, histogram, intervals, ribbons
from empirisk.figures.figure import Figure, Tile, album, escaped, interval, matrix, number, operating, tiles
from empirisk.figures.images import picture

__all__ = [
    "Curve", "Figure", "Tile", "album", "alignment", "chart", "escaped", "histogram", "interval", "intervals", "matrix", "number",
    "operating", "picture", "ribbons", "tiles",
]  # fmt: skip
