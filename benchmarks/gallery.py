"""`make gallery`: a short run of every experiment of the list on embedded data, and its report as one picture.

    python benchmarks/gallery.py [--only NAME] [--out runs/gallery]

The runs are those that the tests try; a picture is the whole page in light colours, 1,280 pixels wide, by headless Chromium.
"""

import argparse
import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

from empirisk.cli import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from browser import chromium, faults, show
from tries import of_parents, tries, words

ROOT = Path(__file__).resolve().parents[1]
WIDE = 1280
HIGH = "return Math.ceil(document.documentElement.getBoundingClientRect().height)"


def empirisk(*said: object) -> None:
    """One command; the first failure ends all."""
    if code := run([str(w) for w in said]):
        sys.exit(code)


def pictured(driver: Any, page: Path, file: Path) -> list[str]:
    """Write the whole page as a PNG; what is wrong with how it looks."""
    show(driver, page, WIDE)
    found = faults(driver, WIDE)
    high = driver.execute_script(HIGH)
    clip = {"x": 0, "y": 0, "width": WIDE, "height": high, "scale": 1}
    how = {"format": "png", "captureBeyondViewport": True, "clip": clip}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", how)
    file.write_bytes(base64.b64decode(shot["data"]))
    return found


def main() -> None:
    """All of it."""
    given = argparse.ArgumentParser(description="A picture of the report of every experiment.")
    given.add_argument("--only", choices=tries(), help="one of them")
    given.add_argument("--out", type=Path, default=ROOT / "runs" / "gallery", help="folder of the pictures")
    asked = given.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        for line in of_parents(runs):
            empirisk(*line)
        driver = chromium(runs / "chromium")
        try:
            for name in tries() if asked.only is None else (asked.only,):
                stem = name.replace(" ", "-")
                empirisk(*words(name, runs), "--out", runs / stem)
                empirisk("test", runs / stem)
                file = asked.out / f"{stem}.png"
                wrong = pictured(driver, runs / stem / "report.html", file)
                print("\n".join([f"Picture     {file}", *(f"Odd         {w}" for w in wrong)]))
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
