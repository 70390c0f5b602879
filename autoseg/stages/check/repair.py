"""A repaired copy of a data set, in the layout `folders`: what can be mended without a doubt is, and the rest is copied as it is or left out.

Mended: outlines are filled, 0 and 255 become 0 and the structure's value, colours and palettes become values, floats become integers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    ValueEncoding,
    write_text,
)
from autoseg.stages.check.facts import SetLook, on_disk, two_codings
from autoseg.stages.check.label_look import LabelLook
from autoseg.stages.check.look import CaseLook
from autoseg.stages.check.runs import packed_colours, runs_of
from autoseg.volume.files import is_picture, read, split_suffix, write_labels
from autoseg.writing import part_of, replace_folder

REPORT = "repairs.json"
OF_THE_SET = ("leak", "few subjects", "spacing", "unused files")  # findings that keep no case out of a copy
IN_TWO_FILES = (".nhdr", ".mhd")
WHITE = 255


@dataclass(frozen=True)
class Meaning:
    """What labels of the copy hold: per stored text ("2", "255,0,0") the value written, by encoding; and the names of the values."""

    values: Mapping[str, Mapping[str, int]]
    names: Mapping[str, int | list[int]]
    ignore: int | None = None
    order: tuple[int, ...] = ()
    derived: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    """A case to copy, and what is known of its label."""

    case: Case
    label: LabelLook | None


def repair(
    the_set: SetLook,
    findings: Sequence[CheckFinding],
    out: Path,
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> RepairReport:
    """Write the copy; cases with an error that is not mended are left out.

    Args:
        the_set: as it was looked at.
        findings: of it.
        out: new or empty folder.
        workers: processes.
        on_done: called with the number of cases done so far.

    Raises:
        DataError: what the labels mean cannot be told, or no case is left.
    """
    meaning = meaning_of(the_set)
    reasons = reasons_to_leave_out(findings)
    looks = [look for look in the_set.looks if look.case.id not in reasons]
    for look in the_set.looks:
        if any(split_suffix(file)[1] in IN_TWO_FILES for file in look.case.images):
            reasons.setdefault(look.case.id, "its image lies in two files, header and data; save it in one (.nrrd, .mha)")
    looks = [look for look in the_set.looks if look.case.id not in reasons]
    if not looks:
        raise DataError("every case has an error that a copy cannot mend, so there is nothing to copy; see what was found")
    part = part_of(out)
    shutil.rmtree(part, ignore_errors=True)
    try:
        function = partial(
            _copied, dataset=the_set.dataset.model_copy(update={"cases": (), "notes": ()}), meaning=meaning, out=part
        )
        tasks = [_Task(look.case, look.label) for look in looks]
        changes = list(map_cases(function, tasks, name=lambda task: task.case.id, workers=workers, on_done=on_done))
        report = RepairReport(
            source=the_set.dataset.root,
            cases=tuple(
                RepairedCase(id=look.case.id, changes=told, remaining=_remaining(look.case.id, findings))
                for look, told in zip(looks, changes, strict=True)
            ),
            left_out=tuple(LeftOut(id=name, reason=reason) for name, reason in reasons.items()),
        )
        _describe(the_set, meaning, looks, part)
        report.save(part / REPORT)
        replace_folder(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return report


def reasons_to_leave_out(findings: Sequence[CheckFinding]) -> dict[str, str]:
    """Cases with an error that a copy would still have, and the first such error."""
    reasons: dict[str, str] = {}
    for one in findings:
        if one.severity == "error" and not one.fixable and one.kind not in OF_THE_SET:
            for name in one.cases:
                reasons.setdefault(name, one.told)
    return reasons


def meaning_of(the_set: SetLook) -> Meaning:
    """What the labels of the copy will hold.

    Values that the data set declares stay as they are, but for 255 alone, which becomes 1; colours and outlines become 1, 2, ...

    Raises:
        DataError: the labels have no meaning that could be told: too many values, or none.
    """
    dataset = the_set.dataset
    if not dataset.targets:
        return _of_colours(the_set)
    written = _written_values(dataset, declared=the_set.declared)
    values = {
        name: {
            key: written[internal]
            for key, internal in on_disk(dataset, CaseLook(Case(id="", subject="", images=(), encoding=name), None, None)).items()
        }
        for name in dataset.encodings
    }
    single = len(dataset.targets) == 1 and not dataset.regions
    if single and (two_codings(the_set.looks) or the_set.declared):
        for one in values.values():
            if not any("," in key for key in one):
                one.setdefault(str(WHITE), written[dataset.targets[0].values[0]])
    several = {target.name: [written[value] for value in target.values] for target in dataset.targets}
    names: dict[str, int | list[int]] = {"background": 0}
    names |= several if dataset.regions else {name: one[0] for name, one in several.items()}
    return Meaning(
        values,
        names,
        ignore=None if dataset.ignore_value is None else written[dataset.ignore_value],
        order=tuple(target.output_value for target in dataset.targets) if dataset.regions else (),
        derived=_derived(dataset),
    )


def _written_values(dataset: Dataset, *, declared: bool) -> dict[int, int]:
    """The value that the copy holds for each internal value."""
    encodings = list(dataset.encodings.values())
    first = encodings[0]
    if len(encodings) > 1 or not isinstance(first, ValueEncoding):
        internal = {value for target in dataset.targets for value in target.values}
        return {value: value for value in (0, *sorted(internal), *([dataset.ignore_value] if dataset.ignore_value else []))}
    stored: dict[int, int] = {}
    for value, internal_value in sorted(first.values.items()):
        stored.setdefault(internal_value, value)
    only_white = set(stored.values()) == {0, WHITE}
    return {0: 0, 1: 1} if only_white and not declared else stored


def _of_colours(the_set: SetLook) -> Meaning:
    """Colours without names become 1, 2, ... with names made of them, the most frequent first."""
    pixels: Counter[str] = Counter()
    for look in the_set.looks:
        if look.label is not None and look.label.coloured and not look.label.soft:
            pixels.update(look.label.counts)
    colours = [colour for colour, _ in pixels.most_common() if colour != "0,0,0"]
    if not colours:
        raise DataError("what the labels mean cannot be told, so no copy can be written; declare them in dataset.json")
    values = {"0": 0, "0,0,0": 0, **{colour: value for value, colour in enumerate(colours, start=1)}}
    names: dict[str, int | list[int]] = {"background": 0}
    names |= {f"colour_{colour.replace(',', '_')}": values[colour] for colour in colours}
    return Meaning(dict.fromkeys(the_set.dataset.encodings, values), names)


def _derived(dataset: Dataset) -> dict[str, list[str]]:
    parts = {}
    for structure in dataset.derived:
        members = [target.name for target in dataset.targets if set(target.values) <= set(structure.values)]
        parts[structure.name] = members
    return parts


def _copied(task: _Task, *, dataset: Dataset, meaning: Meaning, out: Path) -> tuple[str, ...]:
    """Copy a case; what was changed of its label, in sentences."""
    case = task.case
    several = len(case.images) > 1
    for number, file in enumerate(case.images):
        source = dataset.path(file)
        name = f"{case.id}_{number:04d}" if several else case.id
        target = out / "images" / f"{name}{split_suffix(source)[1]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if case.label is None or task.label is None:
        return ()
    source = dataset.path(case.label)
    labels, changes = mended(dataset, case, task.label, meaning)
    suffix = split_suffix(source)[1]
    target = (
        out / "labels" / f"{case.id}{suffix if not changes else '.png' if labels.ndim == 2 and is_picture(source) else '.nii.gz'}"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    if changes or suffix in IN_TWO_FILES:
        write_labels(target if suffix not in IN_TWO_FILES else target.with_suffix(".nrrd"), labels, task.label.geometry)
    else:
        shutil.copyfile(source, target)
    return changes


def mended(dataset: Dataset, case: Case, look: LabelLook, meaning: Meaning) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label's values `(*spatial)` as the copy holds them, and what that changes, in sentences (nothing: the file may be copied)."""
    path = dataset.path(str(case.label))
    encoding = dataset.encodings[case.encoding]
    array = read(path, expand_palette=encoding.kind == "colours").array
    if is_picture(path) and len(array) in (2, 4):
        array = array[:-1]
    values = meaning.values[case.encoding]
    if isinstance(encoding, OutlineEncoding):
        decoded = decode_labels(array, encoding, path.name)
        return _with_values(decoded[None], False, values), ("the outline is filled to the centre of its line",)
    labels = _with_values(array, look.coloured, values)
    changes = _told_mapping(look, values)
    for key in look.outlines:
        labels, told = _filled(labels, values[key])
        changes.append(f"{key}: {told}")
    if look.dtype.startswith("float"):
        changes.append(f"{look.dtype} is stored as whole numbers")
    if look.palette:
        changes.append("the palette is taken away" if not look.coloured else "a palette picture is stored as values")
    return labels, tuple(changes)


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
    filled = labels.copy()
    try:
        inside = decode_labels(line[None].astype(np.uint8), OutlineEncoding(value=1)) == 1
        told = "the outline is an ellipse, filled to the centre of its line"
        filled[line & ~inside] = 0
    except DataError:
        inside = np.asarray(binary_fill_holes(line))
        told = "the outline is filled, its line included"
    filled[inside & ((labels == 0) | line)] = value
    return filled, told


def _remaining(case: str, findings: Sequence[CheckFinding]) -> tuple[str, ...]:
    return tuple(f"{one.kind}: {one.told}" for one in findings if case in one.cases and not one.fixable)


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
