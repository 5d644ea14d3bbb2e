"""Heat maps against closed forms."""

import pytest
import torch
from torch import nn

from empirisk.models import build
from empirisk.models.layers import Standardised
from empirisk.saliency import grad_cam, input_gradient


class Detector(nn.Module):
    """Class 1 = the mean of a smoothed image, class 0 = its negative: Grad-CAM is the map itself, scaled."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.conv = (nn.Conv2d if dims == 2 else nn.Conv3d)(1, 1, 3, padding=1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, x):
        y = self.conv(x).flatten(1).mean(1)
        return torch.stack([-y, y], 1)


@pytest.mark.parametrize("dims", [2, 3])
def test_grad_cam_is_where_the_output_comes_from(dims) -> None:
    x = torch.zeros(2, 1, *[9] * dims)
    x[(0, 0, *[2] * dims)] = 1
    x[(1, 0, *[6] * dims)] = 1
    model = Detector(dims)
    heat = grad_cam(model, x, 1)
    assert heat.shape == (2, *[9] * dims)
    torch.testing.assert_close(heat, model.conv(x)[:, 0].detach())
    assert torch.equal(grad_cam(model, x, 0), torch.zeros_like(heat))
    mixed = grad_cam(model, x, [0, 1])
    assert mixed[0].max() == 0
    assert torch.equal(mixed[1], heat[1])


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", (28, 28)), ("resnet18", (64, 64)), ("lenet", (28, 36)), ("resnet18", (8, 12, 10)), ("mlp", (9, 7))],
)
def test_every_model_gives_a_map_on_the_images_grid(name, size) -> None:
    torch.manual_seed(0)
    net = build(name, channels=1, classes=3, dims=len(size), size=size, width=4)
    model = Standardised(net, [0.5], [0.2]).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x = torch.rand(3, 1, *size)
    with torch.no_grad():
        heat = grad_cam(model, x, torch.tensor([0, 1, 2]))
    assert heat.shape == (3, *size)
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert model.training
    assert net.dropout.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_grad_cam_equals_the_papers_formula_on_the_last_map() -> None:
    torch.manual_seed(3)
    net = build("resnet18", channels=1, classes=2, dims=2, size=(32, 32), width=4).eval()
    x = torch.rand(4, 1, 32, 32)
    A = net.features(x)[-1]
    alpha = net.fc.weight[1] / A[0, 0].numel()  # dy / dA^k is the same at every place behind a mean
    L = torch.einsum("k,nkhw->nhw", alpha, A).relu()
    full = nn.functional.interpolate(L[:, None], (32, 32), mode="bilinear")[:, 0]
    wanted = full / full.amax((1, 2), keepdim=True).clamp(min=1e-30)
    torch.testing.assert_close(grad_cam(net, x, 1), wanted.detach(), atol=1e-5, rtol=1e-4)


def test_input_gradient_of_a_linear_model_is_its_weight() -> None:
    net = build("linear", channels=2, classes=3, dims=2, size=(4, 5))
    w = net.fc.weight[1].view(2, 4, 5).abs().amax(0).detach()
    heat = input_gradient(net, torch.rand(2, 2, 4, 5), 1)
    torch.testing.assert_close(heat, (w / w.max()).expand(2, 4, 5))
    assert torch.equal(grad_cam(net, torch.rand(2, 2, 4, 5), 1), heat)
    vectors = build("linear", channels=6, classes=1, dims=0, size=())
    w = vectors.fc.weight[0].abs().detach()
    torch.testing.assert_close(input_gradient(vectors, torch.rand(2, 6), 0), (w / w.max()).expand(2, 6))


def test_an_outsider_without_features_works() -> None:
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=2)
    assert grad_cam(net, torch.rand(1, 3, 64, 64), 0).shape == (1, 64, 64)
