"""A table whose lines are frames becomes one row a video; what does not fit together is refused by name, with a remedy."""

import numpy as np
import pytest

from empirisk.data import forms, splits
from empirisk.data.card import Card
from empirisk.data.phases import Phases, Told
from empirisk.data.rows import Columns
from empirisk.data.video import written
from empirisk.errors import Wrong
from empirisk.files import read_csv


def lines(videos=6, n=5, phases="aabbc"):
    out = ["video,second,phase,Hook,Clip,surgeon,note"]
    out += [f"{v},{t + 1},{phases[t]},{t % 2},{v + t},S{v % 2},n{t}" for v in range(1, videos + 1) for t in range(n)]
    return out


def table(tmp_path, some, **columns):
    (tmp_path / "frames.csv").write_text("\n".join(some) + "\n")
    return forms.table(str(tmp_path / "frames.csv"), Columns(**columns))


def test_a_row_is_a_video(tmp_path):
    found = table(tmp_path, lines(videos=11))
    assert [r["id"] for r in found.rows] == [str(i) for i in range(1, 12)]  # by number, not by letter
    row = found.rows[1]
    np.testing.assert_array_equal(row["x"].read(), [[0, 2], [1, 3], [0, 4], [1, 5], [0, 6]])
    assert row["x"].names == ("Hook", "Clip")
    np.testing.assert_array_equal(row["x"].seconds, [1, 2, 3, 4, 5])
    assert row["phases"] == ("a", "a", "b", "b", "c")
    assert row["surgeon"] == "S0"
    assert "note" not in row
    assert "note" in " ".join(found.odd)
    assert {r["part"] for r in splits.split(found.rows)} == {"train", "val", "test"}


def test_the_order_of_the_lines_does_not_matter(tmp_path):
    head, *rest = lines()
    mixed = [head, *np.random.default_rng(0).permutation(rest).tolist()]
    for a, b in zip(table(tmp_path, lines()).rows, table(tmp_path, mixed).rows, strict=True):
        np.testing.assert_array_equal(a["x"].read(), b["x"].read())
        assert a["phases"] == b["phases"]


@pytest.mark.parametrize(
    ("change", "words", "flags"),
    [
        (lambda s: s[:3] + s[4:], ["video 1", "no frame between second 2 and 4", "add the missing"], {}),
        (lambda s: s[:4] + s[3:], ["video 1", "second 3 is there more than once", "row"], {}),
        (lambda s: [*s[:3], s[3].replace(",b,", ",,"), *s[4:]], ["video 1 has 4 frames with a phase, 1 without", "row 4"], {}),
        (lambda s: [*s[:3], s[3].replace("1,3,", "1,x,"), *s[4:]], ['"x"', "second", "row 4"], {}),
        (lambda s: [*s[:3], s[3].replace("1,3,", ",3,"), *s[4:]], ["no video", "row 4"], {}),
        (lambda s: [*s[:3], s[3].replace("b,0,3", "b,0,"), *s[4:]], ["Clip", "row 4"], {}),
        (lambda s: s, ['phase "c" is not among a, b', "--rename"], {"classes": "a,b"}),
        (lambda s: s, ["surgeon"], {"patient": "surgeo"}),
        (lambda s: s, ["note", "of one video", "--patient none"], {"patient": "note"}),
        (lambda s: s, ["is not train, val or test", "--split none"], {"split": "surgeon"}),
        (lambda s: [",".join(line.split(",")[:3]) for line in s], ["no column of numbers"], {}),
        (lambda s: [line.replace("1,", "op1.mp4,", 1) if line[:2] == "1," else line for line in s], ["no such file"], {}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path, change, words, flags):
    with pytest.raises(Wrong) as caught:
        table(tmp_path, change(lines()), **flags)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert caught.value.code == 2


def test_rename_and_classes_speak_of_the_phases(tmp_path):
    found = table(tmp_path, lines(), rename="c=b", classes="b,a")
    assert set(found.rows[0]["phases"]) == {"a", "b"}


def test_phases_are_ordered_as_they_come(tmp_path):
    rows = table(tmp_path, lines(phases="zzbbc")).rows
    kind = Phases.learn(rows)
    assert kind.names == ("z", "b", "c")
    assert (kind.step, kind.lasts) == (1, 5)
    np.testing.assert_array_equal(kind.encode(rows[0]), [0, 0, 1, 1, 2])
    assert Phases.learn(rows, lambda: ("b", "c", "z")).names == ("b", "c", "z")


def test_an_unknown_phase_is_named_with_its_video_and_second(tmp_path):
    rows = table(tmp_path, lines()).rows
    with pytest.raises(Wrong, match='phase "c"') as caught:
        Phases(("a", "b"), 1.0, 5.0).encode(rows[2])
    assert "3, second 5" in str(caught.value)


@pytest.mark.parametrize("phases", ["aaaaa", None])
def test_nothing_to_learn_is_said(tmp_path, phases):
    rows = table(tmp_path, lines(phases=phases or "aabbc")).rows
    rows = rows if phases else [{k: v for k, v in r.items() if k != "phases"} for r in rows]
    with pytest.raises(Wrong) as caught:
        Phases.learn(rows)
    assert len(str(caught.value).splitlines()) >= 2


def test_frames_of_another_step_are_refused(tmp_path):
    rows = table(tmp_path, lines()).rows
    slow = lines()
    slow = [
        slow[0],
        *(line.replace(f",{line.split(',')[1]},", f",{25 * int(line.split(',')[1])},", 1) for line in slow[1:]),
    ]
    other = table(tmp_path, slow).rows
    kind = Phases.learn(rows)
    np.testing.assert_array_equal(kind.elapsed(rows[0]), [0, 1, 2, 3, 4])
    with pytest.raises(Wrong, match="25 s apart"):
        kind.elapsed(other[0])
    with pytest.raises(Wrong, match="s apart"):
        Phases.learn([*rows, other[0]])


def test_an_answer_is_a_file_of_its_frames_and_comes_back_as_its_scores(tmp_path):
    row = table(tmp_path, lines()).rows[0]
    kind = Phases(("a", "b", "c"), 1.0, 5.0)
    p = np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 2]] * 0.8 + 0.2 / 3
    cells = kind.write(row, Told(p), tmp_path / "predictions")
    assert (cells["target"], cells["prediction"]) == ("a|b|c", "1-frames.csv")
    written_ = read_csv(tmp_path / "predictions/1-frames.csv")
    assert [line["target"] for line in written_] == list("aabbc")
    assert [line["prediction"] for line in written_] == list("abbbc")
    assert float(written_[0]["a"]) == pytest.approx(p[0, 0])
    _, back = kind.read({k: str(v) for k, v in cells.items()})
    assert back.fit == kind.measure(row, Told(p))
    unknown = kind.write({k: v for k, v in row.items() if k != "phases"}, Told(p), tmp_path / "predictions")
    assert unknown["target"] == ""
    assert unknown["right"] is None


def test_the_card_is_of_frames(tmp_path):
    card = Card.learn(table(tmp_path, lines()).rows)
    assert (card.dims, card.channels, card.inputs) == (0, 2, ("Hook", "Clip"))
    assert card.mean[0] == pytest.approx(0.4)


def test_files_as_videos_give_pictures(tmp_path):
    some = ["video,second,phase"]
    for v in range(3):
        frames = np.random.default_rng(v).integers(0, 255, (4, 16, 16)).astype(np.uint8)
        (tmp_path / f"op{v}.mp4").write_bytes(written(frames))
        some += [f"op{v}.mp4,{t},{'ab'[t // 2]}" for t in range(4)]
    rows = table(tmp_path, some).rows
    assert rows[0]["x"].read().shape == (4, 3, 16, 16)
    card = Card.learn(rows)
    assert (card.dims, card.channels, card.size) == (2, 1, (16, 16))
    alone = forms.table(str(tmp_path / "op1.mp4"), Columns(bare=True)).rows[0]
    np.testing.assert_array_equal(alone["x"].read(), rows[1]["x"].read())


@pytest.mark.data
def test_the_operations_of_cholec80(real_data):
    found = forms.table(str(real_data / "cholec80-labels/frames.csv"))
    assert len(found.rows) == 60
    assert sum(len(r["phases"]) for r in found.rows) == 136_873
    assert {len(r["x"].names) for r in found.rows} == {7}
    kind = Phases.learn(found.rows)
    assert kind.names[0] == "Preparation"
    assert len(kind.names) == 7
    assert kind.step == 1
