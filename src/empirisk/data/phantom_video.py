"""Seeded videos whose phase no single frame shows: it is that of the sign which was seen last.

A video begins with "inspection". Every 6 to 13 seconds a sign, a cross, a ring or a square, is seen for two seconds, and the phase
that it stands for lasts until the next one; which comes next is drawn, so that neither the frame nor the time tells it. Who
remembers is always right; who sees one frame knows the phase only in those two seconds. An instrument wanders about, the light
and the noise differ from video to video. Each is an mp4 in memory, a frame a second, written and read through PyAV.
"""

from functools import lru_cache

import numpy as np

from empirisk.data.rows import Row, Table
from empirisk.data.video import Film, written
from empirisk.errors import Wrong

PHASES = ("inspection", "dissection", "clipping", "washing")
"The first without a sign, then cross, ring, square."
STRETCHES, LASTS, SIGN = 5, (6, 14), 2
"Stretches of a video; from and below how many seconds one lasts; seconds that a sign is seen."
LIMITS = {"videos": (8, 2000), "size": (16, 256), "seed": (0, 2**31)}


def table(*, videos: int = 60, size: int = 32, seed: int = 0) -> Table:
    """The set: a row a video, grey frames of size x size, `phases`.

    Raises Wrong (exit 2): a value outside its limits, an odd size; PyAV is not there.
    """
    given = {"videos": videos, "size": size, "seed": seed}
    for name, (low, high) in LIMITS.items():
        if not low <= given[name] <= high:
            raise Wrong(f"phantom-video: {name}={given[name]} is not between {low} and {high}")
    if size % 2:
        raise Wrong(f"phantom-video: size={size} is odd", remedy="MPEG-4 needs an even one")
    rows = list(_rows(videos, size, seed))
    frames = sum(len(r["phases"]) for r in rows)
    return Table(
        name="phantom-video", rows=rows, form=f"{videos} seeded videos {size}x{size}",
        understood=[("frames", f"{frames:,}, one each second, mp4 in memory", "phantom-video:videos=60,size=32,seed=0")],
        patients_known=True, licence="CC0", source=f"made by empirisk, seed {seed}",
    )  # fmt: skip


@lru_cache(4)
def _rows(videos: int, size: int, seed: int) -> tuple[Row, ...]:
    rows = []
    for i in range(videos):
        rng = np.random.default_rng([seed, i])
        lasts = rng.integers(*LASTS, STRETCHES)
        order = [0]
        while len(order) < STRETCHES:
            order.append(int(rng.choice([k for k in range(1, len(PHASES)) if k != order[-1]])))
        pixels = drawn(order, lasts, size, rng)
        name, seconds = f"V{i:04d}", np.arange(len(pixels), dtype=np.float64)
        phases = tuple(PHASES[k] for k in np.repeat(order, lasts))
        film = Film(written(pixels), seconds, name)
        rows.append({"id": name, "x": film, "patient": name, "part": "", "phases": phases})
    return tuple(rows)


def drawn(order: list[int], lasts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The frames (T, size, size), uint8, of stretches of phases in their order, each as many seconds as it lasts."""
    y, x = np.mgrid[:size, :size] * (2 / (size - 1)) - 1  # from -1 to 1
    signs = {
        1: (abs(x) < 0.15) | (abs(y) < 0.15),
        2: abs(np.hypot(x, y) - 0.6) < 0.15,
        3: abs(np.maximum(abs(x), abs(y)) - 0.7) < 0.15,
    }
    tilt, light = rng.uniform(-0.1, 0.1, 2), rng.uniform(0.25, 0.4)
    place, out = rng.uniform(-0.7, 0.7, 2), []
    for phase, n in zip(order, lasts, strict=True):
        for t in range(n):
            place = np.clip(place + rng.normal(0, 0.2, 2), -0.9, 0.9)
            frame = light + tilt[0] * y + tilt[1] * x + 0.3 * (np.hypot(y - place[0], x - place[1]) < 0.25)
            if phase and t < SIGN:
                frame = frame + 0.35 * signs[phase]
            out.append(frame + rng.normal(0, 0.03, frame.shape))
    return np.asarray(np.clip(np.stack(out) * 255, 0, 255), np.uint8)
