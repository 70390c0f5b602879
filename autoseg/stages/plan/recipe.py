"""Which optimiser a fold is trained with, and its numbers: nnU-Net's where there is time for it, a quicker one for short trainings."""

from __future__ import annotations

from typing import Any

from autoseg.records import Part
from autoseg.records.plan import Optimizer
from autoseg.stages.plan.presets import BudgetRule


class Recipe(Part):
    """An optimiser's numbers, which belong together: fields of `TrainingSpec`."""

    initial_lr: float
    momentum: float
    weight_decay: float

    def settings(self, optimizer: Optimizer) -> dict[str, Any]:
        """As fields of a `TrainingSpec`."""
        return {"optimizer": optimizer, **self.model_dump()}


RECIPES: dict[Optimizer, Recipe] = {
    "sgd": Recipe(initial_lr=1e-2, momentum=0.99, weight_decay=3e-5),  # nnU-Net's (Isensee et al. 2021)
    "adamw": Recipe(initial_lr=1e-3, momentum=0.9, weight_decay=1e-2),  # torch's own defaults, which the study took as they are
}


def optimizer_for(rule: BudgetRule | None, steps: int, asked: Optimizer | None) -> Optimizer:
    """The optimiser of a training of so many steps; `rule` is None where nothing is planned in time."""
    if asked is not None:
        return asked
    return rule.short.optimizer if rule is not None and steps <= rule.short.steps_most else "sgd"
