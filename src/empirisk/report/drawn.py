"""Figures of the data and of the training, which every experiment has: contact sheet, twins side by side, curves of the risk."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from empirisk.data.rows import looked_at
from empirisk.figures import Curve, Figure, Tile, album, chart, number, picture
from empirisk.report.evidence import PARTS

SHEET, EACH, PAIRS = 24, 6, 12
"""Most images of a contact sheet and of each of its classes, and pairs of twins."""
COLOURS = ((0.9, 0.62, 0), (0.34, 0.71, 0.91), (0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.84, 0.37, 0), (0.8, 0.47, 0.65))
"""Of masks and boxes (Okabe-Ito)."""


def training(
    history: Sequence[Mapping[str, Any]],
    kept: int | None = None,
    stops: Sequence[Mapping[str, Any]] = (),
    game: Sequence[str] = (),
) -> list[Figure]:
    """Risk of train and validation with the gap, the step length and the speed over epochs, which count from 1 in pictures.

    Rows are those of history.csv: "epoch" (from 0), "train" (or a column for each player, between "step" and "val"), "val", "lr",
    ...; `kept` is the epoch kept, `stops` the steps after which the run was stopped and went on. `game` are the names of the players
    where no risk is watched; what else such rows hold before "lr" is drawn by itself.
    """
    if not history:
        return []
    names = list(history[0])
    h = {name: np.array([math.nan if r.get(name) in (None, "") else float(r[name]) for r in history]) for name in names}
    epochs = h["epoch"] + 1
    players = names[names.index("step") + 1 : names.index("val")] if {"step", "val"} <= set(names) else []
    players = ["train"] if "train" in names else players or list(game)
    series = {("training" if len(players) == 1 else f"training, {p}"): h[p] for p in players}
    series |= {"validation": h["val"]} if "val" in names else {}
    text = "The risk (mean loss) that training makes small, and the same on validation rows, which it never sees."
    text = (
        "The loss of each player, the mean over the epoch: what one wins the other loses, so neither has to fall."
        if game
        else text
    )
    if len(players) == 1 and "val" in names:
        at = list(epochs).index(kept + 1) if kept is not None and kept + 1 in epochs else -1
        a, b = h[players[0]][at], h["val"][at]
        text += f" At epoch {epochs[at]:.0f} they are {number(a)} and {number(b)}: a gap of {number(b - a)}."
    marks = [(kept + 1.0, f"kept, epoch {kept + 1}")] if kept is not None else []
    after = [np.flatnonzero(h["step"] >= stop["step"]) for stop in stops]
    marks += [(float(epochs[rows[0] if len(rows) else -1]), "stopped") for rows in after]
    curves = [Curve(name, epochs, values) for name, values in series.items()]
    title, unit = ("Losses of the players", "loss") if game else ("Risk of training and validation", "risk")
    svg = chart(curves, label=text, x="epoch", y=unit, whole=True, marks=marks, y_range=_robust([*series.values()]))
    rows = tuple(zip(epochs, *series.values(), strict=True))
    out = [Figure("risk", title, svg, text, "training", ("epoch", *series), rows)]
    out += _followed(h, epochs, players) if game else []
    memory = np.nanmax([0.0, *h.get("memory_gib", ())])
    used = f" Memory: {number(memory)} GiB at most." if memory else ""
    small = ("lr", "lr", "Step length", ""), ("images_per_second", "speed", "Images a second", used)
    for name, key, title, more in small:
        values = h.get(name, np.zeros(1))
        if not np.nanmax([0.0, *values]) > 0:
            continue
        low, high = np.nanmin(values), np.nanmax(values)
        places = None if high >= 0.1 else 2 - math.floor(math.log10(high))
        least = "0" if places and round(float(low), places) == 0 else number(low, places)
        text = f"Between {least} and {number(high, places)}.{more}"
        svg = chart([Curve("", epochs, values)], label=text, x="epoch", y="", whole=True, y_range=(0, high * 1.05))
        out.append(Figure(key, title, svg, text, "training", ("epoch", name), tuple(zip(epochs, values, strict=True))))
    return out


def _followed(h: Mapping[str, np.ndarray], epochs: np.ndarray, players: Sequence[str]) -> list[Figure]:
    """What was measured on validation rows at each epoch of a game."""
    names = list(h)
    series = {n: h[n] for n in names[names.index("step") + 1 : names.index("lr")] if n not in players}
    if not series:
        return []
    text = (
        "On validation rows after each epoch: "
        + ", ".join(f"{n} ended at {number(float(v[-1]))}" for n, v in series.items())
        + "."
    )
    svg = chart([Curve(n, epochs, v) for n, v in series.items()], label=text, x="epoch", y="", whole=True)
    rows = tuple(zip(epochs, *series.values(), strict=True))
    return [Figure("followed", "Followed on validation", svg, text, "training", ("epoch", *series), rows)]


def _robust(series: list[np.ndarray]) -> tuple[float, float]:
    """From 0 to a little above what all but the first epochs need, so that one wild epoch does not flatten the rest."""
    values = np.array([v for s in series for v in s if np.isfinite(v)] or [1.0])
    top = max(float(np.quantile(values, 0.97)) * 1.15, float(np.median(values)) * 1.5, 1e-9)
    return min(0.0, float(values.min())), min(top, float(values.max()) * 1.05) if values.max() > 0 else top


def filters(before: np.ndarray, after: np.ndarray) -> Figure:
    """Kernels (K, C, *size) of the first layer before and after training side by side, on one scale, grey for 0."""
    scale = max(float(np.abs(before).max()), float(np.abs(after).max()), 1e-12)

    def drawing(kernel: np.ndarray) -> str:
        kernel = kernel if len(kernel) == 3 else kernel.mean(0, keepdims=True)  # three channels are shown as colours
        times = max(1, 48 // kernel.shape[-1])  # weights as squares, not smoothed
        whole = (0.5 + kernel / (2 * scale)).repeat(times, -1).repeat(times, -2)
        return picture(whole, side=whole.shape[-1])

    items = [
        Tile(((drawing(a), f"kernel {i} before"), (drawing(b), f"kernel {i} after")), (f"kernel {i}",))
        for i, (a, b) in enumerate(zip(before[:SHEET], after[:SHEET], strict=True), 1)
    ]
    moved = float(np.linalg.norm(after - before) / max(float(np.linalg.norm(before)), 1e-12))
    text = (
        f"Left before training, right after; grey is 0, white positive, black negative, on one scale. They moved by "
        f"{number(moved)} of their length. {len(items)} of {len(before)} are drawn."
    )
    return album("filters", "First layer before and after", items, text, "training")


def of_data(
    shown: Sequence[Mapping[str, Any]],
    pairs: Iterable[Sequence[Any]],
    rows: Iterable[Mapping[str, Any]],
    column: str = "",
) -> list[Figure]:
    """A contact sheet of the `shown` rows with their `column`, and the first `pairs` of twins, whose images are looked up in all `rows`."""
    some = list(pairs)[:PAIRS]
    wanted = {i for pair in some for i in pair[1:3]}
    return [
        *contact_sheet(shown, column),
        *twins(some, {r["id"]: looked_at(r)[0].read() for r in rows if r["id"] in wanted}),
    ]


def contact_sheet(rows: Sequence[Mapping[str, Any]], column: str = "") -> list[Figure]:
    """The first training images of each class, as they are stored; of a volume the middle slice, of a video a frame. Vectors have none.

    Of the columns label, target, mask and boxes the one named is shown; if none is, the first that there is.
    """
    rows = [{k: r[k] for k in ("id", "x", column) if k in r} for r in rows] if column else rows
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        label = row.get("label", "")
        groups.setdefault(", ".join(label) if isinstance(label, tuple) else str(label or ""), []).append(row)
    most = max(1, min(EACH if len(groups) > 1 else SHEET, 2 * SHEET // max(len(groups), 1)))
    names = sorted({b.label for r in rows for b in r.get("boxes") or ()})
    items, drawn = [], False
    for name, some in sorted(groups.items())[: 2 * SHEET]:
        for row in some[:most]:
            seen, target = looked_at(row), row.get("target")
            image = seen[len(seen) // 2].read()
            if image.ndim < 3:
                return []
            words = name or (f"target {number(float(target))}" if target not in (None, "") else "")
            lines = (words, str(row["id"])) if words else (str(row["id"]),)
            truth = [] if name else outlines(row, image.shape[1:], names)
            drawn = drawn or bool(truth)
            items.append(Tile(((picture(image, outlines=truth), f"image of {name}"),), lines, name))
    text = "The first ones, as stored" + ("; masks or boxes are drawn on them." if drawn else ".")
    title = "Images of each class" if len(groups) > 1 else "Images"
    return [album("sheet", title, items, text, "data", kind="")] if items else []


def outlines(
    row: Mapping[str, Any], size: tuple[int, ...], names: Sequence[str]
) -> list[tuple[np.ndarray, tuple[float, float, float]]]:
    """Masks (*size) of a row's structures, or of its things together where they are many; without a mask, of its boxes."""
    found: list[tuple[np.ndarray, int]] = []
    if row.get("mask") is not None:
        labels = np.asarray(row["mask"].read())
        values = [int(v) for v in np.unique(labels[labels > 0])]
        many = len(values) > len(COLOURS) or max(values, default=0) > 255
        found = [(labels > 0, 0)] if many else [(labels == v, v - 1) for v in values]
    for box in () if found else row.get("boxes") or ():
        area = np.zeros(size, bool)
        low, high = (np.array(c)[::-1] for c in (box.corners[: len(size)], box.corners[len(size) :]))
        area[tuple(slice(int(a), max(int(a) + 1, round(b))) for a, b in zip(low, high, strict=True))] = True
        found.append((area, names.index(box.label)))
    return [(area, COLOURS[k % len(COLOURS)]) for area, k in found]


def twins(pairs: Iterable[Sequence[Any]], images: Mapping[str, np.ndarray]) -> list[Figure]:
    """Near-twins side by side: (parts, partner's id, held-out id, correlation, identical), the closest first."""
    some, items = list(pairs)[:PAIRS], []
    for parts, partner, held, r, identical in some:
        if partner in images and held in images and images[held].ndim >= 3:
            both = (picture(images[partner]), partner), (picture(images[held]), held)
            how = "identical" if identical else f"correlation {number(min(r, 0.9999), 4)}"
            group = " and ".join(PARTS.get(p, p) for p in parts.split("/"))
            items.append(Tile(both, (how, partner, held), group))
    many = "pair" if len(items) == 1 else f"{len(items)} pairs"
    text = f"The closest {many}: left in the first part, right in the second. One look tells whether they are one image, one patient, or only alike."
    table = tuple((*rest, "yes" if identical else "no") for *rest, identical in some)
    columns = ("parts", "first", "second", "correlation", "identical")
    return [album("twins", "Near-twins side by side", items, text, "data", columns, table)] if items else []
