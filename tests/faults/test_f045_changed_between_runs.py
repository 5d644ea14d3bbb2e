"""F045: the split is kept by id and content: rows added are left out and said, removed or changed ones exit 3, order is nothing."""

import random
import shutil

import pytest
from PIL import Image
from running import killed, same, whole

from empirisk import erm
from empirisk.folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def stopped(command, tiny, tmp_path):
    """photos/ and table.csv copied, a whole run of them, and one that was killed on its way; both by the same words."""
    shutil.copytree(tiny / "photos", tmp_path / "photos")
    shutil.copy(tiny / "table.csv", tmp_path / "table.csv")

    def start(data):
        code, said = whole(command("a", data))
        assert code == 0, said
        assert killed(command("b", data), erm, "move", 8, tmp_path / "said") == -9
        return command("b", data)

    return start


def test_added_rows_are_left_out_and_said(stopped, tmp_path):
    words = stopped(tmp_path / "photos")
    Image.new("L", (8, 8), 77).save(tmp_path / "photos/dark/P99_0.png")
    code, said = whole(words)
    assert code == 0, said
    assert "1 rows were added since the split was saved and are left out: dark/P99_0.png" in " ".join(said.split())
    assert "dark/P99_0.png" not in RunFolder(tmp_path / "b").read_split()
    same(tmp_path / "b", tmp_path / "a")


def test_a_removed_row_is_named(stopped, tmp_path):
    words = stopped(tmp_path / "photos")
    gone = next((tmp_path / "photos/dark").iterdir())
    gone.unlink()
    code, said = whole(words)
    assert code == 3
    assert "1 rows of the saved split are no longer in the data" in said
    assert f"dark/{gone.name}" in said


def test_changed_pixels_are_named(stopped, tmp_path):
    words = stopped(tmp_path / "photos")
    file = next((tmp_path / "photos/bright").iterdir())
    Image.new("L", (8, 8), 1).save(file)
    code, said = whole(words)
    assert code == 3
    assert "the content of 1 rows has changed" in said
    assert f"bright/{file.name}" in said


def test_the_order_of_rows_changes_nothing(stopped, tmp_path):
    words = stopped(tmp_path / "table.csv")
    head, *rows = (tmp_path / "table.csv").read_text().splitlines()
    shuffled = random.Random(0).sample(rows, len(rows))
    assert shuffled != rows
    (tmp_path / "table.csv").write_text("\n".join([head, *shuffled]) + "\n")
    code, said = whole(words)
    assert code == 0, said
    same(tmp_path / "b", tmp_path / "a")


def test_an_edited_split_column_does_not_move_a_row(stopped, tmp_path):
    words = stopped(tmp_path / "table.csv")
    text = (tmp_path / "table.csv").read_text()
    (tmp_path / "table.csv").write_text(text.replace(",train,", ",test,", 4))
    code, said = whole(words)
    assert code == 0, said
    same(tmp_path / "b", tmp_path / "a")
