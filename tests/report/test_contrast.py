"""Every colour of text stands out from every ground by 4.5 to 1, in light and in dark (WCAG 2.2, 1.4.3)."""

import re
from itertools import product

import pytest

from empirisk.report import HERE

STYLE = (HERE / "page.css").read_text("utf-8")
THEMES = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\}", STYLE, re.S), strict=False))


def luminance(colour):
    colour = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(theme):
    colours = dict(re.findall(r"--([\w]+): (#[0-9a-f]{3,6})", THEMES[theme]))
    for text, ground in product(("ink", "soft", "accent", "good", "caution", "bad"), ("bg", "tint")):
        a, b = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (a + 0.05) / (b + 0.05) >= 4.5, f"{text} on {ground}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_stand_out(theme):
    colours = dict(re.findall(r"--([\w]+): (#[0-9a-f]{3,6})", THEMES[theme]))
    for i in range(8):
        a, b = sorted((luminance(colours[f"s{i}"]), luminance(colours["bg"])), reverse=True)
        assert (a + 0.05) / (b + 0.05) >= 3, f"line {i}"
