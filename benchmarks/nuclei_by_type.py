"""dsb2018 split by image type: for each of three types a folder with the other two in train/ and that one in test/.

The types are clusters, found without any label: k-means, k = 3, on 20 principal components of thumbnails of 32 x 32 in colour.
They are named by what they look like: colour where the mean saturation is above .1, else light or dark.

    python benchmarks/nuclei_by_type.py DATA/dsb2018 OUT
    empirisk train segmentation OUT/colour --minutes 10 && empirisk test runs/colour
"""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

K, PARTS, SIDE = 3, 20, 32


def thumbnails(files: list[Path]) -> np.ndarray:
    """(N, 32, 32, 3) from 0 to 1."""
    out = []
    for file in files:
        with Image.open(file) as image:
            out.append(np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255)
    return np.stack(out)


def types(images: np.ndarray) -> list[str]:
    """The name of each image's cluster."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    codes = PCA(PARTS, random_state=0).fit_transform(images.reshape(len(images), -1))
    cluster = KMeans(K, n_init=10, random_state=0).fit_predict(codes)
    names = {}
    for k in range(K):
        mine = images[cluster == k]
        colour = float((mine.max(-1) - mine.min(-1)).mean()) > 0.1
        names[k] = "colour" if colour else "light" if float(mine.mean()) > 0.5 else "dark"
    if len(set(names.values())) < K:
        raise SystemExit(f"the clusters look alike: {names}")
    return [names[int(k)] for k in cluster]


def laid(source: Path, file: Path) -> None:
    """A second name of a file, or a copy where that cannot be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, file)
    except OSError:
        shutil.copyfile(source, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    files = sorted((given.data / "images").glob("*.png"))
    found = types(thumbnails(files))
    for held in sorted(set(found)):
        for file, name in zip(files, found, strict=True):
            part = "test" if name == held else "train"
            for kind in ("images", "labels"):
                laid(given.data / kind / file.name, given.out / held / part / kind / file.name)
        print(f"{held}: {found.count(held)} of {len(files)} images held out, {given.out / held}")


if __name__ == "__main__":
    main()
