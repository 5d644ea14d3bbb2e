"""F037: a mask of another shape, or of the same shape in another place, is refused before anything is trained."""

from pathlib import Path

import numpy as np
import pytest
from imaging import AFFINE, decathlon, nifti, picture

from empirisk.data.forms import table
from empirisk.errors import Wrong


def refused(folder: Path, word: str) -> None:
    with pytest.raises(Wrong, match=word) as caught:
        table(folder)
    assert caught.value.code == 2
    assert "case_2" in str(caught.value)
    assert "resample it onto the image's grid" in str(caught.value)
    assert [i for i, _ in table(folder, skip_bad=1).unreadable] == ["case_2"]


@pytest.mark.parametrize("change", [(0, 3, 1.0), (2, 2, 3.3), (1, 0, 0.2)], ids=["shifted", "wider", "turned"])
def test_the_same_shape_elsewhere(tmp_path: Path, change: tuple[int, int, float]):
    affine = AFFINE.copy()
    affine[change[:2]] += change[2] - (affine[change[:2]] if change[2] == 3.3 else 0)
    assert not np.array_equal(affine, AFFINE)  # the injection
    nifti(decathlon(tmp_path) / "labelsTr" / "case_2.nii.gz", np.ones((6, 7, 8), np.uint8), affine)
    refused(tmp_path, "its label map lies elsewhere than the image, by up to")


def test_another_shape(tmp_path: Path):
    nifti(decathlon(tmp_path) / "labelsTr" / "case_2.nii.gz", np.ones((6, 7, 9), np.uint8))
    refused(tmp_path, "its label map has 9 x 7 x 6 points, the image 8 x 7 x 6")


def test_pictures(tmp_path: Path):
    for k in range(4):
        picture(tmp_path / "images" / f"case_{k}.png")
        picture(tmp_path / "labels" / f"case_{k}.png", (20, 30 + (k == 2)))
    refused(tmp_path, "its label map has 20 x 31 points, the image 20 x 30")


def test_noise_in_a_header_is_nothing(tmp_path: Path):
    affine = AFFINE.copy()
    affine[:3] += 2e-8
    nifti(decathlon(tmp_path) / "labelsTr" / "case_2.nii.gz", np.ones((6, 7, 8), np.uint8), affine)
    assert len(table(tmp_path).rows) == 4
