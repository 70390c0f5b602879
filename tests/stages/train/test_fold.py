"""Training: it learns, it goes on exactly where it stopped, and it says what it cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from autoseg.errors import DataError, RecordError, TrainingDiverged
from autoseg.learning.journal import EpochLine, read_journal
from autoseg.progress import SilentProgress
from autoseg.records import Configuration, FoldCheckpoint
from autoseg.stages.train import Setting, epochs, train_fold
from tests.learning.cases import small_configuration, small_plan, square_case

TRAIN = [square_case(seed) for seed in range(6)]
VALIDATION = [square_case(seed) for seed in range(6, 8)]


class Interrupter(SilentProgress):
    """Stops training at a step, as a user would."""

    def __init__(self, step: int):
        self.step = step

    def advance(self, done: int, text: str = "") -> None:
        if done >= self.step:
            raise KeyboardInterrupt


def journal_of(folder: Path) -> list[EpochLine]:
    return read_journal(folder / "journal.jsonl")[0]


def run(folder: Path, configuration: Configuration, device: str, **options: object) -> FoldCheckpoint:
    setting = Setting(device=torch.device(device), **options)
    return train_fold(small_plan(configuration), configuration, TRAIN, VALIDATION, folder, fold=0, setting=setting)


def test_learns_a_square(tmp_path: Path, device: str) -> None:
    checkpoint = run(tmp_path, small_configuration(epochs=6, steps=25), device)
    journal = journal_of(tmp_path)
    assert checkpoint.finished
    assert checkpoint.progress == 1
    assert [line.epoch for line in journal] == list(range(6))
    assert journal[-1].train_loss < 0.6 * journal[0].train_loss
    assert journal[-1].dice["square"] > 0.8
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_resume_is_exact(tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "SHARE_OF_SAVING", 10.0)
    configuration = small_configuration(epochs=4, steps=10)
    run(tmp_path / "whole", configuration, device)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", configuration, device, progress=Interrupter(30))  # in the third epoch
    assert FoldCheckpoint.load(tmp_path / "parts" / "checkpoint.json").epoch == 2
    run(tmp_path / "parts", configuration, device)
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    losses = [[line.train_loss for line in journal_of(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1]


def test_a_finished_fold_is_left_alone(tmp_path: Path, device: str) -> None:
    configuration = small_configuration(epochs=1, steps=2)
    first = run(tmp_path, configuration, device)
    before = (tmp_path / "weights.safetensors").stat().st_mtime_ns
    assert run(tmp_path, configuration, device) == first
    assert (tmp_path / "weights.safetensors").stat().st_mtime_ns == before


def test_other_settings_are_refused(tmp_path: Path, device: str) -> None:
    run(tmp_path, small_configuration(epochs=1, steps=2), device)
    with pytest.raises(RecordError, match="training changed"):
        run(tmp_path, small_configuration(epochs=1, steps=3), device)


def test_a_time_limit_shortens_and_is_written_down(tmp_path: Path, device: str) -> None:
    checkpoint = run(tmp_path, small_configuration(epochs=10_000, steps=2), device, limit_seconds=3.0)
    assert checkpoint.finished
    assert checkpoint.seconds < 30  # 10,000 epochs take many minutes
    assert checkpoint.epochs < 5_000
    assert checkpoint.amendments[0].name == "epochs"
    assert checkpoint.amendments[0].before == "10000"
    assert checkpoint.progress == 1


def test_slices_of_volumes_and_loader_processes(tmp_path: Path, device: str) -> None:
    configuration = small_configuration(epochs=1, steps=3, slice_axis=0)
    cases = [square_case(seed, shape=(6, 36, 36), side=5) for seed in range(2)]
    checkpoint = train_fold(
        small_plan(configuration),
        configuration,
        cases,
        [],
        tmp_path,
        fold=0,
        setting=Setting(device=torch.device(device), workers=1),
    )
    assert checkpoint.finished


def test_diverging_is_said(tmp_path: Path, device: str) -> None:
    configuration = small_configuration(epochs=2, steps=3)
    cases = [square_case(0)]
    cases[0].image[:] = float("nan")
    with pytest.raises(TrainingDiverged, match="epoch 1"):
        train_fold(
            small_plan(configuration), configuration, cases, [], tmp_path, fold=0, setting=Setting(device=torch.device(device))
        )


def test_no_case(tmp_path: Path, device: str) -> None:
    configuration = small_configuration()
    with pytest.raises(DataError, match="no case to train on"):
        train_fold(
            small_plan(configuration), configuration, [], [], tmp_path, fold=0, setting=Setting(device=torch.device(device))
        )
