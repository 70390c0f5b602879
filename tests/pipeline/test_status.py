"""Hand-written journals, and what is read from them: states, time left, pace, warnings."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import autoseg
from autoseg.errors import RunFolderError
from autoseg.learning.journal import EpochLine, Journal
from autoseg.learning.sign_of_life import sign_of_life
from autoseg.pipeline import status
from autoseg.pipeline.status import FoldStatus
from autoseg.records import Fold, FoldCheckpoint, Splits
from autoseg.run_folder import RunFolder
from tests.learning.cases import small_configuration, small_plan


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Planned for 20 epochs and three folds, nothing trained."""
    folder = RunFolder(tmp_path / "run")
    fold = Fold(train=("a",), validation=("b",))
    folder.save(Splits(rule="by hand", seed=0, folds=(fold, fold, fold)), small_plan(small_configuration(epochs=20)))
    return folder


def train(run: RunFolder, fold: str, seconds: list[float], dice: float = 0.5) -> Journal:
    """A journal with epochs of these durations."""
    run.fold("2d", fold).mkdir(parents=True, exist_ok=True)
    journal = Journal(run.journal("2d", fold))
    for epoch, duration in enumerate(seconds):
        journal.append(
            EpochLine(
                epoch=epoch,
                steps=4 * epoch + 4,
                learning_rate=0.01,
                train_loss=1.0,
                validation_loss=1.0,
                dice={"square": dice * (epoch + 1) / len(seconds)},
                seconds=duration,
                steps_per_second=4 / duration,
            )
        )
    return journal


def save(run: RunFolder, fold: str, epoch: int, *, epochs: int = 20, seconds: float = 0.0) -> None:
    digests = small_configuration(epochs=20).digests()
    FoldCheckpoint(
        **digests,
        epoch=epoch,
        epochs=epochs,
        progress=epoch / epochs,
        seconds=seconds,
        state=None,
        weights="",
        weights_sha256="",
        finished=epoch == epochs,
    ).save(run.checkpoint("2d", fold))


def validate(run: RunFolder, fold: str) -> None:
    summary = {"square": {"dice": 0.9, "dice_interval": [0.8, 0.95], "cases": 3}}
    run.fold_scores("2d", fold).write_text(json.dumps({"mean_dice": 0.9, "summary": summary, "cases": [{"id": "b"}]}))


def folds(run: RunFolder) -> dict[str, FoldStatus]:
    return {fold.fold: fold for fold in status(run.root).folds}


def test_nothing_has_begun(run: RunFolder) -> None:
    found = status(run.root)
    assert [(fold.fold, fold.state, fold.epoch, fold.epochs) for fold in found.folds] == [
        ("0", "not begun", 0, 20),
        ("1", "not begun", 0, 20),
        ("2", "not begun", 0, 20),
    ]
    assert not found.over


def test_a_training_fold_and_its_time_left(run: RunFolder) -> None:
    # the first epoch is slow; of the last six (10, 10, 12, 30, 10, 12) the median is 11, and 20 - 8 = 12 epochs are left
    train(run, "0", [60, 10, 10, 10, 12, 30, 10, 12])
    save(run, "0", 6, seconds=140.0)  # six epochs took 132 s, and 8 s went to starting
    with sign_of_life(run.running("2d", "0")):
        found = folds(run)["0"]
    assert (found.state, found.epoch, found.epochs) == ("training", 8, 20)
    assert found.seconds_left == 11 * 12
    assert found.seconds == 140 + 10 + 12
    assert found.steps_per_second == 4 / 12
    assert found.mean_dice == 0.5
    assert found.dice == {"square": 0.5}
    assert found.history[0] == 0.5 / 8
    assert found.silent_seconds is not None and found.silent_seconds < 60


def test_a_stopped_fold_goes_on_from_its_checkpoint(run: RunFolder) -> None:
    train(run, "1", [10.0] * 8)
    save(run, "1", 5, seconds=50.0)
    found = folds(run)["1"]
    assert (found.state, found.epoch, found.seconds, found.seconds_left) == ("stopped", 5, 50.0, 150.0)
    assert not status(run.root).over


def test_the_end(run: RunFolder) -> None:
    train(run, "0", [10.0] * 12)
    save(run, "0", 12, epochs=12, seconds=120.0)  # shortened under way
    assert (folds(run)["0"].state, folds(run)["0"].seconds_left) == ("trained", None)
    with sign_of_life(run.running("2d", "0")):
        assert folds(run)["0"].state == "validating"
    validate(run, "0")
    found = folds(run)["0"]
    assert (found.state, found.epochs, found.score) == ("validated", 12, 0.9)
    assert found.scores["square"].interval == (0.8, 0.95)
    assert status(run.root).over


def test_a_dead_fold_is_told_beside_its_siblings(run: RunFolder) -> None:
    train(run, "0", [10.0] * 20, dice=0.8)
    save(run, "0", 20)
    journal = train(run, "1", [10.0] * 10, dice=0.0)
    journal.note("warning", 10, "no structure is found; train the fold again with another seed")
    save(run, "1", 10)
    found = folds(run)["1"]
    assert found.last_event == "no structure is found; train the fold again with another seed"
    # half-way, fold 0 had 0.8 * 10 / 20
    assert found.warnings == (found.last_event, "its Dice of patches is 0.00; at this point the median of folds 0 was 0.40")
    assert folds(run)["0"].warnings == ()


def test_a_process_that_is_held_up(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    train(run, "0", [10.0] * 3)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    with sign_of_life(run.running("2d", "0")):
        (warning,) = folds(run)["0"].warnings
    assert "though one takes 10 s" in warning


def test_a_checkpoint_of_another_version_is_told(run: RunFolder) -> None:
    train(run, "0", [10.0])
    run.checkpoint("2d", "0").write_text('{"format": 99}')
    found = folds(run)["0"]
    assert found.state == "stopped"
    assert "format 99" in found.warnings[0]


def test_an_unknown_configuration(run: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="it has 2d"):
        autoseg.status(run.root, configuration="3d_fullres")


def test_it_is_quick_and_loads_nothing_heavy(run: RunFolder) -> None:
    train(run, "0", [10.0] * 1000)
    program = f"import sys, autoseg; autoseg.status({str(run.root)!r}); print([m for m in ('torch', 'monai', 'matplotlib') if m in sys.modules])"

    def wall() -> float:
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        assert done.stdout == "[]\n"
        return time.perf_counter() - start

    assert min(wall() for _ in range(3)) < 1.0
