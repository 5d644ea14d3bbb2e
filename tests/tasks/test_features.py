import time

import numpy as np
import pytest

from empirisk.tasks.features import BINS, OFFSETS, cooccurrence, features, gradients, histogram


def test_histogram_counts_by_hand() -> None:
    grey = np.array([[[0.0, 0.0], [0.5, 1.0]]])
    shares = histogram(grey)[0]
    assert shares[0] == 0.5
    assert shares[8] == 0.25
    assert shares[15] == 0.25
    assert shares[BINS] == pytest.approx(0.375)
    assert shares[BINS + 1] == pytest.approx(grey.std())


@pytest.mark.parametrize(("angle", "bin_"), [(0.2, 0), (np.pi / 2 + 0.1, 4), (np.pi - 0.1, 7)])
def test_a_ramp_has_one_orientation(angle: float, bin_: int) -> None:
    y, x = np.mgrid[:16, :16] / 16
    ramp = (np.cos(angle) * x + np.sin(angle) * y)[None]
    inner = gradients(ramp)[0, :-1].reshape(4, 4, 8)[1:3, 1:3]  # away from the border
    assert (inner.argmax(-1) == bin_).all()
    assert np.allclose(inner.sum(-1), inner.max(-1))
    assert np.allclose((gradients(ramp)[0, :-1] ** 2).sum(), 1, atol=1e-4)
    assert np.allclose(gradients(1 - ramp)[0], gradients(ramp)[0])  # modulo pi


def test_cooccurrence_by_hand() -> None:
    stripes = np.tile([0.0, 1.0], (8, 4))[None]  # columns alternate: levels 2 and 6 (mean - sd and mean + sd)
    got = dict(zip(OFFSETS, cooccurrence(stripes)[0].reshape(len(OFFSETS), 4), strict=True))
    contrast, homogeneity, energy, correlation = got[0, 1]
    gap = np.sqrt(contrast)
    assert gap in (3, 4)  # the level of mean - sd may round down
    assert homogeneity == pytest.approx(1 / (1 + gap**2))
    assert energy == pytest.approx(np.sqrt(0.5))
    assert correlation == pytest.approx(-1)
    assert got[1, 0][0] == 0
    assert got[1, 0][3] == pytest.approx(1)
    assert got[0, 2][3] == pytest.approx(1)


def test_cooccurrence_along_diagonals_counts_the_right_pairs() -> None:
    image = np.random.default_rng(0).random((1, 6, 7))
    mirrored = cooccurrence(image[:, :, ::-1])[0].reshape(-1, 4)
    straight = cooccurrence(image)[0].reshape(-1, 4)
    assert np.allclose(straight[2], mirrored[3])
    assert np.allclose(straight[0], mirrored[0])
    assert not np.allclose(straight[2], straight[3])


def test_a_blank_image_is_finite() -> None:
    assert np.isfinite(features(np.full((2, 3, 16, 16), 0.4, np.float32))).all()


def test_colour_adds_a_histogram_a_channel() -> None:
    x = np.random.default_rng(0).random((3, 3, 16, 20), dtype=np.float32)
    colour = features(x)
    assert colour.shape == (3, 179 + 3 * 18)
    assert np.array_equal(colour[:, :179], features(x.mean(1, keepdims=True)))
    assert np.allclose(features(x[:1]), colour[:1])  # images do not see each other


def test_quick() -> None:
    x = np.random.default_rng(0).random((1000, 1, 28, 28), dtype=np.float32)
    start = time.process_time()
    features(x)
    assert time.process_time() - start < 4  # 4,708 in 2 s measured; wide, as machines are shared
