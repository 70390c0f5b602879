"""Which cases a fold holds, and whether what it was trained with is still so."""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.errors import RecordError, RunFolderError
from autoseg.learning.checkpoint import read_record, refuse_other_settings
from autoseg.learning.transfer import refuse_other_start
from autoseg.pipeline.trained import is_validated
from autoseg.records import FULL, Configuration, Fold, FoldCheckpoint, Plan, Splits
from autoseg.run_folder import RunFolder


def cases_of(splits: Splits, fold: str) -> Fold:
    """Members of a fold; `full` trains on every case of all folds and validates on none."""
    if fold != FULL:
        return splits.folds[int(fold)]
    return Fold(train=tuple(sorted({case for f in splits.folds for case in (*f.train, *f.validation)})), validation=())


def material_digest(splits: Splits, fold: str, previous: str = "") -> str:
    """What a fold learns from, for its checkpoint: its cases and, in the second stage of a cascade, the first one's networks.

    `previous` is a digest of those networks.
    """
    members = cases_of(splits, fold).digest()
    return f"{members}-{previous}" if previous else members


def refuse_changed(
    folder: RunFolder, plan: Plan, configuration: Configuration, splits: Splits, fold: str, previous: str = ""
) -> None:
    """What a fold's checkpoint says it was trained with must still be so: settings, cases, the weights it started from, and the
    networks whose masks it has seen (`previous`, see `material_digest`).

    Raises:
        RecordError: it is not; said before any case is prepared.
    """
    place = folder.fold(configuration.name, fold)
    record = read_record(place)
    if record is None:
        return
    refuse_other_settings(place, record, configuration.digests())
    refuse_other_start(place, record.initial, plan.transfer, fold)
    if not record.members or record.members == material_digest(splits, fold, previous):
        return
    if record.members.partition("-")[0] != cases_of(splits, fold).digest():
        raise RecordError(
            f"{place} was trained and validated on other cases (splits.json changed since), so its scores would be of cases that "
            "it has seen; restore splits.json, or delete this folder to train the fold anew"
        )
    raise RecordError(
        f"{place} learned from masks of other networks than {configuration.previous_stage} has now, which was trained anew since; "
        "delete this folder to train the fold anew"
    )


def folds_to_extend(folder: RunFolder, configuration: Configuration, folds: Sequence[str]) -> tuple[str, ...]:
    """Which of these folds `--extend` is for: those that were extended least often, so that a call that was interrupted goes on.

    A fold whose last extension has ended, but was not validated, is left out: it is only to be validated.

    Raises:
        RunFolderError: folds that were not begun; all are named.
    """
    records = {fold: read_record(folder.fold(configuration.name, fold)) for fold in folds}
    if missing := [fold for fold, record in records.items() if record is None]:
        raise RunFolderError(
            f"{folder.root}: fold {', '.join(missing)} of {configuration.name} was not begun, so there is nothing to extend; train it "
            "without --extend first"
        )
    begun = {fold: record for fold, record in records.items() if record is not None}
    least = min(_extensions(record) for record in begun.values())
    return tuple(
        fold
        for fold, record in begun.items()
        if _extensions(record) == least
        and (record.extensions == 0 or not record.finished or is_validated(folder, configuration.name, fold, record))
    )


def _extensions(record: FoldCheckpoint) -> int:
    """Extensions that have ended; one under way is still to be gone on with."""
    return record.extensions - (record.extended_at is not None and not record.finished)
