"""Weights from a file or a run into a new network, and freezing."""

import json

import pytest
import torch
from torch import nn

import empirisk as er
from empirisk.errors import Wrong
from empirisk.folder import RunFolder
from empirisk.folder import tensors as codec
from empirisk.models import build
from empirisk.models.layers import Standardised
from empirisk.models.transfer import begin, first_kernels, last_layers


def net(name="resnet18", *, channels=1, classes=2, seed=0, size=(16, 16), **options) -> nn.Module:
    torch.manual_seed(seed)
    return build(name, channels=channels, classes=classes, dims=2, size=size, width=4, **options)


def saved(model: nn.Module, file) -> None:
    file.write_bytes(b"".join(codec.dump(model.state_dict())))


def test_every_tensor_is_taken(tmp_path) -> None:
    saved(net(), tmp_path / "w.safetensors")
    other = net(seed=1)
    begin(tmp_path / "w.safetensors", freeze=False)(other)
    for (k, a), b in zip(net().state_dict().items(), other.state_dict().values()):
        assert torch.equal(a, b), k
    assert all(p.requires_grad for p in other.parameters())
    assert begin(None, freeze=False) is None


@pytest.mark.parametrize(("there", "here"), [(1, 3), (3, 1), (3, 2)])
def test_the_first_layer_is_adapted_to_other_channels(tmp_path, there, here) -> None:
    source, new = net(channels=there).eval(), net(channels=here, seed=1).eval()
    saved(source, tmp_path / "w.safetensors")
    begin(tmp_path / "w.safetensors", freeze=False)(new)
    grey = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(
        new(grey.expand(-1, here, -1, -1)), source(grey.expand(-1, there, -1, -1)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "alexnet", "densenet121", "googlenet", "lenet", "mlp"])
def test_the_last_layer_is_new_for_other_classes(tmp_path, name) -> None:
    source, new = net(name, classes=5), net(name, seed=1)
    before = {k: v.clone() for k, v in new.state_dict().items()}
    saved(source, tmp_path / "w.safetensors")
    begin(tmp_path / "w.safetensors", freeze=False)(new)
    ends = {f"{layer}.{part}" for layer in last_layers(new) for part in ("weight", "bias")}
    for key, value in new.state_dict().items():
        assert torch.equal(value, before[key] if key in ends else source.state_dict()[key]), key


@pytest.mark.parametrize(("name", "last"), [("resnet18", ["fc"]), ("vgg11", ["classifier.6"]), ("densenet121", ["classifier"]),
                                            ("googlenet", ["aux1.fc2", "aux2.fc2", "fc"]), ("mlp", ["fc"])])  # fmt: skip
def test_freezing_leaves_the_last_layer_alone_to_move(name, last) -> None:
    model = Standardised(net(name), [0.0], [1.0])
    begin(None, freeze=True)(model)
    moving = {k.removeprefix("net.").rpartition(".")[0] for k, p in model.named_parameters() if p.requires_grad}
    assert sorted(moving) == last
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(m.training for m in norms)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"name": "resnet34"}, "layer1.2.bn1.bias: [4], not nothing"),
        ({"stem": "imagenet", "size": (32, 32)}, "conv1.weight: [4, 1, 7, 7], not [4, 1, 3, 3]"),
        ({"residual": False}, "layer2.0.downsample.0.weight: nothing, not [8, 4, 1, 1]"),
        ({"name": "mlp"}, "hidden.0.weight"),
    ],
)
def test_weights_of_another_architecture_are_refused_by_their_layers(tmp_path, options, where) -> None:
    saved(net(**options), tmp_path / "w.safetensors")
    with pytest.raises(Wrong, match="another architecture") as caught:
        begin(tmp_path / "w.safetensors", freeze=False)(net())
    assert where in caught.value.where
    assert "--model" in caught.value.remedy
    assert caught.value.code == 2


@pytest.mark.parametrize("encoder", [None, "small", "imagenet"])
def test_a_unet_takes_them_for_other_channels_and_other_classes(tmp_path, encoder) -> None:
    def made(channels, classes, seed):
        size, over = (32, 32), None
        if encoder:  # the one that loses resolution has a block of the image beside it
            over = net(channels=channels, seed=seed, size=size, stem=encoder)
        return net("unet", channels=channels, classes=classes, seed=seed, size=size, encoder=over, maps=True).eval()

    source, new = made(1, 5, 0), made(3, 2, 1)
    head = {k: v.clone() for k, v in new.head.state_dict().items()}
    saved(source, tmp_path / "w.safetensors")
    begin(tmp_path / "w.safetensors", freeze=False)(new)
    assert all(torch.equal(v, head[k]) for k, v in new.head.state_dict().items())
    grey = torch.randn(2, 1, 32, 32)
    for theirs, mine in zip(source.features(grey), new.features(grey.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    assert last_layers(new) == ("head",)


def test_files_that_are_no_weights_are_refused(tmp_path) -> None:
    bad = net()
    bad.fc.weight.data[0, 0] = torch.nan
    saved(bad, tmp_path / "nan.safetensors")
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "nan.safetensors").read_bytes()[:-5])
    (tmp_path / "foreign.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "folder").mkdir()
    for name, what in (("nan.safetensors", "not finite"), ("torn.safetensors", "cannot be read"), ("foreign.pt", "no safetensors"),
                       ("folder", "is no run"), ("absent.safetensors", "absent")):  # fmt: skip
        with pytest.raises(Wrong, match=what) as caught:
            begin(tmp_path / name, freeze=False)(net())
        assert caught.value.code == 2, name
        assert caught.value.remedy or caught.value.where or name == "absent.safetensors"


def test_a_counter_that_older_files_lack_is_no_difference(tmp_path) -> None:
    state = {k: v for k, v in net().state_dict().items() if not k.endswith("num_batches_tracked")}
    (tmp_path / "w.safetensors").write_bytes(b"".join(codec.dump(state)))
    begin(tmp_path / "w.safetensors", freeze=False)(net(seed=1))


def test_first_kernels() -> None:
    assert first_kernels(Standardised(net(), [0.0], [1.0])).shape == (4, 1, 3, 3)
    assert first_kernels(net("mlp")) is None


@pytest.fixture(scope="module")
def parent(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("parent") / "run"
    er.train(er.classification(str(tiny / "spots.npz"), model="lenet", size=16, epochs=2, augment="none"), out)
    return out


def test_a_run_begins_from_another_and_moves_its_last_layer_alone(tiny, parent, tmp_path) -> None:
    e = er.classification(
        str(tiny / "ordinal.npz"), model="lenet", size=16, epochs=1, ema=0, weights=str(parent), freeze=True
    )
    run = er.train(e, tmp_path / "child")
    record = run.folder.read()
    assert list(record["parents"]) == [str(parent)]
    assert record["arguments"]["weights"] == str(parent)
    assert record["arguments"]["freeze"] is True
    there, here = (codec.load((p / "weights.safetensors").read_bytes(), "w") for p in (parent, tmp_path / "child"))
    same = {
        k for k in here if k.startswith("net.") and here[k].shape == there[k].shape and torch.equal(here[k], there[k])
    }
    assert same == {k for k in here if k.startswith("net.")} - {"net.fc.weight", "net.fc.bias"}
    figures = json.loads((run.path / "figures" / "filters.json").read_text())
    assert "moved by .000" in figures[0]["text"]
    assert "First layer before and after" in (run.path / "report.html").read_text()
    (tmp_path / "moved").mkdir()
    parent.rename(tmp_path / "moved" / "parent")  # answers need the run alone
    assert run.test()["accuracy"].value is not None
    (tmp_path / "moved" / "parent").rename(parent)


@pytest.mark.parametrize("kind", ["classification", "regression", "segmentation", "detection"])
def test_the_run_that_the_weights_are_of_is_recorded(parent, kind) -> None:
    made = getattr(er, kind)("phantom:images=24,size=32", width=4, weights=str(parent))
    assert list(made.parents) == [str(parent)]


def test_weights_that_do_not_fit_stop_before_anything_is_written(cli, tiny, parent, tmp_path) -> None:
    words = [
        "train",
        "classification",
        tiny / "spots.npz",
        "--model",
        "lenet",
        "--size",
        "16",
        "--width",
        "4",
        "--weights",
        parent,
    ]
    code, _, said = cli(*words, "--out", tmp_path / "run")
    assert code == 2
    assert "c1.weight: [6, 1, 5, 5], not [4, 1, 5, 5]" in said
    assert not RunFolder(tmp_path / "run").exists()


def test_no_residual_on_the_command_line(cli, tiny, tmp_path) -> None:
    code, _, _ = cli("train", "classification", tiny / "spots.npz", "--model", "resnet18", "--width", "2", "--no-residual", "--epochs", "1",
                     "--out", tmp_path / "run")  # fmt: skip
    assert code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]["residual"] is False
    code, _, said = cli("train", "classification", tiny / "spots.npz", "--model", "lenet", "--size", "16", "--residual")
    assert code == 2
    assert "--residual: model lenet has no residual" in said
