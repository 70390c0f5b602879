"""The command of the README: two processes under torchrun train one fold, and one of them reports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from autoseg import pipeline
from autoseg.phantom import write_fetal_head
from autoseg.pipeline.status import status

LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "autoseg")


def launched(*words: str) -> subprocess.CompletedProcess[str]:
    here = os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *LAUNCH, *words], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_fold_and_an_error(tmp_path: Path) -> None:
    data, run = write_fetal_head(tmp_path / "data", subjects=6), tmp_path / "run"
    overrides = (
        "training.steps_per_epoch=2",
        "training.validation_steps=1",
        "training.batch_size=2",
        "training.patch_size=64,64",
    )
    pipeline.plan(data, run, preset="nnunet", epochs=2, folds=3, overrides=overrides)
    done = launched("train", str(run), "--fold", "0", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Next: autoseg predict") == 1, "one report"
    (fold,) = [fold for fold in status(run).folds if fold.fold == "0"]
    assert fold.state == "validated" and fold.epoch == 2
    failed = launched("train", str(run), "--fold", "0", "--extend", "1s", "--configuration", "3d_fullres")
    assert failed.returncode == 1
    assert "the plan has no configuration 3d_fullres" in failed.stderr
