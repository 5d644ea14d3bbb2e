"""`make results`: train, open each test set once, keep what came of it in results/NAME.json, fill the tables of README and docs.

    EMPIRISK_DATA=... python benchmarks/results.py [--only NAME] [--minutes M --into FOLDER] [--render]

Runs go one after another. A seed that is finished is not trained again, one that was stopped goes on; the test set of a name
is opened when all its seeds are trained, and never a second time. A trial with other `--minutes` needs a folder of its own.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results -->", "<!-- /results -->"
PAGES = ("README.md", "docs/results.md")
DOCSTRINGS = {"classification": "pneumoniamnist", "regression": "phantom-diameter"}
"Experiment -> the result that its docstring's line `Measured: ...` carries, where it has such a line."


@dataclass(frozen=True)
class Job:
    """One row of the table: an experiment with its defaults on some data, for a time, by seeds."""

    experiment: str
    data: str
    "a built-in name, or a path below EMPIRISK_DATA"
    metric: str
    minutes: float = 10
    seeds: tuple[int, ...] = (0, 1, 2)
    limit: str = ""
    "what the known truth allows: bayes or reader"


JOBS = {
    "pneumoniamnist": Job("classification", "medmnist/pneumoniamnist.npz", "auc"),
    "breastmnist": Job("classification", "medmnist/breastmnist.npz", "auc"),
    "phantom": Job("classification", "phantom", "accuracy", minutes=3, limit="bayes"),
    "phantom-diameter": Job("regression", "phantom", "rmse", minutes=3, limit="reader"),
}


def command(job: Job, seed: int | str, minutes: float) -> str:
    """What a reader types, in the folder of the data."""
    return f"empirisk train {job.experiment} {Path(job.data).name} --minutes {minutes:g} --seed {seed}"


def path_of(job: Job) -> Path | None:
    """The file of a job's data; None for a built-in set."""
    if "/" not in job.data:
        return None
    if "EMPIRISK_DATA" not in os.environ:
        sys.exit("results: EMPIRISK_DATA must name the folder that holds medmnist/")
    return Path(os.environ["EMPIRISK_DATA"]) / job.data


def commit() -> str:
    """The commit of the sources, with a + where they have been changed since."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git("diff", "HEAD", "-I^    Measured: ", "--", "src")
    return git("rev-parse", "HEAD") + ("+" if changed or git("ls-files", "-o", "--exclude-standard", "src") else "")


def empirisk(*words: str) -> None:
    """One command in a process of its own; what it says is seen; the first failure ends all."""
    done = subprocess.run([sys.executable, "-m", "empirisk", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def opened(run: Path) -> bool:
    """Whether the test set has been opened, or was being opened."""
    return bool(json.loads((run / "run.json").read_text()).get("opened"))


def one(name: str, job: Job, minutes: float, into: Path) -> None:
    """Train every seed that is not finished, then open the test set of each once, then write results/NAME.json."""
    file, runs = path_of(job), into / "runs" / "results"
    folders = {seed: runs / f"{name}-{seed}" for seed in job.seeds}
    runs.mkdir(parents=True, exist_ok=True)
    for seed, folder in folders.items():
        note = runs / f"{name}-{seed}.commit"
        if not note.exists():
            note.write_text(commit())
        words = command(job, seed, minutes).split()[1:]
        empirisk(*words[:2], str(file or job.data), *words[3:], "--out", str(folder))
    for folder in folders.values():
        if not opened(folder):
            empirisk("test", str(folder))
    found = gathered(name, job, minutes, folders, file)
    (into / "results").mkdir(exist_ok=True)
    (into / "results" / f"{name}.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")


def gathered(name: str, job: Job, minutes: float, folders: dict[int, Path], file: Path | None) -> dict[str, Any]:
    """The content of results/NAME.json: no path of this machine."""
    runs = []
    for seed, folder in folders.items():
        run, metrics = (json.loads((folder / f"{part}.json").read_text()) for part in ("run", "metrics"))
        note = folder.parent / f"{folder.name}.commit"
        runs.append(
            {"seed": seed, "commit": note.read_text(), "seconds": run["seconds"], "steps": run["steps"],
             "kept": run["kept"], "opened": len(run["opened"]), "recipe": run["recipe"]}
            | {part: metrics.get(part, {}) for part in ("val", "test", "without_twins", "baseline", "difference")}
        )  # fmt: skip
    data = {"name": Path(job.data).name, "rows_sha256": run["data"]["sha256"], "n": run["data"]["n"]}
    if file:
        data["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return {
        "name": name, "command": command(job, "SEED", minutes), "metric": job.metric, "minutes": minutes,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "data": data, "seeds": list(folders),
        "machine": machine(run["machine"] | {"threads": run["threads"]}), "versions": run["versions"], "limit": limit(job.limit), "runs": runs,
    }  # fmt: skip


def machine(told: dict[str, Any]) -> str:
    """The machine in words."""
    return ", ".join(f"{key} {value}" for key, value in told.items() if value not in ("", None))


def limit(kind: str) -> dict[str, Any] | None:
    """What nobody can beat on data whose truth is known."""
    from empirisk.data import phantom

    if kind == "bayes":
        return {"what": "Bayes", "value": 1 - phantom.bayes_error()}
    return {"what": "reader's error", "value": phantom.least_rmse()} if kind == "reader" else None


def read(folder: Path) -> list[dict[str, Any]]:
    """Every result there is, in the order of JOBS."""
    files = [folder / f"{name}.json" for name in JOBS]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def number(value: float | None) -> str:
    """Three decimals without the zero before the point.

    >>> number(0.9571), number(1.2345), number(None)
    ('.957', '1.234', 'undefined')
    """
    return "undefined" if value is None else re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")


def cell(estimates: list[dict[str, Any]]) -> str:
    """Mean over the seeds, from the least lower to the greatest upper end of their intervals."""
    if not estimates or any(e["value"] is None for e in estimates):
        return "undefined" if estimates else "none"
    mean = sum(e["value"] for e in estimates) / len(estimates)
    return f"{number(mean)} [{number(min(e['low'] for e in estimates))}, {number(max(e['high'] for e in estimates))}]"


def row(result: dict[str, Any], metric: str) -> str:
    """One line of the table."""
    runs = result["runs"]
    test = [r["test"][metric] for r in runs]
    without = [r["without_twins"][metric] for r in runs if r["without_twins"]]
    baselines = {b: cell([r["baseline"][b][metric] for r in runs]) for b in runs[0]["baseline"]}
    known = result["limit"] if metric == result["metric"] else None
    words = [
        f"{result['name']} {metric}", cell(test), " ".join(number(e["value"]) for e in test),
        f"{cell(without)}, n = {without[0]['n']}" if without else "no twins", f"{test[0]['n']} {test[0]['unit']}s",
        "; ".join(f"{b} {text}" for b, text in baselines.items()), f"{known['what']} {number(known['value'])}" if known else "",
    ]  # fmt: skip
    return f"| {' | '.join(words)} |"


def table(results: list[dict[str, Any]]) -> str:
    """The table that stands in README and docs."""
    if not results:
        return "Not measured yet: `make results` writes this table."
    lines = [
        "| test set | mean of seeds [least, greatest end of the 95 % intervals] | each seed | without near-twins | n | baselines | possible |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        second = {"classification": "accuracy", "regression": "mae"}[result["command"].split()[2]]
        metrics = dict.fromkeys(("auc", "accuracy") if second == "accuracy" else (result["metric"], second))
        lines += [row(result, metric) for metric in metrics]
    lines.append("")
    for r in results:
        seconds = " ".join(f"{run['seconds']:.0f}" for run in r["runs"])
        lines.append(
            f"- {r['name']}: `{r['command']}`, seeds {' '.join(map(str, r['seeds']))}, {seconds} s; {r['machine']}"
        )
    return "\n".join(lines)


def filled(text: str, content: str) -> str:
    """A page with its table between the markers replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def measured(results: list[dict[str, Any]], name: str) -> str:
    """The line of a docstring."""
    for r in results:
        if r["name"] == name:
            value = cell([run["test"][r["metric"]] for run in r["runs"]])
            return f"Measured: {name} {r['metric']} {value}, {len(r['seeds'])} seeds of {r['minutes']:g} minutes."
    return "Measured: not yet."


def pages(results: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Page -> (what it says, what it must say), for every page with a place for results."""
    out = {}
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8")
        out[page] = text, filled(text, table(results))
    for experiment, name in DOCSTRINGS.items():
        page = f"src/empirisk/experiments/{experiment}.py"
        text = (ROOT / page).read_text("utf-8")
        line = measured(results, name).replace("\\", "")
        out[page] = text, re.sub(r"(?m)^    Measured: .*$", lambda _, line=line: f"    {line}", text)
    return out


def main() -> None:
    """All of it."""
    words = argparse.ArgumentParser(description="Measure, keep and show the results.")
    words.add_argument("--only", choices=JOBS, help="one of them")
    words.add_argument("--minutes", type=float, help="for a trial: so long a seed, into another folder")
    words.add_argument(
        "--into", type=Path, default=ROOT, help="folder for results/ and runs/; this repository if not given"
    )
    words.add_argument("--render", action="store_true", help="only fill the tables from results/*.json")
    given = words.parse_args()
    into = given.into.resolve()
    if given.minutes is not None and into == ROOT:
        words.error("--minutes is for a trial: give a folder for it, --into FOLDER")
    if into == ROOT and not given.render and commit().endswith("+"):
        sys.exit("results: src has changes that are in no commit; commit them, so that the numbers say what made them")
    for name, job in JOBS.items():
        if not given.render and given.only in (None, name):
            one(name, job, given.minutes or job.minutes, into)
    if into != ROOT:
        print(table(read(into / "results")))
        return
    for page, (text, wanted) in pages(read(ROOT / "results")).items():
        if text != wanted:
            (ROOT / page).write_text(wanted, "utf-8")


if __name__ == "__main__":
    main()
