"""A page with a map of points that a reader walks over: which row a point is, of which class, and its picture. It calls nobody."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from empirisk import report
from empirisk.errors import shown
from empirisk.report.evidence import Context

NOWHERE, TOP = 65_535, 65_000
"""Of a coordinate, in whole numbers: a point that a map lacks, and its largest."""


@dataclass(frozen=True)
class Plane:
    """One map: its name, what it shows in words, and where each point lies (N, 2), NaN where it is not drawn."""

    name: str
    text: str
    xy: np.ndarray


def page(
    title: str, ids: Sequence[str], labels: Sequence[str], planes: Sequence[Plane], pictures: dict[int, str], table: str
) -> str:
    """The page of N points, 50,000 at ease: `labels` colour them, `pictures` are data URIs by number, `table` is the file beside it."""
    names = sorted(set(labels) - {""}) + ([""] if "" in labels else [])
    points = {
        "ids": [shown(i) for i in ids],
        "names": [shown(n, 60) or "no class" for n in names],
        "group": packed(np.array([names.index(n) for n in labels])),
        "planes": [{"name": p.name, "text": p.text, "xy": packed(whole(p.xy))} for p in planes],
        "pictures": {str(k): uri for k, uri in pictures.items()},
    }
    block = json.dumps(points, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    c = Context(title, {}, card={}, counts={}, odd=[], figures=[])
    values = {"planes": planes, "n": len(ids), "points": Markup(block), "table": table}  # escaped above
    return report.filled_page("map.html.j2", c, values, script="map.js")


def whole(xy: np.ndarray) -> np.ndarray:
    """Places (N, 2) as whole numbers from 0 to 65,000 on one scale for both axes, the y axis up; `NOWHERE` for NaN."""
    there = np.isfinite(xy).all(1)
    low, high = xy[there].min(0), xy[there].max(0)
    span = float((high - low).max()) or 1.0
    out = np.full(xy.shape, NOWHERE)
    out[there] = np.rint(TOP * (0.5 + (xy[there] - (low + high) / 2) / span))
    return out


def packed(values: np.ndarray) -> str:
    """Whole numbers from 0 to 65,535 as base64 of 16 bits each, the small end first."""
    return base64.b64encode(values.astype("<u2").tobytes()).decode()
