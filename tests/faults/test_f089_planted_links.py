"""F089: a link planted where a result or a key goes: what it points to stays as it was."""

from pathlib import Path

import numpy as np
import pytest
from imaging import dicom, nifti, volume

from empirisk.data import trees
from empirisk.data.forms import table
from empirisk.data.readers import File, Labels
from empirisk.data.written import write_mask
from empirisk.errors import Wrong


def test_a_mask_replaces_the_link_and_not_its_target(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    x = File(str(nifti(tmp_path / "x.nii.gz", np.zeros((4, 5, 6), np.int16))))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.nii.gz").symlink_to(victim)
    written = write_mask(tmp_path / "out", "x", np.ones((6, 5, 4), np.uint8), x)
    assert victim.read_text() == "precious"
    assert not written.is_symlink()
    assert (Labels(str(written)).read() == 1).all()


@pytest.mark.parametrize("there", [True, False])
def test_a_key_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool):
    monkeypatch.chdir(tmp_path)
    victim = tmp_path / "victim"
    if there:
        victim.write_bytes(bytes(32))
    trees.KEY.parent.mkdir()
    trees.KEY.symlink_to(victim)
    dicom(tmp_path / "set" / "a", volume(1)[0])
    with pytest.raises(Wrong, match="is a link") as caught:
        table(tmp_path / "set", bare=True)
    assert caught.value.code == 2
    assert victim.exists() == there
