"""Check a data set before anything is planned on it, and write a repaired copy of what can be repaired safely."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import DataError, RunFolderError
from autoseg.parallel import available_cores
from autoseg.progress import Progress, SilentProgress
from autoseg.records import CheckReport, RepairReport, write_text
from autoseg.stages.check import examine, look_at_cases, report_of, set_of, unused_in
from autoseg.stages.check.drawing import draw
from autoseg.stages.check.page import PAGE, PICTURES, page_of
from autoseg.stages.check.repair import repair
from autoseg.stages.index import index_dataset
from autoseg.stages.split import read_splits
from autoseg.writing import add_to_folder, holds_something, part_folder, refuse_unwritable

REPORT = "check.json"
FOLDS = 5  # of `plan`, where it is not told otherwise


@dataclass(frozen=True)
class CheckOutcome:
    """What was found, and what a repaired copy has otherwise (None where none was asked for, or could be made: `no_copy` says why)."""

    report: CheckReport
    repairs: RepairReport | None = None
    no_copy: str | None = None


def check(
    dataset: str | Path,
    *,
    layout: str = "auto",
    spacing: str | Path | float | None = None,
    subjects: str | Path | None = None,
    splits: str | Path | None = None,
    out: str | Path | None = None,
    fix: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CheckOutcome:
    """Look for everything that would hurt later, all at once. Nothing of the data set is changed.

    Args:
        dataset: folder of the data set, as `plan` takes it.
        layout: how it lies on disk; `auto` recognises it.
        spacing: CSV of pixel sizes, or one number, in mm.
        subjects: regular expression or CSV that tells the subject of a case.
        splits: `splits.json` of a run, or nnU-Net's `splits_final.json`, to be checked for leaks.
        out: folder for `check.json` and a page with pictures, `index.html`.
        fix: new or empty folder for a repaired copy.
        workers: processes; None takes the cores at hand.
        progress: listener.

    Raises:
        DataError: the data set cannot be read as one; all faults are listed.
        RunFolderError: `fix` is not empty, `out` is a file or lies in `fix`, or one of them cannot be written to.
    """
    progress, cores = progress or SilentProgress(), available_cores() if workers is None else workers
    copy, place = None if fix is None else Path(fix), None if out is None else Path(out)
    _refuse_places(Path(dataset), place, copy)
    folds = None if splits is None else read_splits(Path(splits))
    progress.stage("reading the data set")
    found, faults = index_dataset(Path(dataset), layout=layout, subjects=subjects, spacing=spacing, checking=True)
    if found is None:
        raise DataError(faults)
    progress.stage("looking at cases", len(found.cases))
    looks = look_at_cases(found, workers=cores, on_done=progress.advance)
    the_set = set_of(found, looks, folds=FOLDS, splits=folds)
    findings = examine(the_set, faults)
    splits_file = None if splits is None else Path(splits)
    if place is None:
        report = report_of(the_set, findings, splits_file)
    else:
        progress.stage("drawing")
        with part_folder(place / PAGE) as part:
            findings = draw(found, findings, part / PICTURES, workers=cores, on_done=progress.advance)
            report = report_of(the_set, findings, splits_file)
            write_text(part / PAGE, page_of(report))
            report.save(part / REPORT)
            add_to_folder(part, place)
    if copy is None:
        return CheckOutcome(report)
    progress.stage("writing the repaired copy", len(found.cases))
    try:
        repairs = repair(the_set, findings, copy, unused=unused_in(the_set, faults), workers=cores, on_done=progress.advance)
        return CheckOutcome(report, repairs)
    except DataError as error:  # what was found is worth telling all the same
        return CheckOutcome(report, no_copy=str(error))


def _refuse_places(source: Path, out: Path | None, copy: Path | None) -> None:
    if out is not None:
        if out.exists() and not out.is_dir():
            raise RunFolderError(f"{out} is a file; give a folder for the report")
        refuse_unwritable(out)
    if copy is None:
        return
    if holds_something(copy):
        raise RunFolderError(f"{copy} is not empty; give a new folder for the repaired copy")
    if copy.absolute().is_relative_to(source.absolute()):
        raise RunFolderError(f"{copy} lies in the data set itself; give a folder elsewhere for the repaired copy")
    if out is not None and out.absolute().is_relative_to(copy.absolute()):
        raise RunFolderError(f"{out} lies in the repaired copy, which is a data set; give a folder elsewhere for the report")
    refuse_unwritable(copy)
