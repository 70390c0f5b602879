"""Which optimiser a fold is trained with, and its numbers: nnU-Net's where there is time for it, a quicker one for short trainings."""

from __future__ import annotations

from collections.abc import Mapping

from autoseg.records import Part, TrainingSpec
from autoseg.records.plan import Optimizer
from autoseg.stages.plan.presets import ShortTraining


class Recipe(Part):
    """An optimiser and the numbers that belong to it: fields of `TrainingSpec`."""

    optimizer: Optimizer
    initial_lr: float
    momentum: float
    weight_decay: float


RECIPES: dict[Optimizer, Recipe] = {
    "sgd": Recipe(optimizer="sgd", initial_lr=1e-2, momentum=0.99, weight_decay=3e-5),  # nnU-Net's (Isensee et al. 2021)
    "adamw": Recipe(
        optimizer="adamw", initial_lr=1e-3, momentum=0.9, weight_decay=1e-2
    ),  # torch's own defaults; docs/training.md has the study
}


def with_optimizer(training: TrainingSpec, optimizer: Optimizer) -> TrainingSpec:
    """The training with an optimiser and all its numbers."""
    return training.model_copy(update=RECIPES[optimizer].model_dump())


def optimizer_for(short: ShortTraining | None, steps: int, asked: Optimizer | None) -> Optimizer:
    """The optimiser of a training of so many steps; `short` is None for presets that train as nnU-Net does."""
    if asked is not None:
        return asked
    return "adamw" if short is not None and steps <= short.adamw_steps_most else "sgd"


def worth_of_step(short: ShortTraining | None, optimizer: Optimizer) -> float:
    """Steps of nnU-Net's optimiser that one step counts for."""
    return short.adamw_step_worth if short is not None and optimizer == "adamw" else 1.0


def asked_for(optimizers: Mapping[str, Optimizer], configuration: str) -> Optimizer | None:
    """What the user asked for by configuration; under an empty name for all others."""
    return optimizers.get(configuration, optimizers.get(""))
