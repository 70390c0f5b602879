"""Why a fold is trained with its optimiser."""

from __future__ import annotations

from autoseg.records import Configuration, Decision
from autoseg.records.plan import Number, Optimizer
from autoseg.stages.plan.decisions.words import SOURCE, set_to
from autoseg.stages.plan.presets import ShortTraining
from autoseg.stages.plan.saying import decide

NNUNET = "nnU-Net's: stochastic gradient descent with Nesterov's momentum" + SOURCE
QUICKER = "ours: AdamW (Loshchilov and Hutter 2019) for short trainings, nnU-Net's gradient descent for long ones"
ASKED = "the user's: --set training.optimizer=NAME brings the numbers that belong to it; others may be set beside it"


def recipe(configuration: Configuration, short: ShortTraining | None, asked: Optimizer | None) -> Decision:
    """The optimiser: asked for, nnU-Net's, or by the length of the training (`short`)."""
    training = configuration.training
    most = 0 if short is None else short.adamw_steps_most
    quick = training.optimizer == "adamw"
    numbers: dict[str, Number] = {
        "name": "AdamW" if quick else "SGD",
        "rate": training.initial_lr,
        "total": training.epochs * training.steps_per_epoch,
        "most": most,
        "other": "sgd" if quick else "adamw",
    }
    if asked is not None:
        rule, reason = ASKED, "You set training.optimizer."
    elif short is None:
        rule, reason = NNUNET, "This preset trains as nnU-Net does, whatever the length."
    elif quick == (training.epochs * training.steps_per_epoch <= most):
        rule = QUICKER
        reason = (
            "{total:#step} are a short training (at most {most:,}), in which AdamW was found to learn more than gradient descent."
        )
        if not quick:
            reason = "{total:#step} are more than the {most:,} of the short trainings in which AdamW was found to learn more."
    else:
        rule, reason = ASKED, "The numbers that you set belong to this optimiser."
    alternative = f"{{other}}, with the numbers that belong to it: {set_to(configuration, 'training.optimizer', '{other}')}."
    return decide("recipe", "{name}, learning rate {rate:g}", rule=rule, reason=reason, numbers=numbers, alternative=alternative)
