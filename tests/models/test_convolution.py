"""Convolution as the deck has it: the flipped kernel, the shift, shared weights, pooling and what it forgives."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from empirisk.models.layers import convolution, pooling


def convolved(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """(x * h)[i, j] = sum_{k, l} h[k, l] x[i - k, j - l], x zero outside: every place where the two meet, by its definition."""
    (H, W), (K, L) = x.shape, h.shape
    y = torch.zeros(H + K - 1, W + L - 1, dtype=x.dtype)
    for i in range(H + K - 1):
        for j in range(W + L - 1):
            y[i, j] = sum(
                h[k, l] * x[i - k, j - l] for k in range(K) for l in range(L) if 0 <= i - k < H and 0 <= j - l < W
            )
    return y


def test_the_library_correlates_and_a_flipped_kernel_convolves() -> None:
    torch.manual_seed(0)
    x, h = torch.randn(6, 7, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    layer = convolution(2)(1, 1, 3, padding=2, bias=False).double()
    with torch.no_grad():
        layer.weight[:] = h.flip(0, 1)
        torch.testing.assert_close(layer(x[None, None])[0, 0], convolved(x, h))
        layer.weight[:] = h
        assert not torch.allclose(layer(x[None, None])[0, 0], convolved(x, h))
    torch.testing.assert_close(convolved(x, h), convolved(h, x))  # only a convolution commutes
    three = convolution(3)(1, 1, 3, padding=1, bias=False).double()
    cube = torch.randn(1, 1, 4, 5, 6, dtype=torch.float64)
    spectrum = torch.fft.fftn(cube[0, 0], (6, 7, 8)) * torch.fft.fftn(three.weight[0, 0].flip(0, 1, 2), (6, 7, 8))
    torch.testing.assert_close(three(cube)[0, 0], torch.fft.ifftn(spectrum).real[1:5, 1:6, 1:7])


@pytest.mark.parametrize(("dims", "by"), [(2, (2, -1)), (3, (1, -2, 3))])
def test_convolution_of_a_shifted_image_is_the_shifted_convolution(dims, by) -> None:
    torch.manual_seed(0)
    layer = convolution(dims)(2, 3, 3, padding=1, padding_mode="circular")
    x, axes = torch.randn(1, 2, *[8] * dims), tuple(range(2, 2 + dims))
    torch.testing.assert_close(layer(x.roll(by, axes)), layer(x).roll(by, axes), atol=1e-5, rtol=1e-5)
    full = nn.Linear(8**dims, 8**dims)
    flat, moved = x[:, 0].flatten(1), x[:, :1].roll(by, axes)[:, 0].flatten(1)
    shifted = full(flat).view(1, *[8] * dims).roll(by, tuple(range(1, 1 + dims))).flatten(1)
    assert not torch.allclose(full(moved), shifted, atol=1e-2)


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters_of_a_convolution_against_full_connection(dims) -> None:
    """K C k^d + K whatever the size of the image, against (C S)(K S) + K S: the same map by shared, local weights."""
    C, K, k, side = 2, 3, 3, 6
    S = side**dims
    layer, full = convolution(dims)(C, K, k, padding=1), nn.Linear(C * S, K * S)
    assert sum(p.numel() for p in layer.parameters()) == K * C * k**dims + K
    assert sum(p.numel() for p in full.parameters()) == C * S * K * S + K * S
    with torch.no_grad():  # the convolution is the full connection whose weights are shared and mostly 0
        zero = layer(torch.zeros(1, C, *[side] * dims))
        units = torch.eye(C * S).view(C * S, C, *[side] * dims)
        full.weight[:] = (layer(units) - zero).flatten(1).T
        full.bias[:] = zero.flatten()
        x = torch.randn(2, C, *[side] * dims)
        torch.testing.assert_close(full(x.flatten(1)), layer(x).flatten(1), atol=1e-5, rtol=1e-5)
    assert (full.weight != 0).sum() <= K * C * k**dims * S
    assert len(full.weight[full.weight != 0].round(decimals=4).unique()) <= K * C * k**dims


DECK = torch.tensor([[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max", [[6.0, 8.0], [3.0, 4.0]]),
        ("average", [[3.25, 5.25], [2.0, 2.0]]),
        ("l2", [[math.sqrt(63), math.sqrt(133)], [math.sqrt(18), math.sqrt(26)]]),
    ],
)
def test_pooling_2x2_stride_2(name, expected) -> None:
    assert pooling(name, 2)(2, stride=2)(DECK[None, None])[0, 0].tolist() == [pytest.approx(row) for row in expected]
    stacked = pooling(name, 3)(2, stride=2)(torch.stack([DECK, DECK])[None, None])[0, 0, 0]
    twice = {"max": 1, "average": 1, "l2": math.sqrt(2)}[name]
    torch.testing.assert_close(stacked, twice * torch.tensor(expected))


@pytest.mark.parametrize("name", ["max", "average", "l2"])
def test_pooling_forgives_a_shift_of_one_pixel(name) -> None:
    """The output moves less under a shift of 1 pixel with pooling than without, and the wider the pooling the less."""
    torch.manual_seed(0)
    x = F.avg_pool2d(torch.rand(8, 1, 37, 37), 5, stride=1)  # smooth, as images are
    layer = convolution(2)(1, 4, 3, padding=1, padding_mode="circular")
    with torch.no_grad():
        a, b = (F.relu(layer(image)) for image in (x, x.roll(1, 3)))
        chains = [lambda m: m, *(pooling(name, 2)(k, stride=k) for k in (3, 11))]
        changes = [((chain(a) - chain(b)).norm() / chain(a).norm()).item() for chain in chains]
    assert changes[0] > changes[1] > changes[2]


def test_kernels_of_odd_size_keep_the_grid() -> None:
    for k in (1, 3, 5, 7):
        assert convolution(2)(1, 1, k, padding=k // 2)(torch.zeros(1, 1, 9, 8)).shape[2:] == (9, 8)
