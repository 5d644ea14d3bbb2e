"""The command line: help, hints, exit codes, one JSON document."""

import json
import os
import subprocess
import sys

import pytest

from empirisk import __version__
from empirisk.cli import NAMES

WITHOUT_HEAVY = """
import sys
sys.argv = ["empirisk", *{words!r}]
from empirisk.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = sorted({{"torch", "numpy", "PIL", "sklearn", "scipy"}} & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HEAVY.format(words=words)], capture_output=True, text=True,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_help_is_one_screen_in_the_order_of_use(cli):
    code, out, _ = cli("--help")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    titles = [line.split()[1] for line in lines if line.startswith("╭")]
    assert titles == ["Start", "Train", "Use", "Trust", "Look", "Options"]
    order = [
        out.index(f"│ {name} ")
        for name in ("demo", "data", "audit", "train", "test", "predict", "report", "compare", "list")
    ]
    assert order == sorted(order)
    assert "First   empirisk demo                         no data, no network, two minutes" in lines


def test_help_of_train_names_the_experiments_and_config(cli):
    code, out, _ = cli("train", "--help")
    assert code == 0
    assert "empirisk train classification FOLDER --epochs 20" in out
    assert "--config" in out
    assert "classification  image -> class" in out
    assert "regression      image -> number" in out


@pytest.mark.parametrize("name", ["classification", "regression", "segmentation", "detection"])
def test_help_of_an_experiment_has_an_example_and_its_groups(cli, name):
    code, out, _ = cli("train", name, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert f"Example: empirisk train {name} FOLDER" in out
    titles = ["Most used", "Data", "Model and loss", "Recipe", "Regularisation", "Run"]
    assert [out.index(f"╭─ {t} ─") for t in titles] == sorted(out.index(f"╭─ {t} ─") for t in titles)
    assert "None" not in out
    screen = out[: out.index("╭─ Data ─")].splitlines()
    assert len(screen) <= 32  # what most people need, before anything else
    for flag in ("DATA --data", "--model", "--epochs", "--minutes", "--seed", "--device", "--out", "--dry-run"):
        assert any(line[2:].lstrip("* ").startswith(f"{flag} ") for line in screen), flag


@pytest.mark.parametrize("name", [n for n in NAMES if n != "train"])
def test_help_of_every_verb_has_an_example(cli, name):
    code, out, _ = cli(name, "--help")
    assert code == 0
    assert f"Example: empirisk {name}" in out
    assert "--no-" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_version(cli):
    assert cli("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["tarin"], "'tarin' is no command", 'Did you mean "train"?'),
        (["xyzzy"], "'xyzzy' is no command", "commands are demo, data"),
        (["train", "clasification", "x"], "'clasification' is neither an experiment nor data", 'Did you mean "classification"?'),
        (["train", "curve"], "train needs an experiment before curve", "type: empirisk train regression curve"),
        (["train", "breast-cancer"], "train needs an experiment", "type: empirisk train classification breast-cancer"),
        (["train", "--epochs", "3"], "train needs an experiment", "empirisk train EXPERIMENT DATA"),
        (["train", "classification"], "data", "see: empirisk train classification --help"),
        (["train", "classification", "curve", "--epoch", "3"], "--epoch", "--epochs"),
        (["train", "classification", "curve", "--epochs", "many"], "epochs", "see: empirisk train classification --help"),
        (["train", "classification", "phantom", "--epochs", "-1"], "--epochs is -1", "above 0"),
        (["train", "classification", "phantom", "--epochs", "1", "--minutes", "1"], "both given", "give one"),
        (["train", "classification", "phantom:images=60,size=16", "--model", "resnet81"], "resnet81", "resnet18"),
        (["train", "classification", "phantom:images=60,size=16", "--model", "linear", "--depth", "2"], "depth", "mlp"),
        (["train", "classification", "nothing.npz"], "nothing.npz is not there", "empirisk list datasets"),
        (["train", "--config"], "config", "see: empirisk train --help"),
        (["test", "nothing"], "nothing is no run", "empirisk list"),
        (["report", "nothing"], "nothing is no run", "empirisk list"),
        (["predict", "nothing", "x.png"], "nothing is no run", "empirisk list"),
        (["compare", "nothing", "nothing"], "nothing is no run", "empirisk list"),
        (["predict", "nothing"], "no image is given", "empirisk predict RUN PATH..."),
        (["list", "modles"], "modles", "see: empirisk list --help"),
        (["audit", "nothing"], "nothing is not there", "empirisk list datasets"),
        (["data", "nothing"], "nothing is not there", "empirisk list datasets"),
        (["test"], "run", "see: empirisk test --help"),
    ],
)  # fmt: skip
def test_wrong_use_says_what_and_what_to_do_and_exits_2(cli, tmp_path, monkeypatch, words, said, hint):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*words)
    assert code == 2
    assert out == ""
    assert err.startswith("empirisk: ")
    assert said.casefold() in err.casefold()
    assert hint in err
    assert len(err.splitlines()) <= 5
    assert not list(tmp_path.iterdir())


def test_train_with_a_path_names_the_command_to_type(cli, tiny):
    for name, experiment in {
        "spots.npz": "classification",
        "photos": "classification",
        "table.csv": "classification",
    }.items():
        code, _, err = cli("train", tiny / name)
        assert code == 2
        assert f"type: empirisk train {experiment} {tiny / name}" in err


def test_an_error_under_json_is_one_document_too(cli):
    code, out, err = cli("test", "nothing", "--json")
    assert code == 2
    assert json.loads(out)["error"]["reason"] == "no-run"
    assert err.startswith("empirisk: nothing is no run")


def test_every_verb_gives_one_json_document(cli, tiny, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spots = tiny / "spots.npz"
    train = ["train", "classification", spots, "--model", "mlp", "--width", 4, "--epochs", 1]
    for words, keys in {
        ("data", spots): {"rows", "n", "odd", "next", "page"},
        ("audit", spots): {"identical", "twins", "patients", "unreadable"},
        (*train, "--dry-run"): {"run", "status"},
        tuple(train): {"run", "status", "kept", "seconds", "steps", "metrics"},
        ("train", "--config", tmp_path / "runs/spots/run.json"): {"run", "status", "metrics"},
        ("test", "runs/spots"): {"auc", "accuracy"},
        ("predict", "runs/spots", spots): {"file", "rows"},
        ("report", "runs/spots"): {"report", "metrics"},
        ("compare", "runs/spots", trained): {"val"},
        ("list",): None,
        ("list", "models"): {"resnet18", "mlp"},
        ("list", "experiments"): {"classification", "regression"},
        ("list", "metrics"): {"auc", "mae"},
        ("list", "datasets"): {"phantom", "curve", "breast-cancer"},
    }.items():
        code, out, _ = cli(*words, "--json")
        assert code == 0, words
        value = json.loads(out)  # one document and nothing beside it
        assert keys is None or keys <= set(value), (words, value)


def test_a_fault_of_the_program_is_no_traceback(capsys, tmp_path, monkeypatch):
    from empirisk import cli as lines
    from empirisk.verbs import list as listing

    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(listing, "runs")
    assert lines.run(["list"]) == 3
    said = capsys.readouterr()
    assert "this is a fault of empirisk: " in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in (tmp_path / "crash.txt").read_text()


def test_a_fault_of_the_users_own_code_is_said_to_be_theirs(cli, tiny, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch\n\n\ndef net(channels, outputs):\n    return torch.nn.Linear(channels, -outputs) / 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, err = cli("train", "classification", tiny / "multi.npz", "--model", "mine:net", "--out", "run")
    assert code == 3, err
    assert "your own code raised RuntimeError" in err
    assert f"{tmp_path / 'mine.py'}:5 in net" in err
    assert "fault of empirisk" not in err
    assert not (tmp_path / "crash.txt").exists()


def test_what_is_printed_keeps_to_80_columns(cli, tiny, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (
        ("train", "classification", tiny / "multi.npz", "--model", "mlp", "--epochs", 2, "--out", "a"),
        ("train", "regression", tiny / "ordinal.npz", "--model", "linear", "--epochs", 2, "--out", "b"),
        ("test", "a"), ("test", "b"), ("compare", trained, trained), ("list", "--root", "."), ("audit", tiny / "photos"),
        ("data", tiny / "photos"),
    ):  # fmt: skip
        code, out, err = cli(*words)
        assert code == 0, err
        long = [line for line in out.splitlines() if len(line) > 80 and str(tmp_path.parent.parent) not in line]
        assert not long, long


def test_python_m_empirisk():
    done = subprocess.run([sys.executable, "-m", "empirisk", "list", "models"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "resnet18" in done.stdout
