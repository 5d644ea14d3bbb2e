"""Clusters from the command to the report: what is found on known groups, flags of one model, data that cannot be grouped."""

import csv

import numpy as np
import pytest

import empirisk as er
from empirisk.errors import Wrong
from empirisk.verbs.run import load
from empirisk.verbs.say import Say

TWO = "breast-cancer:inputs=mean_area|mean_texture"


def table(tmp_path, x, labels=None):
    """A CSV of two columns, with classes where given."""
    lines = ["a,b,label" if labels is not None else "a,b"]
    lines += [",".join(map(str, [*row, *([labels[i]] if labels is not None else [])])) for i, row in enumerate(x)]
    path = tmp_path / "blobs.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def blobs(tmp_path):
    """Three groups of 80 rows."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal((12 * k, 12 * (k == 1)), 1, (80, 2)) for k in range(3)]).round(4)
    return table(tmp_path, x, np.repeat(["left", "middle", "right"], 80))


@pytest.mark.parametrize("model", ["kmeans", "mixture", "hdbscan"])
def test_known_groups_are_found_and_their_number_too(blobs, tmp_path, model):
    run = er.train(er.clustering(blobs, model=model), tmp_path / model, say=Say(quiet=True))
    metrics = run.folder.metrics()
    assert metrics["val"]["ari"]["value"] > 0.95
    assert abs(metrics["baseline"]["random"]["ari"]["value"]) < 0.2
    assert run.folder.read()["learned"]["groups"]["number"] == 3
    with run.folder.prediction_file("val").open() as lines:
        cells = list(csv.DictReader(lines))
    assert list(cells[0])[:6] == ["id", "patient", "target", "prediction", "cluster", "distance"]
    assert {c["target"] for c in cells} == {"left", "middle", "right"}
    page = run.folder.report.read_text()
    for title in ("Decision regions", "With labels", "Classes and clusters", "How many clusters"):
        assert title in page


def test_labels_are_not_looked_at(blobs, tmp_path):
    """The same rows under other classes, or none, get the same clusters."""
    with open(blobs) as lines:
        x = [[row["a"], row["b"]] for row in csv.DictReader(lines)]
    part = ["train"] * 160 + ["val"] * 40 + ["test"] * 40
    order = np.random.default_rng(1).permutation(240)
    made = []
    for labels in (["one", "other"] * 120, None):
        (tmp_path / str(labels is None)).mkdir()
        path = tmp_path / str(labels is None) / "rows.csv"
        named = [f",{labels[i]}" if labels else "" for i in range(240)]
        body = [f"{x[o][0]},{x[o][1]},{p}{name}" for o, p, name in zip(order, part, named, strict=True)]
        path.write_text("\n".join([f"a,b,split{',label' if labels else ''}", *body]) + "\n")
        run = er.train(er.clustering(str(path), clusters=3), tmp_path / f"run-{labels is None}", say=Say(quiet=True))
        made.append(run.folder.weights.read_bytes())
        assert list(run.folder.metrics()["val"])[0] == ("ari" if labels else "silhouette")
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ({"model": "spectral"}, "--model spectral is unknown"),
        ({"model": "hdbscan", "clusters": 3}, "--clusters: model hdbscan has no clusters"),
        ({"smallest": 4}, "--smallest: model kmeans has no smallest"),
        ({"model": "hdbscan", "smallest": 1}, "--smallest is 1"),
        ({"clusters": 0}, "--clusters is 0"),
        ({"clusters": 5000}, "--clusters 5000 of"),
    ],
)
def test_flags_that_cannot_be_honoured_are_refused(flags, match):
    with pytest.raises(Wrong, match=match) as wrong:
        er.clustering(TWO, **flags)
    assert wrong.value.code == 2


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (lambda a: np.zeros_like(a), "b: the same in all training rows"),
        (lambda a: 3 * a + 1, "one follows from the others"),
    ],
)
@pytest.mark.parametrize("experiment", ["clustering", "density"])
def test_constant_and_dependent_columns_end_in_words_and_leave_no_weights(tmp_path, cli, experiment, column, match):
    a = np.random.default_rng(0).normal(size=60).round(3)
    path = table(tmp_path, np.stack([a, column(a)], 1))
    code, _, said = cli("train", experiment, path, "--out", tmp_path / "run")
    assert code == 2
    assert match in " ".join(said.split())
    assert not (tmp_path / "run/weights.safetensors").exists()


def test_a_cluster_of_a_new_row_needs_no_data(blobs, tmp_path):
    er.train(er.clustering(blobs, clusters=3), tmp_path / "run", say=Say(quiet=True))
    said = load(tmp_path / "run").predict([np.array([0.0, 0.0]), np.array([12.0, 12.0]), np.array([0.1, 0.2])])
    assert said[0].cluster == said[2].cluster != said[1].cluster
