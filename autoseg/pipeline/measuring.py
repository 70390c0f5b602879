"""Measure the masks of a prediction, of a folder, or of a data set, and compare the figures with a truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.errors import DataError, Fault, RunFolderError
from autoseg.inference.inputs import find_inputs, readable
from autoseg.layouts import LAYOUTS
from autoseg.layouts.mm_table import LEAST_MM, MOST_MM, name_key, read_spacings, read_table
from autoseg.layouts.subjects import assign_subjects, subject_in
from autoseg.metrics.gestation import DATINGS, DEFAULT_DATING, Dating
from autoseg.metrics.measured_trust import with_trust
from autoseg.metrics.structures import painted_structures
from autoseg.pipeline.preparing import worker_count
from autoseg.progress import Progress, SilentProgress
from autoseg.records import PREDICTIONS_FILE, Agreement, Case, Dataset, Measurements, Predictions, Spacing
from autoseg.stages.agree import PLOT, agree, truth_of_labels, truth_of_table
from autoseg.stages.index import index_dataset
from autoseg.stages.measure import FIGURES, MaskSet, MaskToMeasure, measure_masks, save_csv, save_hc18_csv
from autoseg.volume.files import is_volume

AUTO = "auto"
SAME_SPACING = 1e-3  # relative

SpacingChoice = str | Path | float | None


@dataclass(frozen=True)
class MeasureOptions:
    """What holds for masks and truth alike; see `measure`."""

    structures: Mapping[str, Sequence[int]] | None = None
    layout: str = AUTO
    spacing: SpacingChoice = None
    subjects: str | Path | None = None
    dating: Dating = DEFAULT_DATING
    figures: bool = True
    workers: int | None = None


@dataclass(frozen=True)
class MeasureOutcome:
    """What was measured, how it agrees with the truth (None without one), and the folder that it was written to."""

    measurements: Measurements
    agreement: Agreement | None
    out: Path


def measure(
    masks: str | Path,
    out: str | Path | None = None,
    *,
    structures: Mapping[str, Sequence[int]] | None = None,
    layout: str = AUTO,
    spacing: str | Path | float | None = None,
    subjects: str | Path | None = None,
    truth: str | Path | None = None,
    dating: Dating = DEFAULT_DATING,
    figures: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> MeasureOutcome:
    """Measure masks: a fetal head, widths, sizes and shapes in mm; writes measurements.json, measurements.csv and pictures.

    Args:
        masks: a folder written by `predict`, any folder of label maps, or a data set whose labels are measured.
        out: where the results go; None: beside the masks of a prediction.
        structures: the values of each structure in a folder of label maps; None: every value is one of its own.
        layout: of a data set.
        spacing: CSV of pixel sizes, or one number, in mm, for pictures.
        subjects: which cases belong to one person, as in `plan`.
        truth: a data set whose labels are measured in the same way, or a CSV of figures; agreement.json and
            agreement/bland_altman.png tell how it agrees.
        dating: formula for the gestational age.
        figures: whether to draw a picture of each case.
        workers: processes; None takes the cores at hand.
        progress: listener.

    Returns:
        What was measured; masks that failed are in it and do not stop the others.
    """
    options = MeasureOptions(structures, layout, spacing, subjects, dating, figures, workers)
    place, true = (None if path is None else Path(path) for path in (out, truth))
    return _measure_folder(Path(masks), place, true, options, progress or SilentProgress())


def _measure_folder(
    masks: Path, out: Path | None, truth: Path | None, options: MeasureOptions, progress: Progress
) -> MeasureOutcome:
    if options.dating not in DATINGS:
        raise DataError(f"there is no formula {options.dating} for the gestational age; there are {', '.join(DATINGS)}")
    if out is None:
        if not (masks / PREDICTIONS_FILE).is_file():
            raise RunFolderError(f"{masks} was not written by `autoseg predict`; give a folder OUT for the results")
        out = masks
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file; give a folder for the results")
    found = _mask_set(masks, options, progress)
    truth_found = (
        None if truth is None else _truth_masks(truth, found, options, progress)
    )  # faults of it are told before the work
    if truth_found is not None and found.dataset is None and options.subjects is None:
        found = _with_subjects(found, truth_found)
    _remove_earlier(out)
    progress.stage("measuring", len(found.masks))
    workers = worker_count(options.workers)
    measured = measure_masks(
        found, dating=options.dating, out=out if options.figures else None, workers=workers, on_done=progress.advance
    )
    if found.complete:
        changed = {
            item.id for item in found.masks if item.note is not None
        }  # what was learned of the networks' masks is not of these
        measured = with_trust(measured, Predictions.load(masks / PREDICTIONS_FILE), without=changed)
    measured.save(out / "measurements.json")
    save_csv(measured, out / "measurements.csv")
    if not save_hc18_csv(measured, out / "hc18.csv"):
        (out / "hc18.csv").unlink(missing_ok=True)  # of an earlier call
    if truth is None:
        return MeasureOutcome(measured, None, out)
    if all(case.status == "failed" for case in measured.cases):
        progress.message(f"nothing is compared with {truth}, as no mask could be measured")
        return MeasureOutcome(measured, None, out)
    agreement = _agreement(measured, truth, truth_found, out, workers, progress)
    agreement.save(out / "agreement.json")
    return MeasureOutcome(measured, agreement, out)


def _remove_earlier(out: Path) -> None:
    """What an earlier call has told of other masks, or against another truth."""
    for file in (out / "agreement.json", out / PLOT, *(out / FIGURES).glob("*.png")):
        file.unlink(missing_ok=True)


def _mask_set(masks: Path, options: MeasureOptions, progress: Progress) -> MaskSet:
    if not masks.exists():
        raise DataError(f"{masks} does not exist; give a folder of masks")
    if (masks / PREDICTIONS_FILE).is_file() and options.layout == AUTO:
        return _of_prediction(masks, options)
    is_dataset = options.layout != AUTO or any(layout.recognise(masks) is not None for layout in LAYOUTS.values())
    if is_dataset and not options.structures:
        return _of_dataset(masks, options, progress)
    return _of_folder(masks, options)


def _of_prediction(masks: Path, options: MeasureOptions) -> MaskSet:
    """`predictions.json` names the structures, their values, the spacings and the images."""
    return masks_of(Predictions.load(masks / PREDICTIONS_FILE), masks, options)


def masks_of(predictions: Predictions, masks: Path, options: MeasureOptions) -> MaskSet:
    """What was predicted into a folder, to be measured."""
    subjects = _subjects([case.id for case in predictions.cases], options.subjects)
    given = _given_spacings(
        {case.id: [case.id, *(Path(name).name for name in case.images)] for case in predictions.cases}, options
    )
    items = []
    for case in predictions.cases:
        item = MaskToMeasure(
            case.id, subjects[case.id], masks / (case.mask or case.id), case.images, given.get(case.id) or case.spacing_mm
        )
        if case.status == "failed" or case.mask is None:
            item = replace(item, fault=f"there is no mask, as its prediction failed: {case.error or 'the reason is not known'}")
        elif not _same(given.get(case.id), case.spacing_mm):
            told = f"predicted with a spacing of {case.spacing_mm} mm, --spacing says {given[case.id]} mm; predict it again"
            item = replace(item, fault=told)
        elif item.mask.is_file() and case.mask_sha256 not in (None, _sha256(item.mask)):
            item = replace(item, note="the mask was changed since it was predicted, so no interval and no flag is told")
        items.append(item)
    painted = painted_structures(predictions.targets, predictions.derived)
    return MaskSet(str(masks), tuple(items), _given_structures(options) or painted, complete=not options.structures)


def _of_dataset(path: Path, options: MeasureOptions, progress: Progress) -> MaskSet:
    """The labels of a data set that `plan` reads."""
    dataset, faults = index_dataset(path, layout=options.layout, subjects=options.subjects, spacing=options.spacing)
    if dataset is None:
        raise DataError(faults)
    known = {case.id for case in dataset.cases}
    labels = labels_of(dataset)
    items = list(labels.masks)
    told: dict[str, list[str]] = {}
    for fault in faults:
        told.setdefault(fault.case, []).append(fault.message)
    items += [MaskToMeasure(name, name, Path(name), fault="; ".join(why)) for name, why in told.items() if name not in known]
    if len(labels.masks) < len(dataset.cases):
        progress.message(f"{len(dataset.cases) - len(labels.masks)} cases have no label and are not measured")
    return replace(labels, name=str(path), masks=tuple(items))


def labels_of(dataset: Dataset) -> MaskSet:
    """The labels of a data set's cases, to be measured."""
    items = [
        MaskToMeasure(
            case.id,
            case.subject,
            dataset.path(case.label),
            tuple(str(dataset.path(file)) for file in case.images),
            case.spacing_mm,
            case,
        )
        for case in dataset.cases
        if case.label is not None
    ]
    structures = {structure.name: structure.values for structure in (*dataset.targets, *dataset.derived)}
    return MaskSet(dataset.root, tuple(items), structures, dataset)


def _of_folder(path: Path, options: MeasureOptions) -> MaskSet:
    """Files that hold the values themselves, as `--structure` names them."""
    inputs = find_inputs(path, ("mask",))
    spacings = _given_spacings({item.id: [item.id, *(file.name for file in item.files)] for item in inputs}, options)
    subjects = _subjects([item.id for item in inputs], options.subjects)
    items = []
    for item in inputs:
        file, subject = item.files[0], subjects[item.id]
        if readable(str(file)) != str(file):
            fault = "its name is not UTF-8, so it cannot be recorded; rename the file"
            items.append(MaskToMeasure(readable(item.id), readable(subject), Path(readable(str(file))), fault=fault))
        else:
            items.append(MaskToMeasure(item.id, subject, file, (), None if is_volume(file) else spacings.get(item.id)))
    if options.spacing is not None and all(is_volume(item.files[0]) for item in inputs):
        raise DataError("--spacing is for pictures; volumes carry their own spacing, so leave it out")
    return MaskSet(str(path), tuple(items), _given_structures(options))


def _given_structures(options: MeasureOptions) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values) for name, values in (options.structures or {}).items()}


def _given_spacings(names: Mapping[str, Sequence[str]], options: MeasureOptions) -> dict[str, Spacing]:
    """What `--spacing` says per case."""
    spacing = options.spacing
    if spacing is None:
        return {}
    try:
        number = float(spacing)  # type: ignore[arg-type]  # a path is no number, which is told below
    except (TypeError, ValueError):
        table = read_spacings(Path(spacing), names)  # type: ignore[arg-type]
        if table.faults:
            raise DataError(table.faults) from None
        return {name: value for name, value in table.values.items() if value is not None}
    if not LEAST_MM <= number <= MOST_MM:
        raise DataError(f"--spacing {number:g}: expected mm per pixel, a number from {LEAST_MM:g} to {MOST_MM:g}")
    return dict.fromkeys(names, (number, number))


def _subjects(names: Sequence[str], rule: str | Path | None) -> dict[str, str]:
    """Whose each case is; without a rule HC18's and Roboflow's names tell, and every other case is its own."""
    if rule is None:
        return {name: subject_in(name) or name for name in names}
    cases, faults, _ = assign_subjects([Case(id=name, subject=name, images=()) for name in names], rule)
    if faults:
        raise DataError(faults)
    return {case.id: case.subject for case in cases}


def _same(given: Spacing | None, predicted: Spacing | None) -> bool:
    if given is None or predicted is None:
        return True
    return len(given) == len(predicted) and all(
        abs(one - other) <= SAME_SPACING * other for one, other in zip(given, predicted, strict=True)
    )


def _truth_masks(truth: Path, masks: MaskSet, options: MeasureOptions, progress: Progress) -> MaskSet | None:
    """The labels of the truth; None where it is a table.

    Raises:
        DataError: it cannot be read, or is that of other images.
    """
    if not truth.exists():
        raise DataError(f"--truth {truth} does not exist; give a data set or a CSV")
    labels = None
    if truth.is_file() and truth.suffix.casefold() != ".zip":
        named = [row[0] for _, row in read_table(truth).rows if row]
    else:
        labels = _of_dataset(truth, replace(options, layout=AUTO), progress)
        named = [item.id for item in labels.masks]
    if not {name_key(name) for name in named} & {name_key(item.id) for item in masks.masks}:
        known, some = ", ".join(named[:3]) or "no image", ", ".join(item.id for item in masks.masks[:3])
        raise DataError(
            f"no mask is in the truth {truth}, which names {known}; the masks are {some}: give the truth of the same images"
        )
    return labels


def _with_subjects(masks: MaskSet, truth: MaskSet) -> MaskSet:
    """Whose each mask is, as the truth's data set knows."""
    subjects = {name_key(item.id): item.subject for item in truth.masks}
    return replace(
        masks, masks=tuple(replace(item, subject=subjects.get(name_key(item.id), item.subject)) for item in masks.masks)
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _agreement(
    measured: Measurements, truth: Path, masks: MaskSet | None, out: Path, workers: int, progress: Progress
) -> Agreement:
    if masks is None:
        figures, notes = truth_of_table(truth, measured)
        return agree(measured, figures, truth_name=str(truth), notes=notes, out=out)
    wanted = {name_key(case.id) for case in measured.cases}
    chosen = tuple(item for item in masks.masks if name_key(item.id) in wanted)
    progress.stage("measuring the truth", len(chosen))
    dating: Dating = next(name for name in DATINGS if name == measured.dating)
    labels = measure_masks(replace(masks, masks=chosen), dating=dating, workers=workers, on_done=progress.advance)
    bad = [Fault(case.id, case.error or "") for case in labels.cases if case.status == "failed"]
    notes = [f"left out, as their labels cannot be measured: {', '.join(fault.case for fault in bad)}"] if bad else []
    agreement = agree(measured, truth_of_labels(labels), truth_name=str(truth), notes=notes, out=out)
    others = tuple(item.id for item in masks.masks if name_key(item.id) not in wanted)
    return agreement.model_copy(update={"without_mask": others})
