"""F044: changed test pixels and labels change no byte of the weights, nor anything else that was learned."""

import json

import numpy as np


def test_changed_test_rows_change_no_byte_of_the_weights(cli, tiny, tmp_path):
    with np.load(tiny / "spots.npz") as spots:
        arrays = dict(spots)
    rng = np.random.default_rng(5)
    poisoned = arrays | {
        "test_images": rng.integers(0, 256, (7, 8, 8), dtype=np.uint8), "test_labels": np.arange(7)[:, None] % 2
    }  # fmt: skip
    assert not np.array_equal(poisoned["test_images"], arrays["test_images"][:7])  # the injection is there
    for name, made in (("clean", arrays), ("poisoned", poisoned)):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "set.npz", **made)
        more = [
            "--model",
            "lenet",
            "--size",
            12,
            "--width",
            2,
            "--balance",
            "--epochs",
            3,
            "--out",
            tmp_path / name / "run",
        ]
        assert cli("train", "classification", tmp_path / name / "set.npz", *more)[0] == 0
    clean, other = tmp_path / "clean/run", tmp_path / "poisoned/run"
    assert (clean / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
    learned = [json.loads((r / "run.json").read_text())["learned"] for r in (clean, other)]
    for facts in learned:
        facts.pop("audit")  # it compares held-out pixels, never labels
    assert learned[0] == learned[1]
    metrics = [json.loads((r / "metrics.json").read_text()) for r in (clean, other)]
    assert metrics[0] == metrics[1]
    assert (clean / "predictions/val.csv").read_bytes() == (other / "predictions/val.csv").read_bytes()
