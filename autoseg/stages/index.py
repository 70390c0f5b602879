"""The first arrow: a folder on disk -> `Dataset`, with every fault of the set named at once."""

from __future__ import annotations

import difflib
from pathlib import Path

from autoseg.annotations.reading import find_child
from autoseg.errors import DataError, Fault
from autoseg.layouts import LAYOUTS, Layout, ReadOptions, Recognition
from autoseg.layouts.base import aliases, with_spacings
from autoseg.layouts.mm_table import read_spacings
from autoseg.layouts.subjects import assign_subjects
from autoseg.records import Dataset

AUTO = "auto"
PARTS = ("images", "labels", "masks", "imagestr", "labelstr")  # given instead of the folder around them
MOST_CHILDREN_TRIED = 50  # sub-folders looked at when a folder is not recognised, to suggest the right one


def index_dataset(
    path: Path,
    *,
    layout: str = AUTO,
    subjects: str | Path | None = None,
    spacing: str | Path | float | None = None,
    checking: bool = False,
) -> tuple[Dataset | None, list[Fault]]:
    """Find the cases of a data set and what its labels mean.

    Args:
        path: the data set's folder (or the zip of a downloaded fetal-head set).
        layout: a name of `autoseg.layouts.LAYOUTS`, or "auto": the one layout that recognises the folder.
        subjects: regular expression (first group, or the whole match, in the case's id) or CSV (name, subject).
        spacing: mm per pixel of all 2D images, or a CSV (name, one or two pixel sizes); replaces what the set says.
        checking: the caller looks at every file itself. Labels that nothing declares are not read, and the data set has no targets then;
            cases with a fault stay in it where their files are there.

    Returns:
        the data set of all cases without a fault (None where none is left), and the faults of the others. A caller that
        wants a sound set stops when there are faults.

    Raises:
        DataError: the folder, its layout, or one of the arguments cannot be used at all.
    """
    path = Path(path).expanduser().resolve()
    chosen, recognition = _choose(path, layout)
    result = chosen.read(path, ReadOptions(spacing is not None, subjects is not None, checking))
    faults = list(result.faults)
    dataset = result.dataset
    if dataset is None:
        return None, faults or [Fault(path.name, f"holds no usable case (read as {chosen.name})")]
    why = f"read as {chosen.name}: {recognition.why}" if recognition else f"read as {chosen.name}, as asked"
    dataset = dataset.model_copy(update={"notes": (why, *dataset.notes)})
    if subjects is not None:
        cases, more, note = assign_subjects(dataset.cases, subjects)
        faults += more
        dataset = dataset.model_copy(update={"cases": cases, "notes": (*dataset.notes, note)})
    if spacing is not None:
        dataset = _with_given_spacing(dataset, spacing, faults)
    faulty = {fault.case for fault in faults}
    cases = tuple(case for case in dataset.cases if checking or case.id not in faulty)
    return (dataset.model_copy(update={"cases": cases}) if cases else None), faults


def _choose(path: Path, layout: str) -> tuple[Layout, Recognition | None]:
    """The layout asked for, or the only one that recognises the folder; with its reason, if it does."""
    if layout != AUTO and layout not in LAYOUTS:
        close = difflib.get_close_matches(layout, LAYOUTS, 1)
        hint = f", did you mean '{close[0]}'?" if close else ""
        raise DataError(f"unknown layout '{layout}'{hint} (known: {AUTO}, {', '.join(LAYOUTS)})")
    if not path.exists():
        raise DataError(f"{path} does not exist; give the folder of the data set")
    if path.is_file() and path.suffix.casefold() != ".zip":
        raise DataError(f"{path} is a file; give the folder of the data set")
    if path.is_dir() and not any(path.iterdir()):
        raise DataError(f"{path} is empty; give the folder of the data set")
    if layout != AUTO:
        return LAYOUTS[layout], LAYOUTS[layout].recognise(path)
    found = _recognitions(path)
    if len(found) > 1:
        reasons = "\n".join(f"  {name}: {recognition.why}" for name, recognition in found.items())
        raise DataError(f"{path} can be read in {len(found)} ways:\n{reasons}\nchoose one with --layout {' or '.join(found)}")
    if not found:
        raise DataError(_unrecognised(path))
    name, recognition = next(iter(found.items()))
    return LAYOUTS[name], recognition


def _recognitions(path: Path) -> dict[str, Recognition]:
    return {name: reason for name, layout in LAYOUTS.items() if (reason := layout.recognise(path)) is not None}


def _unrecognised(path: Path) -> str:
    """What each layout looks for, and a folder close by that would do."""
    lines = [f"{path} is not recognised as a data set; looked for:"]
    lines += [f"  {name}: {layout.looks_for}" for name, layout in LAYOUTS.items()]
    lines += _half_of_folders(path)
    near = sorted(child for child in path.iterdir() if child.is_dir())[:MOST_CHILDREN_TRIED] if path.is_dir() else []
    near += [path.parent] if path.name.casefold() in PARTS else []
    for folder in near:
        try:
            found = _recognitions(folder)
        except (DataError, OSError):
            continue
        if found:
            lines.append(f"did you mean {folder} ({', '.join(found)})?")
            break
    lines.append(f"autoseg import {path} DST reads other formats, and writes what is read here")
    return "\n".join(lines)


def _half_of_folders(path: Path) -> list[str]:
    """What is missing where only the images or only the labels of plain folders are there."""
    images, labels = find_child(path, "images"), find_child(path, "labels", "masks")
    if images is not None and labels is None:
        return [f"{images.name}/ is there, and labels/ is missing beside it: put the masks there, named as their images"]
    if labels is not None and images is None:
        return [f"{labels.name}/ is there, and images/ is missing beside it: put the images there, named as their masks"]
    return []


def _with_given_spacing(dataset: Dataset, spacing: str | Path | float, faults: list[Fault]) -> Dataset:
    if dataset.rank == 3:
        raise DataError("--spacing is for 2D images; 3D files carry their own spacing: mend it in the files' headers")
    number = _as_number(spacing)
    if number is None:
        result = read_spacings(Path(spacing), aliases(dataset.cases))  # type: ignore[arg-type]  # a number is handled above
        faults += result.faults
        cases = with_spacings(dataset.cases, result.values)
        return dataset.model_copy(update={"cases": cases, "notes": (*dataset.notes, *result.notes)})
    if not 0 < number < float("inf"):
        raise DataError(f"--spacing {number}: expected a positive number of mm per pixel")
    cases = with_spacings(dataset.cases, {case.id: (number, number) for case in dataset.cases})
    note = f"{number:g} mm per pixel for all images, as given"
    return dataset.model_copy(update={"cases": cases, "notes": (*dataset.notes, note)})


def _as_number(spacing: str | Path | float) -> float | None:
    if isinstance(spacing, Path):
        return None
    try:
        return float(spacing)
    except ValueError:
        return None
