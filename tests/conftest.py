"""Fixtures that all tests share, and the one rule on what runs: nothing is skipped, what a machine lacks is counted."""

import os
import shutil
from pathlib import Path

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
