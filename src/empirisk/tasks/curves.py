"""One number to one number, drawn: the fit among its points and, of polynomials, the three fits and the U curve of the error."""

import numpy as np
import torch

from empirisk.data import embedded
from empirisk.data.table import Rows
from empirisk.data.targets import Number
from empirisk.experiment import Experiment
from empirisk.figures import Curve, Figure, chart, number
from empirisk.models.layers import Standardised
from empirisk.models.polynomial import Polynomial, least_squares

DEGREES = range(1, 16)
THREE = (1, 3, 15)
"""Too stiff, about right, too loose for forty points of a sine."""


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
def _said(model: torch.nn.Module, x: np.ndarray, target: Number) -> np.ndarray:
    """f(x) (N,) in the unit of the target, x (N,)."""
    device = next(iter(model.parameters())).device
    f = model(torch.from_numpy(x.astype(np.float32))[:, None].to(device))[:, 0]
    said: np.ndarray = target.mean + target.std * f.double().cpu().numpy()
    return said


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
    text += (
        " Too low a degree cannot follow them; too high a one follows their noise, most of all at the ends."
        if degree
        else ""
    )
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
