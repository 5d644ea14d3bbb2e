"""k-means, HDBSCAN, the number of groups: as scikit-learn finds them, in buffers that need no data."""

import numpy as np
import pytest
import torch
from sklearn.cluster import HDBSCAN
from sklearn.cluster import KMeans as Lloyd

from empirisk.errors import Wrong
from empirisk.unsupervised.hdbscan import Hdbscan
from empirisk.unsupervised.kmeans import Groups, KMeans, stability


def blobs(sizes=(50, 30, 20), seed=0):
    rng = np.random.default_rng(seed)
    z = [rng.normal((9 * k, -5 * k), 1, (n, 2)) for k, n in enumerate(sizes)]
    return torch.tensor(np.concatenate(z), dtype=torch.float32)


def test_k_means_is_scikit_learns_the_largest_group_first():
    z, model = blobs(), KMeans(2, 3, seed=0)
    model.fill(z)
    group, distance = model.assign(z)
    assert np.bincount(group).tolist() == [50, 30, 20]
    reference = Lloyd(3, n_init=10, random_state=0).fit(z.double().numpy())
    assert float(distance.square().sum()) == pytest.approx(reference.inertia_, rel=1e-4)
    torch.testing.assert_close(model.c[0], z[:50].mean(0), rtol=1e-4, atol=1e-4)


def test_the_centres_are_where_no_step_makes_the_sum_smaller():
    z, model = blobs(), KMeans(2, 4)
    model.fill(z)
    group, _ = model.assign(z)
    for k in range(4):
        torch.testing.assert_close(model.c[k], z[group == k].mean(0), rtol=1e-3, atol=1e-3)


def test_hdbscan_is_scikit_learns_on_the_rows_and_gives_a_new_row_to_its_neighbour():
    z = torch.cat([blobs(), torch.tensor([[40.0, 40.0], [-40.0, 40.0]])])
    model = Hdbscan(2, rows=len(z), smallest=10)
    model.fill(z)
    group, distance = model.assign(z)
    assert float(distance.max()) < 1e-2
    reference = HDBSCAN(min_cluster_size=10, copy=True).fit_predict(z.double().numpy())
    assert set(group[reference < 0].tolist()) == {-1}
    for k in range(3):
        assert len(set(reference[group.numpy() == k])) == 1
    sizes = np.bincount(group[group >= 0])
    assert (np.diff(sizes) <= 0).all()
    new, far = model.assign(torch.tensor([[0.2, 0.1], [39.0, 41.0]]))
    assert new.tolist() == [int(group[0]), -1]
    assert float(far[1]) > 0


def test_the_number_of_groups_is_the_most_stable():
    z = blobs((60, 60, 60)).numpy()
    rows = [{"id": str(i)} for i in range(len(z))]
    found = Groups.learn(rows, lambda some: z[[int(r["id"]) for r in some]], None)
    assert found.number == 3
    assert len(found.stability) == 9
    assert found.stability[1] == pytest.approx(1)
    assert Groups.learn(rows, lambda some: z, 7) == Groups(7)


def test_noise_has_no_stable_number():
    found = stability(np.random.default_rng(0).normal(size=(400, 8)))
    assert max(found) < 0.75


def test_too_few_rows_are_refused():
    rows = [{"id": str(i)} for i in range(5)]
    for given in (0, 6):
        with pytest.raises(Wrong, match="of 5 training rows"):
            Groups.learn(rows, lambda some: np.zeros((5, 2)), given)
    with pytest.raises(Wrong, match="too few to find the number"):
        Groups.learn(rows, lambda some: np.arange(10.0).reshape(5, 2), None)
    with pytest.raises(Wrong, match="3 clusters of 2 different rows"):
        KMeans(2, 3).fill(torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat(9, 1))
