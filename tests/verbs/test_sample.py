"""sample: files that differ, say that they are synthetic, and come again the same."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

import empirisk as er
from empirisk.generative import judge as judges
from empirisk.verbs.say import Say


def trained_on(data, out, **flags):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "STEPS", 8)
        return er.train(
            er.generation(data, codes=4, width=8, **({"epochs": 15} | flags)), out, say=Say(quiet=True)
        ).path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained_on("phantom:images=160,size=12", tmp_path_factory.mktemp("sample") / "run")


def test_sixteen_pictures_all_different_say_that_they_are_synthetic(run, cli):
    code, out, err = cli("sample", run, "-n", 16, "--json")
    assert code == 0, err
    files = sorted((run / "samples").glob("*.png"))
    assert [str(f) for f in files] == json.loads(out)["files"]
    assert len({f.read_bytes() for f in files}) == len({Image.open(f).tobytes() for f in files}) == 16
    for file in files:
        picture = Image.open(file)
        assert (picture.size, picture.mode) == ((12, 12), "L")
        assert picture.text["Description"].startswith("synthetic")
    before = files[0].read_bytes()
    assert cli("sample", run, "-n", 16)[0] == 0
    assert files[0].read_bytes() == before
    assert cli("sample", run, "-n", 16, "--seed", 1)[0] == 0
    assert files[0].read_bytes() != before


def test_volumes_are_nifti_and_say_so_too(tmp_path, cli):
    run = trained_on("phantom:dims=3,images=120,size=8", tmp_path / "run")
    assert cli("sample", run, "-n", 2)[0] == 0
    files = sorted((run / "samples").glob("*.nii.gz"))
    volumes = [nibabel.load(f) for f in files]
    assert len(files) == 2
    assert all(bytes(v.header["descrip"]).startswith(b"synthetic") for v in volumes)
    assert volumes[0].shape == (8, 8, 8)
    assert not np.array_equal(volumes[0].get_fdata(), volumes[1].get_fdata())


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("-n", "0"), "-n is 0"),
        (("--steps", "0"), "--steps is 0"),
        (("--steps", "5"), "a vae knows no steps"),
        (("--label", "maligna"), 'Did you mean "malignant"?'),
        (("--label", "malignant"), "a vae knows no classes"),
    ],
)
def test_what_cannot_be_made_is_refused(run, cli, words, match):
    code, _, err = cli("sample", run, *words)
    assert code == 2
    assert match in err


def test_a_run_that_makes_no_images_is_refused(trained, cli):
    code, _, err = cli("sample", trained)
    assert code == 2
    assert "it makes no images" in err
