import time

import numpy as np
import pytest
from scipy.integrate import quad

from empirisk.data import audit, embedded, phantom
from empirisk.data.splits import split
from empirisk.errors import Wrong


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return embedded.table("phantom").rows


def pixels(rows: list[dict]) -> np.ndarray:
    return np.stack([r["x"].read() for r in rows])


def p(d: float, s: int) -> float:
    return 1 / (1 + np.exp(-(phantom.A * (d - phantom.D0) + phantom.B * s)))


def test_default_set(rows: list[dict]):
    assert len(rows) == len({r["id"] for r in rows}) == 1200
    assert len({r["patient"] for r in rows}) == 400
    x = pixels(rows)
    assert x.shape == (1200, 1, 64, 64)
    assert x.dtype == np.uint8
    assert (x == 255).mean() < 0.01
    assert 0.45 < np.mean([r["label"] == "malignant" for r in rows]) < 0.55


def test_bayes_error_and_entropy_equal_an_adaptive_integral():
    parts = [(8, 11), (11, 14), (14, 17), (17, 23), (23, 26), (26, 29), (29, 32)]

    def mean(f) -> float:
        return sum(quad(lambda d: f(p(d, s)), *part)[0] for s in (0, 1) for part in parts) / 48

    assert phantom.bayes_error() == pytest.approx(mean(lambda q: min(q, 1 - q)), abs=1e-7)
    assert phantom.entropy() == pytest.approx(mean(lambda q: -q * np.log(q) - (1 - q) * np.log1p(-q)), abs=1e-6)
    assert 0.038 < phantom.bayes_error() < 0.044


def test_the_best_rule_errs_as_often_as_the_bayes_error_says():
    lesions = phantom.sample(200_000, np.random.default_rng(0))
    q = phantom.probability(lesions.diameter, lesions.spiculated)
    error = np.mean((q > 0.5) != lesions.malignant)
    assert error == pytest.approx(phantom.bayes_error(), abs=4 * np.sqrt(0.04 / 200_000))
    loss = -np.mean(np.where(lesions.malignant, np.log(q), np.log1p(-q)))
    assert loss == pytest.approx(phantom.entropy(), abs=0.005)


def test_labels_follow_p_at_every_level():
    lesions = phantom.sample(200_000, np.random.default_rng(1))
    q = phantom.probability(lesions.diameter, lesions.spiculated)
    for low in np.arange(0, 1, 0.2):
        some = (q >= low) & (q < low + 0.2)
        assert lesions.malignant[some].mean() == pytest.approx(q[some].mean(), abs=4 * np.sqrt(0.25 / some.sum()))


def test_p_of_a_row_is_that_of_its_truth_columns(rows: list[dict]):
    for row in rows[:20]:
        assert phantom.p_of(row) == pytest.approx(p(float(row["diameter"]), row["shape"] == "spiculated"), rel=1e-12)


def test_the_reader_errs_by_the_least_rmse(rows: list[dict]):
    error = np.array([r["target"] - float(r["diameter"]) for r in rows])
    assert np.sqrt(np.mean(error**2)) == pytest.approx(phantom.least_rmse(), rel=4 / np.sqrt(2 * len(rows)))
    assert abs(error.mean()) < 4 * phantom.READER / np.sqrt(len(rows))


@pytest.mark.parametrize(("dims", "size", "images"), [(2, 64, 90), (3, 32, 12)])
def test_a_lesion_lies_at_its_center_and_fills_its_diameter(dims: int, size: int, images: int):
    lesions = phantom.sample(images, np.random.default_rng([0, 0]))
    drawing = phantom._Drawing(images, dims, size, 0, lesions)
    filled = drawing.lesion(0, images)
    voxel = phantom.FIELD / size
    for i in range(images):
        where = (filled[i][:, None] * drawing.grid).sum(0) / filled[i].sum()
        assert np.abs(where - drawing.center[i]).max() < voxel
        d = lesions.diameter[i]
        measure = filled[i].sum() * voxel**dims
        ball = np.pi * d**2 / 4 if dims == 2 else np.pi * d**3 / 6
        if lesions.spiculated[i]:
            assert measure > 1.1 * ball
        elif d > 5 * voxel:
            assert measure == pytest.approx(ball, rel=0.12)
        assert filled[i].reshape([size] * dims)[0].max() == 0  # no lesion is cut off


def test_the_image_shows_the_lesion(rows: list[dict]):
    """Where the truth says it lies, an image is brighter than the same patient's next image there."""
    x = pixels(rows).astype(float)[:, 0]
    brighter = []
    for i in range(0, 300, 3):
        row, column = (((float(c) + 64) / 2) for c in rows[i]["center"].split())
        here = np.s_[int(row) - 1 : int(row) + 2, int(column) - 1 : int(column) + 2]
        brighter.append(x[i][here].mean() - x[i + 1][here].mean())
    assert np.mean(np.array(brighter) > 0) > 0.85


def test_patients_share_anatomy_and_no_two_patients_are_twins(rows: list[dict]):
    thumbs = audit.prints(rows).thumbs
    whole = np.stack([thumbs[r["id"]] for r in rows])
    r = whole @ whole.T
    who = np.array([r["patient"] for r in rows])
    same = who[:, None] == who
    assert r[~same].max() < audit.TWIN
    assert np.median(r[same & ~np.eye(len(r), dtype=bool)]) > np.quantile(r[~same], 0.9)


def test_a_set_is_a_function_of_its_options():
    name = "phantom:images=30,size=28,seed=4"
    first, other = embedded.table(name).rows, embedded.table(name.replace("4", "5")).rows
    phantom._rows.cache_clear()
    again = embedded.table(name).rows
    assert np.array_equal(pixels(first), pixels(again))
    assert [r["target"] for r in first] == [r["target"] for r in again]
    assert not np.array_equal(pixels(first), pixels(other))


def test_volumes():
    table = embedded.table("phantom:dims=3,images=9,size=24,seed=1")
    assert pixels(table.rows).shape == (9, 1, 24, 24, 24)
    assert len(table.rows[0]["center"].split()) == 3


def test_rendering_is_fast():
    phantom._rows.cache_clear()
    start = time.process_time()
    embedded.table("phantom")
    assert time.process_time() - start < 10  # seconds of the processor, about 1


def test_the_planted_leak_is_refused_and_leaving_the_patient_out_mends_it():
    table = embedded.table("phantom:planted=1,size=16")
    assert table.split_given
    with pytest.raises(Wrong, match="P017 in train and test") as wrong:
        audit.audit(table.rows)
    assert "1 patient is" in wrong.value.what
    clean = embedded.table("phantom:planted=1,size=16,without=P017")
    audit.audit(split(clean.rows))
    assert {part: sum(r["part"] == part for r in clean.rows) for part in ("train", "val", "test")} == {
        "train": 837,
        "val": 180,
        "test": 180,
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("phantom:dims=4", "dims=4 is not between 2 and 3"),
        ("phantom:image=3", "images"),
        ("phantom:images=many", "not a whole number"),
        ("phantom:images=1.5", "not a whole number"),
        ("phantom:images", "not a whole number"),
        ("phantom:dims=3,size=512,images=100", "more than 1 GB"),
        ("phantom:images=9,planted=1", "54 images"),
        ("phantom:images=9,without=P400", "no patient P400"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, says: str):
    with pytest.raises(Wrong, match=says) as wrong:
        embedded.table(name)
    assert wrong.value.code == 2


def features(lesions: phantom.Lesions) -> np.ndarray:
    return np.stack([lesions.diameter - 20, 2.0 * lesions.spiculated - 1, np.ones(len(lesions.diameter))], 1)


def fitted(lesions: phantom.Lesions) -> np.ndarray:
    """Logistic regression on the latents by Newton's method, a ridge of 1e-3."""
    x, y = features(lesions) / [10, 1, 1], lesions.malignant.astype(float)
    w = np.zeros(3)
    for _ in range(40):
        q = 1 / (1 + np.exp(-x @ w))
        w = w - np.linalg.solve((x.T * (q * (1 - q))) @ x + 1e-3 * np.eye(3), x.T @ (q - y) + 1e-3 * w)
    return w / [10, 1, 1]


def test_mean_divergence_from_the_known_p_falls_as_the_set_grows():
    def divergence(w: np.ndarray) -> float:
        def of(d: np.ndarray, s: np.ndarray) -> np.ndarray:
            q, z = phantom.probability(d, s), w[0] * (d - 20) + w[1] * (2 * s - 1) + w[2]
            return q * (np.log(q) + np.logaddexp(0, -z)) + (1 - q) * (np.log1p(-q) + np.logaddexp(0, z))

        return phantom.expected(of)

    means = []
    for n in (50, 200, 800, 3200):
        draws = [divergence(fitted(phantom.sample(n, np.random.default_rng([n, k])))) for k in range(20)]
        assert min(draws) >= 0
        means.append(np.mean(draws))
    assert all(b < 0.6 * a for a, b in zip(means, means[1:]))
    assert means[-1] < 0.002


def test_the_interval_of_the_empirical_risk_covers_the_true_risk_and_narrows_as_one_over_root_n():
    """f predicts with half the slope of the truth; its losses are bootstrapped 1,000 times in each of 2,000 sets."""
    w = 0.5 * np.array([phantom.A, phantom.B / 2, 0])

    def loss(d: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = w[0] * (d - 20) + w[1] * (2.0 * s - 1)
        return np.logaddexp(0, np.where(y, -z, z))

    def risk(d: np.ndarray, s: np.ndarray) -> np.ndarray:
        q = phantom.probability(d, s)
        return q * loss(d, s, np.full(len(d), True)) + (1 - q) * loss(d, s, np.full(len(d), False))

    true, width = phantom.expected(risk), {}
    for n, sets in ((200, 2000), (800, 200)):
        lesions = phantom.sample(n * sets, np.random.default_rng(n))
        terms = loss(lesions.diameter, lesions.spiculated, lesions.malignant).reshape(sets, n)  # (sets, n)
        weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), 1000).T / n  # (n, 1000)
        low, high = np.quantile(terms @ weights, [0.025, 0.975], axis=1)
        width[n] = np.mean(high - low)
        if n == 200:
            assert 0.925 <= np.mean((low <= true) & (true <= high)) <= 0.97
    assert width[200] / width[800] == pytest.approx(2, rel=0.05)


def test_the_lesions_stand_out_by_the_asked_contrast():
    usual, faint = (embedded.table(f"phantom:images=12{more}").rows for more in ("", ",cnr=3"))
    assert {r["contrast"] for r in faint} == {"0.075"}
    assert [r["boxes"] for r in faint] == [r["boxes"] for r in usual]
    shares = []
    for a, b in zip(usual, faint, strict=True):
        inside = a["mask"].read() > 0
        step = (a["x"].read().astype(float) - b["x"].read())[0][inside].mean() / 255
        shares.append(step / (float(a["contrast"]) - 3 * phantom.NOISE))
    assert np.mean(shares) == pytest.approx(
        1, abs=0.1
    )  # the border's pixels are filled in part, the coil's gain varies
    with pytest.raises(Wrong, match="cnr=15"):
        embedded.table("phantom:cnr=15")
