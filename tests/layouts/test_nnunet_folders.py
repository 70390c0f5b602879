"""Folders of trained nnU-Net models: folds, exports of several configurations, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.layouts.nnunet_folders import is_nnunet_model
from tests.layouts.nnunet_files import (
    configuration,
    dataset,
    facts,
    plans,
    write_model,
)
from tests.layouts.nnunet_reading import faults_of, read


def test_folds_and_the_fold_of_all_cases(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", plans(c3d_fullres=configuration()), dataset(), ("3", "all", "0"))
    (folder / "fold_1").mkdir()  # begun, and not trained to its end
    (folder / "fold_2").mkdir()
    (folder / "fold_2" / "checkpoint_best.pth").touch()
    assert list(read(folder).trained["3d_fullres"].folds) == ["0", "3", "full"]
    assert list(read(folder, checkpoint="best").trained["3d_fullres"].folds) == ["2"]


def test_no_fold_is_trained_to_its_end(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", plans(c3d_fullres=configuration()), dataset(), checkpoint="checkpoint_best.pth")
    with pytest.raises(DataError, match=r"no fold with checkpoint_final.pth; there is checkpoint_best.pth"):
        read(folder)


def test_folds_that_mirror_differently(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", plans(c3d_fullres=configuration()), dataset(), ("0", "1"))
    with pytest.raises(DataError, match="do not belong together"):
        read(folder, lambda path: facts("3d_fullres", (0,) if "fold_0" in str(path) else ())(path))


def test_an_export_of_several_configurations(tmp_path: Path) -> None:
    both = plans(c2d=configuration(2), c3d_fullres=configuration())
    for name in ("2d", "3d_fullres"):
        write_model(tmp_path / "export" / "Dataset007_Organs" / f"nnUNetTrainer__nnUNetPlans__{name}", both, dataset())
    assert is_nnunet_model(tmp_path / "export")
    model = read(tmp_path / "export", facts())
    assert list(model.plan.configurations) == ["3d_fullres", "2d"]
    assert model.plan.default == "3d_fullres"


def test_models_of_several_trainers(tmp_path: Path) -> None:
    for trainer in ("nnUNetTrainer", "nnUNetTrainerNoMirroring"):
        write_model(tmp_path / f"{trainer}__nnUNetPlans__3d_fullres", plans(c3d_fullres=configuration()), dataset())
    with pytest.raises(DataError, match=r"several models \(nnUNetTrainerNoMirroring__?.*give the folder of one"):
        read(tmp_path, facts())


def test_configurations_of_different_plans(tmp_path: Path) -> None:
    for batch, name in ((2, "2d"), (3, "3d_fullres")):
        both = plans(c2d=configuration(2, batch_size=batch), c3d_fullres=configuration())
        write_model(tmp_path / f"a__b__{name}", both, dataset())
    with pytest.raises(DataError, match=r"a__b__2d/plans.json: differs from that of a__b__3d_fullres in configurations"):
        read(tmp_path, facts())


def test_what_is_no_model(tmp_path: Path) -> None:
    assert not is_nnunet_model(tmp_path)
    with pytest.raises(DataError, match="is no nnU-Net model"):
        read(tmp_path)


def test_a_configuration_that_the_plans_lack(tmp_path: Path) -> None:
    assert faults_of(tmp_path, plans(c2d=configuration(2)), dataset()) == [
        "plans.json: configurations.3d_fullres: there is no configuration 3d_fullres; there are: 2d"
    ]
