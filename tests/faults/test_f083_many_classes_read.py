"""F083: a table of 10,000 classes, most with one case, is read, split and shown in bounded time and words; to learn it is refused."""

import time
from pathlib import Path

import numpy as np


def test_ten_thousand_classes(tmp_path: Path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["id,a,b,label"]
    lines += [f"r{i},{rng.random():.6f},{rng.random():.6f},c{i if i < 10_000 else i % 50}" for i in range(10_500)]
    (tmp_path / "many.csv").write_text("\n".join(lines) + "\n")
    start = time.monotonic()
    code, out, err = cli("data", "many.csv")
    assert code == 0, err
    assert time.monotonic() - start < 60
    assert len(out) < 20_000
    assert "more classes" in out
    assert "empirisk train classification many.csv" in out
    code, _, err = cli("train", "classification", "many.csv", "--out", "run")
    assert code == 2
    assert "classes are more than 1,000" in err
    assert "--label" in err
    assert not (tmp_path / "run").exists()


def test_a_class_without_a_case_and_with_one(tmp_path: Path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    lines = [f"{i},{'ab'[i % 2]}" for i in range(40)] + ["1,c"]
    (tmp_path / "few.csv").write_text("x,label\n" + "\n".join(lines) + "\n")
    code, out, _ = cli("data", "few.csv")
    assert code == 0
    assert "c 1" in out
