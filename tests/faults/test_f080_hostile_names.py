"""F080: names and labels that are markup, templates, scripts or kilobytes long are shown as text and run nowhere."""

import dataclasses
import importlib.util
from html.parser import HTMLParser
from pathlib import Path

import pytest

from empirisk.report import look, model_card, page, text

_spec = importlib.util.spec_from_file_location(
    "example_of_a_report", Path(__file__).parent.parent / "report/conftest.py"
)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

HOSTILE = {
    "image": "<img src=x onerror=alert(1)>",
    "script": '"><script>alert(1)</script>',
    "template": "{{7*7191}}{% for x in y %}${7*7191}",
    "address": "javascript:alert(1)",
    "direction": "abc\u202egnp.exe",
    "long": "x" * 4096,
    "control": "a\x00b\x1b[31mc\u2028d",
    "undecodable": b"\xff\xfe.png".decode("utf-8", "surrogateescape"),
    "closing": "</style></svg></title></script><!--",
}


class Nodes(HTMLParser):
    def __init__(self, content):
        super().__init__()
        self.scripts, self.images, self.handlers, self.links, self.text, self.within = 0, [], [], [], [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.within = [*self.within, tag] if tag in {"script", "style"} else self.within
        for key, value in attrs:
            self.handlers += [key] if key.startswith("on") else []
            self.links += [value] if key in {"href", "src"} else []
            self.text.append(value or "")

    def handle_endtag(self, tag):
        self.within = self.within[:-1] if tag in {"script", "style"} else self.within

    def handle_data(self, data):
        self.text += [] if self.within else [data]


@pytest.mark.parametrize("kind", HOSTILE)
def test_f080_hostile_names_are_text(kind):
    name = HOSTILE[kind]
    context = _module.example(names=(name, "b"), name=name)
    context = dataclasses.replace(
        context, card={name: name}, odd=[name], command=name, warnings=[(name, "data")], run=context.run | {"experiment": name, "kept": {"epoch": 1, "why": name}},
        audit=context.audit | {"waived": name}, metrics=context.metrics | {"subgroups": {name: context.metrics["val"]}, "other": {name: context.metrics["val"]}},
    )  # fmt: skip
    content = page(context)
    content.encode("utf-8")  # it can be written
    nodes = Nodes(content)
    whole = "".join(nodes.text)
    assert nodes.scripts == 1  # ours
    assert not nodes.handlers
    assert all(v.startswith(("#", "data:")) for v in nodes.links)
    assert not {"\u202e", "\x00", "\x1b", "\u2028"} & set(content)
    injected = {
        "direction": "abc\\u202egnp.exe",
        "control": "a\\x00b",
        "undecodable": "\\xff\\xfe.png",
        "long": "x" * 190,
    }.get(kind, name)
    assert injected in whole, "the name was not injected, or is not shown"
    assert "50337" not in content  # no template was run
    assert len(content) < 3_000_000


@pytest.mark.parametrize("kind", HOSTILE)
def test_f080_the_other_texts_escape_too(kind):
    name = HOSTILE[kind]
    context = dataclasses.replace(_module.example(names=(name, "b"), name=name), odd=[name])
    assert Nodes(look(name, {name: name}, context.counts, [name], context.figures)).scripts == 1
    for written in (text(context), model_card(context)):
        written.encode("utf-8")
        assert "<img" not in written
        assert "<script" not in written
        assert "\u202e" not in written
