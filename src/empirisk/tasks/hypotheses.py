"""A hypothesis on one number or two, drawn: the fit among its points, of polynomials the U curve of the error, decision regions."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain, groupby

import numpy as np
import torch
from torch import nn

from empirisk.data import embedded
from empirisk.data.table import Rows
from empirisk.data.targets import Classes, Number
from empirisk.experiment import Answer, Experiment
from empirisk.figures import Curve, Figure, chart, number
from empirisk.models.layers import Standardised
from empirisk.models.polynomial import Polynomial, least_squares

DEGREES = range(1, 16)
THREE = (1, 3, 15)
"""Too stiff, about right, too loose for forty points of a sine."""
STEPS = 60
"""Cells of the plane, an axis."""


def of_one_number(experiment: Experiment, rows: Rows, target: Number) -> list[Figure]:
    """The fit among the training points, and of a polynomial the error over the degree; nothing where x is not one number."""
    if len(experiment.data.card().inputs) != 1:
        return []
    degree = experiment.arguments.get("degree") or 3 if experiment.arguments.get("model") == "polynomial" else None
    return [_fit(experiment, rows, target, degree), *([_u_curve(experiment, target, degree)] if degree else [])]


def polynomial_of(experiment: Experiment, degree: int) -> Standardised:
    """The least-squares polynomial of this degree on the experiment's training rows."""
    card, rows = experiment.data.card(), experiment.data.rows("train")
    model = Standardised(Polynomial(1, 1, degree=degree), card.mean, card.std)
    least_squares(model, [(experiment.data.x(rows), experiment.data.y(rows))])
    return model.eval()


@torch.no_grad()
def _said(model: nn.Module, x: np.ndarray, target: Number) -> np.ndarray:
    """f(x) (N,) in the unit of the target, x (N,)."""
    return np.asarray(target.mean + target.std * model(_input(model, x[:, None]))[:, 0].double().cpu().numpy())


def _input(model: nn.Module, x: np.ndarray) -> torch.Tensor:
    """x (N, D) as the model takes it, where it is."""
    return torch.from_numpy(x.astype(np.float32)).to(next(chain(model.parameters(), model.buffers())).device)


def _points(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """x and target, each (N,)."""
    return np.array([r["x"].read()[0] for r in rows], float), np.array([float(r["target"]) for r in rows])


def _fit(experiment: Experiment, rows: Rows, target: Number, degree: int | None) -> Figure:
    """Training points, this run's f, the truth where the data bring it, and beside a polynomial those of degree 1, 3 and 15."""
    x, y = _points(experiment.data.rows("train"))
    held, _ = _points(rows)
    grid = np.linspace(min(x.min(), held.min()), max(x.max(), held.max()), 200)
    name = f"degree {degree}" if degree else "f(x)"
    curves = [Curve("training points", x, y, dots=True), Curve(name, grid, _said(experiment.model, grid, target))]
    for other in (d for d in THREE if degree and d != degree):
        curves.append(Curve(f"degree {other}", grid, _said(polynomial_of(experiment, other), grid, target)))
    if all(r.get("truth") for r in rows):
        order = np.argsort(held)
        curves.append(Curve("truth without noise", held[order], np.array([float(r["truth"]) for r in rows])[order]))
    text = f"{len(x)} training points and what was made of them."
    if degree:
        text += " Too low a degree cannot follow them; too high a one follows their noise, most of all at the ends."
    margin = 0.15 * float(np.ptp(y))
    ends = (float(y.min()) - margin, float(y.max()) + margin)
    svg = chart(curves, label=text, x=experiment.data.card().inputs[0], y=target.column, y_range=ends)
    return Figure("fit", "The fit", svg, text, "pictures", ("x", name), tuple(zip(grid, curves[1].y, strict=True)))


def _u_curve(experiment: Experiment, target: Number, degree: int) -> Figure:
    """Mean squared error on training and validation rows by degree, in the unit of the target squared."""
    models = [polynomial_of(experiment, d) for d in DEGREES]
    errors = {}
    for part, words in {"train": "training", "val": "validation"}.items():
        x, y = _points(experiment.data.rows(part))
        errors[words] = np.array([float(np.mean((_said(m, x, target) - y) ** 2)) for m in models])
    least = embedded.least_risk(str(experiment.arguments["data"]), target)
    bayes = [] if least is None else [(least * target.std**2, "least possible")]
    best = DEGREES[int(errors["validation"].argmin())]
    text = (
        f"The training error falls with every degree, the validation error falls and rises again: least at degree {best}. "
        f"The distance of the two is the generalisation gap; this run has degree {degree}."
    )
    top = float(max(errors["training"].max(), 3 * np.median(errors["validation"])))
    curves = [Curve(words, list(DEGREES), v) for words, v in errors.items()]
    svg = chart(curves, label=text, x="degree", y="mean squared error", whole=True, y_range=(0, 1.05 * top), across=bayes,
                marks=[(float(degree), f"this run, {number(degree)}")])  # fmt: skip
    rows = tuple(zip(DEGREES, *errors.values(), strict=True))
    return Figure("u-curve", "Error by degree", svg, text, "pictures", ("degree", *errors), rows)


def of_two_numbers(experiment: Experiment, rows: Rows, classes: Classes) -> list[Figure]:
    """The plane of the two inputs, tinted by the class that is chosen there, with the rows; nothing where x is not two numbers."""
    if len(experiment.data.card().inputs) != 2 or classes.multi:
        return []

    y = np.array([int(classes.encode(r)) for r in rows])
    right = int((_chosen(experiment, np.array([r["x"].read() for r in rows], float)) == y).sum())
    text = (
        f"The tint is the class that is chosen there, a point one of {len(rows)} rows in the colour of its true class: "
        f"{right} lie in a region of their own. A linear model's border is a straight line."
    )
    return [regions(experiment, rows, y, dict(enumerate(classes.names)), partial(_chosen, experiment), text)]


def _chosen(experiment: Experiment, x: np.ndarray) -> np.ndarray:
    """Class numbers (N,) that are chosen at x (N, 2)."""
    return np.array([a.choice for a in asked(experiment, x)])


def asked(experiment: Experiment, x: np.ndarray) -> list[Answer]:
    """The answers at x (N, D), rows of numbers."""
    return experiment.task.predict(experiment.model, _input(experiment.model, x))


def regions(
    experiment: Experiment, rows: Rows, y: np.ndarray, names: Mapping[int, str], chosen: Callable[[np.ndarray], np.ndarray], text: str,
    key: str = "regions", title: str = "Decision regions",
) -> Figure:  # fmt: skip
    """The plane of two numbers, tinted by what is `chosen` at x (N, 2), with the rows in the colours of y (N,): keys of `names`."""
    inputs = experiment.data.card().inputs
    x = np.array([r["x"].read() for r in rows], float)  # (N, 2)
    cells, (across, up) = plane(x, STEPS)
    points = [Curve(name, x[y == k, 0], x[y == k, 1], dots=True, style=k) for k, name in names.items()]
    svg = chart(points, label=text, x=inputs[0], y=inputs[1], square=True,
                x_range=across, y_range=up, tint=runs(chosen(cells).reshape(STEPS, STEPS)))  # fmt: skip
    table = tuple((r["id"], float(a), float(b), names[int(k)]) for r, (a, b), k in zip(rows, x, y, strict=True))
    return Figure(key, title, svg, text, "pictures", ("id", *inputs, "class or cluster"), table)


def plane(x: np.ndarray, steps: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Middles (steps^2, 2) of the cells of a plane that holds the points x (N, 2), row by row; the ends of both axes."""
    margin = 0.05 * np.ptp(x, 0)
    ends = [(float(a), float(b)) for a, b in zip(x.min(0) - margin, x.max(0) + margin, strict=True)]
    middles = [a + (b - a) * (np.arange(steps) + 0.5) / steps for a, b in ends]
    return np.stack(np.meshgrid(*middles), -1).reshape(-1, 2), ends


def runs(cells: np.ndarray) -> list[tuple[int, float, float, float, float]]:
    """Cells (rows, columns) of class numbers as rectangles (class, left, bottom, right, top) in shares of the axes."""
    out = []
    for i, row in enumerate(cells):
        at = 0
        for k, run in groupby(row):
            n = len(list(run))
            out.append((int(k), at / len(row), i / len(cells), (at + n) / len(row), (i + 1) / len(cells)))
            at += n
    return out
