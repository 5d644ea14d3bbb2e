"""Results as Markdown: README's one table, and the wide tables of docs/results.md."""

import re
from collections.abc import Iterable
from typing import Any

from jobs import JOBS

from empirisk.metrics import LESS_IS_BETTER

Result = dict[str, Any]
"""The content of results/NAME.json."""
Estimates = list[dict[str, Any]]
"""One a seed, as metrics.json has them; without ends where nothing gave an interval."""
FEW = 3
"""Variants that README shows all of."""
NOTHING = "Not measured yet: `make results` writes this table."
SCORED = {
    "val": "on validation; the test set stays closed", "training": "risk on training rows after the last step",
    "attack": "on validation images, changed by at most epsilon a pixel", "test": "on test rows",
}  # fmt: skip


def number(value: float | None) -> str:
    """Three decimals without the zero before the point, one from 10 on.

    >>> number(0.9571), number(1.2345), number(-0.0001), number(339.18), number(None)
    ('.957', '1.234', '.000', '339.2', 'undefined')
    """
    if value is None:
        return "undefined"
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return re.sub(r"^(-?)0\.", r"\1.", text if float(text) else text.lstrip("-"))


def mean(estimates: Estimates) -> float:
    """Over the seeds."""
    return float(sum(e["value"] for e in estimates) / len(estimates))


def ends(estimates: Estimates) -> tuple[float, float]:
    """The least lower and the greatest upper end of the seeds' intervals; where they have none, of their values."""
    low, high = ([e["value"] if e.get(end) is None else e[end] for e in estimates] for end in ("low", "high"))
    return min(low), max(high)


def cell(estimates: Estimates) -> str:
    """Mean over the seeds, from the least lower to the greatest upper end of their intervals.

    >>> cell([{"value": 0.8, "low": 0.7, "high": 0.9}, {"value": 0.9, "low": 0.85, "high": 0.95}])
    '.850 [.700, .950]'
    """
    if not estimates or any(e["value"] is None for e in estimates):
        return "undefined" if estimates else "none"
    low, high = ends(estimates)
    return f"{number(mean(estimates))} [{number(low)}, {number(high)}]"


def variants(result: Result) -> list[str]:
    """Their names in order; one without a name where there are none."""
    return list(dict.fromkeys(run.get("variant", "") for run in result["runs"]))


def several(result: Result) -> bool:
    """Whether it has variants."""
    return len(variants(result)) > 1


def seeds(result: Result, metric: str, variant: str = "") -> Estimates:
    """The estimate of each seed of a variant."""
    return [
        scored(result, run)[metric]
        for run in result["runs"]
        if run.get("variant", "") == variant and scored(result, run)
    ]


def scored(result: Result, run: dict[str, Any]) -> dict[str, Any]:
    """The scores of a run in the part that is shown."""
    part = result.get("part", "test")
    found: dict[str, Any] = run["folds"]["pooled"] if part == "folds" else run[part]
    return found


def baselines(result: Result, metric: str, variant: str | None = None) -> dict[str, Estimates]:
    """By name, the estimate beside each seed's, of those that have such a score; of all runs or those of a variant."""
    mine = [run for run in result["runs"] if variant is None or run.get("variant", "") == variant]
    runs = [run["folds"] if result.get("part") == "folds" else run for run in mine]
    having = [name for name, scores in runs[0]["baseline"].items() if metric in scores]
    return {name: [run["baseline"][name][metric] for run in runs] for name in having}


def beaten(result: Result, metric: str, variant: str) -> str:
    """The best baseline beside a variant."""
    found = baselines(result, metric, variant)
    name = best(found, metric)
    return f"{name} {cell(found[name])}"


def best(found: dict[str, Estimates], metric: str) -> str:
    """The name with the best mean over the seeds."""
    sign = 1 if metric in LESS_IS_BETTER else -1
    known = {name: sign * mean(e) for name, e in found.items() if all(s["value"] is not None for s in e)}
    return min(known, key=lambda name: known[name])


def shown(result: Result) -> list[str]:
    """The metrics that are shown of a result."""
    if result["name"] in JOBS:
        return list(JOBS[result["name"]].metrics)
    return [metric for metric in scored(result, result["runs"][0]) if "/" not in metric]


def row(result: Result, metric: str) -> str:
    """One line of the wide table."""
    test = seeds(result, metric)
    without = [r["without_twins"][metric] for r in result["runs"] if r["without_twins"]]
    known = result["limit"] if metric == result["metric"] else None
    none = "" if "folds" in result["runs"][0] else "no twins"
    words = [
        f"{result['name']} {metric}", cell(test), " ".join(number(e["value"]) for e in test),
        f"{cell(without)}, n = {without[0]['n']}" if without else none, f"{test[0]['n']} {test[0]['unit']}s",
        "; ".join(f"{b} {cell(e)}" for b, e in baselines(result, metric).items()),
        f"{known['what']} {number(known['value'])}" if known else "",
    ]  # fmt: skip
    return line(words)


def line(words: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(words)} |"


def head(*words: str) -> list[str]:
    """The first two lines of a table."""
    return [line(words), "|" + "---|" * len(words)]


def how(result: Result) -> str:
    """How a result was made."""
    seconds = "" if several(result) else ", " + " ".join(f"{run['seconds']:.0f}" for run in result["runs"]) + " s"
    made = result.get("data", {}).get("made")
    first = f"`python benchmarks/prepared.py {made} {result['data']['name']} OUT`, then in OUT " if made else ""
    return f"- {result['name']}: {first}`{result['command']}`, seeds {' '.join(map(str, result['seeds']))}{seconds}; {result['machine']}"


def table(results: list[Result]) -> str:
    """The wide table, and how each row was made."""
    if not results:
        return NOTHING
    mean_of = "mean of seeds [least, greatest end of the 95 % intervals]"
    lines = head("test set", mean_of, "each seed", "without near-twins", "n", "baselines", "possible")
    lines += [row(result, metric) for result in results for metric in shown(result)]
    return "\n".join([*lines, "", *map(how, results)])


def compared(result: Result) -> str:
    """The table of a result with variants."""
    metrics, differs = shown(result), "best" in result
    verdicts = any("verdict" in run for run in result["runs"])
    rivals = [f"best baseline, {m}" for m in metrics if result["part"] == "test" and baselines(result, m)]
    less = [f"{metric} less that of {result['best']}" for metric in metrics] if differs else []
    lines = [f"**{result['name']}**, {SCORED[result['part']]}:", ""]
    lines += head("", "parameters", *metrics, *rivals, *less, *(["verdict"] if verdicts else []), "seconds")
    for name in variants(result):
        runs = [run for run in result["runs"] if run["variant"] == name]
        flags = JOBS[result["name"]].variants[name]
        words = [
            f"{name}: `{flags}`" if flags else name,
            f"{runs[0]['recipe']['parameters']:,}",
            *(cell(seeds(result, m, name)) for m in metrics),
        ]
        words += [beaten(result, m, name) for m in metrics if result["part"] == "test" and baselines(result, m)]
        words += [against(result, name, metric) for metric in metrics] if differs else []
        words += [runs[0]["verdict"]] if verdicts else []
        lines.append(line([*words, " ".join(f"{run['seconds']:.0f}" for run in runs)]))
    if result["limit"]:
        lines += [
            "",
            f"The least possible {metrics[0]} is {number(result['limit']['value'])}: {result['limit']['what']}.",
        ]
    return "\n".join([*lines, "", how(result)])


def against(result: Result, variant: str, metric: str) -> str:
    """A variant's difference from the best one, by the paired test of `compare`; = where it is a tie."""
    if variant == result["best"]:
        return "the best"
    found = [run["against"][metric] for run in result["runs"] if run["variant"] == variant]
    return f"{'= ' if tie(found) else ''}{cell(found)}"


def tie(differences: Estimates) -> bool:
    """Whether 0 lies within the ends of the seeds' intervals.

    >>> tie([{"value": 0.1, "low": 0.05, "high": 0.2}, {"value": 0.0, "low": -0.1, "high": 0.1}])
    True
    """
    low, high = ends(differences)
    return low <= 0 <= high


def wide(results: list[Result]) -> str:
    """All of docs/results.md: the wide table, then one for each result with variants."""
    alone = [result for result in results if not several(result)]
    return "\n\n".join([table(alone), *(compared(result) for result in results if several(result))])


def summary(results: list[Result]) -> str:
    """README's table: idea, command, data, number, what stands beside it, minutes."""
    lines = head("idea", "command", "data", "number [95 % interval]", "beside it", "minutes")
    for result in results:
        names, metrics = variants(result), shown(result)
        mine = result.get("best", names[0])
        cells = [f"{metric} {cell(seeds(result, metric, mine))}" for metric in metrics]
        if result["limit"]:
            cells[0] += f", possible {number(result['limit']['value'])}"
        runs = [run for run in result["runs"] if run.get("variant", "") == mine]
        said = runs[0].get("command", result["command"]).partition(" --seed ")[0]
        minutes = sum(run["seconds"] for run in runs) / len(runs) / 60
        many = f", {len(runs)} seeds" if len(runs) > 1 else ""
        first = seeds(result, metrics[0], mine)[0]
        data = f"{result['data']['name']}" + (f", {first['n']} {first['unit']}s" if "n" in first else "")
        named = f"{mine}: " if mine else ""
        words = [JOBS[result["name"]].idea, f"`{said}`", data, named + "; ".join(cells), beside(result, mine)]
        lines.append(line([*words, f"{minutes:.1f}{many}" if minutes >= 0.05 else "<0.1"]))
    return "\n".join(lines) if results else NOTHING


def beside(result: Result, mine: str) -> str:
    """The best baseline; of variants the others, of many the ties and the worst."""
    metric = shown(result)[0]
    if not mine:
        return beaten(result, metric, "")
    others = [name for name in variants(result) if name != mine]
    if len(others) < FEW:
        verdicts = {run["variant"]: f", {run['verdict']}" for run in result["runs"] if "verdict" in run}
        return "; ".join(f"{name} {cell(seeds(result, metric, name))}{verdicts.get(name, '')}" for name in others)
    ties = [n for n in others if tie([r["against"][metric] for r in result["runs"] if r["variant"] == n])]
    sign = -1 if metric in LESS_IS_BETTER else 1
    worst = min(others, key=lambda name: sign * mean(seeds(result, metric, name)))
    said = f"a tie with {', '.join(ties)}" if ties else "no ties"
    return f"{said}; the last is {worst} {cell(seeds(result, metric, worst))}"
