"""Autoencoders: an image through a few numbers; the linear one finds the plane of the principal components."""

import numpy as np
import pytest
import torch

from empirisk.errors import Wrong
from empirisk.models.autoencoder import Autoencoder, LinearAutoencoder
from empirisk.unsupervised.pca import PCA


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (17, 30)), (1, (9, 16, 12)), (2, (4, 5))])
@pytest.mark.parametrize("make", [lambda *shape, codes: Autoencoder(*shape, codes=codes, width=4), LinearAutoencoder])
def test_an_image_becomes_k_numbers_and_an_image_again(make, channels, size):
    net, x = make(channels, size, codes=5), torch.randn(3, channels, *size)
    z = net.embed(x)
    assert z.shape == (3, 5)
    assert net.decode(z).shape == net(x).shape == x.shape
    net(x).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_all_that_it_knows_of_the_image_is_the_code():
    torch.manual_seed(0)
    net = Autoencoder(1, (16, 16), codes=3, width=4).eval()
    x = torch.randn(2, 1, 16, 16)
    assert torch.equal(net(x), net.decode(net.embed(x)))
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v[None])[0].flatten(), x[0]).reshape(256, 256)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-4) <= 3


def test_it_learns_eight_images_by_heart():
    torch.manual_seed(0)
    net, x = (
        Autoencoder(1, (16, 16), codes=8, width=8),
        torch.randn(8, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(150):
        loss = (net(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05 * x.var()


def test_the_linear_one_spans_the_plane_of_the_principal_components():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    rows = rng.normal(size=(200, 16)) * np.linspace(4, 0.5, 16) @ basis.T
    x = torch.from_numpy(rows).reshape(200, 1, 4, 4)
    x = x - x.mean(0)
    torch.manual_seed(0)
    net = LinearAutoencoder(1, (4, 4), codes=3).double()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=400, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        loss = (net(x) - x).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    pca = PCA((1, 4, 4), codes=3)
    pca.fill(x.float())
    V = torch.linalg.qr(net.g.weight.detach())[0]  # (16, 3), orthonormal
    cosines = torch.linalg.svdvals(pca.W.double() @ V)
    assert cosines.min() > 0.9999  # of the angles between the two planes
    error = lambda f: (f(x.float()).double() - x).square().mean().item()
    assert error(net.float()) == pytest.approx(error(pca), rel=1e-4)


@pytest.mark.parametrize("make", [Autoencoder, LinearAutoencoder])
def test_what_cannot_be_meant_is_refused(make):
    with pytest.raises(Wrong, match="--codes is 0"):
        make(1, (8, 8), codes=0)
    with pytest.raises(Wrong, match="vectors"):
        Autoencoder(4, (), codes=2)
