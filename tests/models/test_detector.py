"""The detector over several encoders, in 2D and 3D; its boxes, overlaps and suppression against torchvision and by hand."""

import pytest
import torch
from torchvision import ops

from empirisk import models
from empirisk.errors import Wrong
from empirisk.models.detector import alone, detector, overlap, peaks, placed


def made(name="resnet18", size=(64, 48), classes=2, **options):
    torch.manual_seed(0)
    encoder = models.build(name, channels=1, classes=1, dims=len(size), size=size, **options)
    return detector(encoder, 1, classes, size=size, width=8)


def random_boxes(*shape: int, dims: int = 2, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    low, sides = torch.rand(*shape, dims, generator=g), 0.05 + torch.rand(*shape, dims, generator=g)
    return torch.cat([low, low + sides / 2], -1)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("resnet18", (64, 48), {"width": 4}),
        ("resnet18", (32, 32), {"width": 4}),  # the small stem: the map of stride 4 is the third
        ("resnet18", (32, 32, 24), {"width": 4, "stem": "imagenet"}),
        ("vgg11", (64, 64), {"width": 4}),
    ],
)
def test_maps_of_stride_four_and_a_gradient_everywhere(name, size, options):
    net = made(name, size, **options)
    x = torch.randn(2, 1, *size)
    out = net(x)
    assert out.shape == (2, 2 + 2 * len(size), *(s // 4 for s in size))
    assert not any(".fc." in k or "classifier" in k for k in net.state_dict())
    out.square().mean().backward()
    lost = [k for k, p in net.named_parameters() if p.grad is None]
    assert not lost
    assert net.embed(x).shape[0] == 2
    assert torch.sigmoid(net.eval()(x)[:, :2]).max() < 0.2  # nearly every cell is no centre


def test_an_encoder_keeps_its_mode_and_its_statistics():
    encoder = models.build("resnet18", channels=1, classes=1, dims=2, size=(64, 64), width=4, stem="imagenet")
    before = {k: v.clone() for k, v in encoder.state_dict().items() if "fc" not in k}
    detector(encoder, 1, 1, size=(64, 64))
    assert encoder.training
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    assert all(p.grad is None for p in encoder.parameters())


def test_no_maps_no_detector():
    linear = models.build("linear", channels=1, classes=1, dims=2, size=(8, 8))
    with pytest.raises(Wrong, match="no maps") as caught:
        detector(linear, 1, 1, size=(8, 8))
    assert "resnet18" in caught.value.remedy


@pytest.mark.parametrize("size", [(2, 4), (2, 3, 4)])
def test_half_a_cell_to_each_side_is_the_cell(size):
    d = len(size)
    out = torch.full((1, 3 + 2 * d, *size), 0.5).log()
    logits, corners = placed(out, 3)
    cells = torch.tensor(size).prod()
    assert logits.shape == (1, 3, cells)
    assert corners.shape == (1, cells, 2 * d)
    last = torch.tensor([1 - 1 / s for s in size[::-1]] + [1.0] * d)
    assert torch.allclose(corners[0, 0], torch.tensor([0.0] * d + [1 / s for s in size[::-1]]))
    assert torch.allclose(corners[0, -1], last)
    assert torch.allclose(corners[0, 1, :1], torch.tensor([1 / size[-1]]))  # the last axis goes fastest


def test_overlap_equals_torchvision():
    a, b = random_boxes(6), random_boxes(7, seed=1)
    iou, giou = overlap(a[:, None], b[None])
    assert torch.allclose(iou, ops.box_iou(a, b), atol=1e-6)
    assert torch.allclose(giou, ops.generalized_box_iou(a, b), atol=1e-6)


def test_overlap_of_volumes_by_hand():
    a = torch.tensor([0.0, 0, 0, 2, 2, 2])
    iou, giou = overlap(a, torch.tensor([1.0, 1, 1, 3, 3, 3]))
    assert float(iou) == pytest.approx(1 / 15)
    assert float(giou) == pytest.approx(1 / 15 - (27 - 15) / 27)
    iou, giou = overlap(a, torch.tensor([4.0, 0, 0, 6, 2, 2]))
    assert (float(iou), float(giou)) == (0, pytest.approx(-8 / 24))


def test_suppression_equals_torchvision():
    boxes, label = random_boxes(3, 60), torch.randint(0, 2, (3, 60), generator=torch.Generator().manual_seed(2))
    scores = torch.linspace(1, 0, 60)
    stays = alone(boxes, label, 0.3)
    assert 0 < stays.sum() < stays.numel()
    for i in range(3):
        kept = ops.batched_nms(boxes[i], scores, label[i], 0.3).sort().values
        assert torch.equal(torch.nonzero(stays[i])[:, 0], kept)


def test_suppression_of_volumes_equals_the_rule():
    boxes, label = random_boxes(1, 40, dims=3), torch.zeros(1, 40, dtype=torch.long)
    stays = alone(boxes, label, 0.1)[0]
    over = overlap(boxes[0][:, None], boxes[0][None])[0]
    for i in range(40):
        assert bool(stays[i]) == (not any(stays[j] and over[i, j] > 0.1 for j in range(i)))
    assert 0 < stays.sum() < 40


def test_peaks_look_at_all_neighbours():
    maps = torch.zeros(1, 1, 3, 3)
    maps[0, 0, 0, 0], maps[0, 0, 1, 1], maps[0, 0, 2, 0] = 2, 3, 4
    found = peaks(maps.flatten(2), (3, 3)).view(3, 3)
    assert found[2, 0]
    assert not found[1, 1]  # a corner touches it
    assert not found[0, 0]
