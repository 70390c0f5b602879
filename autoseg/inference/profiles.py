"""How much a prediction may cost: fixed rules for folds, mirrored copies and the step of the sliding window.

| profile | folds | mirrored copies | step |
|---|---|---|---|
| `best` | all | in every axis that training mirrored | the plan's, 0.5 |
| `balanced` | all | in the first of these axes | the plan's, 0.5 |
| `fast` | one | none | 0.75 |

`best` is how nnU-Net predicts. Its costs, and that one axis brings most of what all bring, are measured in docs/prediction.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.records import FULL, Configuration, InferenceProfile


@dataclass(frozen=True)
class _Rule:
    mirrored: int | None  # how many of the axes, None: all
    step_fraction: float | None = None  # None: the plan's
    one_fold: bool = False


RULES: dict[InferenceProfile, _Rule] = {
    "best": _Rule(mirrored=None),
    "balanced": _Rule(mirrored=1),
    "fast": _Rule(mirrored=0, step_fraction=0.75, one_fold=True),
}


def with_profile(configuration: Configuration, profile: InferenceProfile) -> Configuration:
    """The configuration with the profile's mirrored copies and step."""
    rule, inference = RULES[profile], configuration.inference
    trained = configuration.training.mirror_axes if configuration.augmentation.mirroring.probability > 0 else ()
    applied = inference.model_copy(
        update={
            "mirror_axes": tuple(sorted(trained))[: rule.mirrored],
            "step_fraction": inference.step_fraction if rule.step_fraction is None else rule.step_fraction,
        }
    )
    return configuration.model_copy(update={"inference": applied})


def folds_for(names: Sequence[str], profile: InferenceProfile) -> tuple[str, ...]:
    """Which of the trained folds vote when none is asked for: all numbered ones, else `full`; `fast` prefers `full`, else takes the first."""
    numbered = tuple(name for name in names if name != FULL)
    if not RULES[profile].one_fold:
        return numbered or tuple(names)
    return (FULL,) if FULL in names else numbered[:1]


def applied_as(configuration: Configuration) -> str:
    """What tells one way of applying a configuration's networks from another that may give other masks."""
    inference = configuration.inference.model_copy(update={"tile_batch_size": 1})  # it is a matter of speed
    return f"{inference.digest()} {'x'.join(map(str, configuration.training.patch_size))}"
