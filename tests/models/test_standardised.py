"""The layers around a network: standardisation, dropout, frozen norms, and what a net of one's own may lack."""

import pytest
import torch

from empirisk.errors import Wrong
from empirisk.models import build
from empirisk.models.layers import Standardised


def test_strides_of_the_maps() -> None:
    def sides(size, **options):
        net = build("resnet18", channels=1, classes=2, dims=2, size=size, width=4, **options)
        return [a.shape[-1] for a in net.features(torch.zeros(2, 1, *size))]

    assert sides((32, 32)) == [32, 16, 8, 4]
    assert sides((64, 64)) == [32, 16, 8, 4, 2]


def test_dropout_acts_in_training_alone_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    net = build("mlp", channels=1, classes=1, dims=2, size=(8, 8), dropout=0.5)
    x = torch.randn(1, 1, 8, 8)
    many = net(x.expand(20_000, -1, -1, -1))
    assert many.std() > 0
    net.eval()
    torch.testing.assert_close(many.mean(0), net(x)[0], atol=0.01, rtol=0)


def test_standardised_is_the_first_layer() -> None:
    torch.manual_seed(0)
    net = build("resnet18", channels=2, classes=3, dims=2, size=(16, 16), width=4).eval()
    model = Standardised(net, [0.5, 0.2], [0.25, 0.1]).eval()
    x = torch.rand(4, 2, 16, 16)
    z = torch.stack([(x[:, 0] - 0.5) / 0.25, (x[:, 1] - 0.2) / 0.1], 1)
    torch.testing.assert_close(model(x), net(z))
    torch.testing.assert_close(model.embed(x), net.embed(z))
    torch.testing.assert_close(model.features(x), net.features(z))
    ((weight, logits),) = model.heads(x)
    assert weight == 1
    torch.testing.assert_close(logits, model(x))
    assert {k for k in model.state_dict() if not k.startswith("net.")} == {"mean", "std", "temperature", "threshold"}
    assert (model.temperature.item(), model.threshold.item()) == (1, 0.5)


@pytest.mark.parametrize("size", [(), (5,), (5, 5), (4, 4, 4)])
def test_standardised_takes_any_dimensions_and_a_constant_channel(size) -> None:
    model = Standardised(torch.nn.Identity(), [0.5, 0.25], [0.0, 0.5])
    z = model(torch.ones(2, 2, *size))
    assert torch.equal(z[:, 0], torch.full((2, *size), 0.5))
    assert torch.equal(z[:, 1], torch.full((2, *size), 1.5))


def test_a_net_of_your_own_may_have_several_heads_or_nothing_but_forward() -> None:
    class Two(torch.nn.Module):
        def heads(self, x):
            return [(1.0, x), (0.3, 2 * x)]

    x = torch.ones(1, 1, 2, 2)
    assert [w for w, _ in Standardised(Two(), [0.0], [1.0]).heads(x)] == [1.0, 0.3]
    bare = Standardised(torch.nn.Identity(), [0.0], [1.0])
    assert bare.features(x) == []
    with pytest.raises(Wrong, match=r"Identity has no embed"):
        bare.embed(x)


def test_a_features_module_of_torchvisions_manner_counts_as_one_map() -> None:
    net = torch.nn.Module()
    net.features = torch.nn.MaxPool2d(2)
    (only,) = Standardised(net, [0.0], [1.0]).features(torch.ones(1, 1, 4, 4))
    assert only.shape == (1, 1, 2, 2)


def test_a_frozen_batchnorm_keeps_its_statistics() -> None:
    torch.manual_seed(0)
    net = build("resnet18", channels=1, classes=2, dims=2, size=(8, 8), width=4)
    model = Standardised(net, [0.0], [1.0])
    net.layer1.requires_grad_(False)
    before = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    model.train()(torch.randn(4, 1, 8, 8))
    after = model.state_dict()
    for name, value in before.items():
        assert torch.equal(value, after[name]) == ("layer1" in name)
    assert net.bn1.training
    bare = Standardised(torch.nn.BatchNorm1d(3, affine=False), [0.0], [1.0]).train()
    assert bare.net.training  # it has nothing that could be frozen
