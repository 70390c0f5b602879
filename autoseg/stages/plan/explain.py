"""A plan as a person would tell it: what the data are, then every decision by topic, with its rule and what else there was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from autoseg.records import Dataset, Decision, Fingerprint, Plan, Splits
from autoseg.records.plan import Number
from autoseg.stages.plan.saying import say

TOPICS = {  # where the decisions of a configuration are told, and in which order
    "The data": ("orientation", "normalization"),
    "The grid": ("spacing", "transpose"),
    "The network": ("network", "start", "depth", "patch", "width", "batch", "batch_dice", "low resolution", "cascade"),
    "Time and memory": ("length", "learning rate", "memory", "inference", "device", "default"),
}
ELSEWHERE = "The network"  # for a decision that no topic names
SET_BY_USER = "What you set"


@dataclass(frozen=True)
class Topic:
    """A heading, sentences of fact, and the decisions that belong there."""

    heading: str
    facts: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()


def explained(plan: Plan, facts: Sequence[str] = ()) -> tuple[Topic, ...]:
    """The default configuration by topic; of every other one, what is decided differently.

    Args:
        plan: the plan.
        facts: sentences about the data, see `facts_of`.
    """
    chosen = plan.configurations[plan.default]
    decisions = (*chosen.decisions, *plan.decisions)
    topics = []
    for heading in (*TOPICS, SET_BY_USER):
        here = [decision for decision in decisions if _topic(decision) == heading]
        order = TOPICS.get(heading, ())
        here.sort(key=lambda decision: order.index(decision.name) if decision.name in order else len(order))
        topics.append(Topic(heading, tuple(facts) if heading == "The data" else (), tuple(here)))
    for name, other in plan.configurations.items():
        if name != plan.default:
            differing = tuple(decision for decision in other.decisions if decision not in chosen.decisions)
            same = () if differing else (f"Everything is decided as for {plan.default}.",)
            topics.append(Topic(f"{name}, where it differs from {plan.default}", same, differing))
    return tuple(topic for topic in topics if topic.facts or topic.decisions)


def facts_of(dataset: Dataset, fingerprint: Fingerprint, splits: Splits) -> tuple[str, ...]:
    """What was found, in sentences."""
    cases, element = fingerprint.cases, "pixels" if dataset.rank == 2 else "voxels"
    known = [case.spacing_mm for case in cases if case.spacing_mm is not None]
    sizes = list(zip(*(case.shape for case in cases), strict=True))
    numbers: dict[str, Number] = {
        "name": dataset.name,
        "cases": len(dataset.cases),
        "subjects": len({case.subject for case in dataset.cases}),
        "channels": ", ".join(dataset.channels),
        "unlabelled": len(dataset.cases) - len(cases),
        "size": tuple(float(median(axis)) for axis in sizes),
        "smallest": tuple(float(min(axis)) for axis in sizes),
        "largest": tuple(float(max(axis)) for axis in sizes),
        "unknown": len(cases) - len(known),
        "folds": len(splits.folds),
        "held": len(splits.held_out),
        "rule": splits.rule,
    }
    noun = "image" if dataset.rank == 2 else "volume"
    text = f"{{name}} holds {{cases:#{noun}}} of {{subjects:#subject}} ({{channels}})"
    sentences = [say(text + (", {unlabelled} of them without a label." if numbers["unlabelled"] else "."), numbers)]
    vary = numbers["smallest"] != numbers["largest"]
    text = f"They have {{size}} {element}" + (" in the median, from {smallest} to {largest}." if vary else " each.")
    if numbers["unknown"]:
        text += f" How large a {element[:-1]} is in mm is not known for {{unknown}} of them."
    sentences += [say(text, numbers), _structures(dataset, fingerprint)]
    text = "{folds:#fold} are made ({rule})" + ("; {held:#case} are kept out of all of them." if splits.held_out else ".")
    return (*sentences, say(text, numbers))


def _structures(dataset: Dataset, fingerprint: Fingerprint) -> str:
    found = []
    for target in dataset.targets:
        present = sum(case.structures[target.name].pixels > 0 for case in fingerprint.cases if target.name in case.structures)
        numbers: dict[str, Number] = {"name": target.name, "present": present, "cases": len(fingerprint.cases)}
        found.append(
            say("{name} (in {present:,} of {cases:,})" if present < len(fingerprint.cases) else "{name} (in all)", numbers)
        )
    return f"To be found: {', '.join(found)}."


def _topic(decision: Decision) -> str:
    if "." in decision.name:
        return SET_BY_USER
    return next((heading for heading, names in TOPICS.items() if decision.name in names), ELSEWHERE)
