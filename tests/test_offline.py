"""No telemetry: a full run with sockets blocked."""

import socket

import pytest


def test_a_full_run_opens_no_socket(cli, tiny, tmp_path, monkeypatch):
    asked = []

    def blocked(*args, **options):
        asked.append(args)
        raise OSError("no network here")

    for name in ("__init__", "connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, blocked)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, blocked)
    with pytest.raises(OSError, match="no network"):
        socket.socket()
    assert len(asked) == 1  # the block works
    run = tmp_path / "run"
    for words in (
        ("data", tiny / "photos", "--out", tmp_path / "look"), ("audit", tiny / "photos"),
        ("train", "classification", tiny / "photos", "--model", "mlp", "--epochs", 1, "--workers", 0, "--out", run),
        ("test", run), ("predict", run, tiny / "photos/dark"), ("report", run), ("compare", run, run), ("list", "--root", tmp_path),
    ):  # fmt: skip
        code, _, err = cli(*words)
        assert code == 0, err
    assert len(asked) == 1
