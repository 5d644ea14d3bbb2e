import re
import time

import pytest
import torch
from torch import Generator, Tensor

from empirisk.data import augment
from empirisk.data.augment import ALL, AUTO, Augmentation, augmentation
from empirisk.data.changes import Affine, Flip, Parameters
from empirisk.data.tones import BiasField, Blur, CutOut, Gamma, Intensity, Invert, Noise, Tone, span_of
from empirisk.errors import Wrong
from empirisk.recipe import Regularization
from empirisk.verbs.command import notes

SIZES = {2: (20, 28), 3: (10, 12, 16)}


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(n: int, dims: int, channels: int = 2) -> Tensor:
    return torch.rand((n, channels, *SIZES[dims]), generator=seeded(1))


def made(spec: str, dims: int) -> Augmentation:
    found = augmentation(spec, dims)
    assert found is not None
    return found


def applied(tone: Tone, x: Tensor, p: Parameters) -> Tensor:
    return tone.apply(x.clone(), p, span_of(x))[0]


def still(n: int, dims: int, **some: Tensor) -> Parameters:
    """Parameters of an affine map that moves nothing, but for `some`."""
    planes = dims * (dims - 1) // 2
    none = {
        "angle": torch.zeros(n, planes),
        "log_scale": torch.zeros(n, 1),
        "shear": torch.zeros(n, planes),
        "shift": torch.zeros(n, dims),
    }
    return Parameters(none | some)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("spec", ["auto", *ALL])
def test_a_slice_of_the_parameters_gives_that_slice_of_the_whole(spec: str, dims: int):
    change, x = made(spec, dims), images(7, dims)
    p = change.draw(seeded(), 7)
    whole = change.apply(x, p)
    assert whole.shape == x.shape
    assert not torch.equal(whole, x)
    for part in (slice(0, 3), slice(3, 7), slice(4, 5)):
        assert torch.equal(change.apply(x[part], p[part]), whole[part])


@pytest.mark.parametrize("dims", [2, 3])
def test_each_tone_knows_the_range_that_it_leaves(dims: int):
    """But for noise, which the range is without."""
    x = images(5, dims) * 3 - 1
    for tone in (Intensity(), Gamma(), BiasField(dims), Blur()):
        found, span = tone.apply(x.clone(), Parameters(tone.draw(seeded(), 5)), span_of(x))
        assert not torch.equal(found, x)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(span, span_of(found), strict=True))


@pytest.mark.parametrize("spec", ["auto", *ALL])
def test_the_same_generator_draws_the_same(spec: str):
    change, x = made(spec, 2), images(4, 2)
    first, again, other = (change.apply(x, change.draw(seeded(s), 4)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dims", [2, 3])
def test_nothing_drawn_leaves_the_image(dims: int):
    x = images(3, dims)
    change = Augmentation(
        dims, (Flip(), Affine(dims)), (Intensity(), Gamma(), BiasField(dims), Blur(), Noise(), CutOut(dims))
    )
    zero = torch.zeros(3)
    p = still(
        3, dims, flip=zero.bool(), contrast=zero + 1, brightness=zero, log_gamma=zero, sigma=zero, offset=zero.long(),
        place=torch.zeros(3, dims), half=torch.zeros(3, dims), blur=zero, bias=torch.zeros(3, 1, *[4] * dims),
    )  # fmt: skip
    assert torch.allclose(change.apply(x, p), x, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_flip_is_torch_flip(dims: int):
    x = images(2, dims)
    p = Parameters({"flip": torch.tensor([True, False])})
    found = made("flip", dims).apply(x, p)
    assert torch.allclose(found[0], x[0].flip(-1), atol=1e-5)
    assert torch.allclose(found[1], x[1], atol=1e-5)
    upside = made("upside", dims).apply(x, Parameters({"upside": torch.tensor([False, True])}))
    assert torch.allclose(upside[0], x[0], atol=1e-5)
    assert torch.allclose(upside[1], x[1].flip(-2), atol=1e-5)


def test_a_quarter_turn_is_torch_rot90():
    x = torch.rand(1, 1, 16, 16, generator=seeded())
    found = made("affine", 2).apply(x, still(1, 2, angle=torch.tensor([[torch.pi / 2]])))
    assert torch.allclose(found, torch.rot90(x, 1, (2, 3)), atol=1e-4)


def test_a_turn_keeps_angles_where_the_sides_are_unequal():
    """A quarter turn of a 16 x 32 image about its middle: the middle square is turned."""
    x = torch.rand(1, 1, 16, 32, generator=seeded())
    found = made("affine", 2).apply(x, still(1, 2, angle=torch.tensor([[torch.pi / 2]])))
    assert torch.allclose(found[..., 8:24], torch.rot90(x[..., 8:24], 1, (2, 3)), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_by_whole_voxels_is_torch_roll(axis: int):
    x = images(1, 3)
    voxels, side = 2, SIZES[3][2 - axis]
    shift = torch.zeros(1, 3)
    shift[0, axis] = 2 * voxels / side
    found = made("affine", 3).apply(x, still(1, 3, shift=shift))
    whole = torch.roll(x, -voxels, 4 - axis)
    kept = (..., *(slice(0, -voxels) if 2 - k == axis else slice(None) for k in range(3)))
    assert torch.allclose(found[kept], whole[kept], atol=1e-4)


def test_scale_enlarges_what_is_sampled():
    x = torch.zeros(1, 1, 64, 64)
    x[..., 24:40, 24:40] = 1
    found = made("affine", 2).apply(x, still(1, 2, log_scale=torch.log(torch.tensor([[0.5]]))))
    assert found.sum() == pytest.approx(4 * 256, rel=0.02)  # half the step: twice the size


def test_rigid_keeps_areas():
    x = torch.zeros(64, 1, 64, 64)
    x[..., 26:38, 24:40] = 1
    change = augmentation("affine", 2, rigid=True)
    assert change is not None
    assert change.apply(x, change.draw(seeded(), 64)).sum((1, 2, 3)).numpy() == pytest.approx(192, rel=0.01)
    free = made("affine", 2)
    assert free.apply(x, free.draw(seeded(), 64)).sum((1, 2, 3)).std() > 10
    assert "cutout" not in augmentation("auto", 2, rigid=True).names
    assert "cutout" in made("auto", 2).names


def test_flip_and_affine_are_one_resampling():
    x = images(5, 2)
    both, flip, affine = (made(s, 2) for s in ("flip,affine", "flip", "affine"))
    p = both.draw(seeded(2), 5)
    apart = flip.apply(x, p)
    # the image is turned first and mirrored then, or here: sampled at mirrored positions of the turned grid
    assert torch.allclose(
        both.matrix(p, x.shape[2:]), flip.matrix(p, x.shape[2:]) @ affine.matrix(p, x.shape[2:]), atol=1e-6
    )
    assert torch.allclose(both.apply(x, p), affine.apply(apart, p), atol=1e-4)


def test_volumes_that_are_not_turned_are_sampled_alike_an_axis_at_a_time():
    x = images(4, 3)
    change = Augmentation(3, (Flip(), Affine(3, degrees=0, shear=0, scale=0.3, shift=0.2)))
    p = change.draw(seeded(), 4)
    positions = augment.grid(x, change.matrix(p, x.shape[2:]))
    at_once = torch.nn.functional.grid_sample(x, positions, padding_mode="border", align_corners=False)
    assert torch.allclose(change.apply(x, p), at_once, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_mask_moves_with_its_image_and_keeps_its_values(dims: int):
    change = made("auto", dims)
    mask = torch.zeros((8, 1, *[32] * dims), dtype=torch.int64)
    mask[(..., *[slice(8, 20)] * dims)] = 3
    mask[(..., *[slice(20, 26)] * dims)] = 2**40 + 1
    p = change.draw(seeded(), 8)
    moved = change.apply_mask(mask, p)
    assert moved.dtype == torch.int64
    assert set(moved.unique().tolist()) == {0, 3, 2**40 + 1}
    shapes = Augmentation(dims, change.shapes)
    image = shapes.apply((mask == 3).float(), p)
    assert ((image > 0.5) == (moved == 3)).float().mean() > 0.985


@pytest.mark.parametrize("dims", [2, 3])
def test_a_box_holds_its_moved_object_tightly(dims: int):
    sides = (40, 48, 56)[-dims:]
    change = made("flip,affine", dims)
    boxes = torch.tensor(
        [[[12.0, 14.0, 16.0][:dims] + [22.0, 26.0, 30.0][:dims], [2.0, 3.0, 4.0][:dims] + [9.0, 12.0, 11.0][:dims]]]
    ).repeat(6, 1, 1)
    p = change.draw(seeded(5), 6)
    moved = change.apply_boxes(boxes, p, sides)
    assert moved.shape == boxes.shape
    for k in range(2):
        low, high = boxes[0, k, :dims].long().tolist(), boxes[0, k, dims:].long().tolist()
        mask = torch.zeros((6, 1, *sides), dtype=torch.uint8)
        mask[(..., *[slice(a, b) for a, b in zip(low[::-1], high[::-1])])] = 1
        for i, found in enumerate(change.apply_mask(mask, p)[:, 0]):
            at = found.nonzero().flip(1).float()  # (voxels, dims) as x, y, z
            seen = torch.cat([at.amin(0), at.amax(0) + 1])
            assert (moved[i, k, :dims] <= seen[:dims] + 0.51).all()
            assert (moved[i, k, dims:] >= seen[dims:] - 0.51).all()
            assert (moved[i, k] - seen).abs().max() < 2.5


def test_boxes_are_clipped_to_the_image_and_flip_exactly():
    change = made("flip", 2)
    p = Parameters({"flip": torch.tensor([True])})
    found = change.apply_boxes(torch.tensor([[[2.0, 3.0, 10.0, 8.0], [-4.0, 1.0, 5.0, 99.0]]]), p, (20, 30))
    assert torch.allclose(found, torch.tensor([[[20.0, 3.0, 28.0, 8.0], [25.0, 1.0, 30.0, 20.0]]]), atol=1e-5)


def test_tones_leave_masks_and_boxes():
    change = made("intensity,noise,cutout", 2)
    p = change.draw(seeded(), 2)
    mask, boxes = torch.ones(2, 1, 8, 8, dtype=torch.uint8), torch.ones(2, 1, 4)
    assert change.apply_mask(mask, p) is mask
    assert change.apply_boxes(boxes, p, (8, 8)) is boxes


def test_intensity_is_its_formula():
    x = images(2, 2)
    p = Parameters({"contrast": torch.tensor([0.8, 1.2]), "brightness": torch.tensor([0.1, -0.05])})
    found = applied(Intensity(), x, p)
    for i, (c, b) in enumerate([(0.8, 0.1), (1.2, -0.05)]):
        expected = x[i].mean() + c * (x[i] - x[i].mean()) + b * (x[i].max() - x[i].min())
        assert torch.allclose(found[i], expected, atol=1e-6)


@pytest.mark.parametrize("about", [None, 0.0])
def test_inverted_images_are_mirrored_about_the_middle_of_their_range_or_a_value(about: float | None):
    x = images(2, 2) - 0.3
    p = Parameters({"invert": torch.tensor([True, False])})
    found, (low, high) = Invert(about).apply(x.clone(), p, span_of(x))
    total = x[0].min() + x[0].max() if about is None else 2 * about
    assert torch.allclose(found[0], total - x[0], atol=1e-6)
    assert torch.equal(found[1], x[1])
    assert torch.allclose(
        torch.stack([low, high]), torch.stack(span_of(found)), atol=1e-6
    )  # what later changes mean by the range
    assert 0.4 < Invert().draw(seeded(), 2000)["invert"].float().mean() < 0.6


@pytest.mark.parametrize("scale", [1.0, 3000.0])
def test_gamma_keeps_the_range_in_any_units(scale: float):
    x = (images(2, 2) - 0.3) * scale
    found = applied(Gamma(), x, Parameters({"log_gamma": torch.tensor([0.3, -0.3])}))
    assert torch.allclose(found.amin((1, 2, 3)), x.amin((1, 2, 3)), rtol=1e-5)
    assert torch.allclose(found.amax((1, 2, 3)), x.amax((1, 2, 3)), rtol=1e-5)
    assert found[0].mean() < x[0].mean()
    assert found[1].mean() > x[1].mean()


def test_tones_stay_finite_on_a_constant_image():
    change, x = made("intensity,gamma,bias,blur,noise,cutout", 2), torch.full((3, 1, 9, 9), 0.4)
    assert torch.allclose(change.apply(x, change.draw(seeded(), 3)), x, atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_blur_is_the_gaussian_of_scipy(dims: int):
    from scipy.ndimage import gaussian_filter

    x, s = images(3, dims), torch.tensor([0.3, 0.7, 1.0])
    found = applied(Blur(), x, Parameters({"blur": s}))
    for i in range(3):
        expected = gaussian_filter(x[i].numpy(), float(s[i]), mode="nearest", radius=3, axes=tuple(range(1, 1 + dims)))
        assert torch.allclose(found[i], torch.from_numpy(expected), atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_bias_field_is_one_smooth_gain_about_the_least_value(dims: int):
    x = images(4, dims) * 100 - 30
    p = Parameters({"bias": torch.full((4, 1, *[4] * dims), 0.2)})
    low = x.amin(tuple(range(1, 2 + dims)), keepdim=True)
    assert torch.allclose(
        applied(BiasField(dims), x, p), low + (x - low) * torch.tensor(0.2).exp(), rtol=1e-5, atol=1e-4
    )
    drawn = Parameters(BiasField(dims).draw(seeded(), 4))
    ones = torch.ones(4, 2, *[24] * dims)
    ones[(..., *[0] * dims)] = 0  # so that the least is 0
    gain = applied(BiasField(dims), ones, drawn).log()
    assert torch.equal(gain[:, 0], gain[:, 1])
    step = gain.diff(dim=-1)[(..., *[slice(1, None)] * dims)].abs().amax()
    assert 0 < step < 0.3 * 4 * 3 / 23 * 2  # between two points of the grid it changes evenly


def test_noise_is_normal_with_its_sigma_and_differs_between_samples():
    x = torch.zeros(4, 1, 64, 64)
    x[:, :, 0, 0] = 1  # the range is 1
    p = Parameters(Noise().draw(seeded(), 4))
    eps = (applied(Noise(), x, p) - x) / p.values["sigma"].view(4, 1, 1, 1)
    assert eps.std((1, 2, 3)).numpy() == pytest.approx(1, abs=0.05)
    assert eps.mean((1, 2, 3)).abs().max() < 0.07
    assert torch.corrcoef(eps.flatten(1)).fill_diagonal_(0).abs().max() < 0.08


@pytest.mark.parametrize("dims", [2, 3])
def test_cut_out_is_one_box_of_the_mean(dims: int):
    x = images(2, dims)
    half = torch.tensor([[0.26] * dims, [0.0] * dims])
    found = applied(CutOut(dims), x, Parameters({"place": torch.zeros(2, dims), "half": half}))
    changed = (found != x)[0, 0]
    assert changed.sum() == torch.tensor([s // 4 + s // 4 % 2 for s in SIZES[dims]]).prod()
    assert torch.allclose(found[0, 1][changed], x[0, 1].mean().expand(int(changed.sum())))
    assert torch.equal(found[1], x[1])


def test_names():
    assert augmentation("none", 2) is None
    assert augmentation("auto", 0) is None
    assert made("auto", 3).names == AUTO
    assert made(",".join(ALL), 3).names == ALL
    assert set(ALL) - set(AUTO) == {"upside", "invert", "bias", "blur"}
    assert made(" noise , flip", 2).names == ("flip", "noise")
    for spec, dims, says in [
        ("flop", 2, 'Did you mean "flip"'),
        ("", 2, "is empty"),
        ("flip,none", 2, "none"),
        ("flip", 0, "vectors"),
    ]:
        with pytest.raises(Wrong, match=says) as wrong:
            augmentation(spec, dims)
        assert wrong.value.code == 2


def test_a_batch_of_small_images_is_quick():
    change, x = made("auto", 2), torch.rand(128, 1, 28, 28)
    p = change.draw(seeded(), 128)
    seconds = []
    for _ in range(20):
        start = time.process_time()
        change.apply(x, p)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.02  # seconds of the processor, about 2 ms


def test_the_flags_help_names_every_change() -> None:
    assert {"auto", "none", *ALL} <= set(re.findall(r"\w+", notes(Regularization)["augment"]))


def test_limits_of_the_affine_map_hold_and_the_rest_stays():
    change = augmentation("auto", 3)
    still = change.limited(degrees=0.0, shear=0.0, scale=0.5, shift=0.0)
    p = still.draw(seeded(), 200)
    assert p.values["angle"].abs().max() == p.values["shear"].abs().max() == p.values["shift"].abs().max() == 0
    assert 0.3 < p.values["log_scale"].exp().max() - 1 <= 0.5 + 1e-6
    assert (still.tones, still.names, len(still.shapes)) == (change.tones, change.names, len(change.shapes))


def test_most_flat_images_are_taught_with_the_noise_they_have_and_every_volume_is_moved():
    change, n = augmentation("affine", 2), 400
    p = change.draw(seeded(), n)
    x = torch.randn(n, 1, 12, 12, generator=seeded(1))
    said = change.apply(x, p).flatten(1)
    moved = (p.values["shift"] != 0).any(1)
    assert 0.2 < moved.float().mean() < 0.3
    assert torch.allclose(said[~moved], x.flatten(1)[~moved], atol=1e-5)
    assert said[moved].std() < 0.75
    for always in (change.limited(chance=1.0), augmentation("affine", 3)):
        assert (always.draw(seeded(), n).values["shift"] != 0).any(1).all()
