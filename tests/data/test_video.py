"""Pictures by their time stamps: what was written is read back, and what labels and video say of each other is held against them."""

import sys

import numpy as np
import pytest

from empirisk.data import phantom_video
from empirisk.data.video import Film, at, decoded, length, written
from empirisk.errors import Wrong


def shades(n, size=16):
    """Frames of one grey each, 8 apart, and with a slope, so that they are told apart after compression."""
    ramp = np.linspace(0, 20, size, dtype=np.float32)
    return np.stack([np.full((size, size), 10 + 8 * (t % 24)) + ramp for t in range(n)]).astype(np.uint8)


@pytest.fixture(scope="module")
def clip():
    return shades(24), written(shades(24))


def test_what_was_written_is_read_back(clip):
    frames, mp4 = clip
    found = Film(mp4, np.arange(24.0), "clip").read()
    assert found.shape == (24, 3, 16, 16)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - frames[:, None]).max() <= 6
    assert length(mp4, "clip") == 23


@pytest.mark.parametrize("seconds", [[0.0], [3.0, 3.4, 3.99, 4.0], [11.5], [20.0, 23.0], [23.9]])
def test_at_a_second_is_seen_what_began_last(clip, seconds):
    frames, mp4 = clip
    for second, found in zip(seconds, at(mp4, seconds, "clip"), strict=True):
        assert abs(float(found.mean()) - float(frames[int(second)].mean())) < 3, second


def test_a_part_is_the_same_as_in_the_whole(clip):
    film = Film(clip[1], np.arange(24.0), "clip")
    whole = film.read()
    for low, high in ((0, 3), (7, 8), (15, 24), (23, 24)):
        np.testing.assert_array_equal(np.stack(list(film.part(low, high))), whole[low:high])
    assert [s.index for s in film.sample()] == sorted({s.index for s in film.sample()})
    assert film.sample()[-1].read().shape == (1, 16, 16)  # grey saved as colour


def test_a_file_and_its_bytes_are_one(clip, tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip[1])
    one, two = (Film(source, np.arange(24.0), "a") for source in (clip[1], str(tmp_path / "a.mp4")))
    assert one.content() == two.content()
    assert one.content() != Film(clip[1], np.arange(23.0), "a").content()


def test_labels_longer_than_the_video_are_refused(clip):
    film = Film(clip[1], np.arange(30.0), "op7.mp4")
    with pytest.raises(Wrong, match=r"labels go on to second 29, the video ends at 24") as caught:
        film.content()
    assert "op7.mp4" in str(caught.value)
    assert "correct the table" in str(caught.value)
    assert caught.value.code == 2


def test_labels_shorter_than_the_video_are_refused(clip):
    with pytest.raises(Wrong, match=r"labels end at second 15, the video goes on") as caught:
        Film(clip[1], np.arange(16.0), "op7.mp4").content()
    assert "op7.mp4" in str(caught.value)
    Film(clip[1], np.arange(1.0, 25.0), "counted from 1").content()
    Film(clip[1], np.arange(23.0), "one less").content()


def test_frames_come_one_at_a_time(clip):
    pictures = decoded(clip[1], "clip")
    first = next(pictures)
    assert first[0] == 0
    assert next(pictures)[0] == 1
    pictures.close()


def test_without_pyav_it_says_what_to_install(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Wrong, match="PyAV") as caught:
        next(at(clip[1], [0.0], "clip"))
    assert "empirisk[video]" in str(caught.value)


def test_the_phantom_shows_a_phase_by_its_sign_alone():
    table = phantom_video.table(videos=8, size=16, seed=3)
    assert phantom_video.table(videos=8, size=16, seed=3).rows[5]["x"].source == table.rows[5]["x"].source
    assert {p for r in table.rows for p in r["phases"]} == set(phantom_video.PHASES)
    row = table.rows[0]
    x, phases = row["x"].read(), row["phases"]
    assert len(x) == len(phases)
    changes = [t for t in range(1, len(phases)) if phases[t] != phases[t - 1]]
    assert len(changes) == phantom_video.STRETCHES - 1
    bright = x.reshape(len(x), -1).mean(1)
    shown = {t + d for t in changes for d in range(phantom_video.SIGN)}
    rest = [bright[t] for t in range(len(x)) if t not in shown]
    assert min(bright[t] for t in shown) > np.mean(rest) + 3 * np.std(rest)


@pytest.mark.parametrize("options", [{"videos": 3}, {"size": 300}, {"size": 17}])
def test_the_phantom_refuses_what_it_cannot_make(options):
    with pytest.raises(Wrong, match="phantom-video"):
        phantom_video.table(**options)
