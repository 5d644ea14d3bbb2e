"""README and docs hold together: links, flags, results; the pages build offline and call nobody. Their blocks run by conftest.py."""

import doctest
import importlib.util
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
COURSE = sorted((ROOT / "docs" / "course").glob("*.md"))


@pytest.fixture(scope="module")
def pictures():
    """docs/pictures.py, whose `draw` the blocks of the course call."""
    return imported("pictures", ROOT / "docs" / "pictures.py")


@pytest.fixture(scope="module")
def results():
    return imported("benchmark_results", ROOT / "benchmarks" / "results.py")


def imported(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", TEXTS, ids=lambda p: p.name)
def test_every_link_within_the_project_leads_somewhere(text):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text.read_text("utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (text.parent / link).exists()] == []


def test_every_flag_of_train_is_in_the_command_line_page():
    from empirisk.experiments import EXPERIMENTS, named
    from empirisk.verbs.command import OWN

    text = (ROOT / "docs" / "command_line.md").read_text("utf-8")
    flags = {name for e in EXPERIMENTS for name in inspect.signature(named(e)).parameters} - {"data"}
    assert [f for f in sorted(flags | {*OWN}) if f"`--{f.replace('_', '-')}" not in text] == []


def test_every_command_is_in_the_command_line_page():
    from empirisk.cli import VERBS

    text = (ROOT / "docs" / "command_line.md").read_text("utf-8")
    assert [verb for verbs in VERBS.values() for verb in verbs if f"`empirisk {verb}" not in text] == []


def test_contributing_is_short_and_names_every_target():
    text, makefile = (ROOT / "CONTRIBUTING.md").read_text("utf-8"), (ROOT / "Makefile").read_text("utf-8")
    assert len(text.splitlines()) < 50
    for target in re.findall(r"make (\w+)", text):
        assert re.search(rf"(?m)^{target}:", makefile), target


def test_the_built_pages_call_no_host(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(ROOT / "docs"), str(tmp_path / "html"),
         "-d", str(tmp_path / "trees")], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for page in [*(tmp_path / "html").rglob("*.html"), *(tmp_path / "html").rglob("*.css")]:
        text = page.read_text("utf-8")
        fetched = re.findall(
            r"""(?:src|srcset)=["'](?:https?:)?//[^"']*|<link[^>]+href=["'](?:https?:)?//[^"']*""", text
        )
        fetched += re.findall(r"""(?:@import|url\()\s*["']?(?:https?:)?//[^)"']*""", text)
        assert fetched == [], page
        assert not [m for m in re.findall(r"<math.*?</math>", text, re.DOTALL) if "\\" in m], (
            "a formula was not understood"
        )
    assert "<math" in (tmp_path / "html" / "course" / "risk.html").read_text("utf-8")


@pytest.mark.parametrize("text", COURSE, ids=lambda p: p.stem)
def test_a_chapter_has_formulas_lines_of_source_blocks_and_the_pictures_they_draw(text):
    said = text.read_text("utf-8")
    blocks = "".join(re.findall(r"(?ms)^```python\n(.*?)^```", said))
    shown = re.findall(r"!\[[^\]]+\]\(pictures/([\w-]+)\.svg\)", said)
    assert "$$" in said
    assert shown
    assert "draw(" in blocks
    assert [name for name in shown if f'"{name}"' not in blocks] == []
    includes = re.findall(r"(?ms)^```\{literalinclude\} (\S+)\n(.*?)^```", said)
    assert includes
    for path, options in includes:
        assert (text.parent / path).resolve().is_relative_to(ROOT / "src"), path
        assert ":lines:" not in options, f"{path}: by name or text, so that it cannot rot"
        assert ":pyobject:" in options or ":start-a" in options, path


def test_every_chapter_and_every_picture_is_shown_and_no_picture_is_large():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert [p.stem for p in COURSE if f"course/{p.stem}\n" not in index] == []
    shown = [name for p in COURSE for name in re.findall(r"\(pictures/([\w-]+\.svg)\)", p.read_text("utf-8"))]
    files = {p.name: p for p in (ROOT / "docs" / "course" / "pictures").iterdir()}
    assert sorted(shown) == sorted(files)
    for file in files.values():
        svg = file.read_bytes()
        assert len(svg) < 60_000, file
        assert b"<script" not in svg
        ElementTree.fromstring(svg)


def test_the_lines_of_source_in_the_tables_of_the_course_are_in_the_source():
    found = 0
    for text in COURSE:
        for table in re.findall(r"(?m)^\|.*\| line of source \|\n(?:\|.*\n)+", text.read_text("utf-8")):
            for row in table.splitlines()[2:]:
                line, path = re.findall(r"`([^`]+)` in `([^`]+)` \|$", row)[0]
                place = ROOT / "src" / "empirisk" / path
                files = sorted(place.glob("*.py")) if place.is_dir() else [place]
                source = "".join(file.read_text("utf-8") for file in files)
                assert "".join(line.split()) in "".join(source.split()), f"{text.name}: {path} has no {line}"
                found += 1
    assert found > 10


def test_the_course_names_every_regulariser_optimiser_schedule_and_loss():
    from empirisk import optimization, regularization
    from empirisk.tasks.regression import LOSSES

    text = "".join(p.read_text("utf-8") for p in COURSE)
    flags = set(re.findall(r"``(--[\w-]+)``", regularization.__doc__))
    names = {*optimization.OPTIMIZERS, *optimization.SCHEDULES}
    assert len(flags) > 10
    assert [word for word in sorted(flags | names) if f"`{word}`" not in text] == []
    assert [name for name in LOSSES if name != "squared" and f"`--loss {name}" not in text] == []


def test_a_picture_is_compared_by_what_is_drawn(pictures):
    from empirisk.figures import Curve, Tile, chart, picture, tiles

    def svg(y, name="risk"):
        curves = [Curve(name, [0, 1, 2], y), Curve("other", [0, 2], [0, 1], dots=True)]
        return pictures.alone(chart(curves, label="", x="x", y="y", y_range=(0, 2)))

    assert pictures.apart(svg([0, 1, 2]), svg([0, 1, 2])) == 0
    assert 4 < pictures.apart(svg([0, 1, 2]), svg([0, 1.05, 2])) < 6  # .05 is 5.5 units, across the line less
    assert pictures.apart(svg([0, 1, 2]), svg([0, 1, 2], "gap")) == float("inf")
    ElementTree.fromstring(svg([0, 1, 2], "a < b & c"))
    grey = np.full((1, 8, 8), 0.5)
    pair = [pictures.alone(tiles([Tile(((picture(x), "a"),), ("one",))])) for x in (grey, grey + 0.1)]
    assert 8 < pictures.apart(*pair) < 12
    ElementTree.fromstring(pair[0])


def test_the_example_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    from PIL import Image

    from empirisk.data import phantom
    from empirisk.recipe import Recipe

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Recipe, "epochs_for", lambda self, steps: 1)
    lines = ["image,label,patient"]
    for row in phantom.table(images=60, size=24).rows:
        Image.fromarray(row["x"].read()[0]).save(f"{row['id']}.png")
        lines.append(f"{row['id']}.png,{row['label']},{row['patient']}")
    Path("table.csv").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.setattr(sys, "argv", ["own_model.py", "table.csv"])
    try:
        runpy.run_path(str(ROOT / "examples" / "own_model.py"), run_name="__main__")
    finally:
        sys.modules.pop("own_model", None)
    assert "auc: " in capsys.readouterr().out and Path("runs/texture/report.html").exists()


def test_the_tables_are_those_of_the_results(results):
    for page, (says, must) in results.pages(results.read(ROOT / "results")).items():
        assert says == must, f"{page}: run `python benchmarks/results.py --render`"
    for page in results.PAGES:
        assert results.BEGIN in (ROOT / page).read_text("utf-8")


def test_kept_results_are_whole_and_hold_no_path_of_a_machine(results):
    for name, job in results.JOBS.items():
        for result in (r for r in results.read(ROOT / "results") if r["name"] == name):
            assert result["seeds"] == list(job.seeds) and result["minutes"] == job.minutes
            assert all(run["opened"] == (job.part == "test") for run in result["runs"])
            assert not any(run["commit"].endswith("+") for run in result["runs"])
            assert len(result["data"]["rows_sha256"]) == 64
            assert not re.search(r'"/\w+/', (ROOT / "results" / f"{name}.json").read_text("utf-8"))


def made_up(name, values, *, twins, limit=None):
    def score(v, n):
        return {m: {"value": v, "low": v - 0.1, "high": v + 0.05, "n": n, "unit": "image"} for m in ("auc", "accuracy")}

    runs = [
        {"seed": i, "seconds": 60.0, "test": score(v, 100), "without_twins": score(v - 0.02, 90) if twins else {},
         "baseline": {"prior": score(0.5, 100)}}
        for i, v in enumerate(values)
    ]  # fmt: skip
    return {
        "name": name, "command": "empirisk train classification x --minutes 1 --seed SEED", "metric": "auc", "minutes": 1,
        "seeds": [0, 1], "machine": "a machine", "limit": limit, "runs": runs,
    }  # fmt: skip


def test_a_row_is_the_mean_of_the_seeds_with_the_widest_interval(results):
    table = results.wide([made_up("a", [0.8, 0.9], twins=True, limit={"what": "Bayes", "value": 0.95})]).splitlines()
    assert table[2] == (
        "| a auc | .850 [.700, .950] | .800 .900 | .830 [.680, .930], n = 90 | 100 images | prior .500 [.400, .550] | Bayes .950 |"
    )
    assert table[3].endswith("|  |")  # the limit is of the first metric alone
    assert "seeds 0 1, 60 60 s; a machine" in table[-1]


def test_the_examples_in_the_docstrings_of_results_hold(results):
    for module in (results, sys.modules["tables"]):
        tried = doctest.testmod(module)
        assert tried.attempted and tried.failed == 0


def test_only_what_is_between_the_markers_is_replaced(results):
    page = f"before\n{results.BEGIN}\nold\n{results.END}\nafter"
    new = results.filled(page, "new")
    assert new == f"before\n{results.BEGIN}\nnew\n{results.END}\nafter" and results.filled(new, "new") == new


def test_a_docstring_line_says_what_was_measured(results):
    found = [made_up("pneumoniamnist", [0.8, 0.9], twins=False)]
    assert (
        results.measured(found, "pneumoniamnist")
        == "Measured: pneumoniamnist auc .850 [.700, .950], 2 seeds of 1 minutes."
    )
    assert results.measured([], "pneumoniamnist") == "Measured: not yet."


def test_a_trial_may_not_write_into_the_project(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["results.py", "--minutes", ".1"])
    with pytest.raises(SystemExit) as ended:
        results.main()
    assert ended.value.code == 2 and "--into" in capsys.readouterr().err


def test_a_finished_name_is_neither_trained_nor_opened_again(results, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "commit", lambda: "0" * 40)
    job = results.Job("regression", "curve", ("rmse",), seeds=(0, 1))
    monkeypatch.chdir(tmp_path)

    def words_run(*words):
        from empirisk.cli import run

        argv = [*words, "--model", "linear", "--precision", "float32"] if words[0] == "train" else list(words)
        argv = ["0.001" if argv[i - 1] == "--minutes" else w for i, w in enumerate(argv)]
        said.append(words[0])
        assert run(argv) == 0

    said = []
    monkeypatch.setattr(results, "empirisk", words_run)
    results.one("curve", job, 0.001, tmp_path)
    first = (tmp_path / "results" / "curve.json").read_text()
    assert said == ["train", "train", "test", "test"]
    results.one("curve", job, 0.001, tmp_path)
    assert said == ["train", "train", "test", "test", "train", "train"]  # train says that it is finished
    assert (tmp_path / "results" / "curve.json").read_text() == first and str(tmp_path) not in first
    assert [r["opened"] for r in results.read(tmp_path / "results")] == []  # curve is none of the JOBS
