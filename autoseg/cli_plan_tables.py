"""What `autoseg plan` prints beside its tables: a plan as prose, its bill, and how it differs from another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autoseg.cli_tables import NOTHING_ELSE, add_columns, new_table
from autoseg.records import Dataset, Decision, Fingerprint, MachineProfile, Plan, Splits
from autoseg.stages.plan.bill import Bill
from autoseg.stages.plan.compare import Comparison, Section
from autoseg.stages.plan.explain import explained, facts_of
from autoseg.stages.plan.saying import said_bytes, said_seconds

PROSE_WIDTH = 100  # longer lines are hard to read
PROGRAM_BYTES = 5e8  # of a process that has loaded all that training needs, before its first step
BASES = {"measured": "this network", "like": "other networks", "typical": "typical figures"}


def explain_report(plan: Plan, dataset: Dataset, fingerprint: Fingerprint, splits: Splits) -> list[RenderableType]:
    """Topics with their facts and decisions, in lines short enough to read."""
    parts: list[RenderableType] = []
    for topic in explained(plan, facts_of(dataset, fingerprint, splits)):
        parts += ["", Text(topic.heading, style="bold")]
        parts += [_prose(Text(" ".join(topic.facts)))] if topic.facts else []
        rule = ""
        for decision in topic.decisions:
            parts.append(_decision(decision, with_rule=decision.rule != rule))
            rule = decision.rule
    return parts


def bill_report(bills: Mapping[str, Bill], plan: Plan, machine: MachineProfile) -> list[RenderableType]:
    """A column per configuration; below, what a figure rests on and what it leaves out."""
    table = new_table(f"What training will cost ({machine.device}: {machine.name})")
    columns = [name + (" (default)" if name == plan.default and len(bills) > 1 else "") for name in bills]
    add_columns(table, [""], columns)
    for row, cells in _rows(list(bills.values())):
        table.add_row(row, *cells)
    notes = [
        f"{bill.configuration}: all folds of {bill.stage_before} are trained first ({said_seconds(bill.stage_before_seconds)}, "
        "counted above), as it refines their masks."
        for bill in bills.values()
        if bill.stage_before
    ]
    if any(bill.time_basis == "typical" for bill in bills.values()):
        notes.append("Times are typical for such a device, as its speed was not measured; they may be several times as long.")
    notes.append(
        f"Not counted: preparing the cases, once, and about {said_bytes(PROGRAM_BYTES)} of memory for the program itself."
    )
    return ["", table, *[_prose(Text(note)) for note in notes]]


def compare_report(comparison: Comparison, first: str, second: str) -> list[RenderableType]:
    """A table per configuration that differs, and below it why."""
    if comparison.same:
        return [f"The plans do not differ: {first}, {second}"]
    parts: list[RenderableType] = ["", f"A: {first}", f"B: {second}"]
    for letter, names in (("A", comparison.only_first), ("B", comparison.only_second)):
        if names:
            parts.append(f"Only {letter} has {', '.join(names)}.")
    for section in comparison.sections:
        parts += _section(section)
    return parts


def _decision(decision: Decision, *, with_rule: bool) -> RenderableType:
    """The sentence, its rule unless it is that of the sentence before, and what else there was."""
    said = Text()
    is_field = "." in decision.name  # of the plan: as it is written there
    name = decision.name if is_field else decision.name.replace("_", " ").capitalize()
    said.append(f"{name}: {decision.choice}.", style="bold")
    said.append(f" {decision.reason}")
    lines = [_prose(said)]
    lines += [_prose(Text(f"Rule: {decision.rule}."), 4)] if with_rule else []
    lines += [] if decision.alternative.startswith(NOTHING_ELSE) else [_prose(Text(f"Instead: {decision.alternative}"), 4)]
    return Group(*lines)


def _rows(bills: list[Bill]) -> Iterable[tuple[str, list[str]]]:
    yield "epochs x steps", [f"{bill.epochs:,} x {bill.steps // bill.epochs:,}" for bill in bills]
    yield "steps", [f"{bill.steps:,}" for bill in bills]
    yield "a step", [said_seconds(bill.step_seconds) for bill in bills]
    yield "training a fold", [said_seconds(bill.training_seconds) for bill in bills]
    yield "its validation", [said_seconds(bill.validation_seconds) for bill in bills]
    yield "a fold, with its start", [said_seconds(bill.fold_seconds) for bill in bills]
    folds = bills[0].n_folds
    yield f"all {folds} folds" if folds > 1 else "the one fold", [said_seconds(bill.all_folds_seconds) for bill in bills]
    yield "speed taken from", [BASES[bill.time_basis] for bill in bills]
    yield "memory of a step", [said_bytes(bill.peak_bytes) for bill in bills]
    yield "memory taken from", [BASES[bill.memory_basis].replace("typical figures", "an estimate") for bill in bills]
    yield "disk: prepared cases", [said_bytes(bill.prepared_bytes) for bill in bills]
    yield "disk: a trained fold", [said_bytes(bill.weights_bytes) for bill in bills]
    yield "disk: more while it trains", [said_bytes(bill.state_bytes) for bill in bills]
    yield "disk: all folds, at most", [said_bytes(bill.disk_bytes) for bill in bills]


def _section(section: Section) -> list[RenderableType]:
    table: Table = new_table(section.name)
    add_columns(table, ["value", "A", "B"], [])
    for difference in section.differences:
        table.add_row(difference.path, difference.first, difference.second)
    parts: list[RenderableType] = [table]
    for reasons in section.reasons:
        for letter, text in (("A", reasons.first), ("B", reasons.second)):
            said = Text()
            said.append(f"{reasons.decision}, {letter}: ", style="bold")
            parts.append(_prose(said.append(text or "not decided there.")))
    return parts


def _prose(text: Text, indent: int = 2) -> RenderableType:
    return Constrain(Padding(text, (0, 0, 0, indent)), PROSE_WIDTH)
