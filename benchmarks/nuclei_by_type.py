"""dsb2018 split by image type: trained on two types, tested on the third, each of the three in turn; one table.

A type is the stain, by a rule on an image's pixels and no label: colour where the mean saturation (largest less least channel)
is above .02, else light or dark by a mean brightness above or below .5.

    python benchmarks/nuclei_by_type.py DATA/dsb2018 OUT [--minutes 10]

OUT/TYPE/ is the set with that type as test/ and the others as train/, OUT/runs/TYPE its run: one that is there is not trained
again, and its test set is opened once. OUT/dsb2018-by-type.json has the form of results/, a run a type instead of a seed.
"""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from results import cell, commit, empirisk, machine, opened

SATURATION, BRIGHTNESS = 0.02, 0.5
METRICS = ("dice", "ap", "ap50")


def stain(file: Path) -> str:
    """colour, light or dark."""
    with Image.open(file) as image:
        x = np.asarray(image.convert("RGB"), np.float32) / 255  # (H, W, 3)
    if (x.max(-1) - x.min(-1)).mean() > SATURATION:
        return "colour"
    return "light" if x.mean() > BRIGHTNESS else "dark"


def laid(source: Path, file: Path) -> None:
    """A second name of a file, or a copy where that cannot be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, file)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(source, file)


def split(data: Path, out: Path) -> dict[str, int]:
    """Lay out OUT/TYPE for each type; how many images are of it."""
    files = sorted((data / "images").glob("*.png"))
    types = [stain(file) for file in files]
    for held in set(types):
        for file, name in zip(files, types, strict=True):
            part = "test" if name == held else "train"
            for kind in ("images", "labels"):
                laid(data / kind / file.name, out / held / part / kind / file.name)
    return {name: types.count(name) for name in sorted(set(types))}


def tested(data: Path, run: Path, minutes: float) -> dict[str, Any]:
    """Train where that was not done, open the test set once; what results/ keeps of a run."""
    empirisk("train", "segmentation", str(data), "--minutes", f"{minutes:g}", "--out", str(run))
    if not opened(run):
        empirisk("test", str(run))
    record, metrics = (json.loads((run / f"{part}.json").read_text()) for part in ("run", "metrics"))
    return (
        {"held": run.name, "opened": len(record["opened"])}
        | {part: record[part] for part in ("seconds", "steps", "kept", "recipe", "versions", "machine", "threads")}
        | {part: metrics.get(part, {}) for part in ("val", "test", "without_twins", "baseline", "difference")}
    )


def table(runs: list[dict[str, Any]]) -> str:
    """A line a type: scores on it with their intervals, and those of the best baseline."""
    lines = [
        f"| tested on | n | {' | '.join(METRICS)} | {' | '.join(f'otsu {m}' for m in METRICS)} |",
        "|---" * 8 + "|",
    ]
    for run in runs:
        mine, otsu = ([cell([scores[m]]) for m in METRICS] for scores in (run["test"], run["baseline"]["otsu"]))
        lines.append(f"| {' | '.join([run['held'], str(run['test']['ap']['n']), *mine, *otsu])} |")
    return "\n".join(lines)


def main() -> None:
    """All of it."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("out", type=Path)
    words.add_argument("--minutes", type=float, default=10)
    given = words.parse_args()
    counts = split(given.data, given.out)
    print("images:", ", ".join(f"{name} {n}" for name, n in counts.items()), flush=True)
    runs = [tested(given.out / held, given.out / "runs" / held, given.minutes) for held in counts]
    found = {
        "name": "dsb2018-by-type", "command": f"empirisk train segmentation TYPE --minutes {given.minutes:g}", "metric": "ap",
        "minutes": given.minutes, "commit": commit(), "images": counts, "seeds": [0], "limit": None, "runs": runs,
        "machine": machine(runs[0]["machine"] | {"threads": runs[0]["threads"]}), "versions": runs[0]["versions"],
    }  # fmt: skip
    (given.out / "dsb2018-by-type.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    print(table(runs))


if __name__ == "__main__":
    main()
