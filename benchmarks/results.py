"""`make results`: train, keep what came of it in results/NAME.json, fill the tables of README and docs.

    EMPIRISK_DATA=... python benchmarks/results.py [--only NAME] [--minutes M --into FOLDER] [--render]

jobs.py says what is measured, tables.py how it is shown. Runs go one after another. A seed that is finished is not trained
again, one that was stopped goes on; the test set of a name is opened when all its seeds are trained, and never a second time;
what a verb said of a run is kept in the run. A trial with other `--minutes` needs a folder of its own.
"""

import argparse
import csv
import datetime
import hashlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from empirisk.data import embedded, phantom

sys.path.insert(0, str(Path(__file__).resolve().parent))  # where it is loaded from elsewhere
from jobs import JOBS, Job
from prepared import MADE
from tables import Result, best, cell, seeds, summary, variants, wide

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results -->", "<!-- /results -->"
PAGES = {"README.md": summary, "docs/results.md": wide}
"Page -> what stands between its markers."
DOCSTRINGS = {
    "classification": "pneumoniamnist", "regression": "phantom-diameter", "segmentation": "hippocampus", "detection": "bccd",
}  # fmt: skip
"Experiment -> the result that its docstring's line `Measured: ...` carries, where it has such a line."
PARTS = ("val", "test", "without_twins", "baseline", "difference")
"Of metrics.json that are kept of every run."


def command(job: Job, seed: int | str, minutes: float | None, variant: str) -> str:
    """What a reader types, in the folder of the data.

    >>> command(JOBS["architectures"], 0, 2, "lenet")
    'empirisk train classification pneumoniamnist.npz --model lenet --minutes 2 --seed 0'
    """
    flags = [job.flags, job.variants[variant], f"--minutes {minutes:g}" if minutes else "", f"--seed {seed}"]
    return " ".join(["empirisk train", job.experiment, Path(job.data).name.format(variant), *filter(None, flags)])


def path_of(job: Job) -> Path | None:
    """The file or folder of a job's data; None for a built-in set."""
    below = job.made[1] if job.made else job.data
    if embedded.knows(below):
        return None
    if "EMPIRISK_DATA" not in os.environ:
        sys.exit("results: EMPIRISK_DATA must name the folder that holds medmnist/")
    return Path(os.environ["EMPIRISK_DATA"]) / below


def made(job: Job, file: Path | None, out: Path) -> dict[str, Path | str]:
    """The data of each variant."""
    found = MADE[job.made[0]](file, out) if job.made and file else file or job.data
    return dict(found) if isinstance(found, dict) else dict.fromkeys(job.variants, found)


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


def document(run: Path, verb: str, *more: str) -> Any:
    """What a verb says of a finished run with --json, kept in the run: it is asked once."""
    file = run / "-".join([verb, *(Path(word).name for word in more), "said.json"])
    if not file.exists():
        words = [sys.executable, "-m", "empirisk", verb, str(run), *more, "--json"]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        file.write_text(done.stdout)
    return json.loads(file.read_text())


def opened(run: Path) -> bool:
    """Whether the test set has been opened, or was being opened."""
    return bool(json.loads((run / "run.json").read_text()).get("opened"))


def one(name: str, job: Job, minutes: float | None, into: Path) -> None:
    """Train every seed that is not finished, then open the test set of each once, then write results/NAME.json."""
    file, runs = path_of(job), into / "runs" / "results"
    homes = made(job, file, runs / f"{name}-data")
    every = [(variant, seed) for variant in job.variants for seed in job.seeds]
    folders = {(v, s): runs / "-".join(filter(None, [name, v.replace(" ", "-"), str(s)])) for v, s in every}
    runs.mkdir(parents=True, exist_ok=True)
    for (variant, seed), folder in folders.items():
        note = runs / f"{folder.name}.commit"
        if not note.exists():
            note.write_text(commit())
        words = shlex.split(command(job, seed, minutes, variant))[1:]
        empirisk(*words[:2], str(homes[variant]), *words[3:], "--out", str(folder))
    for folder in folders.values():
        if job.part == "test" and not opened(folder):
            empirisk("test", str(folder))
    found = gathered(name, job, minutes, folders, file)
    (into / "results").mkdir(exist_ok=True)
    (into / "results" / f"{name}.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")


def gathered(
    name: str, job: Job, minutes: float | None, folders: dict[tuple[str, int], Path], file: Path | None
) -> Result:
    """The content of results/NAME.json: no path of this machine."""
    runs = []
    for (variant, seed), folder in folders.items():
        said = {"variant": variant, "seed": seed, "command": command(job, seed, minutes, variant)}
        runs.append(said | recorded(folder, job))
    run = json.loads((next(iter(folders.values())) / "run.json").read_text())
    data = {"name": job.made[1] if job.made else Path(job.data).name, "made": job.made[0] if job.made else ""}
    data |= {"rows_sha256": run["data"]["sha256"], "n": run["data"]["n"]}
    if file and file.is_file():
        data["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    result: Result = {
        "name": name, "command": command(job, "SEED", minutes, next(iter(job.variants))), "metric": job.metrics[0],
        "minutes": minutes, "part": job.part, "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "data": data,
        "seeds": list(job.seeds), "machine": machine(run["machine"] | {"threads": run["threads"]}), "versions": run["versions"],
        "limit": limit(job.limit), "runs": runs,
    }  # fmt: skip
    return ranked(result, job, folders) if job.part == "val" else result


def recorded(folder: Path, job: Job) -> dict[str, Any]:
    """What is kept of a run, and what its verb says of it."""
    run, metrics = (json.loads((folder / f"{part}.json").read_text()) for part in ("run", "metrics"))
    found = {"commit": (folder.parent / f"{folder.name}.commit").read_text()}
    found |= {"seconds": run["seconds"], "steps": run["steps"], "kept": run["kept"], "opened": len(run["opened"])}
    found |= {"recipe": run["recipe"]} | {part: metrics.get(part, {}) for part in PARTS}
    if job.part == "folds":
        found["folds"] = metrics["folds"]
        found["seconds"] += sum(json.loads(f.read_text())["seconds"] for f in folder.glob("fold-*/run.json"))
    if job.part == "training":
        with (folder / "history.csv").open() as rows:
            found["training"] = {"risk": {"value": float(list(csv.DictReader(rows))[-1]["train"])}}
    if job.verb == "attack":
        found["attack"] = attacked(document(folder, "attack"))
    if job.verb == "capacity":
        found["verdict"] = document(folder, "capacity")["verdict"]
    return found


def attacked(said: dict[str, Any]) -> dict[str, Any]:
    """The score at each epsilon of each attack with its interval, by a name such as "accuracy, pgd 2/255"; without one "accuracy"."""
    return {
        f"{said['metric']}, {p['attack']} {255 * p['epsilon']:g}/255" if p["epsilon"] else said["metric"]: {
            "value": p["scores"][said["metric"]], "low": p["interval"][0], "high": p["interval"][1], "n": said["n"], "unit": "image",
        }
        for p in said["points"]
    }  # fmt: skip


def ranked(result: Result, job: Job, folders: dict[tuple[str, int], Path]) -> Result:
    """With the best variant by the first metric, and of every other the paired differences from it, seed by seed."""
    metric = job.metrics[0]
    top = best({variant: seeds(result, metric, variant) for variant in variants(result)}, metric)
    for run, ((variant, seed), folder) in zip(result["runs"], folders.items(), strict=True):
        if variant != top:
            found = document(folder, "compare", str(folders[top, seed]))
            run["against"] = {m: found["val"]["difference"][m] for m in job.metrics}
    return result | {"best": top}


def machine(told: dict[str, Any]) -> str:
    """The machine in words."""
    return ", ".join(f"{key} {value}" for key, value in told.items() if value not in ("", None))


def limit(kind: str) -> dict[str, Any] | None:
    """What nobody can beat on data whose truth is known."""
    if kind == "bayes":
        return {"what": "Bayes", "value": 1 - phantom.bayes_error()}
    if kind == "noise":
        return {"what": "noise", "value": inspect.signature(embedded.curve).parameters["noise"].default}
    return {"what": "reader's error", "value": phantom.least_rmse()} if kind == "reader" else None


def read(folder: Path) -> list[Result]:
    """Every result there is, in the order of JOBS."""
    files = [folder / f"{name}.json" for name in JOBS]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def filled(text: str, content: str) -> str:
    """A page with its table between the markers replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def measured(results: list[Result], name: str) -> str:
    """The line of a docstring."""
    for r in results:
        if r["name"] == name:
            value, many = cell(seeds(r, r["metric"])), len(r["seeds"])
            how = f"{many} seeds of" if many > 1 else "one seed,"
            return f"Measured: {name} {r['metric']} {value}, {how} {r['minutes']:g} minutes."
    return "Measured: not yet."


def pages(results: list[Result]) -> dict[str, tuple[str, str]]:
    """Page -> (what it says, what it must say), for every page with a place for results."""
    out = {}
    for page, render in PAGES.items():
        text = (ROOT / page).read_text("utf-8")
        out[page] = text, filled(text, render(results))
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
            one(name, job, job.minutes and (given.minutes or job.minutes), into)
    if into != ROOT:
        print(summary(read(into / "results")), wide(read(into / "results")), sep="\n\n")
        return
    for page, (text, wanted) in pages(read(ROOT / "results")).items():
        if text != wanted:
            (ROOT / page).write_text(wanted, "utf-8")


if __name__ == "__main__":
    main()
