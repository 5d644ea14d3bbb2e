"""A phase for each frame of a video, both ways: the phases of a row -> y; probabilities -> a file of the frames."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from empirisk.data.rows import Row, Rows, as_written
from empirisk.data.video import step_of
from empirisk.data.written import stem_of
from empirisk.errors import Wrong, listed, near, shown
from empirisk.files import make_folder, write_csv
from empirisk.metrics.frames import Fit, fit, stretches

UNEVEN = 1.5
"Ratio of two steps between frames from which on they are two."


@dataclass(frozen=True, eq=False)
class Told:
    """The answer to one video."""

    p: np.ndarray
    "(T, K) probabilities of the phases, frame by frame"
    fit: Fit | None = None
    "how well it fits, where that was read back from a table without the frames"


@dataclass(frozen=True)
class Phases:
    """phases <-> numbers, in the order in which they come; frames are one each `step` seconds."""

    names: tuple[str, ...]
    step: float
    "seconds between two frames"
    lasts: float
    "seconds of a training video, the mean"
    column: str = "phases"

    @classmethod
    def learn(cls, rows: Rows, given: Callable[[], Sequence[str]] = tuple) -> Self:
        """The phases of the training videos in the order of their mean place in it, or as `given` says; their step and length.

        Raises Wrong (exit 2): no row has phases, all frames have one and the same, videos of two steps.
        """
        known = [r for r in rows if r.get("phases") is not None]
        if not known:
            remedy = "give a table with the columns video, second, phase and columns of numbers, or files as videos"
            raise Wrong("no training row has phases", remedy=remedy)
        places: dict[str, list[float]] = defaultdict(list)
        for row in known:
            phases = np.array(row["phases"])
            for name in set(row["phases"]):
                places[name].append(float(np.flatnonzero(phases == name).mean()) / len(phases))
        if len(places) < 2:
            raise Wrong(f"all training frames are {shown(next(iter(places)))}", remedy="there is nothing to tell apart")
        steps = {str(r["id"]): step_of(r["x"].seconds) for r in known if len(r["x"].seconds) > 1}
        step = float(np.median(list(steps.values()))) if steps else 1.0
        for name, own in steps.items():
            _alike(own, step, name)
        names = tuple(given()) or tuple(sorted(places, key=lambda n: (float(np.mean(places[n])), n)))
        lasts = float(np.mean([r["x"].seconds[-1] - r["x"].seconds[0] for r in known])) + step
        return cls(names, step, lasts)

    def elapsed(self, row: Row) -> np.ndarray:
        """Seconds since the first frame of a video (T,); raises Wrong (exit 2) for what is no video, or of another step."""
        if not hasattr(row["x"], "seconds"):
            remedy = "give a table with the columns video and second, or a video such as op1.mp4"
            raise Wrong(f"{shown(row['id'])} is no video", remedy=remedy)
        seconds = np.asarray(row["x"].seconds, np.float64)
        _alike(step_of(seconds) if len(seconds) > 1 else self.step, self.step, str(row["id"]))
        return np.asarray(seconds - seconds[0])

    def encode(self, row: Row) -> np.ndarray:
        """y (T,), int64; raises Wrong (exit 2), naming video and second: no phases, or one that training did not have."""
        phases = row.get("phases")
        if phases is None:
            raise Wrong(f"{shown(row['id'])} has no phases", remedy="leave it out, or correct the table")
        index = {name: k for k, name in enumerate(self.names)}
        y = np.array([index.get(p, -1) for p in phases], np.int64)
        if (y < 0).any():
            t = int(np.argmax(y < 0))
            what = f'phase "{shown(phases[t])}" is not among {listed(self.names)}'
            remedy = f"{near(phases[t], self.names)} Correct the data or add --rename old=new".strip()
            raise Wrong(what, where=f"{shown(row['id'])}, second {row['x'].seconds[t]:g}", remedy=remedy)
        return y

    def measure(self, row: Row, answer: Told) -> Fit:
        """How well an answer fits the truth of its row."""
        if answer.fit is not None:
            return answer.fit
        return fit(self.encode(row), answer.p.argmax(1), np.asarray(row["x"].seconds), len(self.names))

    def write(self, row: Row, answer: Told, folder: Path) -> dict[str, Any]:
        """Write the frames, second, target, prediction and probabilities, and give the cells of the video.

        target: its phases in their order, empty where unknown; prediction: the file; where the truth is known, what its scores
        are made of.
        """
        known = row.get("phases") is not None
        y = self.encode(row) if known else None
        file = folder / f"{stem_of(str(row['id']))}-frames.csv"
        make_folder(folder, parents=True)
        seconds, chosen = row["x"].seconds, answer.p.argmax(1)
        lines = (
            {
                "second": float(seconds[t]),
                "target": "" if y is None else self.names[y[t]],
                "prediction": self.names[chosen[t]],
            }
            | {self.called(n): float(p) for n, p in zip(self.names, answer.p[t], strict=True)}
            for t in range(len(chosen))
        )
        write_csv(file, ["second", "target", "prediction", *map(self.called, self.names)], lines)
        cells: dict[str, Any] = {"target": "", "prediction": file.name, "frames": len(chosen)}
        if y is not None:
            cells["target"] = "|".join(self.names[k] for k in stretches(y))
        found = self.measure(row, answer) if known else None
        cells |= {name: getattr(found, name, None) for name in ("right", "relaxed", "edit")}
        for k, name in enumerate(self.names):
            cells |= {f"{part}/{name}": getattr(found, part)[k] if found else None for part in ("both", "either")}
        return cells

    def called(self, name: str) -> str:
        """Column of a phase's probability: its name, bracketed where another column is called so."""
        return f"p({name})" if name in {"second", "target", "prediction"} else name

    def read(self, cells: Mapping[str, str]) -> tuple[Row, Told]:
        """The inverse of `write` but for the frames, which stay in their file; raises Wrong (exit 3) for other cells."""
        with as_written():
            both, either = (tuple(int(cells[f"{part}/{n}"]) for n in self.names) for part in ("both", "either"))
            frames, right, relaxed = (int(cells[name]) for name in ("frames", "right", "relaxed"))
            found = Fit(frames, right, relaxed, float(cells["edit"]), both, either)
            return {}, Told(np.empty((0, len(self.names)), np.float32), found)


def _alike(own: float, step: float, name: str) -> None:
    """Refuse (Wrong, exit 2) a video whose frames are of another step."""
    if not step / UNEVEN < own < step * UNEVEN:
        remedy = "give all videos at the same time stamps a second"
        raise Wrong(
            f"its frames are {own:g} s apart, those of the other videos {step:g} s", where=shown(name), remedy=remedy
        )
