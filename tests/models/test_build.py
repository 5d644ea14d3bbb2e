"""A network from a name, a text, a callable or a module; refusals name the remedy."""

import inspect
import subprocess
import sys

import pytest
import torch
from torch import nn

from empirisk.errors import Wrong
from empirisk.experiment import plain
from empirisk.models import MODELS, build, defaults, list_models
from empirisk.models.resnet import resnet18, resnet50


class Mine(nn.Module):
    def __init__(self, channels: int, classes: int, *, width: int = 3) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(channels, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(self.net(x))


IMAGE = {"channels": 3, "classes": 4, "dims": 2, "size": (28, 28)}


def test_the_list_reads_without_torch() -> None:
    code = "import sys; from empirisk.models import list_models; list_models(); print('torch' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_name_has_a_line_and_a_learning_rate() -> None:
    assert {"linear", "mlp", "lenet", "alexnet", "vgg16", "googlenet", "resnet18", "densenet121"} <= set(list_models())
    assert all(list_models().values())
    assert all(0 < defaults(name)["lr"] < 0.1 for name in MODELS)
    assert defaults(Mine) == {"lr": 1e-3} == defaults("a:b")


@pytest.mark.parametrize("model", [Mine, f"{__name__}:Mine", lambda c, k: Mine(c, k)])
def test_a_function_of_your_own_is_called_with_channels_and_classes(model, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    assert build(model, **IMAGE)(torch.zeros(2, 3, 28, 28)).shape == (2, 4)


def test_a_function_receives_what_its_signature_has() -> None:
    seen = {}

    def mine(channels, classes, *, size, width=5):
        seen.update(channels=channels, classes=classes, size=size, width=width)
        return nn.Identity()

    build(mine, **IMAGE, dropout=0.0)
    assert seen == {"channels": 3, "classes": 4, "size": (28, 28), "width": 5}
    build(mine, **IMAGE, width=9)
    assert seen["width"] == 9


def test_a_module_is_taken_as_it_is() -> None:
    net = Mine(3, 4)
    assert build(net, **IMAGE) is net
    with pytest.raises(Wrong, match="no width"):
        build(net, **IMAGE, width=4)


def test_a_named_size_is_a_function_that_run_json_can_hold() -> None:
    assert plain(resnet50) == "empirisk.models.resnet:resnet50"
    options = set(inspect.signature(resnet50).parameters)
    assert {"dims", "size", "width", "dropout", "norm", "activation", "stem", "residual"} <= options
    assert build(resnet50, **IMAGE, width=4).layer1[0].conv3.out_channels == 16  # a bottleneck


def test_options_reach_the_model_and_none_is_its_own_default() -> None:
    assert build("mlp", **IMAGE, width=7, depth=3).hidden[2].in_features == 7
    assert build("resnet18", **IMAGE).fc.in_features == 128
    assert build("resnet18", **IMAGE, width=4, dropout=0.5).dropout.p == 0.5
    assert isinstance(build("resnet18", **IMAGE, norm="group").bn1, nn.GroupNorm)
    assert isinstance(build("resnet18", **IMAGE, norm=nn.InstanceNorm2d).bn1, nn.InstanceNorm2d)
    assert isinstance(build("vgg11", **IMAGE, norm="batch").features[1], nn.BatchNorm2d)
    assert isinstance(build("mlp", **IMAGE, activation="tanh").phi, nn.Tanh)
    assert isinstance(build("mlp", **IMAGE, activation=nn.CELU).phi, nn.CELU)
    assert isinstance(build("lenet", **IMAGE, pool=nn.AvgPool2d).s2, nn.AvgPool2d)
    assert not build("resnet18", **IMAGE, residual=False).layer1[0].residual


@pytest.mark.parametrize(
    ("model", "changes", "what", "remedy"),
    [
        ("resnet81", {}, "no model 'resnet81'", "resnet18"),
        ("transformer", {}, "no model", "there are linear, mlp,"),
        ("resnet18", {"depth": 3}, "--depth: model resnet18 has no depth", "one of mlp"),
        ("linear", {"width": 3}, "--width: model linear has no width", "mlp, lenet, alexnet"),
        ("lenet", {"norm": "batch"}, "no norm", "googlenet, resnet18, resnet34"),
        ("mlp", {"pool": "max"}, "no pool", "one of lenet, alexnet"),
        ("linear", {"activation": "relu"}, "no activation", "one of mlp"),
        ("vgg16", {"residual": False}, "model vgg16 has no residual", "one of resnet18, resnet34, resnet50, resnet101"),
        ("mlp", {"activation": "rellu"}, "--activation rellu", "relu"),
        ("lenet", {"pool": "l3"}, "--pool l3", "l2"),
        (lambda c, k: nn.Identity(), {"dropout": 0.5}, "no dropout", "linear"),
        ("mlp", {"width": 0}, "--width is 0", "1 or above"),
        ("mlp", {"depth": -1}, "--depth is -1", "0 or above"),
        ("resnet18", {"norm": "grup"}, "--norm grup", "group"),
        ("resnet18", {"stem": "imagenets"}, "--stem imagenets", "imagenet"),
        (
            "vgg16",
            {"stem": "imagenet"},
            "vgg16 in its imagenet form needs at least 32 pixels",
            "--size 32 or above, or --stem small",
        ),
        ("resnet18", {"stem": "imagenet"}, "at least 32 pixels a side, these images have 28 x 28", "--stem small"),
        ("alexnet", {"stem": "imagenet"}, "at least 63 pixels a side, these images have 28 x 28", "--stem small"),
        ("densenet169", {"stem": "imagenet"}, "at least 29 pixels", "--stem small"),
        ("googlenet", {"stem": "imagenet", "size": (14, 28)}, "at least 15 pixels", "--stem small"),
        ("lenet", {"size": (28, 8)}, "at least 12 pixels", "--size 12"),
        ("lenet", {"size": (), "dims": 0}, "needs images", "mlp"),
        ("resnet34", {"size": (), "dims": 0}, "needs images", "linear"),
        ("no_such_package:net", {}, "No module named", "package.module:function"),
        ("math:no_such_function", {}, "cannot be imported", "package.module:function"),
        ("math:pi", {}, "cannot be called", "function(channels, classes)"),
        (lambda: nn.Identity(), {}, "cannot be called", "function(channels, classes)"),
        (lambda c, k, *, heads: nn.Identity(), {}, "missing a required", "function(channels, classes)"),
        (lambda c, k: 3, {}, "gave int", "torch.nn.Module"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_remedy(model, changes, what, remedy) -> None:
    with pytest.raises(Wrong) as caught:
        build(model, **(IMAGE | changes))
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert caught.value.code == 2


def test_the_stem_is_small_below_64_pixels() -> None:
    assert resnet18(1, 2, size=(63, 200)).maxpool is None
    assert resnet18(1, 2, size=(64, 64)).maxpool is not None
    assert resnet18(1, 2, size=(32, 32), stem="imagenet").maxpool is not None
    assert resnet18(1, 2, size=(12, 64), stem="imagenet").maxpool is not None  # thin: its last map has two places
    assert resnet18(1, 2, size=(224, 224), stem="small").conv1.stride == (1, 1)
