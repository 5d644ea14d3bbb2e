import numpy as np
import pytest
import torch
from torch import nn

from empirisk.data.masks import Masks, Segmented
from empirisk.data.plan import Plan
from empirisk.data.readers import Stored
from empirisk.estimate import values
from empirisk.tasks import overlays, priors
from empirisk.tasks.segmentation import patch_loss, segmentation, slid, soft_dice

MASKS = Masks(("a", "b"), (1, 2))
PLAN = Plan((), (8, 8), ((1, 1), (2, 2)), 4, 1, False, 0.1)


class Says(nn.Module):
    """An answer that is given."""

    def __init__(self, z):
        super().__init__()
        self.z = z

    def forward(self, x):
        return self.z


def row(mask, name="r", image=None, **more):
    image = np.zeros((1, *mask.shape), np.uint8) if image is None else image
    return {"id": name, "x": Stored(image[None], 0), "mask": Stored(mask[None], 0), "patient": None, **more}


def test_the_loss_is_the_formula_a_term_a_patch():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, 3, 4, 5))
    y = rng.integers(0, 4, (3, 1, 4, 5)).astype(np.uint8)  # 0: not counted
    said = patch_loss(2)(Says(torch.from_numpy(z)), (torch.zeros(3, 1, 4, 5), torch.from_numpy(y)))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    for i in range(3):
        counted = y[i, 0] > 0
        truth = y[i, 0][counted].astype(int) - 1
        q = p[i][:, counted]
        entropy = -np.log(q[truth, np.arange(len(truth))]).mean()
        dice = [(2 * (q[k] * (truth == k)).sum() + 1) / (q[k].sum() + (truth == k).sum() + 1) for k in (1, 2)]
        assert float(said[i]) == pytest.approx(entropy + 1 - np.mean(dice), rel=1e-10)


def test_a_patch_does_not_know_the_others_of_its_batch():
    z, y = torch.randn(4, 3, 6, 6), torch.randint(0, 4, (4, 1, 6, 6), dtype=torch.uint8)
    whole = patch_loss(2)(Says(z), (z, y))
    for i in range(4):
        assert torch.allclose(whole[i], patch_loss(2)(Says(z[i : i + 1]), (z, y[i : i + 1]))[0])


def test_a_perfect_answer_costs_nothing_and_nothing_counted_is_no_nan():
    y = torch.randint(1, 4, (2, 1, 8, 8), dtype=torch.uint8)
    z = 50.0 * nn.functional.one_hot(y[:, 0].long() - 1, 3).movedim(-1, 1)
    assert patch_loss(2)(Says(z), (z, y)).max() < 1e-4
    assert torch.isfinite(patch_loss(2)(Says(z), (z, torch.zeros_like(y)))).all()
    p, truth = z.softmax(1), y[:, 0].long() - 1
    assert torch.allclose(soft_dice(p, truth, torch.ones(2, 8, 8)), torch.ones(2), atol=1e-5)


def test_the_distance_is_learned_beside():
    y = torch.stack([torch.full((2, 4, 4), 2), torch.full((2, 4, 4), 51)], 1).to(torch.uint8)
    z = torch.zeros(2, 3, 4, 4)
    z[:, 1], z[:, 2] = 50.0, 0.2
    loss = patch_loss(1, distance=True)
    assert loss(Says(z), (z, y)).max() < 1e-4
    z[:, 2] = 1.2
    assert loss(Says(z), (z, y)).tolist() == pytest.approx([5.7, 5.7], abs=1e-4)  # 6 (|1| - beta / 2)


@pytest.mark.parametrize("size", [(8, 8), (20, 13), (5, 30), (3, 3)])
def test_windows_of_a_pointwise_function_give_the_function(size):
    x = torch.randn(1, 2, *size)
    seen = []

    def f(windows):
        seen.append(len(windows))
        return torch.cat([windows.square(), windows[:, :1]], 1)

    y = slid(f, x, (8, 8), 3)
    assert torch.allclose(y, torch.cat([x.square(), x[:, :1]], 1)[0], atol=1e-5)
    assert max(seen) <= 3


def test_windows_in_3d_and_their_middle_has_more_say():
    x = torch.zeros(1, 1, 8, 8, 12)
    assert slid(lambda w: w + 1, x, (8, 8, 8), 4).shape == (1, 8, 8, 12)
    count = iter(range(9))
    y = slid(lambda w: torch.full_like(w, float(next(count))), torch.zeros(1, 1, 8, 12), (8, 8), 1)[0]
    assert float(y[4, 1]) < 0.01  # the first window's middle
    assert float(y[4, 10]) > 0.99


class Bright(nn.Module):
    """Structure 1 where a pixel is above 0."""

    def forward(self, x):
        return torch.cat([-x, x, torch.full_like(x, -99)], 1)


def test_an_answer_has_the_image_s_own_size():
    x = torch.tensor([[[[-1.0, 1.0], [-1.0, -1.0]]]]).repeat_interleave(8, 2).repeat_interleave(8, 3)  # (1, 1, 16, 16)
    task = segmentation(MASKS, PLAN)
    said = task.predict(Bright(), (x, torch.tensor([32, 32])))
    assert len(said) == 1
    assert said[0].labels.shape == (32, 32)
    assert said[0].labels.dtype == np.uint8
    assert (said[0].labels[:14, 18:] == 1).all()
    assert said[0].labels.sum() == pytest.approx(16 * 16, abs=40)


def test_scores_come_in_one_order_and_dice_first():
    mask = np.zeros((9, 9), np.uint8)
    mask[2:5, 2:5], mask[6:8, 6:8] = 1, 2
    rows = [row(mask), row(mask)]
    task = segmentation(MASKS, PLAN)
    scores = task.score(rows, [Segmented(mask), Segmented(np.zeros_like(mask))])
    assert list(scores)[:4] == ["dice", "hd95", "surface_dice", "volume_error"]
    assert values(scores, 2)["dice"] == 0.5
    assert {"dice/a", "hd95/b"} <= set(scores)
    assert not task.live


def test_things_told_apart_are_scored_as_things():
    ids = np.zeros((12, 12), np.uint16)
    ids[1:5, 1:5], ids[7:11, 7:11] = 1, 2
    masks = Masks(("foreground",), (1,), instances=True)
    task = segmentation(masks, PLAN)
    perfect = Segmented((ids > 0).astype(np.uint8), ids, np.array([0.9, 0.8]))
    assert list(task.score([row(ids)], [perfect]))[-2:] == ["ap", "ap50"]
    assert values(task.score([row(ids)], [perfect]), 1)["ap"] == 1
    merged = perfect._replace(instances=(ids > 0).astype(np.uint16), surety=np.ones(1))
    assert values(task.score([row(ids)], [merged]), 1) == pytest.approx(
        {"dice": 1, "hd95": 0, "surface_dice": 1, "volume_error": 0, "ap": 51 / 101 / 10, "ap50": 51 / 101}
    )


def disc(size, at, radius):
    y, x = np.ogrid[: size[0], : size[1]]
    return (y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2


def test_the_prior_map_is_where_structures_are():
    rows = []
    for i in range(20):
        mask = np.zeros((40, 48), np.uint8)
        mask[disc(mask.shape, (20 + i % 3, 15), 9)] = 1
        mask[disc(mask.shape, (20, 36 + i % 2), 6)] = 2
        rows.append(row(mask))
    task = segmentation(MASKS, PLAN)
    base = task.baseline(rows)
    assert list(base) == ["prior_map"]  # a threshold knows no two structures
    said = base["prior_map"]([row(np.zeros((80, 96), np.uint8))])[0].labels
    assert said.shape == (80, 96)
    assert said[40, 30] == 1
    assert said[40, 73] == 2
    assert said[0, 0] == 0
    assert values(task.score(rows, base["prior_map"](rows)), 20)["dice"] > 0.85


def test_otsu_separates_best_and_takes_the_smaller_part():
    rng = np.random.default_rng(0)
    for sign in (1, -1):
        image = (128 + sign * 60 * disc((40, 40), (20, 20), 9) + rng.normal(0, 8, (40, 40))).astype(np.uint8)
        said = priors.otsu(image[None])
        assert (said == disc((40, 40), (20, 20), 9)).mean() > 0.99
    grey = rng.integers(0, 256, (1, 30, 30))
    bright = priors.otsu(grey)
    bright = bright if grey[0][bright].mean() > grey[0][~bright].mean() else ~bright

    def between(t):
        a, b = grey[0][grey[0] < t], grey[0][grey[0] >= t]
        return len(a) * len(b) * (a.mean() - b.mean()) ** 2

    assert between(grey[0][bright].min()) == pytest.approx(max(between(t) for t in range(1, 256)), rel=1e-3)


def test_pictures_say_what_is_cut_and_what_is_left_out():
    mask = np.zeros((24, 24), np.uint8)
    mask[0:8, 4:12], mask[14:20, 14:20] = 1, 2
    empty = np.zeros_like(mask)
    answers = [Segmented(mask), Segmented(np.roll(mask, 2, 0)), Segmented(empty)]
    figures = overlays.segmentation([row(mask, "<b>"), row(mask), row(empty)], answers, MASKS)
    assert [f.key for f in figures] == ["overlays", "dice-by-size"]
    assert "In 1 of 3 images an answer reaches the border" in figures[0].text
    assert "Of 1 of 3, where truth and answer hold nothing, no number tells" in figures[0].text
    assert "<b>" not in figures[0].svg.replace("<b>Dice", "")
    assert figures[0].svg.count("<img") == 4
    assert len(figures[1].rows) == 4
    volume = np.zeros((6, 24, 24), np.uint8)
    volume[2:4, 5:9, 5:9] = 1
    one = Masks(("foreground",), (1,))
    assert len(overlays.segmentation([row(volume)], [Segmented(volume)], one)) == 2
