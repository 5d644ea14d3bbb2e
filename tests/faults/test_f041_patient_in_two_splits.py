"""F041: the same patient in two splits, its id written differently."""

import numpy as np
import pytest

from empirisk.data.audit import audit
from empirisk.data.readers import Stored
from empirisk.data.splits import split
from empirisk.errors import Wrong


def rows(names: list[str]) -> list[dict]:
    x = np.random.default_rng(0).integers(0, 255, (len(names), 1, 8, 8), dtype=np.uint8)
    return [{"id": f"{i}.png", "x": Stored(x, i), "patient": name, "part": ""} for i, name in enumerate(names)]


VARIANTS = ["P017", "p017", " P017", "P017 ", "P17", "p0017"]


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_a_given_split_is_refused_and_both_spellings_are_shown(variant: str):
    some = [r | {"part": part} for r, part in zip(rows(["P017", "P1", variant]), ("train", "train", "test"))]
    assert some[0]["patient"] != some[2]["patient"]  # the injection
    with pytest.raises(Wrong) as wrong:
        audit(some)
    assert wrong.value.code == 2 and wrong.value.reason == "leak"
    assert "P017 / " in str(wrong.value) and "train and test" in str(wrong.value) and "--waive" in str(wrong.value)


@pytest.mark.parametrize("waive", [None, "", "   "])
def test_an_empty_reason_waives_nothing(waive: str | None):
    some = [r | {"part": part} for r, part in zip(rows(["a", "A"]), ("train", "test"))]
    with pytest.raises(Wrong):
        audit(some, waive=waive)


def test_a_drawn_split_keeps_all_spellings_together_and_their_text_as_it_was():
    names = VARIANTS + [f"Q{i}" for i in range(40)]
    for seed in range(5):
        found = split(rows(names), seed=seed)
        assert len({r["part"] for r in found[: len(VARIANTS)]}) == 1
        assert [r["patient"] for r in found] == names
        audit(found)


def test_the_same_file_in_two_splits_is_refused_without_any_patient():
    some = [r | {"patient": None, "id": "a.png", "part": part} for r, part in zip(rows(["a", "b"]), ("train", "test"))]
    with pytest.raises(Wrong, match="a.png in train and test"):
        audit(some)
