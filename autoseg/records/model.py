"""`model.json`: what predict needs beside the plan: which folds exist, and how spacing is treated."""

from __future__ import annotations

from typing import Literal

from autoseg.records.base import Part, Record
from autoseg.records.dataset import Structure


class TrainedFold(Part):
    """One trained fold: weights relative to the run folder."""

    fold: str  # "0".."4", or "full"
    weights: str
    sha256: str


class TrainedConfiguration(Part):
    """The trained folds of a configuration."""

    name: str
    preparation: str  # digests of what the folds were trained with
    network: str
    folds: tuple[TrainedFold, ...]


class Model(Record):
    """Written after every fold. `spacing` says what prediction does with millimetres."""

    targets: tuple[Structure, ...]
    derived: tuple[Structure, ...]
    channels: tuple[str, ...]
    spacing: Literal["required", "unused"]
    default: str
    configurations: tuple[TrainedConfiguration, ...]
