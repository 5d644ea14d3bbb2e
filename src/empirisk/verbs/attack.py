"""How far a run's scores fall when its images are changed by less than an eye sees."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from empirisk import runtime
from empirisk.data.sources import Grid
from empirisk.errors import Wrong
from empirisk.estimate import Estimate, Statistic, values
from empirisk.experiment import Answer, Experiment, Rows
from empirisk.figures import Curve, Figure, Tile, album, chart, picture
from empirisk.losses import Batch
from empirisk.regularization.adversarial import fgsm, pgd, within
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.predict import brief
from empirisk.verbs.report import reported
from empirisk.verbs.run import judge, load
from empirisk.verbs.say import Say, interval

EPSILONS = tuple(k / 255 for k in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0))
"""Largest change of a pixel, of images whose values lie in [0, 1]."""
ATTACKS = {
    "noise": "a random sign at every pixel",
    "fgsm": "one step along the sign of the gradient",
    "pgd": "ten steps along it, of those and the one step the worse",
}
MOST, CHUNK, SEEN, SHOWN = 600, 128, 64, 6
"""Validation images at most; at once; those that examples are looked for in; examples in the picture."""
At = tuple[str, float]
"""(attack, epsilon)."""


def changed(e: Experiment, batch: Batch, attack: str, epsilon: float) -> Tensor:
    """x' with |x' - x| <= epsilon; of PGD and FGSM for each image the one of larger loss, so that PGD is never the weaker."""
    loss = e.task.loss
    assert loss is not None
    x: Tensor = batch[0]
    if epsilon == 0:
        return x
    if attack == "noise":
        return within(x + epsilon * (2 * torch.randint_like(x, 2) - 1), x)
    once = fgsm(e.model, loss, batch, epsilon=epsilon)
    if attack == "fgsm":
        return once
    often = pgd(e.model, loss, batch, epsilon=epsilon)
    with torch.no_grad():
        a, b = (loss(e.model, (moved, batch[1])) for moved in (once, often))
    if a.shape != (len(x),):  # a loss of the whole batch
        return once if float(a.mean()) > float(b.mean()) else often
    return torch.where((a > b).view(-1, *[1] * (x.ndim - 1)), once, often)


def attacked(e: Experiment, device: torch.device) -> tuple[Rows, dict[At, list[Answer]], dict[float, Tensor]]:
    """An even sample of the validation rows, an answer to each in every attack, and the first images as PGD leaves them.

    `Wrong` (exit 2) for a game, for rows without pixels, and for images that are answered in patches.
    """
    if e.task.loss is None:
        raise Wrong("a game has no one loss to raise", remedy="attack a run that minimises one")
    if not e.data.card().dims or not isinstance(e.data.source, Grid):
        how = "as they come" if e.data.card().dims else "as numbers"
        raise Wrong(f"these rows are answered {how}, not as images of one size", remedy="attack a run that does so")
    e.model.to(device).eval()
    rows = e.data.rows("val")
    rows = [rows[i] for i in e.data.sample("val", MOST)]
    said: dict[At, list[Answer]] = {}
    images: dict[float, Tensor] = {}
    for epsilon, attack in itertools.product(EPSILONS, ATTACKS):
        runtime.reseed(device, 0)  # the same noise whenever it is asked for
        answers, moved = list[Answer](), list[Tensor]()
        for batch in e.data.batches("val", CHUNK, device, MOST):
            x = changed(e, batch, attack, epsilon)
            answers += e.task.predict(e.model, x)
            moved += [x.cpu()] if sum(map(len, moved)) < SEEN else []
        said[attack, epsilon] = answers
        if attack == "pgd":
            images[epsilon] = torch.cat(moved)[:SEEN]
    return rows, said, images


def curves(found: dict[At, Estimate], name: str, n: int) -> Figure:
    """One score over epsilon, a line an attack with its band."""
    lines = []
    for attack, words in ATTACKS.items():
        along = [found[attack, epsilon] for epsilon in EPSILONS]
        y, low, high = ([getattr(v, end) or 0.0 for v in along] for end in ("value", "low", "high"))
        lines.append(Curve(f"{attack}: {words}", [255 * epsilon for epsilon in EPSILONS], y, low, high))
    text = f"The {name} on {n} validation images, no pixel of which was changed by more than epsilon; bands are 95 % intervals."
    svg = chart(lines, label=text, x="epsilon, in steps of 1/255", y=name)
    table = tuple((attack, 255 * epsilon, v.value, v.low, v.high) for (attack, epsilon), v in found.items())
    columns = ("attack", "epsilon x 255", name, "low", "high")
    return Figure("attack", "Under attack", svg, text, "mistakes", columns, table)


def examples(e: Experiment, rows: Rows, said: dict[At, list[Answer]], images: dict[float, Tensor]) -> list[Figure]:
    """Image, change and result of some images whose answer PGD turns, each at the least epsilon that turns it."""
    kind, items = e.data.kind, list[Tile]()
    assert kind is not None
    with tempfile.TemporaryDirectory() as folder:  # an answer may be a file
        for i, x in enumerate(images[0.0].numpy()):
            words = {eps: brief(kind.write(rows[i], said["pgd", eps][i], Path(folder))) for eps in EPSILONS}
            turned = next((eps for eps in EPSILONS if words[eps].split(" ")[0] != words[0.0].split(" ")[0]), None)
            if turned is None or len(items) == SHOWN:
                continue
            moved = images[turned][i].numpy()
            three = {"image": x, "change, enlarged": (moved - x) / (2 * turned) + 0.5, "result": moved}
            lines = (f"{words[0.0]} becomes {words[turned]}", f"epsilon {255 * turned:g}/255", str(rows[i]["id"]))
            items.append(Tile(tuple((picture(np.asarray(a, np.float32)), alt) for alt, a in three.items()), lines))
    text = f"{len(items)} answers that PGD turns: the image, its change stretched to be seen, and the image that is answered otherwise."
    return [album("attack-examples", "What an attack looks like", items, text, "mistakes")] if items else []


def attack(run: Trained, *, device: Device = "auto", json: Json = False) -> None:
    """Change validation images by at most epsilon a pixel so that the loss rises, and say what is left of the scores.

    x' = x + epsilon sign(grad_x L) is one step (FGSM); PGD repeats smaller ones; noise of the same size is what chance does.
    Small changes of very many pixels add up: along the sign of the gradient a linear function rises by epsilon sum |w|.

    Example: empirisk attack runs/pneumoniamnist
    """
    say, opened = Say(as_json=json), load(run)
    e = opened.experiment()
    rows, said, images = attacked(e, runtime.device_named(device))
    scores: dict[At, dict[str, Statistic]] = {key: e.task.score(rows, answers) for key, answers in said.items()}
    first = next(iter(scores.values()))
    name = "accuracy" if "accuracy" in first else next(iter(first))
    found = {key: judge(e, rows, {name: s[name]})[name] for key, s in scores.items()}
    drawn = [curves(found, name, len(rows)), *examples(e, rows, said, images)]
    with opened.folder.lock():
        opened.folder.write_figures("attack", [f.to_dict() for f in drawn])
    say(name.capitalize(), f"on {len(rows)} validation images, no pixel changed by more than epsilon")
    say.line(f"{'epsilon':<12}" + "".join(f"{attack:<22}" for attack in ATTACKS))
    for epsilon in EPSILONS:
        say.line(f"{255 * epsilon:g}/255".ljust(12) + "".join(f"{interval(found[a, epsilon]):<22}" for a in ATTACKS))
    say("Report", str(reported(opened)))
    points = []
    for (a, epsilon), s in scores.items():
        numbers = {k: v for k, v in values(s, len(rows)).items() if v is not None and "/" not in k}
        ends = [found[a, epsilon].low, found[a, epsilon].high]
        points.append({"attack": a, "epsilon": epsilon, "scores": numbers, "interval": ends})
    say.document({"n": len(rows), "metric": name, "points": points})
