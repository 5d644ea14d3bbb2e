"""The command line: names and one-line helps here, everything else where it is done. Imports neither torch nor numpy."""

import os
import sys
from pathlib import Path

from cyclopts import App, CycloptsError, Group
from cyclopts.exceptions import UnknownCommandError

from empirisk import __version__
from empirisk.errors import INTERRUPTED, USE, Wrong, near
from empirisk.experiments import EXPERIMENTS

HELP = """Deep learning for medical images, with the evidence beside every number.

First:  empirisk demo                                (no data, no network, two minutes)

Yours:  empirisk data FOLDER                         (what was understood, what is odd)

        empirisk train classification FOLDER

        empirisk test runs/FOLDER
"""
VERBS = {
    "Start": {
        "demo": ("demo:demo", "Train on embedded data, test, write and name the report; offline."),
        "data": ("data:data", "What a data set holds, what is odd, the next command."),
        "audit": ("audit:audit", "Leaks between splits; exit 2 if there are any."),
    },
    "Train": {},
    "Use": {
        "test": ("test:test", "Open the test set, or judge on other data."),
        "predict": ("predict:predict", "Answer for new images; needs no training data."),
    },
    "Trust": {
        "report": ("report:report", "Write the page again, and show it as text."),
        "compare": ("compare:compare", "Two runs over the same rows: paired differences."),
    },
    "Look": {"list": ("list:list_", "Runs as a leaderboard; experiments, models, metrics, datasets.")},
}


def build() -> App:
    """Every command by its import path, so that help imports nothing heavy."""
    app = App("empirisk", help=HELP, version=__version__, result_action="return_value", help_flags=["--help", "-h"])
    for title, verbs in VERBS.items():
        group = Group.create_ordered(title)
        if title == "Train":
            train = App(
                "train",
                help="Train EXPERIMENT on DATA: empirisk train classification DATA. Also: train --config FILE.",
                group=group,
            )
            for name, line in EXPERIMENTS.items():
                train.command(f"empirisk.verbs.command:{name}", name=name, help=line)
            app.command(train)
            app.command("empirisk.verbs.command:again", name="train-again", help="train --config", show=False)
        for name, (where, line) in verbs.items():
            app.command(f"empirisk.verbs.{where}", name=name, help=line, group=group)
    return app


def redirect(argv: list[str]) -> list[str]:
    """`train --config FILE` has no experiment; `train DATA` says the command to type.

    Raises
    ------
    Wrong
        exit 2 for `train DATA` and for a mistyped experiment.
    """
    if argv[:1] != ["train"] or len(argv) < 2 or argv[1] in EXPERIMENTS or argv[1] in {"--help", "-h"}:
        return argv
    if argv[1] == "--config" or argv[1].startswith("--config="):
        first = argv[1].partition("=")[2]
        return ["train-again", *([first] if first else []), *argv[2:]]
    word = argv[1]
    if word.startswith("-"):
        return argv
    from empirisk.verbs.guess import command_for

    if command := command_for(word):
        raise Wrong(f"train needs an experiment before {word}", remedy=f"type: {command}")
    raise Wrong(
        f"{word!r} is neither an experiment nor data that is there",
        remedy=near(word, EXPERIMENTS)
        or f"experiments are {', '.join(EXPERIMENTS)}; the form is: empirisk train EXPERIMENT DATA",
    )


def run(argv: list[str]) -> int:
    """One command; its exit code."""
    app = build()
    try:
        result = app(redirect(argv), exit_on_error=False, print_error=False)
        return result if isinstance(result, int) else 0
    except Wrong as wrong:
        print(f"empirisk: {wrong}", file=sys.stderr)
        return wrong.code
    except CycloptsError as error:
        words = argv[:1] if argv and argv[0] in {n for v in VERBS.values() for n in v} | {"train"} else []
        hint = ""
        if isinstance(error, UnknownCommandError) and argv:
            hint = near(argv[0], [n for v in VERBS.values() for n in v] + ["train"])
        text = " ".join(str(error).split())
        see = "see: empirisk " + " ".join([*words, "--help"])
        print(f"empirisk: {text}\n  {hint or see}".replace("train-again", "train --config"), file=sys.stderr)
        return USE
    except KeyboardInterrupt as stopped:
        return getattr(stopped, "code", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def main() -> None:
    """The console script."""
    if "--debug" in sys.argv:
        sys.argv.remove("--debug")
        sys.exit(build()(redirect(sys.argv[1:])))
    if sys.argv[1:2] == ["train"] and not Path.cwd().exists():
        sys.exit("empirisk: the working directory is gone")
    sys.exit(run(sys.argv[1:]))
