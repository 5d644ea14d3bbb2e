"""The rules of the terminal: labelled lines of 80 columns, one moving line, numbers with their interval."""

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping
from typing import Any

from empirisk.errors import shown
from empirisk.estimate import Estimate


def short(value: float | None, digits: int = 3) -> str:
    """A number as the terminal shows it.

    >>> short(0.9571), short(-0.5), short(12.3456), short(None)
    ('.957', '-.500', '12.3', 'undefined')
    """
    if value is None:
        return "undefined"
    if abs(value) >= 10:
        return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def interval(e: Estimate) -> str:
    """value [low, high]; or undefined and why."""
    return f"undefined ({e.reason})" if e.value is None else f"{short(e.value)} [{short(e.low)}, {short(e.high)}]"


class Say:
    """Where the words go: stdout, or stderr when stdout holds one JSON document."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.stream = sys.stderr if as_json else sys.stdout
        self.moving: Any = None
        self.task: Any = None
        self.last = 0.0

    def __call__(self, label: str, text: object, flag: str = "") -> None:
        """One labelled line; `flag` is what changes an inferred value."""
        if self.quiet:
            return
        width = max(60, min(100, shutil.get_terminal_size((80, 24)).columns))
        body = shown(text, 4000)
        room = width - 12 - (len(flag) + 2 if flag else 0)
        lines = textwrap.wrap(body, room, break_long_words=False, break_on_hyphens=False) or [""]
        first = f"{label:<12}{lines[0]}"
        if flag:
            first = f"{first:<{width - len(flag)}}{flag}"
        self.out("\n".join([first.rstrip(), *(" " * 12 + line for line in lines[1:])]))

    def out(self, text: str) -> None:
        """A line as it is; a closed pipe does not end a run."""
        try:
            if self.moving is not None:
                self.moving.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=self.stream, flush=True)
        except BrokenPipeError:
            self.quiet = True

    def document(self, value: Any) -> None:
        """The one JSON document of --json."""
        if self.as_json:
            print(json.dumps(value, indent=1, allow_nan=False))

    def numbers(self, label: str, scores: Mapping[str, Estimate]) -> None:
        """Every macro number with its interval, n and unit."""
        for name, e in scores.items():
            if "/" not in name:
                self(label, f"{name:<20}{interval(e):<28}n = {e.n} {e.unit}s")
                label = ""

    def progress(self, step: int, steps: int, epoch: int, epochs: int, said: str, began: float) -> None:
        """The moving line, at most five times a second, with the time left; without a terminal nothing."""
        now = time.monotonic()
        if self.quiet or not self.stream.isatty() or (now - self.last < 0.2 and step < steps):
            return
        self.last = now
        if self.moving is None:
            self.start()
        left = (now - began) * (steps - step) / max(1, step)
        text = f"{said}  {int(left) // 60}:{int(left) % 60:02d} left"
        self.moving.update(self.task, completed=step, total=steps, epoch=f"{epoch + 1}/{epochs}", said=text)

    def start(self) -> None:
        """Begin the moving line."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(file=self.stream)
        self.moving = Progress(
            TextColumn("epoch {task.fields[epoch]}"), BarColumn(None), TextColumn("{task.fields[said]}"),
            console=console, transient=True, auto_refresh=False,
        )  # fmt: skip
        self.moving.start()
        self.task = self.moving.add_task("", total=1, epoch="", said="")

    def end(self) -> None:
        """Take the moving line away."""
        if self.moving is not None:
            self.moving.stop()
            self.moving = None
