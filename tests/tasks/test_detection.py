"""The task of detection: what the maps are taught, how answers are read, what the baseline says, and that it learns."""

import base64
import contextlib
import io
import math

import numpy as np
import pytest
import torch
from torch import nn

import empirisk as er
from empirisk import erm
from empirisk.data import embedded
from empirisk.data.boxes import Boxes
from empirisk.data.rows import Box
from empirisk.errors import Wrong
from empirisk.estimate import values
from empirisk.models.detector import overlap, placed
from empirisk.tasks import box_pictures
from empirisk.tasks import detection as tasks
from empirisk.verbs.run import answer

CPU = torch.device("cpu")


class Fixed(nn.Module):
    """A model that says the same to every x."""

    def __init__(self, out: torch.Tensor, threshold=(0.5, 0.5)) -> None:
        super().__init__()
        self.out = nn.Parameter(out)
        self.register_buffer("threshold", torch.tensor(threshold))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out[: len(x)]


def kind_of(rows, grid) -> Boxes:
    return Boxes.learn(rows).on(grid)


def two(dims: int = 2):
    """A kind, and y of two images: two boxes of two classes, and none."""
    size = (32, 48) if dims == 2 else (16, 32, 48)
    deep = (0, 12) if dims == 3 else ()
    first = Box("a", (9, 4, *deep[:1], 25, 16, *deep[1:]))
    second = Box("b", (30, 20, *deep[:1], 40, 30, *deep[1:]))
    rows = [{"id": "1", "extent": size, "boxes": (first, second)}, {"id": "2", "extent": size, "boxes": ()}]
    kind = kind_of(rows, size)
    return kind, torch.from_numpy(np.stack([kind.encode(r) for r in rows])), rows


def perfect(kind: Boxes, y: torch.Tensor, size) -> torch.Tensor:
    """Maps that say y: a sure centre in each cell of a centre, in every cell the box that it is taught."""
    h, box, _ = tasks.taught(kind, y, size)
    d, cells = kind.dims, torch.tensor(size[::-1], dtype=torch.float32)
    middle = placed(torch.zeros(1, 2 * d, *size), 0)[1][0]
    middle = (middle[:, :d] + middle[:, d:]) / 2  # (S, dims)
    away = torch.cat([middle - box[..., :d], box[..., d:] - middle], -1) * cells.repeat(2)
    logits = torch.where(h == 1, 9.0, -9.0)
    return torch.cat([logits, away.clamp(min=1e-3).log().transpose(1, 2)], 1).unflatten(2, size)


@pytest.mark.parametrize("dims", [2, 3])
def test_what_the_maps_are_taught(dims):
    kind, y, _ = two(dims)
    size = (8, 12) if dims == 2 else (4, 8, 12)
    h, box, weight = tasks.taught(kind, y, size)
    maps = h.unflatten(2, size)
    assert (h == 1).sum() == 2
    at = (2, 4) if dims == 2 else (1, 2, 4)  # the middle (17, 10[, 6]) in cells of 4: (4.25, 2.5[, 1.5])
    assert maps[0, 0][at] == 1
    sigma = [tasks.BELL * side / 4 + 1 / 6 for side in (16, 12)]
    across = math.exp((0.25**2 - 1.25**2) / 2 / sigma[0] ** 2)
    assert maps[0, 0][(*at[:-1], at[-1] + 1)] == pytest.approx(across, rel=1e-4)
    assert maps[0, 0][(*at[:-2], at[-2] + 1, at[-1])] == pytest.approx(math.exp(-1 / 2 / sigma[1] ** 2), rel=1e-4)
    assert not h[1].any()
    assert weight.sum(1).tolist() == pytest.approx([2, 0])  # 1 a box
    here = int(np.ravel_multi_index(at, size))
    assert box[0, here].tolist() == pytest.approx((y[0, 0, 1:] / torch.tensor(kind.grid[::-1] * 2)).tolist())


def test_cells_that_are_equally_near_to_a_centre_are_taught_the_same():
    boxes = (Box("a", (8, 4, 24, 16)),)  # the middle is (4, 2.5) in cells of 4
    kind = kind_of([{"id": "1", "extent": (32, 48), "boxes": boxes}], (32, 48))
    y = torch.from_numpy(kind.encode({"id": "1", "extent": (32, 48), "boxes": boxes}))[None]
    h, box, weight = (t.unflatten(i, (8, 12)) for t, i in zip(tasks.taught(kind, y, (8, 12)), (2, 1, 1), strict=True))
    assert torch.equal(h[0, 0, 2, :4].flip(0), h[0, 0, 2, 4:8])
    assert h[0, 0, 2, 3] == 1
    assert torch.equal(weight[0, 2, 3], weight[0, 2, 4])
    assert torch.equal(box[0, 2, 3], box[0, 2, 4])


@pytest.mark.parametrize("dims", [2, 3])
def test_maps_that_say_the_truth_are_read_back_and_cost_little(dims):
    kind, y, rows = two(dims)
    out = perfect(kind, y, (8, 12) if dims == 2 else (4, 8, 12))
    x = torch.zeros(2, 1, *kind.grid)
    said = tasks.predict(kind, Fixed(out), x)
    assert [len(a.label) for a in said] == [2, 0]
    truth = kind.marks(rows[0])
    order = np.argsort(said[0].label)
    assert said[0].label[order].tolist() == [0, 1]
    assert np.allclose(said[0].corners[order], truth.corners, atol=1e-5)
    assert said[0].counted.all()
    terms = tasks.loss(kind, Fixed(out), (x, y))
    assert terms.shape == (2,)
    assert (terms < 1e-2).all()
    worse = tasks.loss(kind, Fixed(torch.zeros_like(out)), (x, y))
    assert (worse > 10 * terms).all()


def test_the_terms_of_a_batch_are_those_of_its_parts():
    kind, y, _ = two()
    out = torch.randn(2, 6, 8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.zeros(2, 1, 32, 48)
    both = tasks.loss(kind, Fixed(out), (x, y))
    apart = [tasks.loss(kind, Fixed(out[i : i + 1]), (x[i : i + 1], y[i : i + 1])) for i in range(2)]
    assert both.dtype == torch.float64
    assert torch.allclose(both, torch.cat(apart), rtol=1e-12)


def test_the_loss_by_hand():
    kind, y, _ = two()
    out = torch.zeros(2, 6, 8, 12, dtype=torch.float64)
    terms = tasks.loss(kind, Fixed(out), (torch.zeros(2, 1, 32, 48), y)).detach()
    # of the empty image: every cell of 2 classes with p = 1/2 and h = 0
    assert float(terms[1]) == pytest.approx(2 * 96 * 0.25 * math.log(2) / kind.usual)
    h, box, weight = tasks.taught(kind, y.double(), (8, 12))
    focal = torch.where(h == 1, 0.25 * math.log(2), (1 - h) ** 4 * 0.25 * math.log(2)).sum((1, 2))
    away = (weight * (1 - overlap(placed(out, 2)[1], box)[1])).sum(1)
    assert torch.allclose(terms, (focal + 2 * away) / kind.usual)


def test_rivals_of_one_class_are_one_thing_and_faint_ones_none():
    kind, y, _ = two()
    out = perfect(kind, y, (8, 12))
    out[0, 0, 2, 2] = 4  # a second peak two cells further, which says the same box
    out[0, 2:, 2, 2] = torch.tensor([0.5, 1.5, 3.5, 1.5]).log()
    assert len(tasks.predict(kind, Fixed(out), torch.zeros(1, 1, 32, 48))[0].label) == 2
    out[0, :2] = -9
    assert len(tasks.predict(kind, Fixed(out), torch.zeros(1, 1, 32, 48))[0].label) == 0


def test_the_threshold_is_where_f1_is_largest():
    kind, y, _ = two()
    out = perfect(kind, y, (8, 12)).detach()
    out[0, 0] = torch.where(out[0, 0] > 0, -1.0, out[0, 0])  # the right one of class a is unsure
    out[0, 1, 0, 0] = 2.0  # a false alarm of class b
    model = Fixed(out)
    assert [a.counted.tolist() for a in tasks.predict(kind, model, torch.zeros(1, 1, 32, 48))] == [[True, True, False]]
    tasks.calibrate(kind, model, [(torch.zeros(2, 1, 32, 48), y)])
    assert model.threshold.tolist() == pytest.approx([1 / (1 + math.e), 1 / (1 + math.exp(-9))])
    assert [a.counted.tolist() for a in tasks.predict(kind, model, torch.zeros(1, 1, 32, 48))] == [[True, False, True]]


@pytest.mark.parametrize("name", ["phantom:images=90,size=32", "phantom:images=60,size=16,dims=3"])
def test_usual_boxes_are_better_than_none(name):
    rows = embedded.table(name).rows
    kind = kind_of(rows, rows[0]["x"].read().shape[1:])
    fitted = tasks.detection(kind).baseline(rows[:60])
    assert list(fitted) == ["prior_boxes"]
    said = fitted["prior_boxes"](rows[60:])
    assert len(said) == len(rows) - 60
    if said:
        assert said[0].counted.sum() == 1  # one lesion an image
        assert (np.diff(said[0].score) <= 0).all()
        assert values(tasks.score(kind, rows[60:], said), len(said))["froc"] > 0.1


def test_it_learns_where_lesions_are_and_shows_it():
    e = er.detection("phantom:images=120,size=64", model="resnet18", width=8, stem="imagenet", batch=12, lr=5e-3)
    stream = e.data.stream(batch=12, seed=0, device=CPU)
    erm.fit(
        e.model, stream, e.players, recipe=e.recipe, lr=5e-3, steps=8 * len(stream), evaluate=lambda m: {}, watch=None,
    )  # fmt: skip
    rows = e.data.rows("val")
    e.task.calibrate(e.model.eval(), e.data.batches("val", 64, CPU))
    said = answer(e, rows)
    scores = values(e.task.score(rows, said), len(rows))
    prior = e.task.baseline(e.data.rows("train"))["prior_boxes"](rows)
    assert scores["sensitivity_at_1"] > 0.6
    assert scores["ap50"] > 2 * values(e.task.score(rows, prior), len(rows))["ap50"]
    figures = e.task.show(e, rows, said)
    assert [f.key for f in figures] == ["precision-recall", "froc", "counts", "worst"]
    assert all(f.to_dict()["rows"] for f in figures)
    assert figures[-1].svg.count("<img") == 2 * 12


def test_outlines_lie_around_the_box_and_only_on_slices_that_it_crosses():
    def pixels(uri: str) -> np.ndarray:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"), float)

    image, side = np.zeros((1, 64, 64)), box_pictures.SIDE
    green = pixels(box_pictures.drawn(image, np.array([[0.25, 0.5, 0.75, 1.0]]), [(0.0, 1.0, 0.0)], 0.5))[..., 1]
    assert green.shape == (side, side)
    low, high = side // 4, 3 * side // 4
    assert green[side // 2 + 1 :, low].mean() > 80
    assert green[side // 2, low:high].mean() > 80
    assert green[side // 2 + 8 : -8, low + 8 : high - 8].max() < 20
    assert green[: side // 2 - 8].max() < 20
    box, volume = np.array([[0, 0, 0.5, 1, 1, 1.0]]), np.zeros((1, 4, 64, 64))
    assert pixels(box_pictures.drawn(volume, box, [(1.0, 1.0, 1.0)], 0.75)).max() > 150
    assert pixels(box_pictures.drawn(volume, box, [(1.0, 1.0, 1.0)], 0.25)).max() < 20


def test_the_experiment_is_for_boxes():
    for name, remedy in (("breast-cancer", "classification"), ("curve", "regression")):
        with pytest.raises(Wrong, match="no training row has a box") as caught:
            er.detection(name)
        assert remedy in caught.value.remedy
    e = er.detection("phantom:images=30,size=32")
    assert e.recipe.batch == 8
    assert e.data.card().size == (32, 32)  # never enlarged
    assert er.detection("phantom:images=30,size=32", size=64).data.card().size == (64, 64)
    assert [type(s).__name__ for s in e.data.change.shapes] == ["Flip", "Affine"]
    assert e.data.change.shapes[1].degrees == 0
    assert "CutOut" not in [type(t).__name__ for t in e.data.change.tones]


def test_images_of_one_place_are_refused_with_the_least_size():
    with pytest.raises(Wrong, match="imagenet form needs at least 32 pixels a side, these images have 16") as caught:
        er.detection("phantom:images=30,size=16", width=4)
    assert caught.value.code == 2
    assert caught.value.remedy == "give --size 32 or above, or --stem small"
    small = er.detection("phantom:images=30,size=16", width=4, stem="small").model(torch.zeros(1, 1, 16, 16))
    assert small.shape[2:] == (4, 4)


def test_names_and_order_of_the_classes_are_in_the_users_hand(tmp_path):
    import pandas as pd
    from PIL import Image

    rows = []
    for i in range(12):
        name = str(tmp_path / f"{i}.png")
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (32, 32), np.uint8)).save(name)
        rows.append({"image": name, "boxes": [["ab"[i % 2], 2 + i, 4, 12 + i, 14]], "label": "xy"[i % 2]})
    for frame in (pd.DataFrame(rows), pd.DataFrame(rows).drop(columns="label")):
        assert er.detection(frame, width=4).data.facts["boxes"]["names"] == ["a", "b"]
        assert er.detection(frame, width=4, classes="b,a").data.facts["boxes"]["names"] == ["b", "a"]
        assert er.detection(frame, width=4, rename="b=a", classes="a").data.facts["boxes"]["names"] == ["a"]
        with pytest.raises(Wrong, match='label "b" is not among a, c') as caught:
            er.detection(frame, width=4, classes="a,c")
        assert "--rename b=a" in caught.value.remedy
    with pytest.raises(Wrong, match="boxes are labelled lesion, which --classes does not name") as caught:
        er.detection("phantom:images=30,size=32", width=4, classes="nodule,mass")
    assert caught.value.remedy.endswith("--classes lesion")
    assert er.detection("phantom:images=30,size=32", width=4, classes="lesion").arguments["classes"] == "lesion"


def test_predictions_are_written_in_the_form_of_the_training_set(tmp_path, monkeypatch):
    import shutil

    from PIL import Image

    from empirisk.cli import run

    monkeypatch.chdir(tmp_path)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / "set" / name).mkdir(parents=True)
    rows = embedded.table("phantom:images=24,size=32").rows
    for i, row in enumerate(rows):
        Image.fromarray(row["x"].read()[0]).save(tmp_path / f"set/JPEGImages/{i}.jpg")
        x1, y1, x2, y2 = row["boxes"][0].corners
        box = f"<bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
        thing = f"<object><name>lesion</name>{box}</object>"
        text = f"<annotation><size><width>32</width><height>32</height></size>{thing}</annotation>"
        (tmp_path / f"set/Annotations/{i}.xml").write_text(text)
    for part, low, high in (("train", 0, 18), ("val", 18, 24)):
        (tmp_path / f"set/ImageSets/Main/{part}.txt").write_text("\n".join(map(str, range(low, high))))
    with contextlib.redirect_stdout(io.StringIO()):
        assert run(["train", "detection", "set", "--width", "4", "--epochs", "2", "--out", "r"]) == 0
        assert run(["test", "r"]) == 0
        assert run(["compare", "r", "r", "--json"]) == 0
        shutil.copy(tmp_path / "set/JPEGImages/3.jpg", tmp_path / "new.jpg")
        shutil.rmtree(tmp_path / "set")
        assert run(["predict", "r", "new.jpg"]) == 0
    assert "<annotation>" in (tmp_path / "r/predictions/boxes/new.xml").read_text()
    assert len((tmp_path / "r/predictions/new.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(("shift", "found"), [(8, 2), (2, 1)])
def test_neighbours_that_overlap_by_a_third_are_two_things_and_near_copies_are_one(shift, found):
    boxes = (Box("a", (8, 4, 24, 16)), Box("a", (8 + shift, 4, 24 + shift, 16)))
    kind = kind_of([{"id": "1", "extent": (32, 48), "boxes": boxes}], (32, 48))
    y = torch.from_numpy(kind.encode({"id": "1", "extent": (32, 48), "boxes": boxes}))[None]
    (marks,) = tasks.predict(kind, Fixed(perfect(kind, y, (32, 48)), (0.5,)), torch.zeros(1, 1, 32, 48))
    assert marks.counted.sum() == found
