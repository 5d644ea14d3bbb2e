"""Fixtures that all tests share, and the one rule on what runs: nothing is skipped, what a machine lacks is counted."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

NEEDS = {
    "data": ("EMPIRISK_DATA", lambda: "EMPIRISK_DATA" in os.environ),
    "browser": ("chromium and chromedriver", lambda: bool(shutil.which("chromium") and shutil.which("chromedriver"))),
    "strace": ("strace", lambda: bool(shutil.which("strace"))),
}


def pytest_collection_modifyitems(config, items):
    """Deselect what this machine cannot run, and count it; under CI it is an error instead."""
    for mark, (what, there) in NEEDS.items():
        wanting = [i for i in items if i.get_closest_marker(mark)]
        if not wanting or there():
            continue
        if os.environ.get("CI") == "true":
            raise pytest.UsageError(f"{len(wanting)} tests need {what}, which is not here")
        config.hook.pytest_deselected(items=wanting)
        items[:] = [i for i in items if i not in wanting]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by EMPIRISK_DATA."""
    return Path(os.environ["EMPIRISK_DATA"])


def archive(kind: str = "binary", *, dims: int = 2, colour: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a MedMNIST-like set of 48 + 24 + 24 images of 8 pixels a side; the middle is brighter the higher the label."""
    rng, out = np.random.default_rng(seed), {}
    for part, n in (("train", 48), ("val", 24), ("test", 24)):
        x = rng.integers(0, 100, (n, *[8] * dims, *([3] if colour else [])))
        if kind == "multi":
            y = np.vstack([[1, 1, 1], [0, 0, 0], rng.integers(0, 2, (n - 2, 3))])
            for k in range(2):
                x[:, 4 * k : 4 * k + 3] += (100 * y[:, k]).reshape(n, *[1] * (x.ndim - 1))
        else:
            y = rng.permutation(np.arange(n) % (5 if kind == "ordinal" else 2))
            x[(slice(None), *[slice(2, 6)] * dims)] += ((30 if kind == "ordinal" else 60) * y).reshape(
                n, *[1] * (x.ndim - 1)
            )
            y = y[:, None]
        out |= {f"{part}_images": x.astype(np.uint8), f"{part}_labels": y.astype(np.uint8)}
    return out


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder of small sets: spots, ordinal, multi, colour, cube (.npz), photos/CLASS/P00_0.png, table.csv."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("tiny")
    for name, made in {
        "spots": archive(), "ordinal": archive("ordinal"), "multi": archive("multi"), "colour": archive(colour=True),
        "cube": archive(dims=3),
    }.items():  # fmt: skip
        np.savez(folder / f"{name}.npz", **made)
    arrays = archive(seed=1)
    lines = ["image,label,patient,split,sex"]
    x = np.concatenate([arrays[f"{p}_images"] for p in ("train", "val", "test")])
    y = np.concatenate([arrays[f"{p}_labels"] for p in ("train", "val", "test")])[:, 0]
    for i, (picture, label) in enumerate(zip(x, y, strict=True)):
        file = folder / "photos" / ("dark", "bright")[label] / f"P{i // 2:02d}_{i % 2}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file)
        part = "train" if i < 48 else "val" if i < 72 else "test"
        lines.append(f"{file.relative_to(folder)},{('dark', 'bright')[label]},P{i // 2:02d},{part},{'FM'[i // 2 % 2]}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder


SMALL = ("--model", "mlp", "--width", "4")


@pytest.fixture
def cli(capsys, monkeypatch):
    """The command line in this process: (exit code, stdout, stderr) of its words."""
    from empirisk.cli import run

    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> tuple[int, str, str]:
        code = run([str(w) for w in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        assert "fault of empirisk" not in said.err, said.err
        return code, said.out, said.err

    return call


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory) -> Path:
    """A run of 3 epochs on spots.npz, tested; read it, or copy it."""
    from empirisk.cli import run

    folder = tmp_path_factory.mktemp("runs") / "spots"
    with contextlib.redirect_stdout(io.StringIO()):
        assert (
            run(["train", "classification", str(tiny / "spots.npz"), *SMALL, "--epochs", "3", "--out", str(folder)])
            == 0
        )
        assert run(["test", str(folder)]) == 0
    return folder
