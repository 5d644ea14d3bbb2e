"""embed: features, a table and a page of maps; of validation, or of other data."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

import empirisk as er
from empirisk.errors import Wrong
from empirisk.verbs.embed import embedded, planes
from empirisk.verbs.run import load
from empirisk.verbs.say import Say


@pytest.fixture
def own(trained, tmp_path):
    """A copy, so that the run that others look at gets no folder."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


def table(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_features_table_and_page_of_the_validation_rows(cli, own):
    code, out, err = cli("embed", own)
    assert code == 0, err
    assert "24 rows" in out
    assert "map.html" in out
    e = load(own).experiment()
    rows, z = e.data.rows("val"), load_file(own / "embed/map.safetensors")["features"]
    np.testing.assert_allclose(z, e.model.eval().embed(e.data.x(rows)).detach(), rtol=1e-5, atol=1e-6)
    cells = table(own / "embed/map.csv")
    assert [c["id"] for c in cells] == [r["id"] for r in rows]
    assert list(cells[0]) == ["id", "patient", "target", "pca1", "pca2", "tsne1", "tsne2"]
    assert [c["target"] for c in cells] == [r["label"] for r in rows]
    xy = np.array([[float(c["pca1"]), float(c["pca2"])] for c in cells])
    centred = z - z.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    np.testing.assert_allclose(np.abs(xy), np.abs(centred @ axes.T), atol=1e-4)
    page = (own / "embed/map.html").read_text()
    assert "default-src 'none'" in page
    assert "val/0" in page


def test_it_is_the_same_again_and_of_other_data(cli, own, tiny):
    first = (own / "embed/map.html").read_bytes() if (own / "embed/map.html").exists() else b""
    code, out, err = cli("embed", own, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert (said["rows"], said["numbers"]) == (24, 4)
    assert not first or (own / "embed/map.html").read_bytes() == first
    code, out, err = cli("embed", own, "--data", tiny / "photos")
    assert code == 0, err
    assert len(table(own / "embed/photos.csv")) == 96
    assert {c["target"] for c in table(own / "embed/photos.csv")} == {"dark", "bright"}


def test_what_cannot_be_embedded_is_refused(cli, own, tiny, tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    e = er.classification(str(tiny / "spots.npz"), model=net, epochs=1)
    run = er.train(e, tmp_path / "sequential", say=Say(quiet=True))
    with pytest.raises(Wrong, match="Sequential has no embed"):
        embedded(run, device=torch.device("cpu"))
    code, _, err = cli("embed", own, "--data", tiny / "photos/dark/P00_1.png")
    assert code == 2
    assert "a map of 1 rows" in err


@pytest.mark.parametrize("n", [3, 4])
def test_few_rows_have_a_map(n):
    drawn, share = planes(torch.randn(n, 5))
    assert [p.name for p in drawn] == ["PCA", "t-SNE"][: n - 2]
    assert 0 < share <= 1.0001
