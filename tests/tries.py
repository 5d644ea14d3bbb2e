"""How each experiment is tried: one list for the tests, for `make soak` and for `make gallery`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from empirisk.experiments import EXPERIMENTS


@dataclass(frozen=True)
class Try:
    """What an experiment is given, the flags of a short run, data that it must refuse, and what a new file is."""

    given: tuple[str, ...]
    flags: tuple[str, ...]
    wrong: tuple[str, ...]
    new: str = "picture"


PHANTOM = "phantom:images=240,size=32"
SMALL = "phantom:images=240,size=16"
TWO = "breast-cancer:inputs=mean_area|mean_texture"
TRIES = {
    "classification": Try((PHANTOM,), ("--width", "8", "--epochs", "12"), ("curve",)),
    "regression": Try((PHANTOM,), ("--width", "8", "--epochs", "12"), ("breast-cancer",)),
    "regression polynomial": Try(("curve",), ("--model", "polynomial", "--degree", "3"), (PHANTOM,), new="table"),
    "segmentation": Try((PHANTOM,), ("--width", "8", "--epochs", "6"), ("breast-cancer",)),
    "detection": Try((PHANTOM,), ("--width", "8", "--epochs", "12"), ("breast-cancer",)),
    "sequences": Try(
        ("phantom-text:sentences=400",), ("--width", "16", "--epochs", "20", "--lr", "1e-2"), ("curve",), new="text"
    ),
    "captioning": Try(
        ("phantom:images=480,size=32",),
        ("--width", "8", "--state", "64", "--batch", "16", "--lr", "5e-3", "--epochs", "24"),
        ("breast-cancer",),
    ),
    "translation": Try(
        ("phantom:images=240,size=8",),
        ("--state", "32", "--lr", "1e-2", "--epochs", "15"),
        ("breast-cancer",),
        new="text",
    ),
    "frames": Try(
        ("phantom-video:videos=40,size=16",),
        ("--width", "32", "--depth", "1", "--batch", "8", "--epochs", "2"),
        ("curve",),
        new="video",
    ),
    "autoencoder": Try((PHANTOM,), ("--width", "8", "--epochs", "20"), ("breast-cancer",)),
    "autoencoder pca": Try((PHANTOM,), ("--model", "pca", "--codes", "16"), ("breast-cancer",)),
    "autoencoder simclr": Try((PHANTOM,), ("--model", "simclr", "--width", "8", "--epochs", "40"), ("breast-cancer",)),
    "clustering": Try((TWO,), ("--clusters", "2"), ("phantom:images=20,size=32", "--codes", "40"), new="records"),
    "density": Try(("curve:train=400",), (), ("phantom:images=20,size=32", "--codes", "40"), new="table"),
    "density flow": Try((TWO,), ("--model", "flow", "--epochs", "60"), ("curve",), new="records"),
    "generation vae": Try(
        (SMALL,),
        ("--model", "vae", "--codes", "8", "--width", "8", "--batch", "16", "--epochs", "40"),
        ("breast-cancer",),
    ),
    "generation gan": Try(
        (SMALL,), ("--model", "gan", "--width", "8", "--batch", "16", "--epochs", "80"), ("breast-cancer",)
    ),
    "generation ddpm": Try(
        (SMALL,), ("--model", "ddpm", "--width", "16", "--batch", "16", "--epochs", "60"), ("breast-cancer",)
    ),
    "anomaly": Try((PHANTOM,), ("--normal", "benign", "--width", "8", "--epochs", "8"), ("breast-cancer",)),
    "ensemble": Try(("first", "second"), (), ("curve",)),
}
PARENTS = ("first", "second")
"""Runs of classification that an ensemble is given, below a folder."""


def tries() -> dict[str, Try]:
    """The tries in the order of the list of experiments; an experiment of the list without one is an error."""
    untried = EXPERIMENTS.keys() - {name.split()[0] for name in TRIES}
    if untried:
        raise LookupError(f"how are these tried? {', '.join(sorted(untried))}")
    return {name: what for e in EXPERIMENTS for name, what in TRIES.items() if name.split()[0] == e}


def words(name: str, parents: Path) -> list[str]:
    """What is typed after `empirisk` to train it; the runs that an ensemble is made of lie in `parents`."""
    what = TRIES[name]
    given = [str(parents / g) if g in PARENTS else g for g in what.given]
    return ["train", name.split()[0], *given, *what.flags]


def of_parents(parents: Path) -> Iterator[list[str]]:
    """What is typed to train each of those runs."""
    for seed, name in enumerate(PARENTS):
        yield [*words("classification", parents), "--seed", str(seed), "--out", str(parents / name)]
