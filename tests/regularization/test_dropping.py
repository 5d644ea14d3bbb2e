import copy

import pytest
import torch
from torch import nn

from empirisk import models
from empirisk.errors import Wrong
from empirisk.regularization.dropping import drop, spatial_dropout, stochastic_depth


def network(name: str = "resnet18", dims: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return models.build(
        name, channels=1, classes=2, dims=dims, size=(16,) * dims, **({} if name == "mlp" else {"width": 4})
    )


@pytest.mark.parametrize("axes", [1, 2, 4])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_expectation_is_x(axes: int, share: float) -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 4, 2, 2, dtype=torch.float64) + 0.5
    many = torch.stack([drop(x, share, axes) for _ in range(4000)])
    deviation = (share / (1 - share)) ** 0.5 / 4000**0.5  # of the mean of b / (1 - share)
    assert ((many.mean(0) / x - 1).abs() < 5 * deviation).all()
    kept = (many[:500] != 0).float()
    same = kept.flatten(1 + axes) if axes < 4 else kept[..., None]
    assert (same == same[..., :1]).all()  # what is dropped together
    assert float(kept.mean()) == pytest.approx(1 - share, abs=0.05)


def test_elements_as_torch_does() -> None:
    """The dropout before the last layer of every model is the same formula."""
    torch.manual_seed(0)
    layer, x = nn.Dropout(0.3), torch.ones(100_000)
    for found in (layer(x), drop(x, 0.3, 1)):
        assert found.unique().tolist() == pytest.approx([0, 1 / 0.7])
        assert float(found.mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("dropping", [spatial_dropout, stochastic_depth])
def test_it_changes_training_only_and_neither_weights_nor_names(dropping, dims: int) -> None:
    net = network(dims=dims)
    changed, x = dropping(net, 0.5), torch.rand(4, 1, *[16] * dims)
    assert all(torch.equal(v, changed.state_dict()[k]) for k, v in net.state_dict().items())
    assert changed is not net
    assert torch.equal(changed.eval()(x), net.eval()(x))
    average = copy.deepcopy(changed)  # as that of the weights is made
    torch.manual_seed(1)
    first = changed.train()(x)
    assert not torch.equal(first, changed(x))
    torch.manual_seed(1)
    assert torch.equal(average.train()(x), first)
    assert dropping(net, 0.0) is net


def test_whole_channels_go_before_each_convolution_but_the_first() -> None:
    net, seen = spatial_dropout(network(), 0.5), {}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(lambda m, inputs, name=name: seen.update({name: inputs[0]}))
    net.train()(torch.rand(8, 1, 16, 16))
    assert (seen.pop("conv1") != 0).all()
    for x in seen.values():
        gone = (x == 0).flatten(2).all(2).float().mean()
        assert 0.3 < gone < 0.8


def test_depth_is_dropped_by_the_linear_rule() -> None:
    """Of 8 blocks the l-th is left out with probability share l/8; what remains is phi(x)."""
    net, seen = stochastic_depth(network(), 0.8), []
    for name, layer in net.named_modules():
        if name.endswith("bn2"):
            layer.register_forward_hook(lambda m, inputs, out: seen.append((out == 0).flatten(1).all(1)))
    with torch.no_grad():
        for _ in range(40):
            net.train()(torch.rand(32, 1, 16, 16))
    gone = torch.stack(seen).view(40, 8, 32).float().mean((0, 2))
    assert gone.tolist() == pytest.approx([0.1 * l for l in range(1, 9)], abs=0.05)


def test_models_that_have_nothing_to_drop_are_refused() -> None:
    for dropping, flag in ((spatial_dropout, "--spatial-dropout"), (stochastic_depth, "--stochastic-depth")):
        with pytest.raises(Wrong, match=f"{flag}: Mlp has no") as caught:
            dropping(network("mlp"), 0.1)
        assert caught.value.code == 2
