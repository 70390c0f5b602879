"""What differs between two plans, and why: values side by side, with the sentences of the decisions behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from autoseg.records import Configuration, Plan

WHOLE_PLAN = "The plan"
ABSENT = "-"
# Decisions that stand behind a value; the longest beginning that fits counts.
BEHIND = {
    "preset": (),
    "device": ("device",),
    "default": ("default",),
    "preparation.canonical_orientation": ("orientation",),
    "preparation.transpose": ("transpose",),
    "preparation.spacing_mm": ("spacing",),
    "preparation.normalization": ("normalization",),
    "median_shape": ("spacing",),
    "network.family": ("network",),
    "network.features": ("width", "depth"),
    "network.strides": ("depth",),
    "network.kernel_sizes": ("depth",),
    "network": ("network",),
    "training.patch_size": ("patch",),
    "training.batch_size": ("batch",),
    "training.batch_dice": ("batch_dice",),
    "training.epochs": ("length",),
    "training.steps_per_epoch": ("length",),
    "training.validation_steps": ("length",),
    "training.time_budget_seconds": ("length",),
    "training.optimizer": ("recipe",),
    "training.initial_lr": ("recipe",),
    "training.momentum": ("recipe",),
    "training.weight_decay": ("recipe",),
    "inference": ("inference",),
    "previous_stage": ("cascade",),
    "next_stage": ("cascade",),
}


@dataclass(frozen=True)
class Difference:
    """A value that the plans do not share, as JSON; `-` where one plan has none."""

    path: str
    first: str
    second: str


@dataclass(frozen=True)
class Reasons:
    """What the plans say about one decision; empty where a plan does not speak of it."""

    decision: str
    first: str
    second: str


@dataclass(frozen=True)
class Section:
    """Differences in one configuration, or in what all share, and the reasons that differ with them."""

    name: str
    differences: tuple[Difference, ...]
    reasons: tuple[Reasons, ...]


@dataclass(frozen=True)
class Comparison:
    """Sections where something differs, and configurations that only one plan has."""

    sections: tuple[Section, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs that training or prediction would notice."""
        return not (self.sections or self.only_first or self.only_second)


def compare(first: Plan, second: Plan) -> Comparison:
    """Compare all values of two plans; reasons alone make no difference."""
    shared = [name for name in first.configurations if name in second.configurations]
    sections = [_section(WHOLE_PLAN, first, second)]
    sections += [_section(name, first.configurations[name], second.configurations[name]) for name in shared]
    return Comparison(
        tuple(section for section in sections if section.differences),
        tuple(name for name in first.configurations if name not in shared),
        tuple(name for name in second.configurations if name not in shared),
    )


def _section(name: str, first: Plan | Configuration, second: Plan | Configuration) -> Section:
    values = [
        dict(_leaves("", part.model_dump(mode="json", exclude={"decisions", "configurations"}))) for part in (first, second)
    ]
    paths = list(dict.fromkeys(path for found in values for path in found))
    differences = tuple(
        Difference(path, *(found.get(path, ABSENT) for found in values))
        for path in paths
        if values[0].get(path, ABSENT) != values[1].get(path, ABSENT)
    )
    said = [{decision.name: decision.reason for decision in part.decisions} for part in (first, second)]
    wanted = dict.fromkeys(name for difference in differences for name in _behind(difference.path))
    reasons = [Reasons(name, *(found.get(name, "") for found in said)) for name in wanted]
    return Section(name, differences, tuple(reason for reason in reasons if reason.first != reason.second))


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Every value with its path; a list of numbers is one value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, part)
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        for index, part in enumerate(value):
            yield from _leaves(f"{path}.{index}", part)
    else:
        yield path, json.dumps(_short(value))


def _short(value: object) -> object:
    """Numbers to six digits: what differs beyond them is rounding."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_short(part) for part in value] if isinstance(value, list) else value


def _behind(path: str) -> tuple[str, ...]:
    """Names of decisions: the user's own for this very value, then those of the rules."""
    fitting = [start for start in BEHIND if path == start or path.startswith(f"{start}.")]
    return (path, *(BEHIND[max(fitting, key=len)] if fitting else ()))
