"""train autoencoder: flags, volumes, images without labels, and its net as encoder of other experiments."""

import shutil

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.errors import Wrong
from empirisk.verbs.run import load
from empirisk.verbs.say import Say

DATA = "phantom:images=120,size=16"
QUIET = Say(quiet=True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"model": "vae"}, "--model vae is unknown"),
        ({"model": "pca", "width": 8}, "--width: model pca has no width"),
        ({"model": "linear", "temperature": 0.5}, "--temperature: model linear has no temperature"),
        ({"model": "simclr", "noise": 0.5}, "--noise: model simclr has no noise"),
        ({"noise": -1.0}, "--noise is -1.0"),
        ({"codes": 0}, "--codes is 0"),
        ({"codes": 256}, "a code of 256 numbers copies an image of 256"),
        ({"model": "pca", "epochs": 3}, "a pca takes no steps"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags, said):
    with pytest.raises(Wrong, match=said):
        er.autoencoder(DATA, **flags)


def test_a_longer_code_than_the_image_may_be_sparse_or_clean():
    for flags in ({"noise": 0.5}, {"sparse": 0.1}):
        e = er.autoencoder(DATA, model="linear", codes=300, **flags)
        assert e.model.embed(torch.rand(2, 1, 16, 16)).shape == (2, 300)


def test_sparse_codes_are_sparser_and_denoising_cleans_better(tmp_path):
    def trained(name, **flags):
        run = er.train(er.autoencoder(DATA, model="linear", codes=24, epochs=60, **flags), tmp_path / name, say=QUIET)
        return run.experiment()

    plain, sparse, clean = trained("plain"), trained("sparse", sparse=0.3), trained("clean", noise=1.0)
    x = plain.data.x(plain.data.rows("val"))

    def even(e):  # |z|_1 / |z|_2: root of 24 where all numbers are alike, 1 where there is one
        z = e.model.embed(x).detach()
        return float((z.abs().sum(1) / z.norm(dim=1)).mean())

    assert even(sparse) < even(plain)
    noisy = x + plain.model.std * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    error = lambda e: np.mean(
        [((a.image - i) ** 2).mean() for a, i in zip(e.task.predict(e.model, noisy), x.numpy(), strict=True)]
    )
    assert error(clean) < error(plain)


def test_volumes_come_back_as_nifti_in_their_place(tmp_path):
    import nibabel

    rng, affine = np.random.default_rng(0), np.diag([2.0, 2.0, 3.0, 1.0])
    (tmp_path / "data").mkdir()
    lines = ["image,split"]
    for i in range(30):
        brain = np.clip(rng.normal(100, 5, (10, 9, 8)) + 80 * rng.random(), 0, 400).astype(np.int16)
        nibabel.Nifti1Image(brain, affine).to_filename(tmp_path / f"data/v{i}.nii.gz")
        lines.append(f"v{i}.nii.gz,{'train' if i < 20 else 'val' if i < 25 else 'test'}")
    (tmp_path / "data/table.csv").write_text("\n".join(lines) + "\n")
    e = er.autoencoder(str(tmp_path / "data/table.csv"), codes=2, width=4, epochs=2)
    run = er.train(e, tmp_path / "run", say=QUIET)
    again = nibabel.load(next((run.path / "predictions").glob("*v2*.nii.gz")))
    assert again.shape == (10, 9, 8)
    assert np.array_equal(again.affine, affine)
    assert set(run.folder.metrics()["val"]) == {"psnr", "mse"}  # no labels, no probe


def test_contrast_without_labels_is_judged_by_its_views(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(40):
        (tmp_path / "data").mkdir(exist_ok=True)
        picture = np.kron(rng.integers(0, 255, (4, 4)), np.ones((4, 4))).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"data/{i}.png")
    e = er.autoencoder(str(tmp_path / "data"), model="simclr", codes=8, width=4, epochs=2, batch=16)
    run = er.train(e, tmp_path / "run", say=QUIET)
    metrics = run.folder.metrics()
    assert list(metrics["val"]) == ["matched"]
    assert list(metrics["baseline"]) == ["pixels", "pca"]
    run.test()
    assert run.folder.metrics()["test"]["matched"]["n"] >= 4


@pytest.mark.parametrize("model", ["conv", "pca", "simclr"])
def test_its_net_is_an_encoder_whose_folder_may_go(tmp_path, model):
    flags = {"codes": 6} | ({} if model == "pca" else {"width": 4, "epochs": 1})
    first = er.train(er.autoencoder(DATA, model=model, **flags), tmp_path / "first", say=QUIET)
    second = er.train(er.clustering(DATA, encoder=str(first.path), clusters=2), tmp_path / "second", say=QUIET)
    x = np.random.default_rng(0).integers(0, 255, (1, 16, 16)).astype(np.uint8)
    seen = second.experiment().model.codes.look(torch.from_numpy(x)[None].float() / 255).detach()
    wanted = first.experiment().model.eval().embed(torch.from_numpy(x)[None].float() / 255).detach()
    np.testing.assert_allclose(seen, wanted, rtol=1e-5, atol=1e-6)
    before = second.predict(x)[0].distance
    shutil.rmtree(first.path)
    assert load(second.path).predict(x)[0].distance == before
