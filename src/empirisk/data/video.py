"""Pictures of a video by their time stamps, through PyAV. What its header says of length and count is never believed."""

import contextlib
import hashlib
import io
import itertools
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from empirisk.data.raster import grey
from empirisk.data.rows import refused
from empirisk.errors import Wrong, shown

ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
MOST, LONGEST = 10_000_000, 172_800.0
"""Pictures that are decoded, and seconds that a video lasts, at most: two days at 57 a second."""
NEAR = 10.0  # Seconds from which on a jump to a key frame is tried; before, decoding on is as fast.
EPS = 1e-3  # Seconds by which a time stamp may be off, by rounding.
SAMPLE = 16  # Pictures of a video that are looked at for mean, deviation and size.
RATE = 25  # Of a written video's clock, a second.
BROKEN = "the video is broken: copy it again, or take its rows out of the table"
LENGTHS = "labels and video are of one length: correct the table, or give the whole video"
Pictures = Generator[tuple[float, Any], None, None]
"""(seconds since the first picture, PyAV's picture), in the order of time."""


@dataclass(frozen=True, eq=False, slots=True)
class Film:
    """A video by its pictures at given time stamps; the x of one row."""

    source: str | bytes = field(repr=False)
    "path of the file, or what it holds"
    seconds: np.ndarray
    "(T,) time stamps from the first picture on, rising"
    name: str

    def read(self) -> np.ndarray:
        """All pictures (T, 3, H, W), uint8; raises Wrong (exit 2) as `part` does."""
        return np.stack(list(self.part(0, len(self.seconds))))

    def part(self, low: int, high: int) -> Iterator[np.ndarray]:
        """Pictures low to high, each (3, H, W), uint8, one at a time; raises Wrong (exit 2) as `at` does."""
        return at(self.source, self.seconds[low:high], self.name)

    def content(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over all pictures and their time stamps.

        Raises Wrong (exit 2) as `at` does, also where the video goes on after the last time stamp.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.seconds, np.float64).tobytes())
        for picture in at(self.source, self.seconds, self.name, step=step_of(self.seconds)):
            digest.update(np.ascontiguousarray(picture).data)
        return digest.hexdigest()[:16]

    def sample(self) -> list["Still"]:
        """An even sample of its pictures."""
        chosen = np.unique(np.linspace(0, len(self.seconds) - 1, SAMPLE).astype(int))
        return [Still(self, int(t)) for t in chosen]

    def geometry(self) -> None:
        """Nobody knows."""


@dataclass(frozen=True, eq=False, slots=True)
class Still:
    """One picture of a video."""

    film: Film
    index: int

    def read(self) -> np.ndarray:
        """(3, H, W), or (1, H, W) where it is grey, uint8."""
        return grey(next(self.film.part(self.index, self.index + 1)))

    def geometry(self) -> None:
        """Nobody knows."""


def step_of(seconds: np.ndarray) -> float:
    """Seconds between two frames, the median; infinite for a single one."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else math.inf


def library() -> Any:
    """PyAV; raises Wrong (exit 2) where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise Wrong("videos need PyAV, which is not there", remedy="pip install 'empirisk[video]'") from error
    return av


@contextlib.contextmanager
def opened(source: str | bytes, name: str) -> Iterator[tuple[Any, Any]]:
    """PyAV's container of a video and its first stream of pictures; whatever goes wrong inside names it (Wrong, exit 2)."""
    av = library()
    try:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else source) as container:
            if not container.streams.video:
                raise refused(name, "there are no pictures in this file", "give a video")
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise refused(name, f"the video cannot be decoded: {shown(error, 120)}", BROKEN) from error


def decoded(source: str | bytes, name: str, start: float = 0.0) -> Pictures:
    """The pictures from the first, or where that is near by from a key frame about `start`, to the end.

    Raises Wrong (exit 2): no video, broken, no picture, time stamps that are absent, do not rise, or exceed two days.
    """
    with opened(source, name) as (container, stream):
        pictures = container.decode(stream)
        first = next(pictures, None)
        if first is None:
            raise refused(name, "there is not one picture in the video", BROKEN)
        origin, last = _second(first, name), -math.inf
        pictures = itertools.chain([first], pictures)
        if start > NEAR:
            with contextlib.suppress(OSError, ValueError):  # a file without an index is decoded from its beginning
                container.seek(int((start + origin) / stream.time_base), stream=stream)
                pictures = container.decode(stream)
        for n, picture in enumerate(pictures):
            second = _second(picture, name) - origin
            if n >= MOST or second > LONGEST:
                raise refused(name, f"the video has more than {MOST:,} pictures or lasts more than two days", "cut it")
            if second <= last:
                raise refused(name, f"the video's time stamps do not rise after second {last:.3f}", BROKEN)
            last = second
            yield second, picture


def _second(picture: Any, name: str) -> float:
    """When a picture begins, by the video's own clock."""
    if picture.pts is None or picture.time_base is None:
        raise refused(name, "the video has pictures without a time stamp", BROKEN)
    return float(picture.pts * picture.time_base)


def at(
    source: str | bytes, seconds: Sequence[float] | np.ndarray, name: str, step: float | None = None
) -> Iterator[np.ndarray]:
    """What is seen at each of the rising `seconds`: the last picture that began by then, (3, H, W), uint8, one at a time.

    Raises Wrong (exit 2) as `decoded` does; where the video ends before one of the seconds; with the `step` of the seconds also
    where it goes on for more than two of them after the last.
    """
    pictures = decoded(source, name, seconds[0])
    now = next(pictures, None)
    if now is None or now[0] > seconds[0] + EPS:  # the jump went too far
        pictures.close()
        pictures = decoded(source, name)
        now = next(pictures)
    after = next(pictures, None)
    length = after[0] - now[0] if after else 1.0  # of a picture
    with contextlib.closing(pictures):
        for second in seconds:
            while after is not None and after[0] <= second + EPS:
                length = after[0] - now[0]
                now, after = after, next(pictures, None)
            if after is None and second > now[0] + length + EPS:
                what = f"the labels go on to second {seconds[-1]:g}, the video ends at {now[0] + length:g}"
                raise refused(name, what, LENGTHS)
            yield now[1].to_ndarray(format="rgb24").transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        late = math.inf if step is None else seconds[-1] + 2 * step + EPS
        while after is not None and after[0] <= late:
            after = next(pictures, None) if math.isfinite(late) else None
        if after is not None:
            raise refused(name, f"the labels end at second {seconds[-1]:g}, the video goes on", LENGTHS)


def length(source: str | bytes, name: str) -> float:
    """The second at which the last picture begins, by decoding all; raises Wrong (exit 2) as `decoded` does."""
    last = 0.0
    for second, _ in decoded(source, name):
        last = second
    return last


def written(frames: np.ndarray, step: int = 1) -> bytes:
    """An mp4 of frames (T, H, W), grey, uint8, one each `step` seconds; H and W even. MPEG-4 part 2, which FFmpeg brings itself."""
    av, out = library(), io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
        stream.codec_context.thread_count = 1
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="gray")
            picture.pts, picture.time_base = i * step * RATE, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return out.getvalue()
