"""What holds for every architecture: at 28 and 64 pixels, in three dimensions, and for vectors where it takes them."""

import pytest
import torch
import torch.nn.functional as F

from empirisk.models import MODELS, build
from empirisk.models.layers import over_heads
from empirisk.models.transfer import last_layers

NAMES = [name for name, known in MODELS.items() if known.form]
WIDTH = {"linear": None, "mlp": 16, "lenet": 6}
CASES = [
    *((name, 2, (28, 28)) for name in NAMES),
    *((name, 2, (64, 72)) for name in NAMES),
    *((name, 3, (16, 16, 16)) for name in NAMES),
    ("linear", 0, ()),
    ("mlp", 0, ()),
]
SMALL = ["linear", "mlp", "lenet", "alexnet", "vgg11", "googlenet", "resnet18", "resnet34", "densenet121"]


def made(name, dims, size, **options):
    torch.manual_seed(0)
    channels = 3 if dims else 12  # 8 vectors in general position are separable in 12 dimensions
    net = build(name, channels=channels, classes=4, dims=dims, size=size, width=WIDTH.get(name, 8), **options)
    return net, torch.randn(3, channels, *size)


@pytest.mark.parametrize(
    ("name", "dims", "size"), CASES, ids=lambda v: "x".join(map(str, v)) if type(v) is tuple else str(v)
)
def test_gradients_shapes_and_an_answer_that_does_not_depend_on_the_batch(name, dims, size) -> None:
    net, x = made(name, dims, size)
    over_heads(net.train(), x, lambda out: out.square().sum(1)).sum().backward()
    assert [k for k, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    with torch.no_grad():
        answer = net.eval()(x)
        assert answer.shape == (3, 4)
        assert torch.equal(answer, net(x))
        torch.testing.assert_close(answer[:1], net(x[:1]), atol=1e-5, rtol=1e-4)
        last = net.get_submodule(last_layers(net)[0])
        torch.testing.assert_close(last(net.embed(x)), answer, atol=1e-6, rtol=1e-5)
        sides = [a.shape[-1] for a in net.features(x)]
    assert sides == sorted(set(sides), reverse=True)


@pytest.mark.parametrize("name", SMALL)
def test_overfits_8_samples(name) -> None:
    net, _ = made(name, 2, (16, 16))
    x, y = torch.randn(8, 3, 16, 16), torch.arange(8) % 4
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(300):
        loss = F.cross_entropy(net(x), y)
        if step > 5 and loss < 0.02:
            break
        optimizer.zero_grad()
        over_heads(net, x, lambda out: F.cross_entropy(out, y, reduction="none")).mean().backward()
        optimizer.step()
    assert loss < 0.02


@pytest.mark.parametrize("name", [n for n in NAMES if MODELS[n].width == 64 and n != "mlp"])
def test_width_is_the_channels_of_the_first_block(name) -> None:
    with torch.device("meta"):
        nets = [build(name, channels=1, classes=2, dims=2, size=(64, 64), width=w) for w in (32, 64)]
    first = next(m for m in nets[1].modules() if isinstance(m, torch.nn.Conv2d))
    assert first.out_channels == 64
    ratio = sum(p.numel() for p in nets[1].parameters()) / sum(p.numel() for p in nets[0].parameters())
    assert 3.8 < ratio < 4.02


def test_heads_and_weights_of_googlenet() -> None:
    net, x = made("googlenet", 2, (28, 28))
    net.eval()
    (one, out), (a, first), (b, second) = net.heads(x)
    assert (one, a, b) == (1.0, 0.3, 0.3)
    assert torch.equal(out, net(x))
    y = torch.arange(3)
    net.train()
    shares = [(w, F.cross_entropy(o, y)) for w, o in net.heads(x)]
    whole = over_heads(net, x, lambda o: F.cross_entropy(o, y, reduction="none"))
    torch.testing.assert_close(whole.mean(), shares[0][1] + 0.3 * (shares[1][1] + shares[2][1]))
    assert first.shape == second.shape == (3, 4)
    plain = over_heads(net.eval(), x, lambda o: F.cross_entropy(o, y, reduction="none"))
    assert torch.equal(plain, F.cross_entropy(net(x), y, reduction="none"))


def test_without_the_shortcut_a_block_is_regular() -> None:
    for name, fewer in (("resnet34", 3), ("resnet50", 4)):
        plain, x = made(name, 2, (28, 28), residual=False)
        whole, _ = made(name, 2, (28, 28))
        convolutions = [sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) for net in (whole, plain)]
        assert convolutions[0] - convolutions[1] == fewer  # the projections
        block = plain.layer1[1].eval()
        for p in block.parameters():
            torch.nn.init.zeros_(p)
        z = torch.rand(2, block.conv1.in_channels, 5, 5)
        assert not block(z).any()
        block = whole.layer1[1].eval()
        for p in block.parameters():
            torch.nn.init.zeros_(p)
        torch.testing.assert_close(block(z), z)  # F = 0: y = phi(x)
