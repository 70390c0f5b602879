"""The same plan gives the same weights and journal, interrupted or not, wherever a process is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from autoseg.learning import checkpoint as checkpoints
from autoseg.learning.journal import EpochLine, read_journal
from autoseg.records import Configuration, FoldCheckpoint
from autoseg.stages.train import epochs
from tests.learning.cases import small_configuration
from tests.stages.train.test_fold import run

TIMES = {"seconds": 0.0, "steps_per_second": 0.0}
EPOCHS, STEPS = 30, 3
CODE = """
from pathlib import Path
from autoseg.stages.train import epochs
from tests.stages.train.test_exactness import deterministic
from tests.stages.train.test_fold import run
epochs.SHARE_OF_SAVING = 10.0  # a checkpoint after every epoch, however short
run(Path({folder!r}), deterministic(), "cpu")
"""
SLOW_WRITER = """
import time
from autoseg.learning import checkpoint as checkpoints
save_file, count = checkpoints.save_file, [0]
def half_written(tensors, path):
    count[0] += 1
    if count[0] == {at}:
        path.write_bytes(b"half of a file")
        Path({sign!r}).touch()
        time.sleep(60)
    save_file(tensors, path)
checkpoints.save_file = half_written
"""


def deterministic(**changes: object) -> Configuration:
    configuration = small_configuration(epochs=EPOCHS, steps=STEPS)
    training = configuration.training.model_copy(update={"deterministic": True} | changes)
    return configuration.model_copy(update={"training": training})


def without_times(folder: Path) -> list[EpochLine]:
    return [line.model_copy(update=TIMES) for line in read_journal(folder / "journal.jsonl")[0]]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def assert_same(first: Path, second: Path) -> None:
    mine, theirs = weights_of(first), weights_of(second)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert without_times(first) == without_times(second)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, deterministic(), "cpu")
    return folder


def test_two_runs_are_the_same(whole: Path, tmp_path: Path) -> None:
    run(tmp_path, deterministic(), "cpu")
    assert_same(whole, tmp_path)
    other = tmp_path / "other"
    run(other, deterministic(seed=8), "cpu")
    assert without_times(other) != without_times(whole)


def test_the_clock_does_not_shorten_it(whole: Path, tmp_path: Path) -> None:
    checkpoint = run(tmp_path, deterministic(), "cpu", limit_seconds=0.01)
    assert checkpoint.epochs == EPOCHS
    assert_same(whole, tmp_path)


def test_killed_at_five_moments(whole: Path, tmp_path: Path) -> None:
    """kill -9 after a random while, five times; then the same command to the end."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, "-c", CODE.format(folder=str(tmp_path))]
    rng, reached = random.Random(3), []
    for _ in range(5):
        process = subprocess.Popen(command, env=environment)
        before = _progress(tmp_path)
        deadline = time.monotonic() + 120
        while _progress(tmp_path) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)  # its imports take seconds, of which nothing is to be learned
        time.sleep(rng.uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        reached.append(_progress(tmp_path))
    assert sorted(set(reached)) == reached, "every sitting came further"
    assert reached[0] > 0
    run(tmp_path, deterministic(), "cpu")
    assert_same(whole, tmp_path)


@pytest.mark.parametrize("at", [5, 6])  # the weights, or the state, of the third checkpoint
def test_killed_while_a_checkpoint_is_written(whole: Path, tmp_path: Path, at: int) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])}
    sign = tmp_path / "half-written"
    slow = "from pathlib import Path\n" + SLOW_WRITER.format(at=at, sign=str(sign)) + CODE.format(folder=str(tmp_path / "fold"))
    process = subprocess.Popen([sys.executable, "-c", slow], env=environment)
    deadline = time.monotonic() + 120
    while not sign.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    fold = tmp_path / "fold"
    assert FoldCheckpoint.load(fold / checkpoints.RECORD).epoch == 2
    assert [path.read_bytes() for path in fold.glob(".*.part")] == [b"half of a file"]
    run(fold, deterministic(), "cpu")
    assert_same(whole, fold)
    assert not list(fold.glob(".*.part"))


def test_checkpoints_keep_to_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With epochs of milliseconds not every one is saved; the share is kept all the same."""
    spent = []
    save = epochs.save_checkpoint

    def timed(*arguments: object) -> FoldCheckpoint:
        start = time.monotonic()
        result = save(*arguments)
        spent.append(time.monotonic() - start)
        return result

    monkeypatch.setattr(epochs, "save_checkpoint", timed)
    start = time.monotonic()
    run(tmp_path, small_configuration(epochs=60, steps=2), "cpu")
    elapsed = time.monotonic() - start
    assert 2 <= len(spent) < 60
    # the first and the last checkpoint are written whatever they cost
    assert sum(spent[1:-1]) <= 0.02 * elapsed + max(spent)


def _progress(folder: Path) -> int:
    record = folder / checkpoints.RECORD
    return FoldCheckpoint.load(record).epoch if record.exists() else 0
