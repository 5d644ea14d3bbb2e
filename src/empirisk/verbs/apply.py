"""What a diffusion model does with images that are there: find what does not belong, fill a hole, restore."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from cyclopts import Parameter
from torch import Tensor

from empirisk import runtime
from empirisk.data.readers import Labels
from empirisk.data.written import stem_of, told_apart
from empirisk.errors import Wrong
from empirisk.estimate import Estimate, estimates, mean
from empirisk.experiment import Experiment, Rows
from empirisk.files import make_folder, write, write_json
from empirisk.generative.diffusion import Diffusion
from empirisk.generative.samplers import times
from empirisk.metrics.ranking import auc
from empirisk.tasks import restoring
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.run import load, patients, recorded
from empirisk.verbs.say import Say
from empirisk.verbs.words import leads

Use = Literal["anomaly", "inpaint", "restore"]
MOST = 5000  # Training images that the closed forms are fitted to.


def chosen(e: Experiment, path: str, limit: int) -> Rows:
    """The first rows of the path: of the run's own set, or one with given parts, those of validation. `Wrong` (exit 2): none."""
    if limit < 1:
        raise Wrong(f"--limit is {limit}", remedy="it must be 1 or above")
    own = str(e.data.data)
    if path == own or (Path(path).exists() and Path(own).exists() and Path(path).samefile(own)):
        return e.data.rows("val")[:limit]
    rows = e.data.table(path, bare=True).rows
    rows = [r for r in rows if r.get("part") == "val"] or [r for r in rows if r.get("part") in {"", "new", None}]
    if not rows:
        raise Wrong(f"{path} has neither validation images nor images of no part", remedy="give pictures or a folder")
    return rows[:limit]


def hole_of(mask: str, size: tuple[int, ...]) -> Tensor:
    """(*size) with 1 where the image is to be filled. `Wrong` (exit 2): another shape, a mask of nothing or of everything."""
    if mask == "center":
        return restoring.middle_hole(size)
    if not Path(mask).is_file():
        raise Wrong(f"--mask {mask} is no file", remedy="give a label map, or center")
    hole = torch.from_numpy((Labels(mask).read() > 0).astype(np.float32))
    if tuple(hole.shape) != tuple(size):
        shapes = [" x ".join(map(str, s)) for s in (hole.shape, size)]
        raise Wrong(
            f"the mask has {shapes[0]} pixels, the images have {shapes[1]}", where=mask, remedy="save it at that size"
        )
    if not 0 < float(hole.mean()) < 1:
        what = "nothing of" if not hole.any() else "all of"
        raise Wrong(
            f"the mask marks {what} the image", where=mask, remedy="mark the part to be filled with 1, the rest with 0"
        )
    return hole


def training(e: Experiment, say: Say) -> Tensor | None:
    """Training images for the closed forms; None, and said, where they are gone."""
    try:
        x: Tensor = e.data.x(e.data.rows("train")[:MOST]).cpu()
    except Wrong as gone:
        say("Baselines", f"left out: the training images are gone ({gone.what})")
        return None
    return x


def judged(rows: Rows, values: np.ndarray, name: str) -> dict[str, Estimate]:
    """The mean of a number an image, with its interval."""
    return estimates({name: mean(values)}, patients(rows))


def filled_or_restored(
    e: Experiment, model: Diffusion, rows: Rows, x: Tensor, seen: restoring.Observed, steps: int, say: Say
) -> tuple[dict[str, Any], list[Tensor]]:
    """Scores beside those of the closed forms, paired, and pictures: the image, what is seen, the answer (a draw where there is one)."""
    y = seen.draw(x)
    if seen.hole is not None:
        answer, draw = restoring.inpainted(model, y, seen.hole, steps)
    else:
        answer = draw = restoring.restored(model, y, seen, steps)
    width = model.bounds[1] - model.bounds[0] if model.bounds else float(x.max() - x.min()) or 1.0
    mine = restoring.psnr(x, answer, seen.hole, width)
    scores: dict[str, Any] = recorded(judged(rows, mine, "psnr"))
    say.numbers("diffusion", judged(rows, mine, "psnr"))
    train = training(e, say)
    for name, rival in ({} if train is None else restoring.rivals(train, seen)).items():
        its = restoring.psnr(x.cpu(), rival(y.cpu()), seen.hole, width)
        say.numbers(name, judged(rows, its, "psnr"))
        scores.setdefault("baseline", {})[name] = recorded(judged(rows, its, "psnr"))
        scores.setdefault("difference", {})[name] = recorded(judged(rows, mine - its, "psnr"))
    leads(say, "psnr", scores.get("difference", {}))
    return scores, [x, seen.back(y), draw, answer]


def found(model: Diffusion, rows: Rows, x: Tensor, steps: int, say: Say) -> tuple[dict[str, Any], list[Tensor]]:
    """How well the map tells marked pixels from others where rows have masks; pictures: the image, what came back, the map."""
    back, away = restoring.healed(model, x, steps)
    numbers = judged(rows, away.flatten(1).mean(1).cpu().numpy(), "difference")
    marked = [(i, r["mask"].read() > 0) for i, r in enumerate(rows) if r.get("mask") is not None]
    marked = [(i, m) for i, m in marked if m.shape == away.shape[1:] and 0 < m.mean() < 1]
    if marked:
        each = [float(auc(m.ravel(), away[i].cpu().numpy().ravel())(np.ones((1, m.size)))[0]) for i, m in marked]
        numbers |= judged([rows[i] for i, _ in marked], np.array(each), "pixel_auc")
    say.numbers("anomaly", numbers)
    return recorded(numbers), [x, back, (away / away.max().clamp_min(1e-12))[:, None].expand_as(x)]


def pictures(folder: Path, rows: Rows, states: list[Tensor], model: Diffusion) -> None:
    """A PNG a row, the states side by side; of volumes the middle slice. They are made, not acquired, and say so."""
    from io import BytesIO

    from PIL import Image, PngImagePlugin

    make_folder(folder, parents=True)
    low, high = model.bounds or (float(states[0].min()), float(states[0].max()))
    for i, row in enumerate(told_apart(rows)):
        parts = [s[i].cpu() for s in states]
        parts = [p[:, p.shape[1] // 2] if p.ndim == 4 else p for p in parts]  # (C, H, W)
        side = ((torch.cat(parts, 2) - low) / ((high - low) or 1)).clamp(0, 1)
        grey = (side * 255).round().byte().numpy()
        image = Image.fromarray(grey.transpose(1, 2, 0) if len(grey) == 3 else grey[0])
        told, out = PngImagePlugin.PngInfo(), BytesIO()
        told.add_text("Description", "synthetic: made by a model, not acquired")
        image.save(out, "PNG", pnginfo=told)
        write(folder / f"{stem_of(str(row['id']))}.png", out.getvalue())


def apply(
    run: Trained, use: Annotated[Use, Parameter(help="anomaly, inpaint or restore")],
    path: Annotated[str, Parameter(help="a set, a folder or a picture")], /, *,
    limit: Annotated[int, Parameter(help="images at most; of a set the first of validation")] = 16,
    steps: Annotated[int, Parameter(help="steps of the way back")] = 50,
    mask: Annotated[str | None, Parameter(help="inpaint: a label map, 1 where to fill; or center, the default")] = None,
    operator: Annotated[
        Literal["noise", "half"] | None, Parameter(help="restore: noise (default), or half the pixels a side")
    ] = None,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Find what does not belong, fill a hole, or restore; pictures and metrics.json in RUN/apply/USE/.

    Example: empirisk apply runs/chest inpaint chest.npz
    """
    for flag, given, home in (("mask", mask, "inpaint"), ("operator", operator, "restore")):
        if given is not None and use != home:
            raise Wrong(
                f"--{flag} is for {home}, not for {use}", remedy=f"leave it out, or: empirisk apply RUN {home} PATH"
            )
    times(1, steps)  # refuses fewer than one
    say, opened = Say(as_json=json), load(run)
    e = opened.experiment()
    model = restoring.diffusion_of(e.model, str(run)).to(runtime.device_named(device)).eval()
    rows = chosen(e, path, limit)
    hole = hole_of(mask or "center", model.shape[1:]) if use == "inpaint" else None
    x = e.data.x(rows)
    restoring.inside(model, x, [str(r["id"]) for r in rows])
    x = x.to(model.mean.device)
    if use == "anomaly":
        scores, states = found(model, rows, x, steps, say)
    else:
        seen = restoring.Observed("hole" if use == "inpaint" else operator or "noise", hole)
        scores, states = filled_or_restored(e, model, rows, x, seen, steps, say)
    folder = opened.path / "apply" / use
    with opened.folder.lock():
        pictures(folder, rows, states, model)
        write_json(folder / "metrics.json", scores)
    say("Written", str(folder))
    say.document(scores)
