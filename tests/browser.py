"""Headless Chromium: a page at a width, and what is wrong with how it looks."""

from pathlib import Path
from typing import Any

WIDTHS = (1280, 390)
"""Pixels of a desktop's window and of a phone's."""

CUT_OFF = """
const out = [], wide = document.documentElement.clientWidth;
for (const e of document.querySelectorAll("body *")) {
  if (e.closest("svg") && e.tagName !== "text") continue;
  const box = e.getBoundingClientRect();
  if (!box.width || e.closest(".hidden, .skip, pre")) continue;
  const scroll = e.closest(".scroll");
  if (!scroll && (box.right > wide + 1 || box.left < -1)) out.push(`${e.tagName} beyond the page: ${e.textContent.slice(0, 40)}`);
  if (e.tagName === "text") {
    const own = e.ownerSVGElement.getBoundingClientRect();
    if (box.left < own.left - 2 || box.right > own.right + 2 || box.top < own.top - 2 || box.bottom > own.bottom + 2) out.push(`text cut off: ${e.textContent}`);
  }
}
return out;
"""
OVERLAP = """
const out = [];
for (const svg of document.querySelectorAll("svg[role=img]")) {
  const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
  texts.forEach(([a, p], i) => texts.slice(i + 1).forEach(([b, q]) => {
    if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3) out.push(`${a} | ${b}`);
  }));
}
return out;
"""
WHOLE = "return [...document.images].every((i) => i.complete && i.naturalWidth > 0)"
FETCHED = "return performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.startsWith('data:'))"
WIDE = "return document.documentElement.scrollWidth"


def chromium(profile: Path) -> Any:
    """A driver of headless Chromium with a profile of its own; `quit()` ends it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run",
        f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, Service("/usr/bin/chromedriver"))


def show(driver: Any, page: Path, width: int, *, height: int = 900, scripts: bool = True) -> None:
    """Open a page in a window of this size, light, with scripts or without."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    light = [{"name": "prefers-color-scheme", "value": "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": light})
    driver.get(page.as_uri())


def faults(driver: Any, width: int) -> list[str]:
    """Messages on the console, what is cut off, overlaps or did not load, and what the page fetched."""
    said = [str(entry["message"]) for entry in driver.get_log("browser")]
    said += [f"the page is {wide} px wide" for wide in [driver.execute_script(WIDE)] if wide > width]
    said += driver.execute_script(CUT_OFF) + driver.execute_script(OVERLAP)
    said += [] if driver.execute_script(WHOLE) else ["a picture did not load"]
    return said + [f"fetched {name}" for name in driver.execute_script(FETCHED)]
