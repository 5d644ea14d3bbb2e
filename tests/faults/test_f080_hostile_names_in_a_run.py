"""F080, through a real run: names of classes, patients and files are text in the page, the cards and the terminal."""

import csv
import html.parser
import io

import numpy as np
from PIL import Image

NAMES = ["<img src=x onerror=alert(1)>", '"><script>alert(2)<', "{{7*7}} javascript:alert(3) \u202eevil", "n" * 200]


class Nodes(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_they_stay_text(cli, tmp_path):
    rng, out = np.random.default_rng(0), io.StringIO()
    table = csv.writer(out)
    table.writerow(["image", "label", "patient"])
    for i in range(96):
        label, name = i % len(NAMES), f"{i}-<b>&'.png"
        x = rng.integers(0, 60, (8, 8)) + 60 * label
        Image.fromarray(x.astype(np.uint8)).save(tmp_path / name)
        table.writerow([name, NAMES[label], f"<i>P{i // 2}</i>{{{{7*7}}}}"])
    (tmp_path / "<svg onload=x>.csv").write_text(out.getvalue(), encoding="utf-8")
    code, said, err = cli(
        "train",
        "classification",
        tmp_path / "<svg onload=x>.csv",
        "--model",
        "mlp",
        "--epochs",
        1,
        "--out",
        tmp_path / "run",
    )
    assert code == 0, err
    code, more, err = cli("test", tmp_path / "run")
    assert code == 0, err
    assert "\u202e" not in said + more
    page = (tmp_path / "run/report.html").read_text("utf-8")
    nodes = Nodes()
    nodes.feed(page)
    scripts = [a for tag, a in nodes.found if tag == "script"]
    assert len(scripts) <= 1
    for tag, attributes in nodes.found:
        assert tag not in {"i", "b"} or "P" not in str(attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for where in ("src", "href"):
            assert str(attributes.get(where) or "#").startswith(("#", "data:image/", "data:,", "data:text/csv")), (
                tag,
                attributes,
            )
    assert "default-src 'none'" in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "{{7*7}}" in page
    assert "\u202e" not in page
    for name in ("report.md", "model_card.md"):
        text = (tmp_path / "run" / name).read_text("utf-8")
        assert "<img" not in text
        assert "<script" not in text
        assert "\u202e" not in text
