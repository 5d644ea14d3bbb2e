"""Copied weights give the reference's output and gradient; sizes are the published ones."""

import pytest
import torch
import torchvision

from empirisk.models.lenet import lenet
from empirisk.models.resnet import resnet18, resnet34


def count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
@pytest.mark.parametrize("training", [False, True])
def test_resnet_with_torchvisions_weights_is_torchvisions(name, training) -> None:
    torch.manual_seed(0)
    reference = getattr(torchvision.models, name)(num_classes=7).double()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    ours = {"resnet18": resnet18, "resnet34": resnet34}[name](3, 7, width=64, stem="imagenet").double()
    ours.load_state_dict(reference.state_dict())
    reference.train(training)
    ours.train(training)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    leaves = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [net(leaf) for net, leaf in zip((reference, ours), leaves)]
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-8, rtol=1e-8)
    for output in outputs:
        output.square().mean().backward()
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad, atol=1e-8, rtol=1e-8)
    theirs = dict(reference.named_parameters())
    for key, p in ours.named_parameters():
        torch.testing.assert_close(p.grad, theirs[key].grad, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(ours.bn1.running_var, reference.bn1.running_var)


def test_published_sizes() -> None:
    assert count(lenet(1, 10, size=(32, 32))) == count(lenet(1, 10, size=(28, 28))) == 61_706
    assert count(resnet18(3, 1000, width=64)) == 11_689_512
    assert count(resnet34(3, 1000, width=64)) == 21_797_672


def test_width_scales_everything() -> None:
    ratio = count(resnet18(3, 10, width=32)) / count(resnet18(3, 10, width=16))
    assert 3.9 < ratio < 4.0
    ratio = count(lenet(1, 10, width=24)) / count(lenet(1, 10, width=12))
    assert 3.8 < ratio < 4.0


def test_a_thick_copy_in_3d_equals_2d() -> None:
    """A 3D network whose kernels act in one slice alone gives, on one slice, what its 2D twin gives."""
    torch.manual_seed(0)
    flat = resnet18(1, 2, size=(16, 16), width=4).eval()
    solid = resnet18(1, 2, dims=3, size=(1, 16, 16), width=4).eval()
    state = solid.state_dict()
    for key, value in flat.state_dict().items():
        if value.ndim == 4:
            state[key].zero_()[:, :, state[key].shape[2] // 2] = value
        else:
            state[key] = value
    solid.load_state_dict(state)
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(solid(x[:, :, None]), flat(x), atol=1e-5, rtol=1e-5)
