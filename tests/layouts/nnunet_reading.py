"""Reads trained nnU-Net models that were written by hand, and what is said of those with faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoseg.errors import DataError
from autoseg.layouts.nnunet_model import NnunetModel, read_nnunet_model
from autoseg.records import AugmentationSpec, Configuration
from autoseg.stages.plan.augmentation import augmentation_for
from tests.layouts.nnunet_files import Json, configuration, dataset, facts, plans, write_model


def augmentation(patch: tuple[int, ...]) -> AugmentationSpec:
    return augmentation_for("default", patch)


def read(folder: Path, of: Any = None, **options: Any) -> NnunetModel:
    return read_nnunet_model(folder, of or facts("3d_fullres"), augmentation, **options)


def read_files(tmp_path: Path, plans: Json, dataset: Json, name: str = "3d_fullres", **of: Any) -> NnunetModel:
    return read(write_model(tmp_path / "model", plans, dataset), facts(name, **of))


def read_one(tmp_path: Path, found: Json, name: str = "3d_fullres", dataset: Json = dataset(), **of: Any) -> Configuration:  # noqa: B008
    return read_files(tmp_path, plans(**{f"c{name}": found}), dataset, name, **of).plan.configurations[name]


def faults_of(tmp_path: Path, plans: Json, dataset: Json, name: str = "3d_fullres") -> list[str]:
    with pytest.raises(DataError) as raised:
        read_files(tmp_path, plans, dataset, name)
    return [str(fault) for fault in raised.value.faults]


def faults_with(tmp_path: Path, **changed: Any) -> list[str]:
    return faults_of(tmp_path, plans(c3d_fullres=configuration(**changed)), dataset())
