"""The command line: names and one-line helps here, everything else where it is done. Imports neither torch nor numpy."""

import json
import os
import sys
import sysconfig
import traceback
from pathlib import Path

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.exceptions import UnknownCommandError

from empirisk import __version__
from empirisk.errors import INTERRUPTED, RUN, Wrong, handed_over, near
from empirisk.experiments import EXPERIMENTS

HELP = """Deep learning for medical images, with the evidence beside every number.

First   empirisk demo                         no data, no network, two minutes
Yours   empirisk data FOLDER                  what was understood, what is odd
        empirisk train classification FOLDER
        empirisk test runs/FOLDER"""
TRAIN = """Train EXPERIMENT on DATA into a run folder; the same command goes on.

        empirisk train classification FOLDER --epochs 20
        empirisk train --config runs/FOLDER/run.json     the same run again"""
VERBS = {
    "Start": {
        "demo": ("demo:demo", "Train on embedded data, test, write a report; offline."),
        "data": ("data:data", "What a data set holds, what is odd, the next command."),
        "audit": ("data:audit", "Leaks between splits; exit 2 if there are any."),
    },
    "Train": {},
    "Use": {
        "test": ("test:test", "Open the test set, or judge on other data."),
        "predict": ("predict:predict", "Answer for new images; needs no training data."),
        "sample": ("sample:sample", "New images of a generator, marked as synthetic."),
        "embed": ("embed:embed", "What a run sees in images as numbers, and a map of them."),
        "apply": ("apply:apply", "Find, fill or restore with a diffusion model."),
    },
    "Trust": {
        "report": ("report:report", "Write the page again, and show it as text."),
        "compare": ("compare:compare", "Two runs over the same rows: paired differences."),
        "capacity": ("capacity:capacity", "Under-fits, fits or over-fits, by a test; the remedy."),
        "ablate": ("ablate:ablate", "What each regulariser is worth, paired over seeds."),
        "attack": ("attack:attack", "Scores against adversarial changes of the images."),
        "check": ("check:check", "Gradients of the loss against finite differences."),
    },
    "Look": {"list": ("list:list_", "Runs as a leaderboard; experiments, models, metrics, datasets.")},
}
NAMES = [*(name for verbs in VERBS.values() for name in verbs), "train"]


def build(argv: list[str]) -> App:
    """Every command by its import path, so that help imports nothing heavy; the one that is asked for tells of itself."""
    app = App(
        "empirisk", help=HELP, version=__version__, help_format="plaintext", result_action="return_value",
        help_flags=["--help", "-h"], default_parameter=Parameter(negative="", show_default=False), suppress_keyboard_interrupt=False,
    )  # fmt: skip
    order = iter(range(100))
    for title, verbs in VERBS.items():
        group = Group.create_ordered(title)
        if title == "Train":
            usage = "Usage: empirisk train EXPERIMENT DATA [OPTIONS]"
            train = App("train", help=TRAIN, help_format="plaintext", group=group, usage=usage)
            experiments = Group.create_ordered("Experiments")
            for name, line in EXPERIMENTS.items():
                help_ = None if argv[1:2] == [name] else line
                train.command(
                    f"empirisk.verbs.command:{name}", name=name, help=help_, group=experiments, sort_key=next(order)
                )
            train["--help"].show = train["--version"].show = False
            app.command(train)
            app.command("empirisk.verbs.command:again", name="train-again", show=False)
        for name, (where, line) in verbs.items():
            help_ = None if argv[:1] == [name] else line
            app.command(f"empirisk.verbs.{where}", name=name, help=help_, group=group, sort_key=next(order))
    app["--help"].group = app["--version"].group = Group.create_ordered("Options")
    return app


def redirect(argv: list[str]) -> list[str]:
    """`train --config FILE` has no experiment; `train DATA` and a mistyped experiment are `Wrong` (exit 2) with the command to type."""
    if argv[:1] != ["train"] or len(argv) < 2 or argv[1] in EXPERIMENTS or argv[1] in {"--help", "-h"}:
        return argv
    flags = [i for i, a in enumerate(argv) if a == "--config" or a.startswith("--config=")]
    if argv[1].startswith("-"):
        if not flags:
            raise Wrong("train needs an experiment", remedy="the form is: empirisk train EXPERIMENT DATA")
        at = flags[0]
        value, rest = ([argv[at].partition("=")[2]], at + 1) if "=" in argv[at] else (argv[at + 1 : at + 2], at + 2)
        return ["train-again", *value, *argv[1:at], *argv[rest:]]
    word = argv[1]
    from empirisk.data.embedded import knows

    if knows(word) or Path(word).exists() or Path(f"{word}.npz").exists():
        from empirisk.verbs.data import command_for

        raise Wrong(f"train needs an experiment before {word}", remedy=f"type: {command_for(word)}")
    known = f"experiments are {', '.join(EXPERIMENTS)}; the form is: empirisk train EXPERIMENT DATA"
    raise Wrong(f"{word!r} is neither an experiment nor data that is there", remedy=near(word, EXPERIMENTS) or known)


def misused(error: CycloptsError, argv: list[str]) -> Wrong:
    """What the parser refused, in our form."""
    if isinstance(error, UnknownCommandError) and argv and argv[0] not in NAMES:
        return Wrong(f"{argv[0]!r} is no command", remedy=near(argv[0], NAMES) or f"commands are {', '.join(NAMES)}")
    words = [w for w in argv[:2] if w in NAMES or w in EXPERIMENTS]
    text = " ".join(str(error).replace("train-again", "train --config").split())
    return Wrong(text[:1].lower() + text[1:], remedy=f"see: empirisk {' '.join([*words, '--help'])}")


def refused(wrong: Wrong, argv: list[str]) -> int:
    """Say what is wrong; with --json stdout holds it as the one document. A worker leaves that to who started it."""
    if handed_over(wrong):
        return 0
    print(f"empirisk: {wrong}", file=sys.stderr)
    if "--json" in argv:
        print(json.dumps({"error": vars(wrong)}, indent=1))
    return wrong.code


def foreign(error: Exception) -> traceback.FrameSummary | None:
    """Where the error comes from, libraries left out, if that is not in empirisk: a model, data or loss of the user's own."""
    own, paths = Path(__file__).resolve().parent, sysconfig.get_paths()
    installed = [Path(paths[name]).resolve() for name in ("stdlib", "purelib", "platlib")]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename).resolve()
        if file.is_relative_to(own):
            return None
        if file.is_file() and not any(file.is_relative_to(folder) for folder in installed):
            return frame
    return None


def run(argv: list[str]) -> int:
    """One command; its exit code."""
    try:
        result = build(argv)(redirect(argv), exit_on_error=False, print_error=False)
        return result if isinstance(result, int) else 0
    except Wrong as wrong:
        return refused(wrong, argv)
    except CycloptsError as error:
        return refused(misused(error, argv), argv)
    except KeyboardInterrupt as stopped:
        return getattr(stopped, "code", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:  # a fault of the program itself: its traceback goes to crash.txt, not to the terminal
        if frame := foreign(error):
            what = f"your own code raised {type(error).__name__}: {error}"
            where = f"{frame.filename}:{frame.lineno} in {frame.name}"
            return refused(
                Wrong(what, where=where, remedy="--debug shows how it came there", code=RUN, reason="code"), argv
            )
        file = Path("crash.txt")
        try:
            file.write_text("".join(traceback.format_exception(error)), "utf-8", "backslashreplace")
            remedy = f"please report it with {file}, which lies here and may name your files"
        except OSError:
            remedy = "the same command with --debug shows where"
        what = f"this is a fault of empirisk: {type(error).__name__}: {error}"
        return refused(Wrong(what, remedy=remedy, code=RUN, reason="bug"), argv)


def main() -> None:
    """The console script."""
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.exit("empirisk: the working directory is gone")
    if "OMP_NUM_THREADS" not in os.environ:  # runtime.threads_of says why
        os.environ |= {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // 2)), "EMPIRISK_THREADS": "free"}
    argv = sys.argv[1:]
    if "--debug" in argv:
        argv.remove("--debug")
        sys.exit(build(argv)(redirect(argv)))
    code = run(argv)
    if "WORLD_SIZE" in os.environ:  # gloo's threads may abort an interpreter that is going away (pytorch#179291)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
