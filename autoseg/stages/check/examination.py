"""All cases looked at, and everything that was found: the checks in order, on what the looks hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from autoseg.errors import Fault
from autoseg.parallel import map_cases
from autoseg.records import CheckFinding, CheckReport, Dataset, Splits
from autoseg.stages.check import duplicates, geometry, guesses, images, leakage, overlays, pairing, spacing, structures, values
from autoseg.stages.check.facts import SetLook, with_scheme
from autoseg.stages.check.look import CaseLook, LookTask, look_at_case

ORDER = {"error": 0, "warning": 1, "note": 2}


def look_at_cases(dataset: Dataset, *, workers: int = 0, on_done: Callable[[int], None] | None = None) -> tuple[CaseLook, ...]:
    """Read every case once, in worker processes.

    Args:
        dataset: as `index_dataset` found it; without targets, where labels are not declared.
        workers: processes; 0 looks in this one.
        on_done: called with the number of cases done so far.
    """
    bare = dataset.model_copy(update={"cases": (), "notes": ()})  # what travels to a worker with every case
    tasks = [LookTask(bare, case) for case in dataset.cases]
    return tuple(map_cases(look_at_case, tasks, name=lambda task: task.case.id, workers=workers, on_done=on_done))


def set_of(dataset: Dataset, looks: Sequence[CaseLook], *, folds: int, splits: Splits | None = None) -> SetLook:
    """The set as it was looked at; `splits` fixes the number of folds."""
    return SetLook(
        dataset=with_scheme(dataset, looks),
        looks=tuple(looks),
        declared=bool(dataset.targets),
        folds=len(splits.folds) if splits is not None else folds,
        splits=splits,
    )


def examine(the_set: SetLook, faults: Sequence[Fault]) -> tuple[CheckFinding, ...]:
    """Everything that was found, errors first, otherwise in the order of the checks.

    Args:
        the_set: of all cases that could be indexed.
        faults: of indexing.
    """
    told = _all_faults(the_set, faults)
    twins = duplicates.twins_of(the_set.looks)
    folder = Path(the_set.dataset.root).name
    found = [
        *pairing.of_faults(told, of_the_set=None if folder in the_set.subject_of() else folder),
        *pairing.unused_files(the_set.dataset, told),
        *pairing.of_notes(the_set.dataset.notes),
        *geometry.grids(the_set),
        *geometry.places(the_set),
        *geometry.orientations(the_set),
        *values.storage(the_set),
        *values.undeclared(the_set),
        *guesses.guessed(the_set),
        *values.habits(the_set),
        *structures.outlines(the_set),
        *images.contents(the_set),
        *images.colours(the_set),
        *images.scales(the_set),
        *images.depths(the_set),
        *structures.extents(the_set),
        *structures.presence(the_set),
        *structures.strokes(the_set),
        *structures.subjects(the_set),
        *spacing.outliers(the_set),
        *spacing.unknown(the_set),
        *spacing.extent(the_set),
        *duplicates.copies(the_set, twins),
        *duplicates.equal_labels(the_set, twins),
        *leakage.leaks(the_set, twins),
        *overlays.text(the_set),
    ]
    return tuple(sorted(found, key=lambda one: ORDER[one.severity]))


def unused_in(the_set: SetLook, faults: Sequence[Fault]) -> tuple[str, ...]:
    """Files among the images and labels of the set that belong to no case, relative to its root; `faults` are those of indexing."""
    by_folder = pairing.unused_by_folder(the_set.dataset, _all_faults(the_set, faults))
    return tuple(file for files in by_folder.values() for file in files)


def _all_faults(the_set: SetLook, faults: Sequence[Fault]) -> list[Fault]:
    return [*faults, *(fault for look in the_set.looks for fault in look.faults)]


def report_of(the_set: SetLook, findings: Sequence[CheckFinding], splits_file: Path | None) -> CheckReport:
    """The record."""
    dataset = the_set.dataset
    severities = [one.severity for one in findings]
    return CheckReport(
        dataset=dataset.name,
        layout=dataset.layout,
        root=dataset.root,
        rank=dataset.rank,
        cases=len(the_set.looks),
        labelled=sum(look.case.label is not None for look in the_set.looks),
        subjects=len({look.case.subject for look in the_set.looks}),
        folds=the_set.folds,
        splits=None if splits_file is None else str(splits_file),
        errors=severities.count("error"),
        warnings=severities.count("warning"),
        notes=severities.count("note"),
        read=dataset.notes,
        findings=tuple(findings),
    )
