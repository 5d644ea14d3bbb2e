"""The page of maps: what it holds, what it refuses to run, and that a reader can walk over 50,000 points."""

import base64
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from empirisk.report import maps
from empirisk.report.maps import NOWHERE, TOP, Plane

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import chromium, faults, show

DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


def made(n=30, labels=("a", "b", ""), ids=None, pictures=None):
    xy = np.random.default_rng(0).normal(size=(n, 2))
    half = xy.copy()
    half[::2] = np.nan
    planes = [Plane("PCA", "all of them", xy), Plane("t-SNE", "half of them", half)]
    ids = ids or [f"row/{i}" for i in range(n)]
    return maps.page("run", ids, [labels[i % len(labels)] for i in range(n)], planes, pictures or {}, "map.csv")


def held(page):
    return json.loads(re.search(r'<script type="application/json" id="points">(.*?)</script>', page, re.DOTALL)[1])


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), "<u2")


def test_places_keep_their_proportions_and_what_is_not_drawn_is_nowhere():
    xy = np.array([[0, 0], [4, 1], [np.nan, np.nan], [2, 0.5]])
    out = maps.whole(xy)
    assert out[:2, 0].tolist() == [0, TOP]
    assert out[1, 1] - out[0, 1] == pytest.approx(TOP / 4, abs=1)
    assert out[2].tolist() == [NOWHERE, NOWHERE]
    assert out[3].tolist() == [TOP / 2, TOP / 2]
    assert maps.whole(np.ones((3, 2))).tolist() == [[TOP / 2] * 2] * 3


def test_the_page_holds_every_point():
    points = held(made(pictures={3: DOT}))
    assert len(points["ids"]) == 30
    assert points["names"] == ["a", "b", "no class"]
    assert unpacked(points["group"]).tolist() == [i % 3 for i in range(30)]
    assert (unpacked(points["planes"][1]["xy"]).reshape(-1, 2)[::2] == NOWHERE).all()
    assert points["pictures"] == {"3": DOT}


def test_names_from_outside_run_nothing():
    bad = "</script><script>alert(1)</script>"
    page = made(ids=[bad] * 30, labels=(bad, "<img src=x onerror=alert(1)>"))
    assert page.count("<script") == 2
    assert bad in held(page)["ids"][0]
    assert "onerror" not in page.replace("\\u003cimg src=x onerror", "")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


MOVE = """
const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect(), tip = document.querySelector(".tip");
for (let u = 0.02; u < 1; u += 0.02) for (let v = 0.02; v < 1; v += 0.02) {
  canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + u * box.width, clientY: box.top + v * box.height }));
  if (!tip.hidden) return tip.textContent;
}
return "";
"""


@pytest.mark.browser
@pytest.mark.parametrize(("n", "width"), [(30, 390), (50_000, 1280)])
def test_a_point_under_the_pointer_says_what_it_is(driver, tmp_path, n, width):
    file = tmp_path / "map.html"
    file.write_text(made(n, pictures=dict.fromkeys(range(30), DOT)), "utf-8")
    show(driver, file, width)
    assert faults(driver, width) == []
    assert re.fullmatch(r"(a|b|no class)row/\d+", driver.execute_script(MOVE))
    driver.execute_script(
        "document.querySelectorAll('#groups button')[1].click(); document.querySelectorAll('#groups button')[2].click()"
    )
    assert re.fullmatch(r"arow/\d+", driver.execute_script(MOVE))
    driver.execute_script("document.querySelectorAll('#planes button')[1].click()")
    assert driver.execute_script("return document.getElementById('words').textContent") == "half of them"
    said = driver.execute_script(MOVE)
    assert int(said.removeprefix("arow/")) % 2 == 1


@pytest.mark.browser
def test_the_arrow_keys_step_from_row_to_row(driver, tmp_path):
    file = tmp_path / "map.html"
    file.write_text(made(), "utf-8")
    show(driver, file, 1280)
    press = "document.querySelector('canvas').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' })); return document.getElementById('said').textContent"
    assert [driver.execute_script(press) for _ in range(2)] == ["row/0, a", "row/1, b"]
