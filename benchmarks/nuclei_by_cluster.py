"""dsb2018 clustered without labels, and the clusters compared with the stains that nuclei_by_type.py tells apart by rule.

    python benchmarks/nuclei_by_cluster.py DATA/dsb2018 OUT [--clusters 3]

OUT/stains.csv names each image and its stain (dark, light or colour), by a rule on its brightness and saturation; the stain is
only looked at when the clusters are judged. OUT/run is the run; one that is there is not trained again.
"""

import argparse
import csv
import json
import os
from pathlib import Path

from nuclei_by_type import stain
from results import cell, empirisk, opened


def table(data: Path, out: Path) -> Path:
    """Image and stain of every image."""
    file = out / "stains.csv"
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        files = sorted((data / "images").glob("*.png"))
        with file.open("w", newline="") as lines:
            rows = csv.writer(lines)
            rows.writerow(["image", "label"])
            rows.writerows([os.path.relpath(image.resolve(), out.resolve()), stain(image)] for image in files)
    return file


def main() -> None:
    """All of it."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("out", type=Path)
    words.add_argument("--clusters", type=int, help="how many; not given: the most stable number")
    given = words.parse_args()
    run = given.out / "run"
    more = [] if given.clusters is None else ["--clusters", str(given.clusters)]
    empirisk("train", "clustering", str(table(given.data, given.out)), "--size", "64", *more, "--out", str(run))
    if not opened(run):
        empirisk("test", str(run))
    found = json.loads((run / "metrics.json").read_text())
    for name, scores in ({"clusters": found["test"]} | found["baseline"]).items():
        print(name, *(f"{metric} {cell([scores[metric]])}" for metric in ("ari", "nmi", "silhouette")))


if __name__ == "__main__":
    main()
