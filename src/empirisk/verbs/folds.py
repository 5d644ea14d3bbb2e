"""Every row judged by a model that never saw its patient: K runs that each hold out another share, their answers pooled."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from empirisk import runtime
from empirisk.errors import Wrong
from empirisk.estimate import Estimate
from empirisk.experiment import Experiment, Rows
from empirisk.experiments import named
from empirisk.figures import Figure, intervals
from empirisk.verbs.report import reported
from empirisk.verbs.run import Run, beside, judge, recorded
from empirisk.verbs.say import Say
from empirisk.verbs.test import opened
from empirisk.verbs.train import train
from empirisk.verbs.words import leads


def folded(
    e: Experiment, out: str | Path | None, folds: int, *, device: str, workers: int, processes: int,
    fixed: dict[str, Any] | None, say: Say,
) -> Run:  # fmt: skip
    """Train the run, and beside it RUN/fold-1 .. fold-K; pool what each of these says of its own held-out rows, and score that.

    Baselines are pooled alike, so the differences are paired. Folds that are there already are left as they are.
    `Wrong` (exit 2) for an experiment without folds, fewer than two, or a fold that lacks a class.
    """
    if "fold" not in e.arguments or folds < 2:
        raise Wrong(f"--folds {folds}: {e.name} has no such folds", remedy="give 2 or more, with data of its own")
    run = train(e, out, fixed=fixed, say=say, device=device, workers=workers, processes=processes)
    if run.folder.metrics().get("folds"):
        return run
    rows, said, single = Rows(), list[Any](), dict[str, Estimate]()
    theirs: dict[str, list[Any]] = defaultdict(list)
    for k in range(1, folds + 1):
        say("Fold", f"{k} of {folds}")
        made = named(e.name)(**(e.arguments | e.objects | {"fold": f"{k}/{folds}"}))
        part = train(made, run.path / f"fold-{k}", say=say, device=device, workers=workers, processes=processes)
        x = part.experiment()
        if getattr(x.data.kind, "names", None) != getattr(e.data.kind, "names", None):
            raise Wrong(f"fold {k} has other classes than the whole", remedy="give --classes, or fewer folds")
        held, answers = opened(part, x, runtime.device_named(device))
        for name, baseline in x.task.baseline(x.data.rows("train")).items():
            theirs[name] += baseline(held)
        first, statistic = next(iter(x.task.score(held, answers).items()))
        single[f"fold {k}"] = judge(x, held, {first: statistic})[first]
        rows, said = rows + held, said + answers
    mine = e.task.score(rows, said)
    scores = judge(e, rows, mine)
    others = beside(e, rows, mine, {name: e.task.score(rows, a) for name, a in theirs.items()})
    first = next(iter(scores))
    with run.folder.lock():
        run.folder.write_metrics(folds={"pooled": recorded(scores)} | others)
        run.write_predictions(e, rows, said, "folds")
        run.folder.write_figures("folds", [figure(first, {"pooled": scores[first]} | single).to_dict()])
    reported(run)
    say.numbers("Pooled", scores)
    for name, found in others["baseline"].items():
        say.numbers(name, {metric: Estimate(**number) for metric, number in found.items()})
    leads(say, first, others["difference"])
    return run


def figure(metric: str, scores: dict[str, Estimate]) -> Figure:
    """The first score, pooled and of each fold."""
    rows = tuple((name, s.value, s.low, s.high) for name, s in scores.items())
    text = (
        f"Each row was judged once, by the model that never saw its patient; pooled: over all {scores['pooled'].n} rows. "
        "The spread over folds is that of other patients and another training set at once."
    )
    svg = intervals(rows, label=text, x=f"{metric} with its 95 % interval")
    return Figure("folds", "Folds", svg, text, "pictures", ("fold", metric, "low", "high"), rows)
