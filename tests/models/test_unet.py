"""The U-Net over its own encoder and over any other: shapes, gradients, the image's own resolution."""

import pytest
import torch

from empirisk import models
from empirisk.errors import Wrong
from empirisk.models.layers import Layers
from empirisk.models.unet import Encoder, Halved, UNet


def other(name, size, dims=2, **more):
    return models.build(name, channels=1, classes=1, dims=dims, size=size, width=4, **more)


@pytest.mark.parametrize(
    ("dims", "size", "strides"),
    [
        (2, (32, 40), None), (2, (33, 21), None), (2, (8, 8), ((1, 1), (2, 2))), (3, (16, 16, 24), None),
        (3, (5, 16, 16), ((1, 1, 1), (1, 2, 2), (1, 2, 2))),
    ],
)  # fmt: skip
def test_an_answer_for_each_pixel_and_a_gradient_for_each_parameter(dims, size, strides):
    net = UNet(2, 3, dims=dims, size=size, width=4, strides=strides)
    y = net(torch.randn(2, 2, *size))
    assert y.shape == (2, 3, *size)
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
    assert net.embed(torch.randn(2, 2, *size)).shape == (2, 4 * 2 ** (len(net.levels)))


@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_over_an_encoder_that_keeps_or_loses_the_resolution(stem):
    net = UNet(1, 2, size=(64, 64), width=4, encoder=other("resnet18", (64, 64), stem=stem))
    assert (net.stem is None) == (stem == "small")
    assert isinstance(net.encoder.fc, torch.nn.Identity)  # what features do not need is left out
    y = net(torch.randn(2, 1, 64, 64))
    assert y.shape == (2, 2, 64, 64)
    y.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_over_an_encoder_in_3d():
    net = UNet(1, 2, dims=3, size=(16, 16, 16), width=4, encoder=other("resnet18", (16, 16, 16), 3))
    assert net(torch.randn(1, 1, 16, 16, 16)).shape == (1, 2, 16, 16, 16)


@pytest.mark.parametrize("name", [n for n, known in models.MODELS.items() if known.form is not None])
def test_over_every_named_encoder_or_a_reason_why_not(name):
    encoder = models.build(
        name, channels=1, classes=1, dims=2, size=(64, 64), **({} if name == "linear" else {"width": 4})
    )
    try:
        net = UNet(1, 2, size=(64, 64), width=4, encoder=encoder).eval()
    except Wrong as wrong:
        assert name in {"linear", "mlp"}
        assert "needs two or more" in str(wrong)
        return
    y = net(torch.randn(1, 1, 64, 64))
    assert y.shape == (1, 2, 64, 64)
    y.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_a_module_without_maps_is_refused():
    with pytest.raises(Wrong, match="Linear has no maps of features"):
        UNet(1, 2, encoder=torch.nn.Linear(1, 1))


def test_its_own_encoder_doubles_its_width_at_each_stride():
    encoder = Encoder(1, Layers(2, norm=torch.nn.InstanceNorm2d), strides=(1, 2, (1, 2)), width=4)
    shapes = [tuple(m.shape[1:]) for m in encoder.features(torch.randn(1, 1, 16, 16))]
    assert shapes == [(4, 16, 16), (8, 8, 8), (16, 8, 4)]


def test_it_learns_eight_samples_by_heart():
    torch.manual_seed(0)
    x = torch.randn(8, 1, 16, 16)
    y = (torch.nn.functional.avg_pool2d(x, 3, 1, 1) > 0)[:, 0].long()
    net = UNet(1, 2, size=(16, 16), width=8, strides=(1, 2, 2))
    steps = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(60):
        steps.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        steps.step()
    assert (net(x).argmax(1) == y).float().mean() > 0.97


def test_by_name_it_answers_for_pixels_and_nothing_else():
    image = {"channels": 1, "classes": 2, "dims": 2, "size": (16, 16)}
    assert (
        models.build("unet", **image, width=4, maps=True, strides=((1, 1), (2, 2)))(torch.zeros(1, 1, 16, 16)).ndim == 4
    )
    with pytest.raises(Wrong, match="model unet answers for each pixel, not for the image"):
        models.build("unet", **image)
    with pytest.raises(Wrong, match="model resnet18 does not answer for each pixel\n  take one of unet"):
        models.build("resnet18", **image, maps=True)


@pytest.mark.parametrize("norm", ["group", "instance", "batch"])
def test_time_and_class_change_the_answer_and_without_time_it_is_that_of_the_plain_network(norm):
    torch.manual_seed(0)
    plain = UNet(1, 1, size=(16, 16), width=8, norm=norm)
    net = UNet(1, 1, size=(16, 16), width=8, norm=norm, timed=True, conditions=2)
    missing, unexpected = net.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all("film" in name or "conditions" in name for name in missing)
    x, t = torch.randn(3, 1, 16, 16), torch.tensor([1, 500, 1000])
    for mode in (plain, net):
        mode.eval()
    assert torch.equal(net(x), plain(x))
    zero, one, none = (net(x, t, c) for c in (torch.zeros_like(t), torch.ones_like(t), None))
    assert torch.equal(none, net(x, t, torch.full_like(t, 2)))
    for a, b in ((zero, one), (zero, none), (none, net(x, t.flip(0))), (none, net(x))):
        assert not torch.allclose(a, b)
    zero.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_time_acts_over_any_encoder():
    net = UNet(1, 1, size=(32, 32), width=4, encoder=other("resnet18", (32, 32)), timed=True).eval()
    x = torch.randn(2, 1, 32, 32)
    assert not torch.allclose(net(x, torch.tensor([1, 1])), net(x, torch.tensor([900, 900])))


def test_the_weights_of_a_segmenting_network_are_those_it_had_before_it_knew_time():
    torch.manual_seed(0)
    net = UNet(1, 2, width=16)
    assert sum(p.numel() for p in net.parameters()) == 450_098
    assert not any("film" in name or "conditions" in name for name in net.state_dict())


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 5, 8)])
def test_half_the_resolution_gives_an_answer_for_each_pixel_and_a_gradient_for_each_parameter(size):
    dims = len(size)
    k = 2 * 2**dims
    net = Halved(UNet(k, k, dims=dims, size=size, width=4, strides=(1, 2), norm="group", timed=True), 2, dims=dims)
    x, t = torch.randn(3, 2, *size, requires_grad=True), torch.tensor([1, 20, 900])
    y = net(x, t)
    assert y.shape == x.shape
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
    assert (x.grad.abs() > 0).all()
