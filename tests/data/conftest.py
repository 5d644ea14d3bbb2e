"""Lets the tests of data use the builders of images beside the faults."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
