"""A game in a run: both players and what the discriminator says are followed, drawn, and the last epoch is kept."""

import math

import empirisk as er
from empirisk.generative import judge as judges
from empirisk.verbs.say import Say


def test_a_game_follows_its_players_and_keeps_its_last_epoch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judges, "STEPS", 8)
    e = er.generation("phantom:images=160,size=12", model="gan", codes=4, width=8, epochs=3, batch=16)
    run = er.train(e, tmp_path / "run", say=Say())
    assert "epoch 3, the last" in capsys.readouterr().out
    rows = run.folder.read_history()
    assert all(0 < row["D(x)"] < 1 and 0 < row["D(G(z))"] < 1 for row in rows)
    assert all(math.isfinite(row["discriminator"]) and row["generator"] > 0 for row in rows)
    assert "val" not in rows[0]
    assert run.folder.read()["kept"]["epoch"] == 2
    page = run.folder.report.read_text()
    for title in (
        "Losses of the players",
        "Followed on validation",
        "What the discriminator says",
        "Nearest to a training image",
    ):
        assert title in page
    metrics = run.folder.metrics()
    assert list(metrics["baseline"]) == ["noise", "gaussian", "mixture", "floor"]
    assert list(metrics["difference"]) == ["noise", "gaussian", "mixture"]  # of the floor there are fewer images
    assert "encoder" in metrics["val"]["frechet"]["method"]
