"""A repaired copy of a data set, in the layout `folders`: what can be mended without a doubt is, and the rest is copied as it is or left out.

Mended: outlines that are such without a doubt are filled, 0 and 255 become 0 and the structure's value, colours and palettes become values, floats
become integers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_fill_holes

from autoseg.errors import DataError
from autoseg.layouts.written_tables import PIXEL_SIZES, SUBJECTS, save_pixel_sizes, save_subjects
from autoseg.parallel import map_cases
from autoseg.processing.labels import decode_labels
from autoseg.records import (
    Case,
    CheckFinding,
    Dataset,
    LeftOut,
    OutlineEncoding,
    RepairedCase,
    RepairReport,
    write_text,
)
from autoseg.stages.check.facts import SetLook
from autoseg.stages.check.label_look import LabelLook
from autoseg.stages.check.look import CaseLook
from autoseg.stages.check.meaning import Meaning, meaning_of, without_meaning
from autoseg.stages.check.runs import packed_colours, runs_of
from autoseg.stages.check.structures import fillable, unfillable
from autoseg.volume.copying import copy_image, refuse_uncopyable
from autoseg.volume.files import is_picture, read, write_labels
from autoseg.writing import part_folder, replace_folder

REPORT = "repairs.json"
MOST_ASTRAY = 0.01  # of the line's pixels, on the wrong side of it; HC18's 385 closed ones have none, one cut off by 2 % of the head has 2 %
OF_THE_SET = ("leak", "few subjects", "spacing", "unused files")  # findings that keep no case out of a copy


@dataclass(frozen=True)
class _Task:
    """A case to copy, what is known of its label, and the stored values that are outlines to be filled."""

    case: Case
    label: LabelLook | None
    fill: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mended:
    """A label's values `(*spatial)` as the copy holds them, what that changes, in sentences, and the values whose outlines were filled."""

    labels: np.ndarray
    changes: tuple[str, ...] = ()
    filled: tuple[int, ...] = ()


def repair(
    the_set: SetLook,
    findings: Sequence[CheckFinding],
    out: Path,
    *,
    unused: Sequence[str] = (),
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> RepairReport:
    """Write the copy; cases with an error that is not mended are left out.

    Args:
        the_set: as it was looked at.
        findings: of it.
        out: new or empty folder.
        unused: files of the set that belong to no case; the report tells that they are not in the copy.
        workers: processes.
        on_done: called with the number of cases done so far.

    Raises:
        DataError: what the labels mean cannot be told, or no case is left.
    """
    reasons = reasons_to_leave_out(findings)
    meaning = meaning_of(the_set, reasons)
    reasons = _open_lines(the_set) | without_meaning(the_set, meaning) | _uncopyable(the_set) | reasons
    looks = [look for look in the_set.looks if look.case.id not in reasons]
    if not looks:
        raise DataError("every case has an error that a copy cannot mend, so there is nothing to copy; see what was found")
    with part_folder(out) as part:
        bare = the_set.dataset.model_copy(update={"cases": (), "notes": ()})  # what travels to a worker
        function, tasks = partial(_copied, dataset=bare, meaning=meaning, out=part), _tasks(the_set, looks)
        done = list(map_cases(function, tasks, name=lambda task: task.case.id, workers=workers, on_done=on_done))
        report = RepairReport(
            source=the_set.dataset.root,
            cases=tuple(
                RepairedCase(id=look.case.id, filled=filled, changes=told, remaining=_remaining(look.case.id, findings))
                for look, (told, filled) in zip(looks, done, strict=True)
            ),
            left_out=tuple(LeftOut(id=name, reason=reason) for name, reason in reasons.items()),
            unused=tuple(unused),
        )
        _describe(the_set, meaning, looks, part)
        report.save(part / REPORT)
        replace_folder(part, out)
    return report


def _tasks(the_set: SetLook, looks: Sequence[CaseLook]) -> list[_Task]:
    to_fill = fillable(the_set)
    return [_Task(look.case, look.label, tuple(key for key, cases in to_fill.items() if look.case.id in cases)) for look in looks]


def reasons_to_leave_out(findings: Sequence[CheckFinding]) -> dict[str, str]:
    """Cases with an error that a copy would still have, and the first such error."""
    reasons: dict[str, str] = {}
    for one in findings:
        if one.severity == "error" and not one.fixable and one.kind not in OF_THE_SET:
            for name in one.cases:
                reasons.setdefault(name, one.told)
    return reasons


def _open_lines(the_set: SetLook) -> dict[str, str]:
    """Cases whose line encloses nothing, where the copy has the other outlines filled."""
    filled = fillable(the_set)
    return {
        name: f"the value {key} is a thin line that is neither closed nor most of an ellipse, and the others are filled; close it, or fill it"
        for key, names in unfillable(the_set).items()
        if key in filled
        for name in names
    }


def _uncopyable(the_set: SetLook) -> dict[str, str]:
    """Cases of which a file cannot be copied whole, and why."""
    reasons: dict[str, str] = {}
    for look in the_set.looks:
        for file in (*look.case.images, look.case.label):
            try:
                if file is not None:
                    refuse_uncopyable(the_set.dataset.path(file))
            except (DataError, OSError) as error:
                reasons.setdefault(look.case.id, str(error))
    return reasons


def _copied(task: _Task, *, dataset: Dataset, meaning: Meaning, out: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Copy a case; what was changed of its label, in sentences, and the values whose outlines were filled."""
    case = task.case
    several = len(case.images) > 1
    for number, file in enumerate(case.images):
        copy_image(dataset.path(file), out / "images" / (f"{case.id}_{number:04d}" if several else case.id))
    if case.label is None or task.label is None:
        return (), ()
    source = dataset.path(case.label)
    mended = mend(dataset, task.case, task.label, meaning, task.fill)
    if not mended.changes:
        copy_image(source, out / "labels" / case.id)
        return (), ()
    suffix = ".png" if mended.labels.ndim == 2 and is_picture(source) else ".nii.gz"
    target = out / "labels" / f"{case.id}{suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_labels(target, mended.labels, task.label.geometry)
    return mended.changes, mended.filled


def mend(dataset: Dataset, case: Case, look: LabelLook, meaning: Meaning, fill: Sequence[str] = ()) -> Mended:
    """A label as the copy holds it; without a change, the file may be copied.

    Args:
        dataset: of the case.
        case: with a label.
        look: at the label.
        meaning: of the copy's values.
        fill: stored values that are outlines, to be filled.
    """
    path = dataset.path(str(case.label))
    encoding = dataset.encodings[case.encoding]
    array = read(path, expand_palette=encoding.kind == "colours").array
    if is_picture(path) and len(array) in (2, 4):
        array = array[:-1]
    values = meaning.values[case.encoding]
    if isinstance(encoding, OutlineEncoding):
        labels = _with_values(decode_labels(array, encoding, path.name)[None], False, values)
        return Mended(
            labels, ("the outline is filled to the centre of its line",), tuple(np.unique(labels[labels != 0]).tolist())
        )
    labels = _with_values(array, look.coloured, values)
    changes, filled = _told_mapping(look, values), []
    for key in [key for key in fill if values[key]]:  # what the set declares to be background is none's outline
        labels, told = _filled(labels, values[key])
        changes.append(f"{key}: {told}")
        filled.append(values[key])
    if look.dtype.startswith("float"):
        changes.append(f"{look.dtype} is stored as whole numbers")
    if look.palette:
        changes.append("the palette is taken away" if not look.coloured else "a palette picture is stored as values")
    return Mended(labels, tuple(changes), tuple(filled))


def _with_values(array: np.ndarray, coloured: bool, values: Mapping[str, int]) -> np.ndarray:
    packed = array[0]
    if coloured:
        packed = packed_colours(array)
    runs = runs_of(packed, coloured=coloured)
    table = np.array([values[key] for key in runs.keys], np.int64)
    return np.asarray(table[runs.map()] if len(table) else np.zeros(runs.shape, np.int64))


def _told_mapping(look: LabelLook, values: Mapping[str, int]) -> list[str]:
    moved = [f"{key} -> {values[key]}" for key in look.counts if str(values[key]) != key and key != "0,0,0"]
    return [f"values: {', '.join(moved)}"] if moved else []


def _filled(labels: np.ndarray, value: int) -> tuple[np.ndarray, str]:
    """An elliptic line filled to its centre, any other with all that it encloses."""
    line = labels == value
    filled, enclosed = labels.copy(), np.asarray(binary_fill_holes(line))
    inside = _ellipse(line, enclosed)
    if inside is None:
        inside, told = enclosed, "the outline is filled, its line included"
    else:
        told = "the outline is an ellipse, filled to the centre of its line"
        filled[line & ~inside] = 0
    filled[inside & ((labels == 0) | line)] = value
    return filled, told


def _ellipse(line: np.ndarray, enclosed: np.ndarray) -> np.ndarray | None:
    """The ellipse that the line follows; None where it follows none all along, as one that was closed along the picture's border does."""
    try:
        ellipse = decode_labels(line[None].astype(np.uint8), OutlineEncoding(value=1)) == 1
    except DataError:
        return None
    hole = enclosed & ~line
    astray = np.count_nonzero((ellipse & ~enclosed) | (hole & ~ellipse)) if hole.any() else 0
    return ellipse if astray <= MOST_ASTRAY * np.count_nonzero(line) else None


def _remaining(case: str, findings: Sequence[CheckFinding]) -> tuple[str, ...]:
    here = [
        one for one in findings if case in one.cases and not one.fixable and one.kind != "unused files"
    ]  # which are not copied
    return tuple(f"{one.kind}: {one.told}" for one in here)


def _describe(the_set: SetLook, meaning: Meaning, looks: Sequence[CaseLook], out: Path) -> None:
    """`dataset.json`, subjects, and pixel sizes of pictures."""
    dataset = the_set.dataset
    declared: dict[str, object] = {"name": dataset.name, "channels": list(dataset.channels), "labels": dict(meaning.names)}
    if meaning.ignore is not None:
        declared["ignore"] = meaning.ignore
    if meaning.order:
        declared["regions_class_order"] = list(meaning.order)
    if meaning.derived:
        declared["derived"] = dict(meaning.derived)
    subjects = {look.case.id: look.case.subject for look in looks}
    if len(set(subjects.values())) < len(subjects):
        declared["subjects"] = SUBJECTS
        save_subjects(out / SUBJECTS, subjects)
    write_text(out / "dataset.json", json.dumps(declared, indent=1) + "\n")
    sizes = {
        look.case.id: look.image.spacing_mm for look in looks if look.image is not None and look.image.spacing_mm is not None
    }
    if dataset.rank == 2 and sizes:
        save_pixel_sizes(out / PIXEL_SIZES, list(subjects), sizes)
