from pathlib import Path

import numpy as np
import pytest

from empirisk.data.audit import Audit, audit, content, examine, hashes, prints
from empirisk.data.readers import Stored, Vector
from empirisk.errors import Wrong


def images(n: int, size: tuple[int, ...] = (28, 28), channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (n, channels, *size), dtype=np.uint8)


def rows(x: np.ndarray, parts: str, **more: list) -> list[dict]:
    """One row a letter of `parts`: t(rain), v(al), s (test)."""
    names = {"t": "train", "v": "val", "s": "test"}
    extra = [{k: v[i] for k, v in more.items()} for i in range(len(parts))]
    return [
        {"id": f"{i}", "x": Stored(x, i), "patient": None, "part": names[p]} | extra[i] for i, p in enumerate(parts)
    ]


def test_a_clean_set_has_nothing_to_say():
    found = audit(rows(images(9), "tttvvvsss"))
    assert found == Audit(patients_known=False) and not found.leaks()


def test_counts_are_images_of_the_second_split_and_the_training_copy_is_left_out():
    x = images(8)
    x[1] = x[0]  # twice in train
    x[5] = x[0]  # and in val
    x[6] = x[2]  # train and test
    x[7] = x[2]  # test, twice
    found = audit(rows(x, "ttttvvss"))
    assert found.identical == {"train/val": 1, "train/test": 2, "val/test": 0}
    assert found.twins == found.identical
    assert found.left_out == {"0": "identical to 5 in val", "1": "identical to 5 in val", "2": "identical to 6 in test"}
    assert found.leaks()


def test_a_copy_between_validation_and_test_is_counted_and_nothing_left_out():
    x = images(3)
    x[2] = x[1]
    found = audit(rows(x, "tvs"))
    assert found.identical["val/test"] == 1 and not found.left_out


def test_twins_are_found_through_resizing_contrast_and_noise():
    rng = np.random.default_rng(0)
    small = np.kron(rng.integers(40, 200, (4, 1, 14, 14)), np.ones((1, 1, 4, 4)))  # (4, 1, 56, 56)
    changed = np.clip(small * 0.8 + 20 + rng.normal(0, 4, small.shape), 0, 255)
    half = changed[..., ::2, ::2]
    some = rows(small.astype(np.uint8), "tttt") + [
        r | {"id": f"h{r['id']}"} for r in rows(half.astype(np.uint8), "ssss")
    ]
    found = audit(some)
    assert found.twins == {"train/val": 0, "train/test": 4, "val/test": 0} and not any(found.identical.values())
    assert [(p.partner, p.held) for p in found.pairs] == [(str(i), f"h{i}") for i in range(4)]
    assert all(0.98 <= p.correlation <= 1 and not p.identical for p in found.pairs)


def test_correlation_is_that_of_numpy_at_the_threshold():
    rng = np.random.default_rng(1)
    base = rng.normal(size=784)
    noise = rng.normal(size=784)
    mixed = np.stack([base] + [base + a * noise for a in np.linspace(0.1, 0.3, 60)]).astype(np.float32)
    expected = sum(np.corrcoef(base, m)[0, 1] >= 0.98 for m in mixed[1:])
    assert 0 < expected < 60
    assert audit(rows(mixed.reshape(-1, 1, 28, 28), "t" + "s" * 60)).twins["train/test"] == expected


def test_thumbnail_is_the_area_mean():
    x = images(1, (56, 84))
    plain = x[0, 0].reshape(28, 2, 28, 3).mean((1, 3)).ravel()
    plain -= plain.mean()
    thumb = prints(rows(x, "t")).thumbs["0"]
    assert np.allclose(thumb, plain / np.linalg.norm(plain), atol=1e-6)


def test_constant_and_non_finite_images_have_no_twin():
    x = np.zeros((6, 1, 28, 28), np.float32)
    x[1] += 7
    x[3] += 9
    x[4, 0, 0, 0] = np.nan
    x[5, 0, 0, 0] = np.inf
    found = audit(rows(x, "tttsss"))
    assert found.identical["train/test"] == found.twins["train/test"] == 0


def test_colour_volumes_and_mixed_sizes():
    colour, volume = images(2, channels=3), images(2, (20, 20, 20))
    colour[1] = colour[0]
    volume[1] = volume[0]
    some = [r | {"id": f"c{r['id']}"} for r in rows(colour, "ts")] + rows(volume, "ts")
    assert audit(some).twins["train/test"] == 2


def test_grey_saved_as_colour_is_the_same_picture():
    grey = images(1)
    colour = np.repeat(grey, 3, 1)
    both = rows(grey, "t") + [r | {"id": "1"} for r in rows(colour, "s")]
    assert audit(both).identical["train/test"] == 1


def test_content_depends_on_type_shape_and_values():
    x = np.arange(12, dtype=np.uint8)
    others = [x.astype(np.uint16), x.reshape(3, 4), x.reshape(4, 3), np.roll(x, 1)]
    assert len({content(o) for o in (x, *others)}) == 5
    assert content(x.reshape(3, 4).T) == content(np.ascontiguousarray(x.reshape(3, 4).T))
    assert hashes(rows(images(2), "ts")) == prints(rows(images(2), "ts")).hashes


def test_vectors_are_compared_for_identity_only():
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    x[39] = x[0]
    x[38] = x[1] * 2  # correlation 1, no copy
    some = [{"id": str(i), "x": Vector(v), "part": "train" if i < 30 else "test"} for i, v in enumerate(x)]
    found = audit(some)
    assert found.identical["train/test"] == found.twins["train/test"] == 1 and found.left_out == {
        "0": "identical to 39 in test"
    }


def test_vectors_that_repeat_by_nature_are_no_copies():
    x = np.random.default_rng(0).integers(0, 2, (60, 3)).astype(np.float32)
    found = audit([{"id": str(i), "x": Vector(v), "part": "train" if i < 40 else "test"} for i, v in enumerate(x)])
    assert not found.leaks() and not found.left_out and "repeat" in found.compared


def test_no_label_is_read():
    class Sealed(dict):
        def __getitem__(self, name: str):
            assert name not in {"label", "target"}
            return super().__getitem__(name)

        def get(self, name: str, default=None):
            assert name not in {"label", "target"}
            return super().get(name, default)

    audit([Sealed(r | {"label": "x", "target": 1.0}) for r in rows(images(3), "tvs")])


def test_chunks_change_nothing():
    x = images(9000, (4, 4), seed=2)
    x[8999] = x[8500]
    found = audit(rows(x, "t" * 8600 + "s" * 400))
    pair = {(p.partner, p.held) for p in found.pairs if p.identical}
    assert ("8500", "8999") in pair


def test_record_keeps_the_test_twins_and_the_closest_pairs():
    x = images(60)
    x[30:] = x[:30]
    record = audit(rows(x, "t" * 30 + "s" * 30), waive=" known ").record()
    assert len(record["test_twins"]) == 30 and record["waived"] == "known" and len(record["left_out"]) == 30
    assert examine(rows(x, "t" * 30 + "s" * 30), unreadable=["a.png"]).json()["unreadable"] == ["a.png"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "identical", "twins", "left_out"),
    [
        (
            "pneumoniamnist",
            {"train/val": 8, "train/test": 0, "val/test": 0},
            {"train/val": 8, "train/test": 0, "val/test": 0},
            10,
        ),
        (
            "breastmnist",
            {"train/val": 0, "train/test": 1, "val/test": 0},
            {"train/val": 30, "train/test": 48, "val/test": 7},
            1,
        ),
    ],
)
def test_official_files(real_data: Path, name: str, identical: dict, twins: dict, left_out: int):
    with np.load(real_data / f"medmnist/{name}.npz") as archive:
        some = [
            {"id": f"{part}/{i}", "x": Stored(x[:, None], i), "patient": None, "part": part}
            for part in ("train", "val", "test")
            for x in [archive[f"{part}_images"]]
            for i in range(len(x))
        ]
    found = audit(some)
    assert (found.identical, found.twins, len(found.left_out)) == (identical, twins, left_out)


def test_a_patient_in_two_splits_is_refused_unless_waived():
    some = rows(images(4), "ttvs", patient=["a", "b", "B ", "c"])
    with pytest.raises(Wrong, match="1 patient is in two splits") as wrong:
        audit(some)
    assert wrong.value.code == 2 and "b / B  in train and val" in str(wrong.value)
    found = audit(some, waive="two different clinics")
    assert (
        found.patients == {"train/val": 1, "train/test": 0, "val/test": 0} and found.waived == "two different clinics"
    )
    assert found.leaks() and found.patients_known
