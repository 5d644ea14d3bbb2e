"""Figures of the data and of the training, which every experiment has: contact sheet, twins side by side, curves of the risk."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from empirisk.figures import Curve, Figure, Tile, chart, number, picture, tiles
from empirisk.report.evidence import PARTS

SHEET, PAIRS = 24, 12
"""Most images of a contact sheet, and pairs of twins."""


def training(
    history: Sequence[Mapping[str, Any]], kept: int | None = None, stops: Sequence[Mapping[str, Any]] = ()
) -> list[Figure]:
    """Risk of train and validation with the gap, the step length and the speed over epochs, which count from 1 in pictures.

    Rows are those of history.csv: "epoch" (from 0), "train" (or a column for each player, between "step" and "val"), "val", "lr",
    ...; `kept` is the epoch kept, `stops` the steps after which the run was stopped and went on.
    """
    if not history:
        return []
    epochs = [_value(r["epoch"]) + 1 for r in history]
    columns = list(history[0])
    players = columns[columns.index("step") + 1 : columns.index("val")] if {"step", "val"} <= set(columns) else []
    trained = ["train"] if "train" in columns else players
    mark = [(float(kept + 1), f"kept, epoch {kept + 1}")] if kept is not None else []
    for stop in stops:
        after = next(
            (e for e, r in zip(epochs, history, strict=True) if _value(r.get("step")) >= stop["step"]), epochs[-1]
        )
        mark.append((after, "stopped"))
    out = [_risk(history, epochs, trained, mark)]
    memory = max((m for m in _column(history, "memory_gib") if math.isfinite(m)), default=0.0)
    used = f" Memory: {number(memory)} GiB at most." if memory else ""
    small = (
        _line(history, epochs, "lr", "Step length", "lr", ""),
        _line(history, epochs, "images_per_second", "Images a second", "speed", used),
    )
    return out + [f for f in small if f is not None]


def _risk(
    history: Sequence[Mapping[str, Any]], epochs: list[float], players: list[str], mark: list[tuple[float, str]]
) -> Figure:
    series = {("training" if len(players) == 1 else f"training, {p}"): _column(history, p) for p in players}
    if "val" in history[0]:
        series["validation"] = _column(history, "val")
    curves = [Curve(name, epochs, values) for name, values in series.items()]
    text = "The risk (mean loss) that training makes small, and the same on validation rows, which it never sees."
    if len(players) == 1 and "val" in history[0]:
        at = int(mark[0][0]) if mark else int(epochs[-1])
        row = next((r for r in history if int(_value(r["epoch"])) + 1 == at), history[-1])
        gap = float(row["val"]) - float(row[players[0]])
        text += f" At epoch {at} they are {number(float(row[players[0]]))} and {number(float(row['val']))}: a gap of {number(gap)}."
    svg = chart(curves, label=text, x="epoch", y="risk", whole=True, marks=mark, y_range=_robust(list(series.values())))
    rows = tuple(zip(epochs, *series.values(), strict=True))
    return Figure("risk", "Risk of training and validation", svg, text, "training", ("epoch", *series), rows)


def _line(
    history: Sequence[Mapping[str, Any]], epochs: list[float], column: str, title: str, key: str, more: str
) -> Figure | None:
    values = np.array(_column(history, column))
    if not np.isfinite(values).any() or not np.nanmax(values) > 0:
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    places = None if high >= 0.1 else 2 - math.floor(math.log10(high))
    text = f"Between {number(low, places)} and {number(high, places)}.{more}"
    svg = chart([Curve("", epochs, values)], label=text, x="epoch", y="", whole=True, y_range=(0, high * 1.05))
    return Figure(key, title, svg, text, "training", ("epoch", column), tuple(zip(epochs, values, strict=True)))


def contact_sheet(rows: Sequence[Mapping[str, Any]], *, per_class: int = 6) -> list[Figure]:
    """The first training images of each class, as they are stored; of a volume the middle slice. Vectors have none."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        label = row.get("label", "")
        name = ", ".join(label) if isinstance(label, tuple) else str(label or "")
        groups.setdefault(name, []).append(row)
    most = max(1, min(per_class if len(groups) > 1 else SHEET, 2 * SHEET // len(groups)))
    items = []
    for name, some in sorted(groups.items())[: 2 * SHEET]:
        for row in some[:most]:
            image = row["x"].read()
            if image.ndim < 3:
                return []
            words = (
                [name]
                if name
                else [f"target {number(_value(row.get('target')))}"]
                if row.get("target") not in (None, "")
                else []
            )
            items.append(Tile(((picture(image, side=112), f"image of {name}"),), (*words, str(row["id"])), name))
    return (
        [Figure("sheet", "Images of each class", tiles(items), "The first ones, as stored.", "data", wide=True)]
        if items
        else []
    )


def twins(pairs: Sequence[tuple[str, str, str, float, bool]], images: Mapping[str, np.ndarray]) -> list[Figure]:
    """Near-twins side by side: (parts, partner's id, held-out id, correlation, identical), the closest first."""
    items, table = [], []
    for parts, partner, held, r, identical in list(pairs)[:PAIRS]:
        if partner in images and held in images and images[held].ndim >= 3:
            both = ((picture(images[partner]), f"{partner}"), (picture(images[held]), f"{held}"))
            items.append(
                Tile(
                    both,
                    ("identical" if identical else f"correlation {number(min(r, 0.9999), 4)}", partner, held),
                    " and ".join(PARTS.get(p, p) for p in parts.split("/")),
                )
            )
        table.append((parts, partner, held, r, "yes" if identical else "no"))
    text = f"The closest {len(items)} pairs: left in the first part, right in the second. One look tells whether they are one image, one patient, or only alike."
    columns = ("parts", "first", "second", "correlation", "identical")
    return (
        [
            Figure(
                "twins",
                "Near-twins side by side",
                tiles(items, kind="pairs"),
                text,
                "data",
                columns,
                tuple(table),
                wide=True,
            )
        ]
        if items
        else []
    )


def _column(history: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [_value(r.get(name)) for r in history]


def _value(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")


def _robust(series: list[list[float]]) -> tuple[float, float]:
    """From 0 to a little above what all but the first epochs need, so that one wild epoch does not flatten the rest."""
    values = np.array([v for s in series for v in s if np.isfinite(v)] or [1.0])
    top = max(float(np.quantile(values, 0.97)) * 1.15, float(np.median(values)) * 1.5, 1e-9)
    return min(0.0, float(values.min())), min(top, float(values.max()) * 1.05) if values.max() > 0 else top
