"""`model.json`: what predict needs beside the plan: which folds exist, and how spacing is treated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from autoseg.records.base import Part, Record, lies_inside
from autoseg.records.dataset import Structure
from autoseg.records.plan import Plan
from autoseg.records.selection import Selection


class TrainedFold(Part):
    """One trained fold: weights relative to the run folder."""

    fold: str  # "0".."4", or "full"
    weights: str
    sha256: str

    @model_validator(mode="after")
    def _inside_the_run(self) -> Self:
        if not lies_inside(self.weights):
            raise ValueError(f"{self.weights!r} is no name of a file in the run folder")
        return self


class TrainedConfiguration(Part):
    """The trained folds of a configuration."""

    name: str
    preparation: str  # digests of what the folds were trained with
    network: str
    folds: tuple[TrainedFold, ...]


class Model(Record):
    """Written after every fold, and refined by `select`. `spacing` says what prediction does with millimetres."""

    targets: tuple[Structure, ...]
    derived: tuple[Structure, ...]
    channels: tuple[str, ...]
    spacing: Literal["required", "unused"]
    default: str
    configurations: tuple[TrainedConfiguration, ...]
    selection: Selection | None = None

    @model_validator(mode="after")
    def _known_structures(self) -> Self:
        names = {target.name for target in self.targets}
        steps = self.selection.postprocessing if self.selection is not None else ()
        if unknown := [step.structure for step in steps if step.structure not in (None, *names)]:
            raise ValueError(
                f"postprocessing names {unknown[0]!r}, which is none of the model's structures ({', '.join(sorted(names))})"
            )
        return self

    @property
    def weights(self) -> frozenset[str]:
        """SHA-256 of all folds' weights."""
        return frozenset(fold.sha256 for trained in self.configurations for fold in trained.folds)

    @classmethod
    def of(cls, plan: Plan, folds: Mapping[str, tuple[TrainedFold, ...]]) -> Self:
        """The model of a plan's trained folds, by configuration; those without any are left out."""
        trained = [
            TrainedConfiguration(
                name=name,
                preparation=plan.configurations[name].preparation.digest(),
                network=plan.configurations[name].network.digest(),
                folds=members,
            )
            for name, members in folds.items()
            if members
        ]
        return cls(
            targets=plan.targets,
            derived=plan.derived,
            channels=plan.channels,
            spacing="unused" if plan.configurations[plan.default].preparation.spacing_mm is None else "required",
            default=plan.default,
            configurations=tuple(trained),
        )
