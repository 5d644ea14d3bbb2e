"""F042: the same pixels under two names, copied or re-encoded."""

from pathlib import Path

import numpy as np
from PIL import Image

from empirisk.data.audit import audit
from empirisk.data.readers import File


def chest(seed: int) -> np.ndarray:
    """Smooth noise, as an 8-bit picture."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))


def saved(folder: Path, name: str, x: np.ndarray, part: str, **how: object) -> dict:
    path = folder / name
    Image.fromarray(x).save(path, **how)
    return {"id": name, "x": File(str(path)), "patient": None, "part": part}


def test_copies_are_left_out_of_training_and_twins_are_listed(tmp_path: Path):
    a, b, c = chest(1), chest(2), chest(3)
    some = [
        saved(tmp_path, "a.png", a, "train", compress_level=9),
        saved(tmp_path, "b.png", b, "train"),
        saved(tmp_path, "c.png", c, "train"),
        saved(tmp_path, "other.png", chest(4), "train"),
        saved(tmp_path, "a again.png", a, "test", compress_level=1),  # re-encoded without loss
        saved(tmp_path, "b.tif", np.repeat(b[..., None], 3, -1), "val"),  # another format, grey as colour
        saved(tmp_path, "c.jpg", c, "test", quality=60),  # with loss
    ]
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "a again.png").read_bytes()  # the injection
    assert not np.array_equal(some[2]["x"].read(), some[6]["x"].read())
    found = audit(some)
    assert found.identical == {"train/val": 1, "train/test": 1, "val/test": 0}
    assert found.twins == {"train/val": 1, "train/test": 2, "val/test": 0}
    assert found.left_out == {"a.png": "identical to a again.png in test", "b.png": "identical to b.tif in val"}
    assert {(p.partner, p.held) for p in found.pairs if not p.identical} == {("c.png", "c.jpg")}
    assert found.record()["test_twins"] == ["a again.png", "c.jpg"]
