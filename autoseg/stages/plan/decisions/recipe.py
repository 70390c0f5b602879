"""Why a fold is trained with its optimiser."""

from __future__ import annotations

from autoseg.records import Configuration, Decision
from autoseg.records.plan import Number, Optimizer
from autoseg.stages.plan.decisions.words import SOURCE
from autoseg.stages.plan.presets import BudgetRule
from autoseg.stages.plan.saying import decide

NNUNET = "nnU-Net's: stochastic gradient descent with Nesterov's momentum" + SOURCE
QUICKER = "ours: AdamW (Loshchilov and Hutter 2019) for short trainings, nnU-Net's gradient descent for long ones"
ASKED = "the user's: --set training.optimizer=NAME brings the numbers that belong to it; others may be set beside it"


def recipe(configuration: Configuration, rule: BudgetRule | None, asked: Optimizer | None) -> Decision:
    """Why a configuration is trained with its optimiser."""
    training = configuration.training
    other: Optimizer = "sgd" if training.optimizer == "adamw" else "adamw"
    numbers: dict[str, Number] = {
        "name": "AdamW" if training.optimizer == "adamw" else "SGD",
        "rate": training.initial_lr,
        "total": training.epochs * training.steps_per_epoch,
        "most": 0 if rule is None else rule.short.steps_most,
        "other": other,
    }
    if asked is not None:
        said, reason = ASKED, "You set training.optimizer."
    elif rule is None:
        said, reason = NNUNET, "A training as long as nnU-Net's is what its recipe was made for."
    elif training.optimizer == rule.short.optimizer:
        said = QUICKER
        reason = (
            "In a training of {total:#step} (at most {most:,}) it learns more than gradient descent, which needs long to begin."
        )
    else:
        said = QUICKER
        reason = "A training of {total:#step} is longer than those ({most:,}) in which another optimiser was found to learn more."
    return decide(
        "recipe",
        "{name}, learning rate {rate:g}",
        rule=said,
        reason=reason,
        numbers=numbers,
        alternative="{other}, with the numbers that belong to it: --set training.optimizer={other}.",
    )
