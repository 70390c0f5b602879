"""Which folds an extension is for, whatever was interrupted before."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.pipeline.fold_checks import folds_to_extend
from autoseg.records import FoldCheckpoint, Predictions, Scores
from autoseg.run_folder import RunFolder
from tests.learning.cases import small_configuration

CONFIGURATION = small_configuration()


def begin(run: RunFolder, fold: str, *, extensions: int = 0, finished: bool = True, validated: bool = True) -> None:
    place = run.fold(CONFIGURATION.name, fold)
    record = FoldCheckpoint(
        preparation="p",
        network="n",
        training="t",
        epoch=4,
        epochs=4 if finished else 6,
        progress=1.0 if finished else 0.5,
        seconds=9.0,
        state=None,
        weights="weights.safetensors",
        weights_sha256="new",
        finished=finished,
        extended_at=3 if extensions else None,
        extensions=extensions,
    )
    record.save(place / "checkpoint.json")
    predictions = Predictions(
        run=str(run.root),
        configuration=CONFIGURATION.name,
        folds=(fold,),
        weights=("new" if validated else "old",),
        device="cpu",
        targets=(),
        derived=(),
        regions=False,
        cases=(),
    )
    predictions.save(run.validation(CONFIGURATION.name, fold) / "predictions.json")
    Scores(labels="l", predictions="p", mean_dice=None, cases=(), summary={}).save(run.fold_scores(CONFIGURATION.name, fold))


def test_all_or_those_that_were_left(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for fold in "012":
        begin(run, fold)
    assert folds_to_extend(run, CONFIGURATION, ["0", "1", "2"]) == ("0", "1", "2")
    begin(run, "0", extensions=1)
    begin(run, "1", extensions=1, finished=False)  # killed under way
    assert folds_to_extend(run, CONFIGURATION, ["0", "1", "2"]) == ("1", "2")
    begin(run, "1", extensions=1)
    assert folds_to_extend(run, CONFIGURATION, ["0", "1", "2"]) == ("2",)
    begin(run, "2", extensions=1)
    assert folds_to_extend(run, CONFIGURATION, ["0", "1", "2"]) == ("0", "1", "2"), "once more for all"


def test_one_that_was_extended_but_not_validated_is_only_validated(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    begin(run, "0", extensions=1, validated=False)
    assert folds_to_extend(run, CONFIGURATION, ["0"]) == ()
    begin(run, "0", extensions=1)
    assert folds_to_extend(run, CONFIGURATION, ["0"]) == ("0",)


def test_folds_that_were_not_begun_are_named_before_any_work(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    begin(run, "0")
    with pytest.raises(RunFolderError, match="fold 1, 2 of 2d was not begun"):
        folds_to_extend(run, CONFIGURATION, ["0", "1", "2"])
