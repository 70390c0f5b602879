"""The sheet of training patches: prepared where needed, drawn the same for the same seed, and refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg import pipeline
from autoseg.errors import DataError, PlanError, RunFolderError
from autoseg.phantom import write_fetal_head, write_volumes
from autoseg.pipeline.patches import named_values
from autoseg.records import Structure
from autoseg.run_folder import PARTS


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    data = write_fetal_head(folder / "data", subjects=4)
    pipeline.plan(data, folder / "run", preset="nnunet", folds=2, augmentation="heavy")
    return folder / "run"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_sheet_lies_in_its_run(heads: Path) -> None:
    path = pipeline.augment(heads, cases=2, variants=3)
    assert path == heads / "augmentation.png" and path.name in PARTS
    first = pixels(path)
    assert first.shape[1] >= 4 * 300 and first.shape[0] >= 2 * 200
    assert np.array_equal(pixels(pipeline.augment(heads, cases=2, variants=3, out=heads.parent / "again.png")), first)
    other = pixels(pipeline.augment(heads, cases=2, variants=3, seed=1, out=heads.parent / "other.png"))
    assert other.shape[1] == first.shape[1] and not np.array_equal(other, first)
    wider = pixels(pipeline.augment(heads, cases=1, variants=5, fold="full", out=heads.parent / "wider.png"))
    assert wider.shape[1] > first.shape[1] and wider.shape[0] < first.shape[0]


def test_volumes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_volumes(data, cases=3)
    pipeline.plan(data, tmp_path / "run", preset="nnunet", folds=2)
    for name in ("3d_fullres", "2d"):
        path = pipeline.augment(tmp_path / "run", configuration=name, cases=1, variants=2, out=tmp_path / f"{name}.png")
        assert pixels(path).std() > 10


def test_what_is_not_there_is_said(heads: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no fold 9.*folds 0 to 1"):
        pipeline.augment(heads, fold=9)
    with pytest.raises(RunFolderError, match="no configuration 3d"):
        pipeline.augment(heads, configuration="3d")


def test_an_unknown_augmentation_is_refused_before_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="--augmentation strong"):
        pipeline.plan(tmp_path / "no such folder", tmp_path / "run", augmentation="strong")


def test_nested_structures_are_drawn_as_the_innermost() -> None:
    whole, core = (Structure(name=n, values=v, output_value=i) for i, (n, v) in enumerate((("whole", (1, 2)), ("core", (2,))), 1))
    assert named_values((whole, core)) == ({1: "whole", 2: "core"}, {1: 1, 2: 2})
    assert named_values((core, whole)) == ({1: "core", 2: "whole"}, {1: 2, 2: 1})


def test_no_case_to_train_on() -> None:
    from autoseg.pipeline.patches import training_cases
    from autoseg.records import Fold, Splits

    splits = Splits.model_construct(folds=(Fold(train=(), validation=("a",)),))
    with pytest.raises(DataError, match="no case to train on"):
        training_cases(splits, "0", Path("run"))
