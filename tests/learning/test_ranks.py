"""Two processes that share a batch learn what one process learns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from autoseg.errors import PlanError
from autoseg.learning import ranks as ranks_module
from autoseg.learning.journal import read_journal
from autoseg.learning.ranks import ALONE, Ranks, joined_ranks
from autoseg.records import Configuration
from tests.learning.cases import small_configuration
from tests.stages.train.test_fold import run

CODE = """
import sys
from pathlib import Path
from autoseg.engines import device
device._cpu_has_bfloat16 = lambda: False
from autoseg.learning.ranks import joined_ranks
from tests.learning.test_ranks import configuration
from tests.stages.train.test_fold import run
with joined_ranks(3, "cpu") as ranks:
    run(Path(sys.argv[1]), configuration(sys.argv[2] == "True"), "cpu", ranks=ranks)
"""


def configuration(batch_dice: bool) -> Configuration:
    """A batch of three, which two processes cannot share evenly; small rates, so that rounding does not grow."""
    small = small_configuration(epochs=2, steps=5)
    changes = {"batch_dice": batch_dice, "deterministic": True, "initial_lr": 1e-3, "momentum": 0.9}
    return small.model_copy(update={"training": small.training.model_copy(update=changes)})


@pytest.mark.parametrize("batch_dice", [True, False])
def test_two_processes_as_one(tmp_path: Path, batch_dice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoseg.engines.device._cpu_has_bfloat16", lambda: False)  # float32, so that rounding is small
    run(tmp_path / "one", configuration(batch_dice), "cpu")
    script = tmp_path / "share.py"
    script.write_text(CODE, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    here = os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, str(tmp_path / "two"), str(batch_dice)], env=environment, timeout=180, check=False)
    assert done.returncode == 0
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name in one:
        assert torch.allclose(one[name], two[name], atol=2e-5), name
    first, second = (read_journal(tmp_path / name / "journal.jsonl")[0] for name in ("one", "two"))
    assert len(second) == 2, "one process writes the journal"
    for mine, theirs in zip(first, second, strict=True):
        assert mine.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)
        assert mine.validation_loss == pytest.approx(theirs.validation_loss, abs=1e-4)
        assert mine.dice["square"] == pytest.approx(theirs.dice["square"], abs=0.02)


@pytest.mark.parametrize(("size", "parts"), [(1, [(0, 5)]), (2, [(0, 3), (3, 5)]), (3, [(0, 2), (2, 4), (4, 5)])])
def test_parts_of_a_batch_of_five(size: int, parts: list[tuple[int, int]]) -> None:
    assert [(part.start, part.stop) for part in (Ranks(rank, size).part_of(5) for rank in range(size))] == parts


def test_alone() -> None:
    assert ALONE.agreed("what I have") == "what I have"
    assert float(ALONE.total(torch.tensor(3.0))) == 3
    with joined_ranks(2, "cpu") as ranks:
        assert ranks == ALONE


def test_more_processes_than_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_module, "is_launched", lambda: True)
    for name, answer in (("init_process_group", None), ("destroy_process_group", None), ("get_world_size", 4)):
        monkeypatch.setattr(torch.distributed, name, lambda *_, answer=answer, **__: answer)
    with pytest.raises(PlanError, match="4 processes cannot share a batch of 2"), joined_ranks(2, "cpu"):
        pass
