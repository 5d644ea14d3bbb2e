"""From rows to codes: components of small images, columns of vectors, and what is refused because a distance would mislead."""

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.data.card import Card
from empirisk.errors import Wrong
from empirisk.unsupervised.codes import Small, refuse_dependent

Z = np.random.default_rng(0).normal(size=(50, 3))


def card(size, channels=1):
    return Card("x", channels, size, (0.5,) * channels, (0.25,) * channels, 255.0)


def test_images_become_small_and_each_is_brought_to_its_own_mean_and_deviation():
    x = torch.rand(4, 1, 64, 48)
    alone, together = Small(card((64, 48)), alone=True), Small(card((64, 48)), alone=False)
    z = alone.embed(3 * x + 2)
    assert z.shape == (4, 32 * 32)
    torch.testing.assert_close(z, alone.embed(x), rtol=1e-3, atol=1e-4)  # brightness and contrast do not count
    torch.testing.assert_close(z.mean(1), torch.zeros(4), rtol=0, atol=1e-5)
    assert float((together.embed(x) - together.embed(x + 0.1)).abs().min()) > 0.3  # here they do
    assert Small(card((40, 40, 40)), alone=True).embed(torch.rand(2, 1, 40, 40, 40)).shape == (2, 16**3)


def test_codes_have_one_common_unit_and_fall_in_variance():
    e = er.clustering("phantom:images=120,size=32", clusters=2)
    assert e.begin is not None
    e.begin(e.model)
    z = e.model.embed(e.data.x(e.data.rows("train")))
    assert z.shape[1] == min(20, len(z) // 5)
    assert float(z.var(0, correction=0).mean()) == pytest.approx(1, rel=1e-3)
    assert (z.var(0).diff() < 1e-4).all()
    torch.testing.assert_close(z.mean(0), torch.zeros(z.shape[1]), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("z", "match"),
    [
        (np.column_stack([Z, np.ones(50)]), "d: the same in all"),
        (np.column_stack([Z, 2 * Z[:, 0] - Z[:, 1]]), "one follows from the others"),
        (Z[:3], "3 training rows of 3 numbers"),
    ],
)
def test_constant_and_dependent_columns_are_refused_by_name(z, match):
    with pytest.raises(Wrong, match=match) as wrong:
        refuse_dependent(z, ("a", "b", "c", "d")[: z.shape[1]])
    assert wrong.value.code == 2
    assert wrong.value.remedy


def test_independent_columns_pass_also_of_other_units():
    refuse_dependent(Z * [1e-3, 1, 100], "abc")
    refuse_dependent(Z[:, :1], "a")


@pytest.mark.parametrize(
    ("data", "flags", "match"),
    [
        ("phantom:images=60,size=16", {"codes": 0}, "--codes is 0"),
        ("phantom:images=60,size=16", {"codes": 300}, "a code of 300"),
        ("breast-cancer", {"standardise": True}, "--standardise of vectors"),
    ],
)
def test_flags_that_cannot_be_meant(data, flags, match):
    with pytest.raises(Wrong, match=match):
        er.clustering(data, clusters=2, **flags)
