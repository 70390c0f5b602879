"""What the command line prints after each verb: lists of rich renderables and plain sentences, built from records."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autoseg.cli_values import duration
from autoseg.records import (
    Configuration,
    Dataset,
    Decision,
    Fingerprint,
    MachineProfile,
    Predictions,
    Scores,
    Splits,
    StructureSize,
    Summary,
)
from autoseg.stages.plan.explain import decided_differently

if TYPE_CHECKING:
    from autoseg.pipeline import PlanOutcome
    from autoseg.pipeline.fold import FoldOutcome

NOTHING_ELSE = "none"  # how an alternative begins where there was none
SHOWN_FAILURES = 20  # predictions.json has them all
GIB = 2**30


def plan_report(outcome: PlanOutcome) -> list[RenderableType]:
    """What was found, what was decided, and why."""
    dataset, fingerprint, plan = outcome.dataset, outcome.fingerprint, outcome.plan
    parts: list[RenderableType] = ["", _found(dataset, fingerprint, outcome.splits, outcome.machine)]
    parts.append(_structures(dataset, fingerprint))
    parts += [f"note: {note}" for note in (*dataset.notes, *fingerprint.notes, *fingerprint.spacing_outliers)]
    parts += [f"note: exact duplicates: {', '.join(group)}" for group in fingerprint.duplicates]
    first = plan.configurations[plan.default]
    parts.append(decision_table("Decisions", [*plan.decisions, *first.decisions]))
    for name, configuration in plan.configurations.items():
        if name != plan.default:
            other = decided_differently(configuration.decisions, first.decisions)
            parts.append(decision_table(f"Configuration {name}, where it differs from {plan.default}", other))
    parts += [_length(configuration) for configuration in plan.configurations.values()]
    return parts


def next_after_plan(run: Path, splits: Splits) -> list[RenderableType]:
    """What to do with a new plan."""
    folds = "--fold 0        (or --fold all)" if splits.can_validate else "--fold full"
    return [
        f"Rules and alternatives: autoseg plan {run} --explain        (what it costs: --dry-run)",
        f"Next: autoseg train {run} {folds}",
    ]


def configuration_report(configuration: Configuration) -> list[RenderableType]:
    """Decisions with their reasons, and the length of a training."""
    return [decision_table(f"Configuration {configuration.name}", configuration.decisions), _length(configuration)]


def train_report(outcomes: Sequence[FoldOutcome], run: Path) -> list[RenderableType]:
    """Validation Dice per fold and structure; `full` has no validation cases and no scores."""
    scored = [outcome for outcome in outcomes if outcome.scores is not None]
    names = list(dict.fromkeys(name for o in scored if o.scores for name in o.scores.summary))
    table = new_table("Whole-image validation: mean Dice over the cases where the structure is present")
    add_columns(table, ["fold"], ["cases", "mean", *names, "time", "epochs"])
    for outcome in outcomes:
        scores = outcome.scores
        dice = [_number(scores.summary[n].dice if scores and n in scores.summary else None) for n in names]
        mean, cases = (_number(scores.mean_dice), str(len(scores.cases))) if scores else ("-", "0")
        table.add_row(outcome.fold, cases, mean, *dice, duration(outcome.seconds), str(outcome.epochs))
    means = [o.scores.mean_dice for o in scored if o.scores and o.scores.mean_dice is not None]
    parts: list[RenderableType] = ["", table]
    if len(means) > 1:
        parts.append(
            f"Mean Dice over {len(means)} folds: {statistics.mean(means):.3f} (lowest {min(means):.3f}, highest {max(means):.3f})"
        )
    parts += [f"Fold {outcome.fold}: {note}." for outcome in outcomes for note in outcome.notes]
    parts.append(f"Next: autoseg predict {run} IMAGES OUT")
    return parts


def predict_report(predictions: Predictions, out: Path) -> list[RenderableType]:
    """Which folds were used on what, how many files are done, and every failure."""
    by_status = {s: [c for c in predictions.cases if c.status == s] for s in ("done", "failed")}
    folds = ", ".join(predictions.folds)
    model = f"fold {folds}" if len(predictions.folds) == 1 else f"the mean of folds {folds}"
    counts = ", ".join(f"{len(cases)} {status}" for status, cases in by_status.items() if cases) or "no images found"
    seconds = [case.seconds for case in by_status["done"] if case.seconds is not None]
    pace = f" ({statistics.mean(seconds):.2g} s each)" if seconds else ""
    parts: list[RenderableType] = ["", f"Model: {predictions.configuration}, {model}, on {predictions.device}", f"{counts}{pace}"]
    failed = by_status["failed"]
    parts += [f"failed: {case.id}: {case.error}" for case in failed[:SHOWN_FAILURES]]
    if len(failed) > SHOWN_FAILURES:
        parts.append(f"... and {len(failed) - SHOWN_FAILURES} more; {out / 'predictions.json'} names them")
    parts += _review(predictions, out)
    if by_status["done"]:
        parts.append(f"Masks are in {out}. Next: autoseg evaluate LABELS {out}")
    else:
        parts.append(f"No mask was written; {out / 'predictions.csv'} tells why")
    return parts


def _review(predictions: Predictions, out: Path) -> list[RenderableType]:
    """Masks that someone ought to look at, and why; or why nothing is told of them."""
    done = [case for case in predictions.cases if case.status == "done"]
    flagged = [case for case in done if case.review]
    parts: list[RenderableType] = [f"note: {predictions.not_judged}"] if predictions.not_judged and done else []
    if any(case.review is not None for case in done):
        parts.append(f"{len(flagged)} of {len(done)} masks are flagged for review (column `review` of {out / 'predictions.csv'})")
    parts += [f"review: {case.id}: {'; '.join(case.review_reasons)}" for case in flagged[:SHOWN_FAILURES]]
    strange = [case for case in done if case.review is None and case.review_reasons]
    parts += [f"note: {case.id}: {'; '.join(case.review_reasons)}" for case in strange[:SHOWN_FAILURES]]
    return parts


def scores_report(scores: Scores) -> list[RenderableType]:
    """One row per structure. Columns that tell nothing are left out; scores.json has all figures, with their intervals."""
    summaries = scores.summary
    tolerance = "" if scores.tolerance_mm is None else f" ({scores.tolerance_mm:g} mm)"
    table = new_table(f"Scores of {len(scores.cases)} cases (means over the cases where the structure is present)")
    figures = {
        "IoU": [_number(s.iou) for s in summaries.values()],
        "precision": [_number(s.precision) for s in summaries.values()],
        "recall": [_number(s.recall) for s in summaries.values()],
        f"surface{tolerance}\nDice": [_number(s.surface_dice) for s in summaries.values()],
        "HD95 mm": [_number(s.hd95_mm, 2) for s in summaries.values()],
        "ASSD mm": [_number(s.assd_mm, 2) for s in summaries.values()],
        "size\nerror %": [_number(_percent(s.absolute_relative_size_error), 1) for s in summaries.values()],
        "HC MAE mm": [_number(s.circumference_mae_mm, 2) for s in summaries.values()],
    }
    figures = {name: column for name, column in figures.items() if any(cell != "-" for cell in column)}
    somewhere_absent = any(summary.absent for summary in summaries.values())
    counts = ["present", "missed", *(["absent", "false\nalarms"] if somewhere_absent else [])]
    add_columns(table, ["structure"], [*counts, "Dice [95 %]", *figures])
    for row, (name, summary) in enumerate(summaries.items()):
        numbers = [summary.present, summary.missed, *([summary.absent, summary.false_alarms] if somewhere_absent else [])]
        table.add_row(name, *map(str, numbers), _dice(summary), *(column[row] for column in figures.values()))
    parts: list[RenderableType] = ["", table, f"Mean Dice of the targets: {_number(scores.mean_dice)}"]
    without_mm = max((summary.without_mm for summary in summaries.values()), default=0)
    if without_mm:
        parts.append(f"note: {without_mm} cases have no known spacing and are left out of the figures in mm")
    if any(summary.missed for summary in summaries.values()):
        parts.append("note: a missed structure counts with Dice 0 and, as distance, the diagonal of its image")
    if scores.missing:
        parts.append(f"note: no prediction for {len(scores.missing)} labelled cases: {_some(scores.missing)}")
    return parts


def _found(dataset: Dataset, fingerprint: Fingerprint, splits: Splits, machine: MachineProfile) -> Table:
    facts = fingerprint.cases
    subjects = len({case.subject for case in dataset.cases})
    unlabelled = sum(case.label is None for case in dataset.cases)
    known = [f.spacing_mm for f in facts if f.spacing_mm is not None]
    cases = f"{len(dataset.cases)} of {subjects} subjects" + (f", {unlabelled} of them without label" if unlabelled else "")
    spacing = _range(known, "{:.3g}") + " mm" if known else "unknown"
    if known and len(known) < len(facts):
        spacing += f"; unknown for {len(facts) - len(known)} cases"
    sizes = ", ".join(f"{len(f.train)}+{len(f.validation)}" for f in splits.folds)
    held_out = f"; {len(splits.held_out)} cases held out" if splits.held_out else ""
    table = new_table(f"{dataset.name}: {dataset.rank}D, layout {dataset.layout}", header=False)
    add_columns(table, ["what", "found"], [])
    table.add_row("cases", cases)
    table.add_row("channels", ", ".join(dataset.channels))
    table.add_row("size", _range([f.shape for f in facts], "{:.0f}") + " (" + ("z, y, x" if dataset.rank == 3 else "y, x") + ")")
    table.add_row("spacing", spacing)
    table.add_row("folds", f"{splits.rule}; training+validation cases: {sizes}{held_out}" if splits.can_validate else splits.rule)
    cores = f", {machine.cores} cores" if machine.device == "cpu" and machine.cores else ""
    table.add_row("device", f"{machine.device}, {machine.name}{cores}, {machine.memory_bytes / GIB:.1f} GiB, {machine.precision}")
    return table


def _structures(dataset: Dataset, fingerprint: Fingerprint) -> Table:
    unit = "mm2" if dataset.rank == 2 else "ml"
    table = new_table("Structures")
    add_columns(
        table, ["structure", "kind"], ["present in", "absent in", f"median {unit}", f"smallest {unit}", f"largest {unit}"]
    )
    for structure in (*dataset.targets, *dataset.derived):
        sizes = [f.structures[structure.name] for f in fingerprint.cases if structure.name in f.structures]
        present = [size for size in sizes if size.pixels]
        kind = "target" if structure in dataset.targets else "derived"
        table.add_row(structure.name, kind, str(len(present)), str(len(sizes) - len(present)), *_size_cells(present))
    return table


def _size_cells(present: Sequence[StructureSize]) -> tuple[str, str, str]:
    sizes = [size.size for size in present if size.size is not None]
    if not sizes:
        return "-", "-", "-"
    middle, smallest, largest = (
        f"{size:.0f}" if size >= 1000 else f"{size:.4g}" for size in (statistics.median(sizes), min(sizes), max(sizes))
    )
    return middle, smallest, largest


def decision_table(title: str, decisions: Sequence[Decision]) -> Table:
    """One row per decision: what it is about, the choice, the reason; without those that had no alternative."""
    table = new_table(title, header=False)
    add_columns(table, ["name", "choice", "reason"], [])
    for decision in decisions:
        if not decision.alternative.startswith(NOTHING_ELSE):
            table.add_row(decision.name, decision.choice, decision.reason)
    return table


def _length(configuration: Configuration) -> str:
    training = configuration.training
    work = f"{configuration.name}: a fold trains for {training.epochs} epochs of {training.steps_per_epoch} steps"
    if configuration.time_limit_seconds is None:
        return work
    return f"{work}, made to fit {duration(configuration.time_limit_seconds)} with its validation"


def _range(values: Sequence[tuple[float, ...]] | Sequence[tuple[int, ...]], form: str) -> str:
    """The median per axis, and the span where there is one: "544 x 800 (512..600 x 700..832)"."""
    axes = list(zip(*values, strict=True))
    middle = " x ".join(form.format(statistics.median(axis)) for axis in axes)
    if all(min(axis) == max(axis) for axis in axes):
        return middle
    return f"{middle}, from " + " x ".join(f"{form.format(min(axis))}..{form.format(max(axis))}" for axis in axes)


def _dice(summary: Summary) -> str:
    if summary.dice is None or summary.dice_interval is None:
        return _number(summary.dice)
    low, high = summary.dice_interval
    return f"{summary.dice:.3f} [{low:.3f}..{high:.3f}]"


def _percent(part: float | None) -> float | None:
    return None if part is None else 100 * part


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _some(names: Sequence[str], limit: int = 10) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def new_table(title: str, *, header: bool = True) -> Table:
    """A table as all of autoseg's look."""
    return Table(
        title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=header, pad_edge=False
    )


def add_columns(table: Table, words: Sequence[str], numbers: Sequence[str]) -> None:
    """Columns of text, then columns of figures."""
    for name in words:
        table.add_column(Text(name), overflow="fold")
    for name in numbers:
        table.add_column(Text(name), justify="right")
