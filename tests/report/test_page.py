"""The page: order, policy, self-containedness, all numbers there with scripts off."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from empirisk.report import look, page


class Seen(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.here, self.scripts, self.styles = [], [], "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.here = tag

    def handle_data(self, data):
        {"script": self.scripts, "style": self.styles}.get(self.here, self.words).append(data)

    def handle_endtag(self, tag):
        self.here = ""


def test_the_verdict_comes_first_and_sections_follow_in_their_order(context):
    text = page(context)
    assert "<h1>On 180 test images of 60 patients, the AUC is" in text
    found = [
        text.index(f'<section id="{s}"')
        for s in ("trust", "numbers", "operating", "pictures", "mistakes", "data", "training", "repeat", "limits")
    ]
    assert found == sorted(found)
    assert text.index("<h1>") < found[0]


def test_it_is_one_file_that_may_call_nobody(context):
    text = page(context)
    seen = Seen(text)
    assert len(text) < 3_000_000
    links = [v for _, a in seen.tags for k, v in a.items() if k in {"href", "src", "action", "data", "srcset"}]
    assert links
    assert all(v.startswith(("#", "data:")) for v in links)
    assert "url(" not in "".join(seen.styles)
    assert "@import" not in "".join(seen.styles)


def test_the_policy_holds_the_hashes_of_our_one_style_and_one_script(context):
    seen = Seen(page(context))
    assert len(seen.scripts) == len(seen.styles) == 1
    assert len(seen.scripts[0].encode()) <= 10_240
    policy = next(
        a["content"] for t, a in seen.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind, content in (("script", seen.scripts[0]), ("style", seen.styles[0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not [a for _, a in seen.tags if "style" in a or any(k.startswith("on") for k in a)]


def test_all_numbers_are_there_without_script(context):
    words = " ".join("".join(Seen(page(context)).words).split())
    for number in (
        ".962 [.942, .982]",
        ".955 [.935, .975]",
        ".800 [.780, .820]",
        ".710 [.690, .730]",
        ".250 [.230, .270]",
        ".940 [.920, .960]",
    ):
        assert number in words
    assert "undefined" in words
    assert "one class only" in words
    assert re.search(r"\.010 \[−\.010, \.030\]\s*tie", words)


def test_numbers_can_be_saved_as_csv_and_a_formula_is_no_formula(make):
    context = make(names=("=1+1", "b"))
    links = [a["href"] for t, a in Seen(page(context)).tags if t == "a" and a.get("download") == "metrics.csv"]
    rows = unquote(links[0].partition(",")[2]).splitlines()
    assert rows[0] == "set,metric,value,low,high,n,unit,method,reason"
    assert any(r.startswith("test,auc,0.962,") for r in rows)
    sheet = page(context)
    assert not re.search(r'href="data:text/csv[^"]*(%0A|,)=1', sheet)


def test_every_figure_has_words_and_its_numbers_behind_a_button(context):
    text = page(context)
    for figure in context.figures:
        part = text[text.index(f'<figure id="{figure.key}"') :].split("</figure>")[0]
        assert f"<figcaption>{figure.text[:12]}" in part
        assert ("<summary>Numbers</summary>" in part) == bool(figure.rows)


@pytest.mark.parametrize(
    "part", ["metrics", "figures", "history", "audit", "card", "counts", "patients", "odd", "command"]
)
def test_whatever_is_missing_the_page_can_be_made(changed, context, part):
    assert "<h1>" in page(changed(**{part: type(getattr(context, part))()}))


def test_a_run_that_never_scored_has_a_page(changed):
    text = page(changed(metrics={}, run={"status": "failed"}, figures=[]))
    assert "The run failed before anything was scored." in text


def test_data_that_nothing_was_trained_on_have_a_page(context):
    text = look(
        "photos",
        {"form": "class folders"},
        context.counts,
        ["one pair"],
        [f for f in context.figures if f.section == "data"],
    )
    assert "photos: 1,017 rows, of them 837 training, 180 test." in text
    assert "Images of each class" in text


def test_the_time_and_steps_are_told(context):
    assert "90 seconds, 60 steps" in page(context)
