"""A figure as plain values, how text and numbers are written in it, and figures that are HTML: pictures with words, matrix, operating point."""

import html
import math
from collections.abc import Sequence
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
    """Decimal places in which the largest of `values` shows three digits that matter; 3 at most, unless all would vanish.

    >>> digits(0.002, 0.1), digits(123.4), digits(0.00031), digits(0.0)
    (3, 0, 6, 3)
    """
    top = max((abs(v) for v in values if math.isfinite(v)), default=0)
    return 3 if top == 0 or 5e-4 <= top <= 1 else max(0, 2 - math.floor(math.log10(top)))


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


@dataclass(frozen=True)
class Tile:
    """Pictures that belong together (image, where the model looked), as data URIs, with words and a group to filter by."""

    pictures: tuple[tuple[str, str], ...]
    "(data URI, text for those who do not see it)"
    lines: tuple[str, ...] = ()
    group: str = ""


def tiles(items: Sequence[Tile], *, kind: str = "") -> str:
    """Pictures with words below, as a list that wraps; `kind` is a class of the style sheet."""
    out = []
    for item in items:
        images = "".join(f'<img src="{uri}" alt="{escaped(alt, 400)}">' for uri, alt in item.pictures)
        first, *rest = item.lines or ("",)
        words = f"<b>{escaped(first, 80)}</b>" + "".join(f"<span>{escaped(line, 80)}</span>" for line in rest)
        pair = f'<div class="pair">{images}</div>' if images else ""
        out.append(f'<li data-group="{escaped(item.group)}">{pair}<p>{words}</p></li>')
    return f'<ul class="tiles {kind}">{"".join(out)}</ul>'


def album(
    key: str, title: str, items: Sequence[Tile], text: str, section: str = "pictures", columns: Sequence[str] = (),
    rows: Sequence[Sequence[Any]] = (), *, kind: str = "pairs", empty: str = "",
) -> Figure:  # fmt: skip
    """A figure of tiles, as wide as the page; `empty` is said where there are none."""
    svg = f"<p>{empty}</p>" if empty and not items else tiles(items, kind=kind)
    return Figure(key, title, svg, text, section, tuple(columns), tuple(map(tuple, rows)), wide=True)


def matrix(
    names: Sequence[str], counts: Sequence[Sequence[float]], *, label: str, rows: str, columns: str, across: Sequence[str] = ()
) -> str:  # fmt: skip
    """A table of counts, each cell shaded by its share of the row; columns are named by `across`, else like the rows."""

    def head(name: str, scope: str, limit: int) -> str:
        return f'<th scope="{scope}"><span title="{escaped(name)}">{escaped(name, limit)}</span></th>'

    body = ""
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        body += f"<tr>{head(name, 'row', 20)}"
        for j, n in enumerate(row):
            share, right = n / (sum(row) or 1), " right" if i == j and not across else ""
            cell = f"<b>{number(int(n))}</b><small>{100 * share:.0f} %</small>"
            body += f'<td class="q{9 * share:.0f}{right}">{cell}</td>'
        body += "</tr>"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(label, 2000)}"><table class="matrix"><thead>'
        f'<tr><th class="corner">{escaped(rows)} ↓ <br>{escaped(columns)} →</th>'
        f"{''.join(head(n, 'col', 14) for n in across or names)}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def operating(table: Sequence[Sequence[float | None]], at: int, prevalence: float, name: str) -> str:
    """Sensitivity, specificity and predictive values of `name` at row `at` of (threshold, sensitivity, low, high, specificity, low, high).

    The page's script lets the reader move threshold and prevalence; it reads the figure's own numbers, so `table` must be its rows.
    """
    t, se, _, _, sp, _, _ = (math.nan if v is None else v for v in table[at])
    tp, fn, fp, tn = prevalence * se, prevalence * (1 - se), (1 - prevalence) * (1 - sp), (1 - prevalence) * sp
    values = {
        "Sensitivity": ("sensitivity", interval(*table[at][1:4])), "Specificity": ("specificity", interval(*table[at][4:7])),
        "Positive predictive value": ("ppv", number(tp / (tp + fp) if tp + fp else None)),
        "Negative predictive value": ("npv", number(tn / (tn + fn) if tn + fn else None)),
    }  # fmt: skip
    cells = "".join(f'<div><dt>{k}</dt><dd data-out="{key}">{v}</dd></div>' for k, (key, v) in values.items())
    people = {"tp": tp, "fn": fn, "fp": fp, "tn": tn}
    n = {k: f'<b data-out="{k}">{"–" if math.isnan(v) else round(1000 * v)}</b>' for k, v in people.items()}
    share, who = round(100 * prevalence, 1), escaped(name, 40)
    return (
        f'<div class="dial" data-row="{at}"><div class="knobs">'
        f'<label>Threshold <output data-out="threshold">{number(t)}</output><input type="range" min="0" max="{len(table) - 1}" step="1" value="{at}"></label>'
        f'<label>Share of {who} among those examined <output data-out="prevalence">{share} %</output>'
        f'<input type="range" min="0.5" max="99.5" step="0.5" value="{share}"></label></div>'
        f'<p class="still">At threshold {number(t)} and a share of {share} % {who} among those examined:</p><dl>{cells}</dl>'
        f'<p class="people">Of 1,000 examined, {n["tp"]} are rightly called {who} and {n["fn"]} are missed; '
        f"{n['fp']} are called in error and {n['tn']} rightly cleared.</p></div>"
    )
