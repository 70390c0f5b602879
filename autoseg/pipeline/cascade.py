"""The masks that the second stage of a cascade sees: of cases to learn from, by networks that had not seen them; of others, by all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from autoseg.errors import RecordError, RunFolderError
from autoseg.learning.checkpoint import read_record
from autoseg.pipeline.fold_checks import refuse_changed
from autoseg.records import PREDICTIONS_FILE, Configuration, Plan, PredictedCase, Predictions, Splits
from autoseg.run_folder import RunFolder
from autoseg.stages.preprocess import StageMask

NAMED_CASES = 5  # in a message


@dataclass(frozen=True)
class OutOfFold:
    """For every case of all folds, the mask by the fold of the first stage that validated it, and so had not learned from it.

    `digest` tells the networks of all its folds.
    """

    stage: str
    digest: str
    masks: Mapping[str, StageMask]


def out_of_fold(folder: RunFolder, plan: Plan, configuration: Configuration, splits: Splits) -> OutOfFold:
    """Find the masks that a second stage trains and validates on.

    Raises:
        RunFolderError: folds of the first stage are not trained, not validated, or have no mask of a case; all that is missing
            is named, with the command that makes it.
    """
    first = plan.configurations[configuration.previous_stage or ""]
    masks: dict[str, StageMask] = {}
    weights: list[str] = []
    missing: list[str] = []
    for index, fold in enumerate(splits.folds):
        found = _predictions(folder, plan, first, splits, str(index))
        if isinstance(found, str):
            missing.append(found)
            continue
        weights += found.weights
        out = folder.validation(first.name, str(index))
        done = {case.id: case for case in found.cases if case.status == "done" and case.mask and (out / case.mask).is_file()}
        if without := [case for case in fold.validation if case not in done]:
            missing.append(f"fold {index} has no mask of {_some(without)}{_why(found, without)}")
        origin = f"{first.name} {index} {' '.join(found.weights)} {found.inference}"
        for case in fold.validation:
            if case in done and case not in masks:
                masks[case] = StageMask(out / str(done[case].mask), origin)
    validated = {case for fold in splits.folds for case in fold.validation}
    if never := sorted({case for fold in splits.folds for case in fold.train} - validated):
        missing.append(
            f"no fold validates {_some(never)}, so every network of {first.name} learned from it; plan with other folds"
        )
    if missing:
        listed = "\n".join(f"  {line}" for line in missing)
        raise RunFolderError(
            f"{configuration.name} learns from masks that {first.name} predicted of cases it had not seen, so all folds of {first.name} "
            f"come before:\n{listed}\ntrain them with `autoseg train {folder.root} --configuration {first.name} --fold all`"
        )
    return OutOfFold(first.name, hashlib.sha256(" ".join(weights).encode()).hexdigest()[:12], masks)


def _predictions(folder: RunFolder, plan: Plan, first: Configuration, splits: Splits, fold: str) -> Predictions | str:
    """What a fold of the first stage predicted of its validation cases, or what is missing for that."""
    place = folder.fold(first.name, fold)
    record = read_record(place)
    if record is None:
        return f"fold {fold} is not trained"
    before = out_of_fold(folder, plan, first, splits).digest if first.previous_stage is not None else ""
    try:
        refuse_changed(folder, plan, first, splits, fold, before)
    except RecordError as error:
        return f"fold {fold}: {error}"
    if not record.finished:
        return f"fold {fold} is trained for {record.epoch} of {record.epochs} epochs only"
    file = folder.validation(first.name, fold) / PREDICTIONS_FILE
    if not file.is_file():
        return f"fold {fold} is trained, but not validated"
    predictions = Predictions.load(file)
    if predictions.weights != (record.weights_sha256,):
        return f"fold {fold} was trained further after it was validated"
    return predictions


def _why(predictions: Predictions, cases: list[str]) -> str:
    """The reason of the first failure among the cases."""
    failed: list[PredictedCase] = [case for case in predictions.cases if case.id in cases and case.error]
    return f" ({failed[0].id}: {failed[0].error})" if failed else ""


def _some(cases: list[str]) -> str:
    return ", ".join(cases[:NAMED_CASES]) + (f" and {len(cases) - NAMED_CASES} more" if len(cases) > NAMED_CASES else "")
