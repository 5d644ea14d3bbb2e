"""Images given again: risk, answers, baselines and what is drawn are what their formulas say."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Reference
from torch import nn

from empirisk.data.card import Card
from empirisk.data.readers import Stored
from empirisk.data.reconstructed import Images
from empirisk.estimate import values
from empirisk.models.layers import Standardised
from empirisk.tasks import autoencoder as tasks
from empirisk.unsupervised.probe import Probed

CARD = Card("", 1, (6, 6), (0.5,), (0.25,), 255)
KIND = Images(0.0, 1.0, ("a", "b"))


def rows(n=60, seed=0):
    rng = np.random.default_rng(seed)
    shapes = rng.normal(size=(4, 36))
    x = np.clip(128 + 30 * rng.normal(size=(n, 4)) @ shapes, 0, 255).astype(np.uint8).reshape(n, 1, 6, 6)
    return [{"id": str(i), "x": Stored(x, i), "label": "ab"[int(x[i, 0, 0, 0] > 128)]} for i in range(n)]


class Halves(nn.Module):
    """z = the first two pixels; the image again is half of x, whatever z is."""

    def embed(self, x):
        self.x = x
        return x.flatten(1)[:, :2]

    def decode(self, z):
        return self.x / 2


def model(net=None):
    return Standardised(Probed(net or Halves(), 2, 0, rows=0), [0.5], [0.25])


def test_the_risk_is_the_squared_error_in_deviations_and_what_was_added():
    torch.manual_seed(0)
    x = torch.rand(3, 1, 6, 6)
    z = (x - 0.5) / 0.25
    plain = (z / 2).square().flatten(1).mean(1)
    torch.testing.assert_close(tasks.squared()(model(), (x, None)), plain)
    sparse = tasks.squared(sparse=0.5)(model(), (x, None))
    torch.testing.assert_close(sparse, plain + 0.5 * z.flatten(1)[:, :2].abs().mean(1))


def test_noise_is_on_the_input_alone():
    class Same(Halves):
        def decode(self, z):
            return self.x

    torch.manual_seed(0)
    terms = tasks.squared(noise=0.3)(model(Same()), (torch.rand(400, 1, 6, 6), None))
    assert terms.mean() == pytest.approx(0.09, rel=0.05)  # an identity leaves all of the noise


def test_answers_are_images_in_their_own_units():
    x = torch.rand(3, 1, 6, 6)
    said = tasks.predict(model(), x)
    for one, image in zip(said, x.numpy(), strict=True):
        np.testing.assert_allclose(one.image, 0.5 + (image - 0.5) / 2, atol=1e-6)
        assert one.error == pytest.approx(((one.image - image) ** 2).mean(), rel=1e-5)
        np.testing.assert_allclose(one.code.z, (image.ravel()[:2] - 0.5) / 0.25, atol=1e-6)


def test_the_baselines_are_the_mean_and_scikit_learns_components():
    train, new = rows(), rows(20, seed=1)
    found = tasks.baseline(KIND, CARD, 3, train)
    assert list(found) == ["mean", "pca"]
    assert list(tasks.baseline(KIND, CARD, 3, train, closed=True)) == ["mean"]
    x, y = (np.stack([r["x"].read() for r in some]).reshape(len(some), -1) / 255 for some in (train, new))
    pca = Reference(3).fit(x)
    for name, again in (
        ("mean", np.broadcast_to(x.mean(0), y.shape)),
        ("pca", pca.inverse_transform(pca.transform(y))),
    ):
        answers = found[name](new)
        np.testing.assert_allclose([a.error for a in answers], ((again - y) ** 2).mean(1), rtol=1e-3)
        np.testing.assert_allclose(np.stack([a.image.ravel() for a in answers]), again, atol=1e-4)
        scores = values(tasks.score(KIND, new, answers), len(new))
        assert list(scores) == ["psnr", "mse", "knn_auc", "probe_auc"]
        assert scores["mse"] == pytest.approx(((again - y) ** 2).mean(), rel=1e-3)
    assert values(tasks.score(KIND, new, found["mean"](new)), len(new))["knn_auc"] == 0.5  # it tells nothing


def test_fewer_rows_than_numbers_of_a_code_still_have_a_baseline():
    train = rows(5)
    assert len(tasks.baseline(KIND, CARD, 30, train)["pca"](train)[0].code.z) == 5


def test_jpeg_of_more_bytes_is_nearer_and_only_bytes_are_saved_so():
    card = Card("", 1, (32, 32), (0.5,), (0.25,), 255)
    ramp = np.add.outer(np.arange(32), np.arange(32)) * 3
    x = (ramp + np.random.default_rng(0).integers(0, 40, (9, 1, 32, 32))).astype(np.uint8)
    some = [{"id": str(i), "x": Stored(x, i)} for i in range(9)]
    points = tasks.jpeg(card, some)
    assert len(points) > 2
    assert points == sorted(points)
    assert [e for _, e in points] == sorted((e for _, e in points), reverse=True)
    assert tasks.jpeg(Card("", 1, (6, 6, 6), (0.5,), (0.25,), 255), some) == []


def test_it_draws_images_sizes_and_numbers():
    import empirisk as er

    for flags, keys in (({}, ["again", "size", "numbers"]), ({"noise": 0.5}, ["again", "cleaned", "size", "numbers"])):
        e = er.autoencoder("phantom:images=60,size=16", codes=4, width=4, **flags)
        e.solve(e.model.eval(), e.data.batches("train", 64, torch.device("cpu")))
        some = e.data.rows("val")
        answers = [a for x in e.data.chunks(some, torch.device("cpu")) for a in e.task.predict(e.model, x)]
        figures = e.task.show(e, some, answers)
        assert [f.key for f in figures] == keys
        sizes = next(f for f in figures if f.key == "size")
        errors = [error for what, _, error in sizes.rows if what == "PCA"]
        assert errors == sorted(errors, reverse=True)
