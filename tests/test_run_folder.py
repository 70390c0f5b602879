"""What a run folder accepts, and where things lie in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.records import Splits
from autoseg.run_folder import RunFolder
from tests.learning.cases import small_configuration, small_plan


def test_new_and_empty_folders_are_taken(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path / "new", overwrite=False).root == tmp_path / "new"
    assert not (tmp_path / "new").exists(), "nothing is made before it is written"
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", overwrite=False)


def test_other_contents_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(RunFolderError, match=r"photo\.jpg"):
        RunFolder.create(tmp_path, overwrite=True)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dataset.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"dataset\.json"):
        RunFolder.create(tmp_path / "set", overwrite=True)
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder.create(tmp_path / "photo.jpg", overwrite=False)


def test_a_run_is_replaced_only_on_demand(tmp_path: Path) -> None:
    plan = small_plan(small_configuration())
    RunFolder(tmp_path).save(plan)
    with pytest.raises(RunFolderError, match="--overwrite"):
        RunFolder.create(tmp_path, overwrite=False)
    assert RunFolder.create(tmp_path, overwrite=True).plan() == plan
    assert RunFolder.open(tmp_path).plan() == plan


def test_a_run_that_is_replaced_halfway_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, splits = small_plan(small_configuration()), Splits(rule="r", seed=1, folds=())
    RunFolder(tmp_path).save(plan)
    replace = os.replace

    def cut_off(source: Path, target: Path) -> None:
        if target.name == "plan.json":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("autoseg.records.base.os.replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path).save(splits, plan)
    with pytest.raises(RunFolderError, match=r"no plan\.json"):
        RunFolder.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["splits.json"]


def test_folds_are_those_with_a_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.folds("2d") == ()
    for fold in ("full", "1", "0"):
        folder.fold("2d", fold).mkdir(parents=True)
    (folder.fold("2d", "1") / "checkpoint.json").touch()
    (folder.fold("2d", "full") / "checkpoint.json").touch()
    assert folder.folds("2d") == ("1", "full")


def test_no_model_yet(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no trained model"):
        RunFolder(tmp_path).model()
    with pytest.raises(RunFolderError, match=r"no plan\.json"):
        RunFolder.open(tmp_path)
