"""Layers by name, the form for small images, and what a dry pass tells."""

import math

import pytest
import torch
from torch import nn

from empirisk.errors import Wrong
from empirisk.models import build
from empirisk.models.activations import ACTIVATIONS
from empirisk.models.forms import halving, small_form
from empirisk.models.layers import L2Pool, counted, nonlinearity, normalisation, pooling, shapes_of


def made(name, size, dims=2, **options):
    return build(name, channels=1, classes=2, dims=dims, size=size, width=8, **options)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_their_formulas(name) -> None:
    z = torch.linspace(-3, 3, 61, dtype=torch.float64)
    e, plus = torch.exp(z), z.clamp(min=0)
    formula = {
        "relu": plus, "leaky_relu": plus + 0.01 * (z - plus), "prelu": plus + 0.25 * (z - plus),
        "elu": plus + torch.expm1(z - plus), "selu": 1.0507009873554805 * (plus + 1.6732632423543772 * torch.expm1(z - plus)),
        "gelu": z / 2 * (1 + torch.erf(z / math.sqrt(2))), "silu": z * e / (1 + e), "mish": z * torch.tanh(torch.log1p(e)),
        "tanh": (e - 1 / e) / (e + 1 / e), "sigmoid": e / (1 + e), "softplus": torch.log1p(e), "softsign": z / (1 + z.abs()),
        "hardswish": z * (z + 3).clamp(0, 6) / 6, "identity": z,
    }[name]  # fmt: skip
    torch.testing.assert_close(getattr(nn, ACTIVATIONS[name].layer)().double()(z), formula)
    torch.testing.assert_close(nonlinearity(name)().double()(z.clone()), formula)
    net = build("lenet", channels=1, classes=2, dims=2, size=(28, 28), activation=name)
    assert net(torch.zeros(1, 1, 28, 28)).isfinite().all()


def test_without_an_activation_full_layers_are_linear() -> None:
    torch.manual_seed(0)
    net = build("mlp", channels=5, classes=2, dims=0, size=(), depth=3, activation="identity")
    a, b = torch.randn(2, 4, 5)
    torch.testing.assert_close(net(a + b), net(a) + net(b) - net(torch.zeros(1, 5)))
    bent = build("mlp", channels=5, classes=2, dims=0, size=(), depth=3)
    assert not torch.allclose(bent(a + b), bent(a) + bent(b) - bent(torch.zeros(1, 5)), atol=1e-2)


@pytest.mark.parametrize(
    ("name", "axes", "groups"),
    [("batch", (0, 2, 3), 0), ("group", (2, 3, 4), 8), ("layer", (1, 2, 3), 0), ("instance", (2, 3), 0)],
)
def test_norms_are_over_what_their_names_say(name, axes, groups) -> None:
    torch.manual_seed(0)
    x = 3 + 2 * torch.randn(4, 16, 5, 6, dtype=torch.float64)
    y = normalisation(name, 2)(16).double()(x)
    y = y.reshape(4, groups, 2, 5, 6) if groups else y
    torch.testing.assert_close(y.mean(axes), torch.zeros_like(y.mean(axes)), atol=1e-9, rtol=0)
    torch.testing.assert_close(y.var(axes, correction=0), torch.ones_like(y.mean(axes)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dims", [2, 3])
def test_instance_norm_is_torch_s_own_forward_and_backward(dims, last) -> None:
    torch.manual_seed(0)
    x = 3 + 2 * torch.randn(3, 4, *range(5, 5 + dims), dtype=torch.float64)
    if last:
        x = x.to(memory_format=torch.channels_last if dims == 2 else torch.channels_last_3d)
    own = (nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d)(4, affine=True).double()
    nn.init.normal_(own.weight)
    mine = normalisation("instance", dims)(4).double()
    mine.load_state_dict(own.state_dict())
    found = []
    for layer in (own, mine):
        a = x.clone().requires_grad_()
        y = layer(a)
        found.append([y, *torch.autograd.grad(y.pow(3).sum(), [a, layer.weight, layer.bias])])
    torch.testing.assert_close(found[0], found[1])
    assert not last or found[1][0].is_contiguous(
        memory_format=torch.channels_last if dims == 2 else torch.channels_last_3d
    )


def test_group_norm_takes_any_number_of_channels() -> None:
    assert [normalisation("group", 2)(n).num_groups for n in (1, 6, 12, 64)] == [1, 2, 4, 8]
    assert isinstance(normalisation("none", 3)(4), nn.Identity)


@pytest.mark.parametrize("dims", [2, 3])
def test_l2_pooling_is_the_length_of_the_window_and_has_a_gradient_at_0(dims) -> None:
    x = torch.zeros(1, 1, *[4] * dims, dtype=torch.float64)
    x[(0, 0, *[0] * dims)] = 3
    x[(0, 0, *[1] * dims)] = 4
    x.requires_grad_()
    y = pooling("l2", dims)(2, stride=2)(x)
    assert y.flatten()[0].item() == pytest.approx(5)
    assert y.flatten()[1:].max() < 1e-5
    y.sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad[(0, 0, *[0] * dims)].item() == pytest.approx(3 / 5)
    assert (
        L2Pool(3, 2, padding=1, ceil_mode=True)(x).shape
        == pooling("max", dims)(3, stride=2, padding=1, ceil_mode=True)(x).shape
    )


def test_average_pooling_counts_the_places_inside() -> None:
    assert torch.equal(pooling("average", 2)(3, stride=2, padding=1)(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize("pool", ["average", "l2", nn.AvgPool2d])
def test_networks_take_another_pooling(pool) -> None:
    for name in ("lenet", "alexnet", "vgg11", "googlenet"):
        net = made(name, (28, 28), pool=pool).eval()
        usual = made(name, (28, 28)).eval()
        assert [m.shape for m in net.features(torch.ones(1, 1, 28, 28))] == [
            m.shape for m in usual.features(torch.ones(1, 1, 28, 28))
        ]
        assert not any(isinstance(m, nn.MaxPool2d) for m in net.modules())


def test_the_form_for_small_images() -> None:
    assert small_form("vgg16", "auto", (63, 200))
    assert not small_form("vgg16", "auto", (64, 64))
    assert small_form("vgg16", "small", (224, 224))
    with pytest.raises(Wrong, match=r"imagenet form needs at least 32 pixels a side, these images have 28 x 28"):
        small_form("vgg16", "imagenet", (28, 28), least=32)
    for sides, after in (((28, 28), (14, 14)), ((7, 28), (7, 28)), ((8, 9), (4, 4)), ((3, 3), (3, 3))):
        layer, left = halving(nn.MaxPool2d(2), sides, small=True)
        assert (left, isinstance(layer, nn.Identity)) == (after, after == sides)
    assert halving(nn.MaxPool2d(2), (7, 28), small=False)[1] == (3, 14)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "googlenet", "resnet50", "densenet121"])
@pytest.mark.parametrize("side", [5, 28, 40])
def test_every_size_trains_in_the_small_form(name, side) -> None:
    net = made(name, (side, 2 * side))
    out = net(torch.randn(2, 1, side, 2 * side))
    assert out.shape == (2, 2)
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    assert first.stride == (1, 1)
    assert min(net.features(torch.zeros(2, 1, side, 2 * side))[0].shape[2:]) == side
    if "resnet" not in name:
        assert min(net.features(torch.zeros(2, 1, side, 2 * side))[-1].shape[2:]) >= 4


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("lenet", (28, 28), [(8, 2), (21, 4)]),
        ("alexnet", (28, 28), [(24, 1), (32, 2), (32, 4)]),
        ("alexnet", (224, 224), [(8, 4), (24, 8), (32, 16), (32, 32)]),
        ("vgg11", (28, 28), [(8, 1), (16, 2), (64, 4)]),
        ("vgg16", (224, 224), [(8, 1), (16, 2), (32, 4), (64, 8), (64, 16), (64, 32)]),
        ("googlenet", (28, 28), [(24, 1), (60, 2), (104, 4), (128, 8)]),
        ("googlenet", (64, 64), [(8, 2), (24, 4), (60, 8), (104, 16), (128, 32)]),
        ("resnet18", (28, 28), [(8, 1), (16, 2), (32, 4), (64, 8)]),
        ("resnet50", (96, 96), [(8, 2), (32, 4), (64, 8), (128, 16), (256, 32)]),
        ("densenet121", (28, 28), [(32, 1), (64, 2), (128, 4)]),
        ("densenet121", (64, 64), [(8, 2), (32, 4), (64, 8), (128, 16), (128, 32)]),
        ("vgg11", (20, 20, 20), [(8, 1), (16, 2), (64, 4)]),
        ("mlp", (28, 28), []),
    ],
)
def test_channels_and_strides_of_the_maps(name, size, expected) -> None:
    net = made(name, size, dims=len(size)).eval()
    assert shapes_of(net, 1, size) == expected
    maps = net.features(torch.zeros(1, 1, *size))
    assert [m.shape[1] for m in maps] == [c for c, _ in expected]
    assert not any(p.is_meta for p in net.parameters())


def test_strides_of_unequal_axes() -> None:
    class Flat(nn.Module):
        def features(self, x):
            return [nn.functional.max_pool3d(x, (1, 2, 2)), nn.functional.max_pool3d(x, (2, 4, 4))]

    assert shapes_of(Flat(), 2, (8, 16, 16)) == [(2, (1, 2, 2)), (2, (2, 4, 4))]


def test_counted_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 16, 5))
    assert counted(net, 3, (4, 4)) == (3 * 8 * 9 + 8 + 16 + 128 * 5 + 5, 3 * 8 * 9 * 16 + 128 * 5)
