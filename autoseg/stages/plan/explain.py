"""A plan as a person would tell it: what the data are, then every decision by topic, with its rule and what else there was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from autoseg.records import Configuration, Dataset, Decision, Fingerprint, Plan, Splits
from autoseg.records.plan import Number
from autoseg.stages.plan.saying import say

TOPICS = {  # where the decisions of a configuration are told, and in which order
    "The data": ("orientation", "normalization"),
    "The grid": ("spacing", "transpose"),
    "The network": (
        "network",
        "start",
        "depth",
        "patch",
        "width",
        "batch",
        "batch_dice",
        "low resolution",
        "cascade",
        "dimensions",
    ),
    "What training sees": ("augmentation",),
    "Time and memory": ("length", "recipe", "learning rate", "memory", "memory format", "inference", "device", "default"),
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
        said = {"The data": tuple(facts), SET_BY_USER: edited_since(chosen)}.get(heading, ())
        topics.append(Topic(heading, said, tuple(here)))
    for name, other in plan.configurations.items():
        if name != plan.default:
            differing = decided_differently(other.decisions, chosen.decisions)
            same = () if differing else (f"Everything is decided as for {plan.default}.",)
            topics.append(Topic(f"{name}, where it differs from {plan.default}", (*same, *edited_since(other)), differing))
    return tuple(topic for topic in topics if topic.facts or topic.decisions)


def edited_since(configuration: Configuration) -> tuple[str, ...]:
    """Sentences on what the configuration holds now, where its decisions tell of another value: it was edited by hand."""
    training = configuration.training
    now: dict[tuple[str, str, str], Number] = {  # decision, its number, and the field
        ("patch", "patch", "training.patch_size"): training.patch_size,
        ("batch", "batch", "training.batch_size"): training.batch_size,
        ("width", "width", "network.features"): configuration.network.features[0],
        ("length", "epochs", "training.epochs"): training.epochs,
        ("recipe", "rate", "training.initial_lr"): training.initial_lr,
    }
    decided = {decision.name: decision for decision in configuration.decisions}
    sentences = []
    for (name, number, field), value in now.items():
        planned = decided[name].numbers.get(number) if name in decided and field not in decided else None
        if planned is not None and planned != value:
            numbers: dict[str, Number] = {
                "name": {"length": "number of epochs", "recipe": "learning rate"}.get(name, name),
                "now": value,
                "planned": planned,
            }
            sentences.append(
                say("Edited by hand: the {name} is {now} in plan.json, where planning had chosen {planned}.", numbers)
            )
    return tuple(sentences)


def decided_differently(decisions: Sequence[Decision], others: Sequence[Decision]) -> tuple[Decision, ...]:
    """Those that the others do not hold; what else there was does not count, as it names the configuration."""
    held = {_content(decision) for decision in others}
    return tuple(decision for decision in decisions if _content(decision) not in held)


def _content(decision: Decision) -> tuple[str, ...]:
    return decision.name, decision.choice, decision.rule, decision.reason


def facts_of(dataset: Dataset, fingerprint: Fingerprint, splits: Splits) -> tuple[str, ...]:
    """What was found, in sentences."""
    noun, element = ("image", "pixel") if dataset.rank == 2 else ("volume", "voxel")
    numbers = _counts(dataset, fingerprint, splits)
    text = f"{{name}} holds {{cases:#{noun}}} of {{subjects:#subject}} ({{channels}})"
    text += ", {unlabelled} of them without a label." if numbers["unlabelled"] else "."
    folds = "{folds:#fold is/folds are} made ({rule})" if splits.can_validate else "No fold is made ({rule})"
    folds += "; {held:#case is/cases are} kept out of training." if splits.held_out else "."
    return (
        say(text, numbers),
        say(_sizes(numbers, element), numbers),
        _structures(dataset, fingerprint),
        say(folds, numbers),
    )


def _counts(dataset: Dataset, fingerprint: Fingerprint, splits: Splits) -> dict[str, Number]:
    cases = fingerprint.cases
    sizes = list(zip(*(case.shape for case in cases), strict=True))
    return {
        "name": dataset.name,
        "cases": len(dataset.cases),
        "subjects": len({case.subject for case in dataset.cases}),
        "channels": ", ".join(dataset.channels),
        "unlabelled": len(dataset.cases) - len(cases),
        "size": tuple(float(median(axis)) for axis in sizes),
        "smallest": tuple(float(min(axis)) for axis in sizes),
        "largest": tuple(float(max(axis)) for axis in sizes),
        "unknown": sum(case.spacing_mm is None for case in cases),
        "folds": len(splits.folds),
        "held": len(splits.held_out),
        "rule": splits.rule,
    }


def _sizes(numbers: Mapping[str, Number], element: str) -> str:
    if numbers["cases"] == 1:
        text = f"It has {{size}} {element}s."
        return text + f" How large a {element} is in mm is not known." if numbers["unknown"] else text
    vary = numbers["smallest"] != numbers["largest"]
    text = f"They have {{size}} {element}s" + (" in the median, from {smallest} to {largest}." if vary else " each.")
    return text + f" How large a {element} is in mm is not known for {{unknown}} of them." if numbers["unknown"] else text


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
