"""What a shorter or longer training would have brought, by the rule that plans lengths."""

from __future__ import annotations

from autoseg.records import Configuration
from autoseg.stages.plan.budget import SMALLEST_BATCH
from autoseg.stages.plan.presets import BudgetRule, load_preset, preset_names
from autoseg.stages.plan.recipe import worth_of_step

USUAL_PRESET = "default"  # where a run's own has no rule for lengths, or is not at hand


def what_length_brings(preset: str, configuration: Configuration, steps: int) -> str:
    """In words: Dice that half the steps would have cost, and twice as many brought, as planning expects it."""
    rule = _rule(preset)
    half, whole, double = (_steps_loss(rule, configuration, factor * steps) for factor in (0.5, 1.0, 2.0))
    return (
        f"by the rule of planning half of its {steps:,} steps would have cost about {half - whole:.3f} of Dice, and twice as many "
        f"would bring about {whole - double:.3f} (`autoseg train --extend TIME` goes on)"
    )


def _steps_loss(rule: BudgetRule, configuration: Configuration, steps: float) -> float:
    training, losses = configuration.training, rule.losses
    worth = worth_of_step(rule.short, training.optimizer) * (training.batch_size / SMALLEST_BATCH) ** losses.batch_exponent
    return float(losses.steps * (1000 / (steps * worth)) ** losses.steps_exponent)


def _rule(preset: str) -> BudgetRule:
    held = load_preset(preset).budget if preset in preset_names() else None
    rule = held or load_preset(USUAL_PRESET).budget
    assert rule is not None  # the default preset has one
    return rule
