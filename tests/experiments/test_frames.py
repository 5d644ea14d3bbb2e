"""Frames: memory beats the single frame on pictures, a stream says what the whole says, and every flag does what it says."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

import empirisk as er
from empirisk.data import phantom_video
from empirisk.data.frames import Readings
from empirisk.data.readers import Vector
from empirisk.errors import Wrong
from empirisk.files import read_csv
from empirisk.verbs.predict import streamed
from empirisk.verbs.run import answer, load

CPU = torch.device("cpu")
PHANTOM = "phantom-video:videos=40,size=16"


def operations(folder, n=12, seed=0):
    """Three phases in a fixed order; the tools of the second and the third are the same, so that the past must tell them apart."""
    rng, lines = np.random.default_rng(seed), ["video,second,phase,knife,clip"]
    for v in range(n):
        lasts = rng.integers(8, 14, 3)
        phases = np.repeat([0, 1, 2], lasts)
        for t, k in enumerate(phases):
            mark = t in (lasts[0], lasts[0] + lasts[1])
            lines.append(f"{v},{t},{('open', 'cut', 'close')[k]},{int(k > 0)},{int(mark)}")
    (folder / "operations.csv").write_text("\n".join(lines) + "\n")
    return folder / "operations.csv"


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """A run on a table of tools."""
    folder = tmp_path_factory.mktemp("tools")
    torch.set_num_threads(1)
    e = er.frames(str(operations(folder)), width=16, depth=1, piece=8, batch=4, epochs=3, lr=0.01)
    return er.train(e, folder / "run"), folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A run on the phantom's videos."""
    torch.set_num_threads(1)
    e = er.frames(PHANTOM, width=32, depth=1, batch=8, epochs=3, elapsed=False)
    return er.train(e, tmp_path_factory.mktemp("pictures") / "run")


def test_memory_beats_what_one_picture_tells(pictures):
    against = pictures.folder.metrics()["difference"]
    assert list(against) == ["prior", "linear"]
    assert against["linear"]["accuracy"]["low"] > 0
    assert pictures.folder.metrics()["val"]["accuracy"]["value"] > 0.8


def test_frame_by_frame_is_the_whole(tools, pictures):
    for run in (tools[0], pictures):
        e = run.experiment()
        rows = e.data.rows("val")[:2]
        for a, b in zip(streamed(e, rows, CPU), answer(e, rows), strict=True):
            np.testing.assert_allclose(a.p, b.p, rtol=0, atol=1e-5)


class Endless:
    """Frames that are made when they are asked for: nothing of them may be kept."""

    def __init__(self, n):
        self.seconds = np.arange(float(n))

    def part(self, low, high):
        return (np.full((3, 64, 64), t % 200, np.uint8) for t in range(low, high))


def test_a_stream_holds_no_frames(pictures):
    e, peaks = pictures.experiment(), []
    for n in (20, 200):
        tracemalloc.start()
        streamed(e, [{"id": "long", "x": Endless(n)}], CPU)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 10 * 64 * 64 * 3, peaks


def test_a_new_video_is_answered_frame_by_frame_in_a_file(cli, pictures, tmp_path):
    row = phantom_video.table(videos=40, size=16).rows[0]
    (tmp_path / "new.mp4").write_bytes(row["x"].source)
    found = {}
    for flags in ([], ["--stream"]):
        code, out, err = cli("predict", pictures.path, tmp_path / "new.mp4", *flags)
        assert code == 0, err
        (line,) = read_csv(pictures.path / "predictions/new.csv")
        assert line["target"] == ""
        frames = read_csv(pictures.path / "predictions" / line["prediction"])
        assert len(frames) == len(row["phases"]) == int(line["frames"])
        found[len(flags)] = [[float(f[n]) for n in phantom_video.PHASES] for f in frames]
        right = np.mean([f["prediction"] == p for f, p in zip(frames, row["phases"], strict=True)])
        assert right > 0.7
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5)


def test_stream_is_for_what_comes_frame_by_frame(cli, trained):
    code, _, err = cli("predict", trained, "x.png", "--stream")
    assert code == 2
    assert "--stream" in err


def test_what_is_no_video_is_refused(cli, pictures, tools, tmp_path):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "one.png")
    code, _, err = cli("predict", pictures.path, tmp_path / "one.png")
    assert code == 2
    assert "one.png is no video" in err
    with pytest.raises(Wrong, match="is no video"):
        tools[0].predict(np.zeros(2, np.float32))


def test_it_is_tested_and_compared(cli, tools, tmp_path):
    run, folder = tools
    code, _, err = cli("test", run.path)
    assert code == 0, err
    found = run.folder.metrics()
    assert {"accuracy", "jaccard", "edit", "relaxed_accuracy", "jaccard/cut"} <= found["test"].keys()
    assert list(found["baseline"]) == ["prior", "table"]
    assert "ribbons" in json.dumps(run.folder.read_figures("test"))
    (line, *_) = read_csv(run.path / "predictions/test.csv")
    assert line["target"] == "open|cut|close"
    code, _, err = cli("train", "frames", folder / "operations.csv", "--model", "frame", "--width", 16, "--depth", 1,
                       "--no-elapsed", "--batch", 4, "--epochs", 1, "--piece", 8, "--out", tmp_path / "frame")  # fmt: skip
    assert code == 0, err
    assert cli("test", tmp_path / "frame")[0] == 0
    code, out, err = cli("compare", run.path, tmp_path / "frame", "--json")
    assert code == 0, err
    assert {"val", "test"} == json.loads(out).keys()


def test_columns_in_another_order_are_the_same_and_absent_ones_are_refused(cli, tools, tmp_path):
    run, folder = tools
    lines = [line.split(",") for line in (folder / "operations.csv").read_text().splitlines()]
    moved = "\n".join(",".join([c[4], c[0], c[3], c[1]]) for c in lines) + "\n"  # no phases
    (tmp_path / "moved.csv").write_text(moved)
    a, b = ([x.p for x in run.predict(p)] for p in (folder / "operations.csv", tmp_path / "moved.csv"))
    for one, two in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, two)
    (tmp_path / "less.csv").write_text("\n".join(",".join(c[:4]) for c in lines) + "\n")
    code, _, err = cli("predict", run.path, tmp_path / "less.csv")
    assert code == 2
    assert "clip" in err


@pytest.mark.parametrize(
    "words", [("--width", 0), ("--depth", 0), ("--piece", 0), ("--dropout", 1), ("--model", "gruu")]
)
def test_what_cannot_be_meant_exits_2(cli, tools, words, tmp_path):
    code, _, err = cli("train", "frames", tools[1] / "operations.csv", *words, "--out", tmp_path / "no")
    assert code == 2
    assert words[0] in err
    assert not (tmp_path / "no").exists()


def test_an_unknown_phase_in_validation_is_named(cli, tools, tmp_path):
    text = (tools[1] / "operations.csv").read_text().splitlines()
    lines = [f"{text[0]},split"] + [
        f"{line},{'val' if line[:2] == '3,' else 'train' if line[0] < '8' else 'test'}" for line in text[1:]
    ]
    lines = [line.replace("close", "clse") if line[:2] == "3," else line for line in lines]
    (tmp_path / "wrong.csv").write_text("\n".join(lines) + "\n")
    code, _, err = cli("train", "frames", tmp_path / "wrong.csv", "--epochs", 1, "--out", tmp_path / "no")
    assert code == 2
    assert 'phase "clse" is not among' in err
    assert 'Did you mean "close"?' in err


def test_a_vector_of_a_frame_is_what_the_card_reads(tools):
    x = Readings(np.ones((3, 2), np.float32), np.arange(3.0), ("knife", "clip")).sample()
    assert all(isinstance(v, Vector) for v in x)
    assert load(tools[0].path).experiment().data.card().inputs == ("knife", "clip")
