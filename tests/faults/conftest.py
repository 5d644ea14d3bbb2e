"""Lets the tests of faults import the injectors beside them."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def one_thread():
    """The thread count changes rounding, and a forked child may only have one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def command(tiny, tmp_path):
    """A small run with everything that is random: command(name) -> words that train it into tmp_path/name."""

    def words(name: str, data: object = tiny / "spots.npz", *more: object) -> list[object]:
        small = ["--model", "mlp", "--width", 4, "--epochs", 4, "--batch", 8, "--dropout", 0.1, "--ema", 0.9]
        return ["train", "classification", data, *small, "--out", tmp_path / name, *more]

    return words
