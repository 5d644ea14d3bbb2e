"""A figure as plain values, and how text and numbers are written in it."""

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirisk.errors import shown


@dataclass(frozen=True)
class Figure:
    """A drawing, what it shows in words, and the numbers behind it.

    `svg` is trusted markup made by this module; `columns` and `rows` are what the page puts behind a button.
    """

    key: str
    title: str
    svg: str
    text: str
    section: str = "pictures"
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    wide: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values for figures/NAME.json; what is not a finite number becomes None."""
        return vars(self) | {"rows": [[_plain(v) for v in row] for row in self.rows]}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Figure":
        """The inverse of `to_dict`."""
        return cls(**value | {"columns": tuple(value["columns"]), "rows": tuple(map(tuple, value["rows"]))})


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def escaped(text: object, limit: int = 200) -> str:
    """Text from outside, safe inside markup: control and direction characters shown, cut to `limit`, HTML escaped.

    >>> escaped('<img src=x>')
    '&lt;img src=x&gt;'
    """
    return html.escape(shown(text, limit))


def number(value: object, places: int | None = None) -> str:
    """A number as the report writes it: three digits that matter, no leading zero, a true minus, thousands apart.

    >>> number(0.9618), number(-0.0312), number(12.345), number(1234567), number(1.0), number(None)
    ('.962', '−.031', '12.3', '1,234,567', '1.000', '–')
    """
    if value is None or isinstance(value, str):
        return value or "–"
    v = float(value)  # type: ignore[arg-type]
    if not math.isfinite(v):
        return "–"
    if places is None:
        places = 0 if isinstance(value, (int, np.integer)) else digits(v)
    text = f"{abs(v):,.{places}f}"
    text = text[1:] if text.startswith("0.") else text
    return f"−{text}" if v < 0 and text.strip(".0") else text


def digits(*values: float) -> int:
    """Decimal places in which the largest of `values` shows three digits that matter (at most 3 places)."""
    top = max((abs(v) for v in values if math.isfinite(v)), default=0)
    return 3 if top <= 1 else max(0, 2 - math.floor(math.log10(top)))


def interval(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value and its interval, in as many digits as each other.

    >>> interval(0.9618, 0.934, 0.983), interval(12.0), interval(None)
    ('.962 [.934, .983]', '12.0', 'undefined')
    """
    if value is None:
        return "undefined"
    if low is None or high is None:
        return number(value)
    places = digits(value, low, high)
    return f"{number(value, places)} [{number(low, places)}, {number(high, places)}]"
