"""Masks -> measures: every structure of every mask in mm, ml and weeks, as a record, as tables, and as a picture of each case.

A mask that cannot be read fails by its name, and the others go on.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.errors import AutosegError, DataError, DiskFull, Fault
from autoseg.inference.measured_picture import save_measured_picture, save_measured_volume
from autoseg.metrics.gestation import Dating
from autoseg.metrics.measures import FIRST, IGNORED, UNKNOWN_SPACING, Measured, measure_structure, not_measured
from autoseg.parallel import map_cases
from autoseg.processing.cases import load_label_map
from autoseg.records import Case, Dataset, MeasuredCase, Measurements, Spacing, write_text
from autoseg.volume.files import LOSSY_SUFFIXES, is_picture, read, read_header, split_suffix

FIGURES = "measurements"  # folder of the pictures, inside the output
MOST_VALUES = 256  # different values in a mask; what holds more is an image
MANY_VALUES = 16  # from which on neighbours are looked at: in a label map most are alike, in an image few
EVEN = 0.5
LARGEST_VALUE = 2**31
MOST_NAMED = 8
HC18_HEADER = ("filename", "center_x_mm", "center_y_mm", "semi_axes_a_mm", "semi_axes_b_mm", "angle_rad")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskToMeasure:
    """One mask, and what is known about it.

    Args:
        id: its name in the results.
        subject: whose it is.
        mask: the file; its `name` is recorded.
        images: of the case, to draw on; absolute.
        spacing_mm: from a table or a prediction; None leaves it to the file, whose own counts unless it is a picture.
        case: of the data set whose labels are measured.
        fault: why it cannot be measured, where that is known beforehand.
        note: a doubt about it.
    """

    id: str
    subject: str
    mask: Path
    images: tuple[str, ...] = ()
    spacing_mm: Spacing | None = None
    case: Case | None = None
    fault: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class MaskSet:
    """Masks of one kind.

    Args:
        name: what the record calls them.
        masks: what to measure.
        structures: the values of each structure; empty: every value found is one of its own.
        dataset: whose labels these are; None for files that hold the values themselves. Of a label with ignored pixels nothing is told,
            as it is no truth.
        complete: whether a mask with other values than those of `structures` is at fault, as one of a prediction is.
    """

    name: str
    masks: tuple[MaskToMeasure, ...]
    structures: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dataset: Dataset | None = None
    complete: bool = False


def measure_masks(
    masks: MaskSet,
    *,
    dating: Dating,
    out: Path | None = None,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Measurements:
    """Measure every mask.

    Args:
        masks: what to measure.
        dating: formula for the gestational age.
        out: folder in which pictures of the cases are drawn; None draws none.
        workers: processes; 0 runs in this one.
        on_done: called with the number of cases done so far.
    """
    known = None if masks.dataset is None else masks.dataset.model_copy(update={"cases": ()})  # sent along with every case
    work = partial(_measure_case, known=MaskSet(masks.name, (), masks.structures, known, masks.complete), dating=dating, out=out)
    cases = map_cases(work, masks.masks, name=lambda item: item.id, workers=workers, on_done=on_done)
    return Measurements(masks=masks.name, structures=masks.structures, dating=dating, cases=tuple(cases))


def save_csv(measurements: Measurements, path: Path) -> None:
    """One row per case, one column per figure, those that a clinician looks for first; an empty cell is a figure that there is not.

    The last columns hold doubts and reasons. Interval ends have columns where any case has them.
    """
    columns = _columns(measurements)
    with_ends = {
        key
        for case in measurements.cases
        for name, structure in case.structures.items()
        for key in ((name, measure) for measure, found in structure.measures.items() if found.low is not None)
    }
    header = ["case", "subject"]
    for name, measure, unit in columns:
        title = column_title(name, measure, unit)
        header += [title, f"{title}_low", f"{title}_high"] if (name, measure) in with_ends else [title]
    rows = [[*header, "spacing_mm", "status", "warnings", "failures"]]
    for case in measurements.cases:
        row = [case.id, case.subject]
        for name, measure, unit in columns:
            structure = case.structures.get(name)
            found = structure.measures.get(measure) if structure else None
            right = found is not None and found.unit == unit
            row.append(_cell(found.value if found and right else None))
            if (name, measure) in with_ends:
                row += [_cell(found.low if found and right else None), _cell(found.high if found and right else None)]
        spacing = " x ".join(f"{step:.6g}" for step in case.spacing_mm or ())
        rows.append([*row, spacing, case.status, "; ".join(told_doubts(case)), "; ".join(told_failures(case))])
    write_text(path, _csv(rows))


def save_hc18_csv(measurements: Measurements, path: Path) -> bool:
    """The ellipses of heads as the HC18 challenge takes them; returns whether there were any, and writes nothing otherwise.

    Millimetres from the centre of the first pixel, `a` the longer half axis, the angle from the x axis (right) towards the y axis (down)
    to the longer axis, in [0, pi). Cases without a head have no row.
    """
    rows = [list(HC18_HEADER)]
    for case in measurements.cases:
        for structure in case.structures.values():
            if structure.ellipse is not None:
                (y, x), (a, b) = structure.ellipse.centre_yx_mm, structure.ellipse.semi_axes_mm
                name = Path(case.images[0]).name if case.images else Path(case.mask).name
                rows.append([name, *(f"{number:.6f}" for number in (x, y, a, b, structure.ellipse.angle_rad))])
    if len(rows) > 1:
        write_text(path, _csv(rows))
    return len(rows) > 1


def told_doubts(case: MeasuredCase) -> list[str]:
    """Doubts of a case, each once, with the structure that it is about."""
    of_structures = (
        f"{name}: {doubt}"
        for name, structure in case.structures.items()
        for measure in structure.measures.values()
        for doubt in measure.warnings
    )
    return list(dict.fromkeys((*case.warnings, *of_structures)))


def told_failures(case: MeasuredCase, *, ages: bool = True) -> list[str]:
    """Why figures are missing, each reason once, with the figures that it is about; with or without gestational ages."""
    if case.error is not None:
        return [case.error]
    missing: dict[tuple[str, str], list[str]] = {}
    for name, structure in case.structures.items():
        for key, measure in structure.measures.items():
            if measure.failure is not None and (ages or measure.unit != "weeks"):
                missing.setdefault((name, measure.failure), []).append(key)
    told = []
    for (name, failure), keys in missing.items():
        measures = case.structures[name].measures.values()
        whole = len(keys) >= sum(ages or measure.unit != "weeks" for measure in measures) or failure == UNKNOWN_SPACING
        told.append(f"{name}: {failure}" if whole else f"{name} {', '.join(keys)}: {failure}")
    return told


def column_title(name: str, measure: str, unit: str) -> str:
    """The heading of a figure's column: `head_HC_mm`."""
    return f"{'_'.join(name.split())}_{measure}_{unit}"


def _columns(measurements: Measurements) -> list[tuple[str, str, str]]:
    """(structure, measure, unit) of every column."""
    found = list(
        dict.fromkeys(
            (name, key, measure.unit)
            for case in measurements.cases
            for name, structure in case.structures.items()
            for key, measure in structure.measures.items()
            if measure.value is not None or measure.failure != UNKNOWN_SPACING
        )
    )
    names = list(dict.fromkeys(name for name, _, _ in found))
    order = [*FIRST, *dict.fromkeys(key for _, key, _ in found)]
    first = [column for column in found if column[1] in FIRST]
    first.sort(key=lambda column: (order.index(column[1]), names.index(column[0])))
    rest = [column for column in found if column[1] not in FIRST]
    rest.sort(key=lambda column: names.index(column[0]))
    return [*first, *rest]


def _measure_case(item: MaskToMeasure, *, known: MaskSet, dating: Dating, out: Path | None) -> MeasuredCase:
    head = {"id": item.id, "subject": item.subject, "mask": str(item.mask), "images": item.images}
    try:
        if item.fault is not None:
            raise DataError([Fault(item.id, item.fault)])
        labels, spacing = _read(item, known.dataset)
        structures = known.structures or _every_value(labels)
        ignored = None if known.dataset is None else known.dataset.ignore_value
        notes = _other_values(item, labels, structures, known.complete, ignored) if known.structures else ()
        partly = ignored is not None and bool((labels == ignored).any())  # what is measured of the rest is no truth
        found = {}
        for name, values in structures.items():
            mask = np.isin(labels, values)
            found[name] = not_measured(name, mask, IGNORED) if partly else measure_structure(name, mask, spacing, dating)
    except Exception as error:  # whatever a mask or a number that makes no sense leads to: the others go on
        if not isinstance(error, (AutosegError, OSError, MemoryError)):
            log.debug("%s failed", item.id, exc_info=error)
            error = DataError(f"it cannot be measured; is its spacing right? ({type(error).__name__})")
        message = str(error).removeprefix(f"{item.id}: ")
        return MeasuredCase.model_validate({**head, "status": "failed", "error": message or type(error).__name__})
    figure = None if out is None else _drawn(item, labels, structures, found, spacing, out)
    return MeasuredCase.model_validate(
        {
            **head,
            "status": "done",
            "shape": labels.shape,
            "spacing_mm": spacing,
            "structures": {name: measured.record for name, measured in found.items()},
            "warnings": notes if item.note is None else (item.note, *notes),
            "figure": figure,
        }
    )


def _read(item: MaskToMeasure, dataset: Dataset | None) -> tuple[np.ndarray, Spacing | None]:
    """The mask `(*spatial)` as whole numbers, and the size of its pixels."""
    if dataset is not None and item.case is not None:
        label_map = load_label_map(dataset, item.case)
        file = next(iter(item.case.images), item.case.label)
        own = item.spacing_mm or (
            None if file is None else read_header(dataset.path(file), dataset.trust_file_spacing).spacing_mm
        )
        return label_map.labels, own or label_map.geometry.spacing_mm
    if split_suffix(item.mask)[1] in LOSSY_SUFFIXES:
        raise DataError([Fault(item.id, "JPEG changes values, so it holds no exact mask; save the mask as PNG")])
    volume = read(item.mask, expand_palette=False)
    labels = volume.array[0]
    if any((channel != labels).any() for channel in volume.array[1:]):
        raise DataError([Fault(item.id, f"holds {len(volume.array)} different channels; a mask has one value at each pixel")])
    if not np.issubdtype(labels.dtype, np.integer):
        whole = np.rint(labels)
        if not ((whole == labels) & (np.abs(whole) <= LARGEST_VALUE)).all():  # NaN equals nothing
            told = "holds numbers that are not whole, or very large; a mask has one small whole number at each pixel"
            raise DataError([Fault(item.id, told)])
        labels = whole.astype(np.int64)
    own = None if is_picture(item.mask) else volume.geometry.spacing_mm
    spacing = item.spacing_mm or own
    if spacing is not None and len(spacing) != labels.ndim:
        told = f"a mask of {labels.ndim} axes with the spacing of {len(spacing)}; give a spacing for pictures alone"
        raise DataError([Fault(item.id, told)])
    return labels, spacing


def _every_value(labels: np.ndarray) -> dict[str, tuple[int, ...]]:
    values = [int(value) for value in np.unique(labels) if value != 0]
    if len(values) >= MOST_VALUES or (len(values) >= MANY_VALUES and _evenness(labels) < EVEN):
        raise DataError(
            f"holds {len(values)} different values that change from pixel to pixel, so it is an image and no mask; "
            "if it is one, --structure NAME=VALUE says what its values are"
        )
    return {f"label {value}": (value,) for value in values}


def _evenness(labels: np.ndarray) -> float:
    """Share of neighbours along the last axis, none of them 0, that have the same value."""
    first, second = labels[..., :-1], labels[..., 1:]
    inside = (first != 0) & (second != 0)
    return float((first[inside] == second[inside]).mean()) if inside.any() else 1.0


def _other_values(
    item: MaskToMeasure, labels: np.ndarray, structures: Mapping[str, Sequence[int]], complete: bool, ignored: int | None
) -> tuple[str, ...]:
    """A sentence on values that belong to no structure; an error where there must be none."""
    known = {0, ignored, *(value for values in structures.values() for value in values)}
    others = [f"{value:g}" for value in np.unique(labels) if int(value) not in known]
    if not others:
        return ()
    told = ", ".join(others[:MOST_NAMED]) + (", ..." if len(others) > MOST_NAMED else "")
    if complete:
        raise DataError([Fault(item.id, f"the mask holds {told}, which the model does not paint; predict this case again")])
    return (f"the mask holds {told}, which no structure has",)


def _drawn(
    item: MaskToMeasure,
    labels: np.ndarray,
    structures: Mapping[str, Sequence[int]],
    found: Mapping[str, Measured],
    spacing: Spacing | None,
    out: Path,
) -> str | None:
    """The picture's name; None where it cannot be drawn, which does not take the figures away.

    Raises:
        DiskFull: there is no room for it, nor for the others.
    """
    try:
        return _draw(item, labels, structures, found, spacing, out)
    except DiskFull:
        raise
    except Exception as error:
        log.warning("%s: no picture could be drawn (%s)", item.id, error)
        return None


def _draw(
    item: MaskToMeasure,
    labels: np.ndarray,
    structures: Mapping[str, Sequence[int]],
    found: Mapping[str, Measured],
    spacing: Spacing | None,
    out: Path,
) -> str:
    image = _image(item, labels.shape)
    name = f"{FIGURES}/{item.id}.png"
    if labels.ndim == 2:
        save_measured_picture(out / name, image, labels, structures, found, spacing)
    else:
        save_measured_volume(out / name, image, labels, structures, found, spacing)
    return name


def _image(item: MaskToMeasure, shape: tuple[int, ...]) -> np.ndarray | None:
    """The case's image `(C, *spatial)`; None where there is none any more, or it is of another size."""
    try:
        image = read(Path(item.images[0])).array if item.images else None
    except (AutosegError, OSError) as error:
        log.debug("%s: no picture to draw on (%s)", item.id, error)
        return None
    return image if image is not None and image.shape[1:] == shape else None


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
