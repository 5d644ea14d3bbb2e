"""Copied weights give the reference's output and gradient; sizes are the published ones."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import vgg as torchvision_vgg

from empirisk.models import MODELS, build, sizes
from empirisk.models.alexnet import AlexNet
from empirisk.models.densenet import densenet121
from empirisk.models.googlenet import GoogLeNet
from empirisk.models.lenet import LeNet
from empirisk.models.resnet import resnet18, resnet34, resnet50
from empirisk.models.vgg import vgg11

SHARED = [n for n in MODELS if hasattr(torchvision.models, n)]


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def stirred(net: nn.Module) -> nn.Module:
    """In float64, with norms that have moved."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net.double()


def thin_vgg11(norm: bool) -> nn.Module:
    """torchvision's own VGG-11 with every number of channels an eighth; at full width its gradients take 3 GB."""
    chain = [n if n == "M" else n // 8 for n in torchvision_vgg.cfgs["A"]]
    net = torchvision_vgg.VGG(torchvision_vgg.make_layers(chain, batch_norm=norm), num_classes=7, dropout=0)
    net.classifier = nn.Sequential(
        nn.Linear(64 * 49, 512), nn.ReLU(True), nn.Dropout(0), nn.Linear(512, 512), nn.ReLU(True), nn.Dropout(0), nn.Linear(512, 7)
    )  # fmt: skip
    return net


PAIRS = {
    "alexnet": (lambda: torchvision.models.alexnet(num_classes=7, dropout=0), AlexNet, {"width": 64}),
    "vgg11": (lambda: thin_vgg11(False), vgg11, {"width": 8}),
    "vgg11_bn": (lambda: thin_vgg11(True), vgg11, {"width": 8, "norm": "batch"}),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=7), resnet18, {"width": 64}),
    "resnet50": (lambda: torchvision.models.resnet50(num_classes=7), resnet50, {"width": 64}),
    "densenet121": (lambda: torchvision.models.densenet121(num_classes=7), densenet121, {"width": 64}),
    "googlenet": (
        lambda: torchvision.models.googlenet(num_classes=7, init_weights=False, dropout=0, dropout_aux=0), GoogLeNet, {"width": 64}
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "training"), [(n, t) for n in PAIRS for t in (False, True) if not (t and n in {"alexnet", "vgg11"})]
)
def test_with_torchvisions_weights_a_network_is_torchvisions(name, training) -> None:
    torch.manual_seed(0)
    theirs, family, options = PAIRS[name]
    theirs = stirred(theirs()).train(training)
    with torch.device("meta"):
        ours = family(3, 7, stem="imagenet", **options).train(training)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    leaves = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [theirs(leaves[0]), ours(leaves[1])]
    if name == "googlenet" and training:
        outputs = [torch.stack(list(outputs[0])), torch.stack([out for _, out in ours.heads(leaves[1])])[[0, 2, 1]]]
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-8, rtol=1e-8)
    known = {k: v for k, v in theirs.named_parameters() if training or "aux" not in k}
    mine = dict(ours.named_parameters())
    gradients = [
        torch.autograd.grad(out.square().mean(), [leaf, *(those[k] for k in known)])
        for out, leaf, those in zip(outputs, leaves, (known, mine))
    ]
    for key, a, b in zip(("x", *known), *gradients):
        torch.testing.assert_close(b, a, atol=1e-8, rtol=1e-8, msg=lambda said: f"{key}: {said}")


@pytest.mark.parametrize("name", SHARED)
def test_names_and_shapes_are_torchvisions(name) -> None:
    more = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(num_classes=7, **more).state_dict()
        ours = build(name, channels=3, classes=7, dims=2, size=(224, 224), width=64).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_published_parameters_and_multiply_adds() -> None:
    found = sizes()
    assert len(SHARED) == 12
    for name in SHARED:
        published = torchvision.models.get_model_weights(name).DEFAULT.meta
        assert found[name]["parameters"] == published["num_params"], name
        assert found[name]["multiply_adds"] / 1e9 == pytest.approx(published["_ops"], rel=0.01), name
    assert found["lenet"]["parameters"] == count(LeNet(1, 10, size=(28, 28))) == 61_706
    assert found["lenet"]["multiply_adds"] == 28**2 * 150 + 10**2 * 2400 + 48_000 + 10_080 + 840
    assert found["linear"]["parameters"] == 3 * 224**2 * 1000 + 1000
    assert count(resnet34(3, 1000, width=64)) == 21_797_672


def test_a_thick_copy_in_3d_equals_2d() -> None:
    """A 3D network whose kernels act in one slice alone gives, on one slice, what its 2D twin gives."""
    torch.manual_seed(0)
    flat = resnet50(1, 2, size=(16, 16), width=4).eval()
    solid = resnet50(1, 2, dims=3, size=(1, 16, 16), width=4).eval()
    state = solid.state_dict()
    for key, value in flat.state_dict().items():
        if value.ndim == 4:
            state[key].zero_()[:, :, state[key].shape[2] // 2] = value
        else:
            state[key] = value
    solid.load_state_dict(state)
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(solid(x[:, :, None]), flat(x), atol=1e-5, rtol=1e-5)
