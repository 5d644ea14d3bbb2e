"""F074: a run folder deleted under a running process ends it with exit 3, and is not made again in part."""

import shutil

import pytest
import torch

from empirisk.errors import Wrong
from empirisk.folder import RunFolder


@pytest.mark.parametrize("moved", [True, False])
def test_every_writer_says_so(tmp_path, moved):
    run = RunFolder(tmp_path / "x")
    with run.lock():
        run.write(status="running")
        run.checkpoints.save(1, {})
        run.path.rename(tmp_path / "moved") if moved else shutil.rmtree(run.path)
        for write in (
            lambda: run.write(status="finished"),
            lambda: run.history([{"epoch": 1}]),
            lambda: run.write_metrics(val={}),
            lambda: run.write_figures("test", []),
            lambda: run.write_predictions("test", ["id"], []),
            lambda: run.save_weights({"w": torch.ones(1)}),
            lambda: run.checkpoints.save(2, {}),
        ):
            with pytest.raises(Wrong, match="is gone") as caught:
                write()
            assert caught.value.code == 3
        assert not run.path.exists()
    if moved:
        assert RunFolder(tmp_path / "moved").checkpoints.load() == (1, {})
