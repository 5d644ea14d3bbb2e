"""The judge is the same whatever is judged, knows a copy, and needs enough images."""

import numpy as np
import pytest
import torch

import empirisk as er
from empirisk.errors import Wrong
from empirisk.generative import judge as judges
from empirisk.generative.judge import Judge, Protocol, enough

DATA = "phantom:images=160,size=12"


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "STEPS", 8)
        yield


def taught(data=DATA, **given):
    e = er.generation(data, **given)
    e.begin(e.model)
    return e, e.model.get_submodule("judge")


@pytest.fixture(scope="module")
def first():
    return taught()


def test_it_is_the_same_to_the_byte_whatever_model_seed_and_recipe(first):
    _, other = taught(model="gan", seed=7, lr=0.1, batch=9)
    assert first[1].name == other.name
    mine = first[1].state_dict()
    assert all(torch.equal(t, mine[k]) for k, t in other.state_dict().items())


def test_another_encoder_has_another_name(first):
    other = taught(split_seed=1)[1]
    assert first[1].name != other.name
    assert "real images kept apart, 5 features, encoder" in other.name


def test_it_is_frozen_and_lies_in_the_weights(first):
    e, judge = first
    assert not any(p.requires_grad for p in judge.parameters())
    assert any(k.startswith("judge.") for k in e.model.state_dict())


def test_the_rows_kept_apart_teach_nothing_and_features_are_in_deviations_of_the_others(first):
    e, judge = first
    apart, train = ({r["id"] for r in rows} for rows in (e.data.kept_apart(), e.data.rows("train")))
    assert apart.isdisjoint(train)
    assert len(apart) == len(judge.reference) >= 15
    people = {r["patient"] for r in e.data.kept_apart()}
    assert people.isdisjoint({r["patient"] for r in e.data.rows("train")})
    k = len(apart) // 4
    assert judge.reference.shape[1] == judge.axes.shape[1] == k > 2
    x = e.data.x(e.data.rows("train"))
    z, whole = judge.embed(x), (judge.maps(judge.net.standardise(x)) - judge.middle) / judge.scale
    torch.testing.assert_close(whole.mean(0), torch.zeros(64), atol=1e-3, rtol=0)
    torch.testing.assert_close(whole.std(0), torch.ones(64), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(z.double().T), torch.eye(k).double(), atol=2e-2, rtol=0)
    largest = torch.linalg.eigvalsh(torch.cov(whole.double().T))[-k:].sum()
    explained = torch.linalg.lstsq(z.double(), whole.double()).solution  # (k, 64)
    assert (z.double() @ explained).var(0).sum() == pytest.approx(float(largest), rel=1e-2)


def test_a_quarter_as_many_features_as_real_images_and_all_where_these_are_many():
    assert [Protocol(1, n, 10).features for n in (3, 20, 39, 256, 900)] == [2, 5, 9, 64, 64]
    z = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(judges.leading(z, 6), torch.eye(6))


def test_the_nearest_training_row_of_a_training_row_is_itself(first):
    e, judge = first
    x = np.stack([e.data.card().read(r) for r in e.data.rows("train")])
    far, which = judge.nearest(judge.seen(x, 255.0)[1])
    assert which.tolist() == list(range(len(x)))
    assert far.max() < 1e-3


def test_without_classes_it_learns_turns(first):
    e, _ = first
    card = e.data.card()
    plain = Judge(card, 0, Protocol(5, len(e.data.kept_apart()), len(e.data.rows("train"))))
    plain.teach(e.data)
    assert plain.net.net["head"].out_features == 4
    assert plain.name != first[1].name


def test_so_many_images_a_row_that_2000_are_judged(first):
    protocol = first[0].data.learn(Protocol, first[0].data)
    n = len(first[0].data.rows("val"))
    assert n * protocol.each >= 2000 > n * (protocol.each - 1)


def test_fewer_images_than_the_measure_needs_are_refused():
    with pytest.raises(Wrong, match="20 are to be kept apart") as told:
        er.generation("phantom:images=50,size=12")
    assert "give 40 or more" in str(told.value)


def of_patients(*names):
    return [{"id": str(i), "patient": name} for i, name in enumerate(names)]


def test_rows_are_enough_where_they_bring_more_new_images_than_there_are_features_and_are_of_two_patients():
    enough(of_patients(*"ab" * 11), 3, 64)  # 66
    enough(of_patients(None, None), 2000, 64)
    for rows, each, needs, here in (
        (of_patients(*"abc" * 7), 3, "needs 22 images that bring 3 new ones each", "here are 21, of 3"),
        (of_patients(None), 2000, "needs 2 images", "here are 1, of 1"),
        (of_patients(*"aaaa"), 2000, "of 2 patients or more", "here are 4, of 1"),
    ):
        with pytest.raises(Wrong, match=f"{needs}.*{here}\n  give .* images or more") as told:
            enough(rows, each, 64)
        assert told.value.code == 2


def test_validation_of_one_patient_is_refused_before_anything_is_trained():
    e = er.generation("phantom:images=60,size=12")
    rows = [r | {"patient": "P1"} if r["part"] == "val" else r for r in e.data.prepared().rows]
    e.data.loaded.rows = rows
    with pytest.raises(Wrong, match="of 2 patients or more: here are"):
        Protocol.learn(e.data.rows("train"), e.data)
