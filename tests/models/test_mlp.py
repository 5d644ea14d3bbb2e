"""Full connection against its formulas, its limits and its closed forms."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from empirisk.models.mlp import Mlp, linear

XOR_X, XOR_Y = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0])


def trained(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = 300) -> float:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(steps):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return F.cross_entropy(net(x), y).item()


def test_one_artificial_neuron_cannot_learn_xor() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        net = Mlp(2, 2, depth=0)
        risk = trained(net, XOR_X, XOR_Y)
        assert risk >= math.log(2) - 1e-6  # the least risk of a linear boundary on XOR is that of p = 1/2
        assert (net(XOR_X).argmax(1) == XOR_Y).sum() <= 3


def test_one_hidden_layer_learns_xor() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        net = Mlp(2, 2, depth=1, width=16)
        assert trained(net, XOR_X, XOR_Y) < 0.05
        assert torch.equal(net(XOR_X).argmax(1), XOR_Y)


def test_equals_phi_w3_phi_w2_phi_w1_x_by_hand() -> None:
    torch.manual_seed(1)
    x = torch.randn(5, 1, 3, 4, dtype=torch.float64)
    net = Mlp(1, 6, size=(3, 4), width=7, depth=2).double()
    torch.nn.init.zeros_(net.fc.bias)
    for layer in net.hidden:
        torch.nn.init.zeros_(layer.bias)
    W1, W2, W3 = (layer.weight.detach().numpy() for layer in (*net.hidden, net.fc))

    def phi(z: np.ndarray) -> np.ndarray:
        return np.maximum(z, 0)

    by_hand = np.stack([phi(W3 @ phi(W2 @ phi(W1 @ v))) for v in x.reshape(5, 12).numpy()])
    np.testing.assert_allclose(F.relu(net(x)).detach().numpy(), by_hand, atol=1e-12)
    deeper = Mlp(1, 2, size=(3, 4), width=7, depth=3).double()
    by_hand = x.reshape(5, 12).numpy()
    for layer in deeper.hidden:
        by_hand = phi(by_hand @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
    np.testing.assert_allclose(deeper.embed(x).detach().numpy(), by_hand, atol=1e-12)


def test_back_propagation_by_hand_equals_autograd() -> None:
    torch.manual_seed(2)
    net = Mlp(6, 3, width=5, depth=2).double()
    x, y = torch.randn(8, 6, dtype=torch.float64), torch.arange(8) % 3
    F.cross_entropy(net(x), y).backward()
    W = [layer.weight.detach().numpy() for layer in (*net.hidden, net.fc)]
    b = [layer.bias.detach().numpy() for layer in (*net.hidden, net.fc)]
    # forward: a_0 = x, z_l = W_l a_{l-1} + b_l, a_l = phi(z_l), p = softmax(z_3)
    a, z = [x.numpy()], []
    for l in range(3):
        z.append(a[l] @ W[l].T + b[l])  # (n, out)
        a.append(np.maximum(z[l], 0))
    p = np.exp(z[2] - z[2].max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    # backward: delta_3 = (p - y) / n, delta_l = W_{l+1}^T delta_{l+1} * phi'(z_l), dR/dW_l = delta_l a_{l-1}^T
    delta = (p - np.eye(3)[y.numpy()]) / len(x)
    gradients = {}
    for l in (2, 1, 0):
        gradients[l] = delta.T @ a[l], delta.sum(0)
        if l > 0:
            delta = (delta @ W[l]) * (z[l - 1] > 0)
    for l, layer in enumerate((*net.hidden, net.fc)):
        np.testing.assert_allclose(gradients[l][0], layer.weight.grad.numpy(), atol=1e-10, rtol=0)
        np.testing.assert_allclose(gradients[l][1], layer.bias.grad.numpy(), atol=1e-10, rtol=0)


def test_linear_boundary_of_two_gaussians_equals_the_closed_form() -> None:
    """Two Gaussians of one covariance: log p(1|x) / p(0|x) = w x + b, w = S^-1 (m1 - m0), b = -w (m0 + m1) / 2 + log ratio.

    The expected risk is exact to rounding here (Gauss-Hermite nodes), so its minimiser is the closed form.
    """
    m0, m1, share = np.array([-0.5, 0.2]), np.array([0.7, 0.9]), 0.3
    S = np.array([[1.0, 0.4], [0.4, 0.5]])
    w = np.linalg.solve(S, m1 - m0)
    b = -w @ (m0 + m1) / 2 + np.log(share / (1 - share))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    grid = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)  # (1600, 2)
    mass = np.outer(weights, weights).ravel() / (2 * np.pi)
    root = np.linalg.cholesky(S)
    x = torch.tensor(np.concatenate([m0 + grid @ root.T, m1 + grid @ root.T]))
    y = torch.tensor([0] * 1600 + [1] * 1600)
    p = torch.tensor(np.concatenate([(1 - share) * mass, share * mass]))
    torch.manual_seed(0)
    net = linear(2, 2).double()
    optimizer = torch.optim.LBFGS(
        net.parameters(), max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def risk() -> torch.Tensor:
        optimizer.zero_grad()
        value = (p * F.cross_entropy(net(x), y, reduction="none")).sum()
        value.backward()
        return value

    optimizer.step(risk)
    learned = (net.fc.weight[1] - net.fc.weight[0]).detach().numpy()
    offset = (net.fc.bias[1] - net.fc.bias[0]).item()
    np.testing.assert_allclose([*learned, offset], [*w, b], atol=1e-5)


def test_linear_is_mlp_of_depth_0() -> None:
    torch.manual_seed(0)
    net = linear(2, 3, size=(4, 5))
    x = torch.randn(6, 2, 4, 5)
    torch.testing.assert_close(net(x), x.flatten(1) @ net.fc.weight.T + net.fc.bias)
    assert net.embed(x).shape == (6, 40)
