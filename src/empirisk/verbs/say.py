"""The rules of the terminal: labelled lines of 80 columns, one moving line, numbers with their interval."""

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from empirisk import figures
from empirisk.errors import shown
from empirisk.estimate import Estimate

LABEL, FLAG = 12, 19
"""Width of the first column, and of the last."""


def short(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A number, and its interval where it has one, as the terminal shows it: as the report does, with a plain minus.

    >>> short(0.9571), short(-0.5, -0.6, -0.4), short(12.3456), short(None)
    ('.957', '-.500 [-.600, -.400]', '12.3', 'undefined')
    """
    return figures.interval(value, low, high).replace("−", "-")


def interval(e: Estimate) -> str:
    """value [low, high]; or undefined and why."""
    return f"undefined ({e.reason})" if e.value is None else short(e.value, e.low, e.high)


def evidence(name: str, e: Estimate) -> str:
    """A number with its interval, n and unit, in columns.

    >>> evidence("dice", Estimate(None, None, None, 2, "image", "", "one patient only"))
    'dice                undefined (one patient only) n = 2 images'
    """
    return f"{name:<20}{interval(e):<27} n = {e.n} {e.unit}s"


def left(seconds: float) -> str:
    """Time left.

    >>> left(4000), left(72)
    ('1:06:40', '1:12')
    """
    minutes, second = divmod(max(0, int(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}" if minutes >= 60 else f"{minutes}:{second:02d}"


def flowed(parts: Sequence[object], room: int) -> list[str]:
    """Parts beside each other while they fit, three spaces apart; a part is broken only if it alone is too long.

    >>> flowed(["auc .95 [.93, .97]", "n = 24"], 20)
    ['auc .95 [.93, .97]', 'n = 24']
    """
    lines = [""]
    for part in parts:
        text = shown(part, 4000)
        joined = f"{lines[-1]}   {text}" if lines[-1] else text
        if len(joined) <= room:
            lines[-1] = joined
        else:
            lines += textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [line for line in lines if line] or [""]


class Say:
    """Where the words go: stdout, or stderr when stdout holds one JSON document."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.stream = sys.stderr if as_json else sys.stdout
        self.moving: Any = None
        self.last = 0.0

    def __call__(self, label: str, text: object, flag: str = "") -> None:
        """One labelled line, or several under one label; a sequence breaks only between its parts.

        `flag` is what changes an inferred value: it stands in a column of its own, unless the line needs a little more room.
        """
        width = max(60, min(100, shutil.get_terminal_size((80, 24)).columns))
        room = width - LABEL - FLAG if flag else width - LABEL
        lines = flowed(text if isinstance(text, (list, tuple)) else [text], room)
        if flag and len(lines) > 1 and len(whole := shown(text, 4000)) + 2 + len(flag) <= width - LABEL:
            lines = [f"{whole:<{width - LABEL - len(flag)}}{flag}"]
        elif flag:
            lines[0] = f"{lines[0]:<{room}}{flag}"
        self.line("\n".join(f"{label if i == 0 else '':<{LABEL}}{line}".rstrip() for i, line in enumerate(lines)))

    def line(self, text: str) -> None:
        """A line as it is, unless nothing is to be said; a closed pipe does not end a run."""
        if self.quiet:
            return
        try:
            if self.moving is not None:
                self.moving.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=self.stream, flush=True)
        except BrokenPipeError:
            self.quiet = True

    def document(self, value: Any) -> None:
        """The one JSON document of --json."""
        if self.as_json and not self.quiet:
            print(json.dumps(value, indent=1, allow_nan=False), flush=True)

    def numbers(self, label: str, scores: Mapping[str, Estimate]) -> None:
        """Every macro number with its interval, n and unit."""
        for i, (name, e) in enumerate((name, e) for name, e in scores.items() if "/" not in name):
            self(label if i == 0 else "", evidence(name, e))

    def progress(self, step: int, steps: int, epoch: str, said: str) -> None:
        """The moving line, at most five times a second; without a terminal nothing."""
        now = time.monotonic()
        if self.quiet or not self.stream.isatty() or (now - self.last < 0.2 and step < steps):
            return
        self.last = now
        if self.moving is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = TextColumn("epoch {task.fields[epoch]}"), BarColumn(None), TextColumn("{task.fields[said]}")
            self.moving = Progress(*columns, console=Console(file=self.stream), transient=True, auto_refresh=False)
            self.moving.start()
            self.moving.add_task("", total=1, epoch="", said="")
        self.moving.update(self.moving.task_ids[0], completed=step, total=steps, epoch=epoch, said=said)

    def end(self) -> None:
        """Take the moving line away."""
        if self.moving is not None:
            self.moving.stop()
            self.moving = None
