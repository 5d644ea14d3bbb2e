"""F065: cut, zeroed or flipped, each file of the newest checkpoint: the one before is used, and said; none left: exit 3."""

import shutil

import pytest
import torch

from empirisk.errors import Wrong
from empirisk.folder import RunFolder


def state(step):
    return {"model": {"w": torch.full((1000,), float(step))}, "optimizer": {"state": {0: {"step": step}}}}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    points = RunFolder(tmp_path_factory.mktemp("run")).checkpoints
    for step in (1, 2):
        points.save(step, state(step), shared={"kept": {"w": torch.ones(300)}})
    return points.path


def files_of_newest(folder):
    found = sorted((folder / "step-000002").iterdir())
    assert [p.name for p in found] == ["manifest.json", "state.json", "tensors.safetensors"]
    return [*found, next(folder.glob("kept-*-b.safetensors"))]  # the copy of the second generation


def damages(raw):
    """Every KB cut off or zeroed, and one bit flipped at 25 places, all bits in turn."""
    for n in {*range(0, len(raw), 1024), len(raw) - 1}:
        yield "cut", raw[:n]
        if any(raw[n:]):
            yield "zeroed", raw[:n] + bytes(len(raw) - n)
    for i in range(25):
        place = i * (len(raw) - 1) // 24
        yield f"flip at {place}", raw[:place] + bytes([raw[place] ^ (1 << i % 8)]) + raw[place + 1 :]


@pytest.mark.parametrize("which", range(4))
def test_the_generation_before_is_used(tmp_path, original, which):
    path = tmp_path / "checkpoint"
    fired = 0
    whole = files_of_newest(original)[which].read_bytes()
    for what, raw in damages(whole):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(original, path)
        files_of_newest(path)[which].write_bytes(raw)
        said = []
        points = RunFolder(tmp_path).checkpoints
        step, loaded = points.load(say=said.append)
        if which == 0 and step == 2:  # white space, or the name of the version
            assert what.startswith("flip") or raw.rstrip() == whole.rstrip(), what
        else:
            fired += 1
            assert step == 1, what
            assert len(said) == 1
            assert "damaged" in said[0]
            assert "going on from step 1" in said[0]
        assert loaded["model"]["w"].tolist() == [step] * 1000
        assert loaded["optimizer"] == {"state": {0: {"step": step}}}
        assert loaded["kept"]["w"].tolist() == [1] * 300
    assert fired > 15


def test_the_good_generation_outlives_the_next_save(tmp_path, original):
    path = tmp_path / "checkpoint"
    shutil.copytree(original, path)
    (path / "step-000002" / "state.json").write_bytes(b"")
    points = RunFolder(tmp_path).checkpoints
    assert points.load(say=lambda text: None)[0] == 1
    points.save(2, state(2), shared={"kept": {"w": torch.ones(300)}})
    assert sorted(p.name for p in path.glob("step-*")) == ["step-000001", "step-000002-2"]
    (path / "step-000002-2" / "state.json").write_bytes(b"")
    assert points.load(say=lambda text: None)[0] == 1


def test_the_pointer_is_lost_or_damaged(tmp_path, original):
    for raw in (None, b"", b"[1, null]", b'["step-000007"]', b'["../../etc"]', b"\0" * 30):
        path = tmp_path / "checkpoint"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(original, path)
        (path / "newest.json").unlink() if raw is None else (path / "newest.json").write_bytes(raw)
        step, loaded = RunFolder(tmp_path).checkpoints.load(say=lambda text: None)
        assert step == 2
        assert loaded["model"]["w"][0] == 2


def test_none_left(tmp_path, original):
    path = tmp_path / "checkpoint"
    shutil.copytree(original, path)
    for file in path.glob("step-*/tensors.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    for _ in range(2):
        with pytest.raises(Wrong, match="no checkpoint in .* is whole") as caught:
            RunFolder(tmp_path).checkpoints.load()
        assert caught.value.code == 3
    for folder in path.glob("step-*"):
        shutil.rmtree(folder)
    with pytest.raises(Wrong, match="whole"):
        RunFolder(tmp_path).checkpoints.load()


def test_a_damaged_shared_part_is_written_anew(tmp_path, original):
    path = tmp_path / "checkpoint"
    shutil.copytree(original, path)
    kept = next(path.glob("kept-*-a.safetensors"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"\1")
    points = RunFolder(tmp_path).checkpoints
    points.save(3, state(3), shared={"kept": {"w": torch.ones(300)}})
    assert points.load(say=pytest.fail)[0] == 3
