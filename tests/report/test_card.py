"""report.md and the model card: the same words and numbers, escaped for Markdown."""

from empirisk.report import model_card, text


def test_the_text_holds_verdict_trust_numbers_and_command(context):
    said = text(context)
    assert "**On 180 test images of 60 patients, the AUC is .962 [.942, .982]" in said
    assert "| AUC | .962 [.942, .982] | .955 [.935, .975] | 180 images |" in said
    assert "undefined (one class only)" in said
    assert "    empirisk train classification phantom --seed 4" in said
    assert said.index("## Can it be trusted?") < said.index("## Numbers") < said.index("## Limits")


def test_the_model_card_says_what_it_is_is_not_and_reaches(context):
    said = model_card(context)
    for words in (
        "model resnet18, width 16",
        "seed 4",
        "not a medical device",
        ".962 [.942, .982]",
        "licence: CC0",
        "malignant",
    ):
        assert words in said


def test_a_run_without_numbers_has_both(changed):
    bare = changed(metrics={}, run={}, counts={}, card={})
    assert "Nothing has been scored yet." in text(bare)
    assert "not recorded" in model_card(bare)
