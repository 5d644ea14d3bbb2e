"""The verdict and what speaks for and against it, in words made from the numbers alone."""

import pytest

from empirisk.report import evidence as ev
from empirisk.report import trust


def facts(c):
    return {f.what: f for f in trust.facts(c)}


def diff(value, low, high):
    return {"linear": {"auc": {"value": value, "low": low, "high": high, "n": 9}}}


def test_the_verdict_says_value_interval_n_and_the_lead_over_the_best_baseline(context):
    assert ev.verdict(context) == (
        "On 180 test images of 60 patients, the AUC is .962 [.942, .982], better than the best baseline (linear) by .250 [.230, .270]."
    )


@pytest.mark.parametrize(
    ("difference", "words"),
    [(diff(0.01, -0.02, 0.04), "a tie, the difference is .010 [−.020, .040]"), (diff(-0.1, -0.15, -0.05), "worse than the baseline (linear) by .100 [.050, .150]")],
)  # fmt: skip
def test_a_tie_is_called_a_tie_and_worse_is_called_worse(context, changed, difference, words):
    assert words in ev.verdict(changed(metrics=context.metrics | {"difference": difference}))


def test_of_an_error_less_is_better(context, changed):
    errors = {"mae": {"value": 1.0, "low": 0.9, "high": 1.1, "n": 9, "unit": "image"}}
    lead = {
        "mean": {"mae": {"value": -3.0, "low": -3.5, "high": -2.5}},
        "linear": {"mae": {"value": -0.5, "low": -0.7, "high": -0.3}},
    }
    said = ev.verdict(changed(metrics={"test": errors, "difference": lead}, patients={}))
    assert (
        said
        == "On 9 test images, the mean absolute error is 1.00 [.90, 1.10], better than the best baseline (linear) by .500 [.300, .700]."
    )


def test_undefined_is_said_with_its_reason(changed):
    undefined = {"auc": {"value": None, "low": None, "high": None, "n": 3, "unit": "image", "reason": "one class only"}}
    assert (
        ev.verdict(changed(metrics={"test": undefined}, patients={}))
        == "On 3 test images, the AUC is undefined: one class only."
    )


def test_validation_is_never_called_test(context, changed):
    c = changed(metrics={"val": context.metrics["val"]}, run=context.run | {"opened": []})
    assert "validation images" in ev.verdict(c)
    assert "The test set is still closed" in facts(c)


def test_each_opening_of_the_test_set_is_told(context, changed):
    assert facts(context)["The test set was opened once"].why == "on 2026-11-24 10:00"
    twice = changed(run=context.run | {"opened": [{"time": "2026-11-24T10:00:00"}, {"time": "2026-11-25T11:30:00"}]})
    assert facts(twice)["The test set was opened 2 times"].state == "caution"


def test_leaks_left_out_waived_and_found_are_told_apart(context, changed):
    assert (
        facts(context)["No leak between the parts"].why
        == "1 image with an identical copy in a held-out part left out of training"
    )
    assert (
        facts(changed(audit=context.audit | {"waived": "same patient, other eye"}))["Leaks were waived"].state == "bad"
    )
    assert (
        facts(changed(audit=context.audit | {"patients": {"train/test": 2}}))["A patient is in two parts"].state
        == "bad"
    )
    assert (
        facts(changed(audit=context.audit | {"identical": {"val/test": 2}}))["Identical images in two parts"].state
        == "caution"
    )
    assert facts(changed(audit={}))["Leaks were not looked for"].state == "unknown"


def test_near_twins_come_with_the_numbers_without_them(context):
    why = facts(context)["Nearly identical images in two parts"].why
    assert (
        why
        == "5 images of test with a partner in training; AUC without them .955 [.935, .975], with them .962 [.942, .982]"
    )


def test_unknown_patients_are_a_warning(context, changed):
    c = changed(audit=context.audit | {"patients_known": False})
    assert facts(c)["Patients are unknown"].state == "caution"
    assert ("Patients are unknown", "data") in trust.warnings(c, trust.facts(c))


def test_at_most_three_warnings_and_the_gravest_first(context, changed):
    c = changed(warnings=[("given", "data")], audit=context.audit | {"waived": "because", "patients_known": False})
    found = trust.warnings(c, trust.facts(c))
    assert [w for w, _ in found] == ["given", "Leaks were waived", "Nearly identical images in two parts"]


def test_a_calibration_error_above_five_percent_is_called_off(context, changed):
    assert "Its probabilities can be read as such" in facts(context)
    test = context.metrics["test"] | {"ece": {"value": 0.2, "low": 0.1, "high": 0.3, "n": 9}}
    assert facts(changed(metrics=context.metrics | {"test": test}))["Its probabilities are off"].state == "caution"


@pytest.mark.parametrize(
    ("status", "words"),
    [("finished", "Finished: all its steps were done; epoch 4 was kept"), ("stopped", "Stopped by hand at epoch 6; epoch 4 was kept"), ("failed", "Failed at epoch 6; epoch 4 was kept")],
)  # fmt: skip
def test_how_it_ended(context, changed, status, words):
    assert ev.status(changed(run=context.run | {"status": status})) == words
