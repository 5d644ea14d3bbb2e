import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirisk.data.splits import group, key, split
from empirisk.errors import Wrong


def rows(n: int, each: int = 3, **more: object) -> list[dict]:
    return [
        {"id": f"{i:04d}", "patient": f"P{i // each:03d}", "part": "", "label": "ab"[i // each % 2]} | more
        for i in range(n)
    ]


def parts(found: list[dict]) -> dict[str, str]:
    return {r["id"]: r["part"] for r in found}


def test_shares_are_70_15_15_and_patients_stay_whole():
    found = split(rows(1200))
    assert Counter(r["part"] for r in found) == {"train": 840, "val": 180, "test": 180}
    assert all(len({r["part"] for r in found if r["patient"] == p}) == 1 for p in {r["patient"] for r in found})


def test_the_rows_themselves_are_left_as_they_were():
    before = rows(30)
    split(before)
    assert before == rows(30)


def test_each_class_has_its_share_in_each_part():
    some = [{"id": str(i), "part": "", "label": "rare" if i % 20 == 0 else "common"} for i in range(2000)]
    found = split(some)
    count = Counter((r["part"], r["label"]) for r in found)
    assert [count[p, "rare"] for p in ("train", "val", "test")] == [70, 15, 15]


def test_a_class_of_three_patients_is_in_every_part():
    some = rows(300) + [{"id": f"x{i}", "patient": f"X{i}", "part": "", "label": "rare"} for i in range(3)]
    assert {r["part"] for r in split(some) if r["label"] == "rare"} == {"train", "val", "test"}


def test_numbers_are_stratified_by_fifths():
    some = [{"id": str(i), "part": "", "target": float(i)} for i in range(1000)]
    found = split(some)
    for low in range(0, 1000, 200):
        fifth = Counter(r["part"] for r in found if low <= r["target"] < low + 200)
        assert abs(fifth["train"] - 140) <= 2 and abs(fifth["test"] - 30) <= 2


def test_several_labels_are_stratified_by_the_rarest():
    some = [
        {"id": str(i), "part": "", "label": ("a", "b") if i % 25 == 0 else ("a",) if i % 2 else ()} for i in range(1000)
    ]
    assert Counter(r["part"] for r in split(some) if "b" in r["label"]) == {"train": 28, "val": 6, "test": 6}


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(9, 200), st.integers(1, 5), st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_of_rows_does_not_matter(n: int, each: int, chance: random.Random, seed: int):
    some = rows(max(n, 3 * each), each)
    mixed = some.copy()
    chance.shuffle(mixed)
    assert parts(split(some, seed=seed)) == parts(split(mixed, seed=seed))


def test_the_seed_changes_the_split():
    assert parts(split(rows(300))) != parts(split(rows(300), seed=1))


def test_all_given_parts_are_kept():
    some = [r | {"part": ("train", "val", "test")[i % 3]} for i, r in enumerate(rows(30))]
    assert split(some) == some


@pytest.mark.parametrize("held", ["val", "test"])
def test_one_held_out_part_becomes_the_test_set(held: str):
    some = [r | {"part": "train" if i < 210 else held} for i, r in enumerate(rows(300))]
    found = split(some)
    assert all(r["part"] == "test" for r in found[210:])
    assert Counter(r["part"] for r in found[:210]) == pytest.approx({"train": 173, "val": 37}, abs=3)
    assert not {r["patient"] for r in found if r["part"] == "val"} & {
        r["patient"] for r in found if r["part"] == "train"
    }


def test_train_alone_is_as_if_nothing_were_given():
    assert parts(split(rows(60, part="train"))) == parts(split(rows(60)))


@pytest.mark.parametrize(
    ("some", "says"),
    [
        (rows(30, part="test"), "no training rows"),
        ([r | {"part": "train" if i else ""} for i, r in enumerate(rows(30))], "1 rows have no split"),
        ([r | {"part": p} for r in rows(1) for p in ("train", "test")], "the same id in two splits"),
        (rows(6), "too few"),
    ],
)
def test_what_cannot_be_split_is_refused(some: list[dict], says: str):
    with pytest.raises(Wrong, match=says) as wrong:
        split(some)
    assert wrong.value.code == 2


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("P17", "p017"),
        (" 7", "007"),
        ("A  1", "a 01"),
        ("Ｐ７", "P7"),
        ("P\xa07", "p 7"),
        ("STRASSE", "straße"),
        ("1-01", "1-1"),
    ],
)
def test_spellings_of_one_patient(a: str, b: str):
    assert key(a) == key(b)


@pytest.mark.parametrize(
    ("a", "b"), [("P1", "P10"), ("P100", "P10"), ("1.10", "1.1"), ("0", "1"), ("P1 2", "P12"), ("A", "B")]
)
def test_different_patients(a: str, b: str):
    assert key(a) != key(b)


def test_without_patients_each_row_is_its_own_group():
    assert group({"id": "7", "patient": None}) != group({"id": "07", "patient": None})
    assert group({"id": "7", "patient": "7"}) == group({"id": "8", "patient": "007"})
