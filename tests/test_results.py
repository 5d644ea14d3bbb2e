"""The tables of README and docs, from made-up results of every kind; and what is asked of runs is asked once."""

import csv
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import jobs
import results
import tables


def estimate(value, half=0.05, n=100):
    return {"value": value, "low": value - half, "high": value + half, "n": n, "unit": "image"}


def made_up(name, runs, **more):
    job = jobs.JOBS[name]
    about = {
        "name": name, "command": results.command(job, "SEED", job.minutes, next(iter(job.variants))), "metric": job.metrics[0],
        "minutes": job.minutes, "part": job.part, "data": {"name": Path(job.data).name}, "seeds": list(job.seeds),
        "machine": "a machine", "limit": None,
    }  # fmt: skip
    return about | {"runs": runs} | more


def run(job, variant="", seed=0, **more):
    kept = {"seconds": 90.0, "recipe": {"parameters": 1234}, "without_twins": {}, "baseline": {}}
    return {"variant": variant, "seed": seed, "command": results.command(job, seed, job.minutes, variant)} | kept | more


@pytest.fixture
def architectures():
    job, losses = jobs.JOBS["architectures"], {"linear": 0.4, "resnet18": 0.11, "densenet121": 0.1, "lenet": 0.2}
    runs = [
        run(job, name, seed, val={"log_loss": estimate(loss + 0.01 * seed), "auc": estimate(1 - loss)})
        for name, loss in losses.items()
        for seed in (0, 1)
    ]
    for r in runs:
        if r["variant"] != "densenet121":
            d = losses[r["variant"]] - 0.1
            r["against"] = {"log_loss": estimate(d), "auc": estimate(-d)}
    return made_up("architectures", runs, best="densenet121", seeds=[0, 1])


def test_the_best_variant_has_ties_and_the_test_set_is_not_spoken_of(architectures):
    found = tables.compared(architectures).splitlines()
    assert found[0] == "**architectures**, on validation; the test set stays closed:"
    assert found[2].startswith("|  | parameters | log_loss | auc | log_loss less that of densenet121 |")
    rows = {line.split(":")[0]: line.split(" | ") for line in found[4:8]}
    assert rows["| linear"][:3] == ["| linear: `--model linear`", "1,234", ".405 [.350, .460]"]
    assert rows["| linear"][4] == ".300 [.250, .350]"
    assert rows["| resnet18"][4] == "= .010 [-.040, .060]"
    assert rows["| densenet121"][4] == "the best"
    assert rows["| linear"][-1] == "90 90 |"


def test_readme_has_the_best_its_ties_and_the_last(architectures):
    last = tables.summary([architectures]).splitlines()[-1].split(" | ")
    assert last[1] == "`empirisk train classification pneumoniamnist.npz --model densenet121 --minutes 2`"
    assert last[3].startswith("densenet121: log_loss .105 [.050, .160]; auc .900 [.850, .950]")
    assert last[4] == "a tie with resnet18; the last is linear .405 [.350, .460]"
    assert last[5] == "1.5, 2 seeds |"


def test_readme_has_the_best_baseline_and_the_least_possible():
    job = jobs.JOBS["phantom-diameter"]
    test = {"rmse": estimate(2.0), "mae": estimate(1.5)}
    theirs = {name: {"rmse": estimate(v), "mae": estimate(v)} for name, v in {"mean": 7.0, "linear": 6.0}.items()}
    one = made_up("phantom-diameter", [run(job, test=test, baseline=theirs)], limit={"what": "reader", "value": 1.5})
    last = tables.summary([one]).splitlines()[-1].split(" | ")
    assert last[2:5] == [
        "phantom, 100 images", "rmse 2.000 [1.950, 2.050], possible 1.500; mae 1.500 [1.450, 1.550]", "linear 6.000 [5.950, 6.050]"
    ]  # fmt: skip
    assert last[5] == "1.5 |"


def test_folds_are_pooled_and_have_their_own_baselines():
    scores = {"r2": estimate(0.6), "mae": estimate(200.0)}
    folds = {"pooled": scores, "baseline": {"linear": {"r2": estimate(0.5), "mae": estimate(230.0)}}}
    one = made_up("volume", [run(jobs.JOBS["volume"], folds=folds)])
    words = tables.wide([one]).splitlines()[2].split(" | ")
    assert words == ["| volume r2", ".600 [.550, .650]", ".600", "", "100 images", "linear .500 [.450, .550]", " |"]
    assert tables.summary([one]).splitlines()[-1].split(" | ")[4] == "linear .500 [.450, .550]"


def test_two_variants_stand_beside_each_other_and_a_verdict_is_said():
    job = jobs.JOBS["residual"]
    runs = [
        run(job, v, s, training={"risk": {"value": x + 0.01 * s}})
        for v, x in (("residual", 0.1), ("plain", 0.3))
        for s in (0, 1)
    ]
    last = tables.summary([made_up("residual", runs)]).splitlines()[-1].split(" | ")
    assert last[2:5] == ["pneumoniamnist.npz", "residual: risk .105 [.100, .110]", "plain .305 [.300, .310]"]
    job, verdicts = jobs.JOBS["capacity"], {"degree 3": "fits", "degree 1": "under-fits", "degree 15": "over-fits"}
    runs = [run(job, v, test={"rmse": estimate(0.3)}, verdict=word) for v, word in verdicts.items()]
    one = made_up("capacity", runs, limit={"what": "noise", "value": 0.2})
    last = tables.summary([one]).splitlines()[-1].split(" | ")
    assert last[4] == "degree 1 .300 [.250, .350], under-fits; degree 15 .300 [.250, .350], over-fits"
    assert "The least possible rmse is .200: noise." in tables.compared(one)


def test_every_job_is_a_command_of_an_experiment_and_has_an_idea():
    from empirisk.experiments import EXPERIMENTS

    for name, job in jobs.JOBS.items():
        line = results.command(job, 0, job.minutes, next(iter(job.variants)))
        assert line.split()[2] in EXPERIMENTS
        assert line.endswith(" --seed 0")
        assert job.idea, name


def test_a_verb_is_asked_once_and_its_words_stay_in_the_run(tmp_path, monkeypatch):
    asked = []

    def said(words, **options):
        asked.append(words[3:])
        return results.subprocess.CompletedProcess(words, 0, stdout='{"verdict": "fits"}')

    monkeypatch.setattr(results.subprocess, "run", said)
    for _ in range(2):
        assert results.document(tmp_path, "capacity") == {"verdict": "fits"}
        assert results.document(tmp_path, "compare", "runs/other-0") == {"verdict": "fits"}
    assert asked == [["capacity", str(tmp_path), "--json"], ["compare", str(tmp_path), "runs/other-0", "--json"]]
    assert (tmp_path / "compare-other-0-said.json").exists()


def test_what_is_kept_of_a_run_by_where_its_numbers_stand(tmp_path):
    folder = tmp_path / "x-0"
    (folder / "fold-1").mkdir(parents=True)
    (tmp_path / "x-0.commit").write_text("0" * 40)
    about = {"seconds": 60.0, "steps": 7, "kept": {}, "opened": [], "recipe": {}}
    for place in (folder, folder / "fold-1"):
        (place / "run.json").write_text(json.dumps(about))
    (folder / "metrics.json").write_text(json.dumps({"val": {"r2": estimate(0.5)}, "folds": {"pooled": {}}}))
    with (folder / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["epoch", "train"], [0, 0.9], [1, 0.25]])
    pooled = results.recorded(folder, jobs.JOBS["volume"])
    assert (pooled["folds"], pooled["seconds"], pooled["opened"]) == ({"pooled": {}}, 120.0, 0)
    assert results.recorded(folder, jobs.JOBS["residual"])["training"] == {"risk": {"value": 0.25}}
    points = [{"attack": "pgd", "epsilon": 2 / 255, "scores": {"accuracy": 0.8, "auc": 0.9}, "interval": [0.7, 0.85]}]
    found = results.attacked({"n": 524, "metric": "accuracy", "points": points})
    assert found == {"accuracy, pgd 2/255": {"value": 0.8, "low": 0.7, "high": 0.85, "n": 524, "unit": "image"}}


def test_data_that_are_made_first(tmp_path):
    source, colours = tmp_path / "s", {"a": (200, 90, 160), "b": (230, 230, 230), "c": (5, 5, 5)}
    for name, colour in colours.items():
        for kind in ("images", "labels"):
            (source / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), colour).save(source / kind / f"{name}.png")
    job = jobs.JOBS["nuclei-by-stain"]
    homes = results.made(job, source, tmp_path / "out")
    assert set(homes) == set(job.variants)
    for variant, held in (("colour", "a"), ("light", "b"), ("dark", "c")):
        parts = {f.stem: f.parts[-3] for f in Path(homes[variant]).rglob("images/*.png")}
        assert parts == {name: "test" if name == held else "train" for name in colours}
        assert (
            results.command(job, 0, 10, variant)
            == f"empirisk train segmentation {variant} {job.flags} --minutes 10 --seed 0"
        )
    with Image.open(Path(homes["colour"]) / "test" / "images" / "a.png") as image:
        assert image.mode == "L"
    with Image.open(Path(homes["dark"]) / "train" / "images" / "a.png") as image:
        assert image.mode == "RGB"
    table = results.made(jobs.JOBS["stains"], source, tmp_path / "table")[""]
    with Path(table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["label"] for r in rows] == ["colour", "light", "dark"]
    assert (Path(table).parent / rows[0]["image"]).resolve() == source / "images" / "a.png"


def test_variants_on_their_own_data_stand_beside_their_own_baselines():
    job = jobs.JOBS["nuclei-by-stain"]
    runs = [
        run(
            job,
            v,
            test={"dice": estimate(d), "ap": estimate(d)},
            baseline={"otsu": {"dice": estimate(d - 0.2), "ap": estimate(0.1)}},
        )
        for v, d in (("dark", 0.9), ("light", 0.8), ("colour", 0.7))
    ]
    one = made_up("nuclei-by-stain", runs, data={"name": "dsb2018", "made": "by_stain"})
    found = tables.compared(one)
    assert "|  | parameters | dice | ap | best baseline, dice | best baseline, ap | seconds |" in found
    assert (
        "| colour | 1,234 | .700 [.650, .750] | .700 [.650, .750] | otsu .500 [.450, .550] | otsu .100 [.050, .150] | 90 |"
        in found
    )
    assert (
        "`python benchmarks/prepared.py by_stain dsb2018 OUT`, then in OUT `empirisk train segmentation dark" in found
    )
